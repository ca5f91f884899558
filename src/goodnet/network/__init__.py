"""A classifier as a traced graph with named layers."""

from goodnet.network.cut import Cut, batches, channels_last
from goodnet.network.network import ChannelMask, Network, Node
from goodnet.network.workers import Run, map_blocks, single_thread, workers

__all__ = [
    "ChannelMask",
    "Cut",
    "Network",
    "Node",
    "Run",
    "batches",
    "channels_last",
    "map_blocks",
    "single_thread",
    "workers",
]
