"""A classifier as a graph with named layers."""

from goodnet.network.cut import Cut, batches, channels_last
from goodnet.network.module_source import ModuleSource
from goodnet.network.network import Network, Node
from goodnet.network.workers import Run, map_blocks, single_thread, workers

__all__ = [
    "Cut",
    "ModuleSource",
    "Network",
    "Node",
    "Run",
    "batches",
    "channels_last",
    "map_blocks",
    "single_thread",
    "workers",
]
