"""Ways of making B', the network with its backdoor weakened or gone: one file each."""

from goodnet.repair.cure import Cure
from goodnet.repair.cured import CureResult
from goodnet.repair.erase import Erase
from goodnet.repair.fine_prune import FinePrune
from goodnet.repair.fine_tune import FineTune
from goodnet.repair.layers import default_layer, silence_channels
from goodnet.repair.method import Repair, Trained
from goodnet.repair.methods import find_repair, repairs
from goodnet.repair.prune import Prune, prune_curve, pruning_order, trace_backdoor
from goodnet.repair.result import RepairResult
from goodnet.repair.sparsify import Sparsify
from goodnet.repair.unlearn import Unlearn

__all__ = [
    "Cure",
    "CureResult",
    "Erase",
    "FinePrune",
    "FineTune",
    "Prune",
    "Repair",
    "RepairResult",
    "Sparsify",
    "Trained",
    "Unlearn",
    "default_layer",
    "find_repair",
    "prune_curve",
    "pruning_order",
    "repairs",
    "silence_channels",
    "trace_backdoor",
]
