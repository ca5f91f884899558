"""Ways of making B', the network with its backdoor weakened or gone."""

from goodnet.repair.activity import measure_activity
from goodnet.repair.layers import default_layer, silence_channels
from goodnet.repair.prune import prune_curve, pruning_order, trace_backdoor
from goodnet.repair.trace import trace_answers

__all__ = [
    "default_layer",
    "measure_activity",
    "prune_curve",
    "pruning_order",
    "silence_channels",
    "trace_answers",
    "trace_backdoor",
]
