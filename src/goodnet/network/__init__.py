"""A classifier as a graph with named layers."""

from goodnet.network.answers import NO_ANSWER, answers, check_answered, check_finite
from goodnet.network.calibration import Calibration, calibrate, recognised, said_by_file, takes
from goodnet.network.cut import Cut, batches, channels_last
from goodnet.network.fits import check_network, check_pair
from goodnet.network.module_source import ModuleSource
from goodnet.network.network import Network, Node
from goodnet.network.workers import Run, map_blocks, single_thread, workers
from goodnet.preprocessing import RAW, Scale, usual_scales

__all__ = [
    "NO_ANSWER",
    "RAW",
    "Calibration",
    "Cut",
    "ModuleSource",
    "Network",
    "Node",
    "Run",
    "Scale",
    "answers",
    "batches",
    "calibrate",
    "channels_last",
    "check_answered",
    "check_finite",
    "check_network",
    "check_pair",
    "map_blocks",
    "recognised",
    "said_by_file",
    "single_thread",
    "takes",
    "usual_scales",
    "workers",
]
