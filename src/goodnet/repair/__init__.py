"""Ways of making B', the network with its backdoor weakened or gone."""

from goodnet.repair.activity import measure_activity
from goodnet.repair.cure import Cure, cure
from goodnet.repair.cured import CureResult
from goodnet.repair.erase import erase
from goodnet.repair.fine_prune import fine_prune
from goodnet.repair.fine_tune import fine_tune
from goodnet.repair.layers import default_layer, silence_channels
from goodnet.repair.prune import prune_curve, pruning_order, trace_backdoor
from goodnet.repair.result import Repair, Settings
from goodnet.repair.sparsify import sparsify
from goodnet.repair.trace import trace_answers
from goodnet.repair.unlearn import unlearn

__all__ = [
    "Cure",
    "CureResult",
    "Repair",
    "Settings",
    "cure",
    "default_layer",
    "erase",
    "fine_prune",
    "fine_tune",
    "measure_activity",
    "prune_curve",
    "pruning_order",
    "silence_channels",
    "sparsify",
    "trace_answers",
    "trace_backdoor",
    "unlearn",
]
