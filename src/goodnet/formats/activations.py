"""The activation functions a network may use: names, options, and whether zero stays zero.

The names are Keras' own. Plain data; `formats.build` holds the functions themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from goodnet.formats.spec import Activation

__all__ = ["FUNCTIONS", "is_zero_preserving"]

# function -> its options with their defaults
FUNCTIONS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "linear": {},
        "relu": {"max_value": float("inf"), "negative_slope": 0.0, "threshold": 0.0},
        "relu6": {},
        "leaky_relu": {"negative_slope": 0.2},
        "elu": {"alpha": 1.0},
        "celu": {"alpha": 1.0},
        "selu": {},
        "sigmoid": {},
        # Keras 3: relu6(x + 3) / 6, a slope of 1/6; Keras 2 and before: a slope of 0.2
        "hard_sigmoid": {"slope": 1 / 6},
        "log_sigmoid": {},
        "tanh": {},
        "hard_tanh": {},
        "tanh_shrink": {},
        "softplus": {},
        "softsign": {},
        "silu": {},
        "hard_silu": {},
        "mish": {},
        "gelu": {"approximate": 0.0},
        "exponential": {},
        "softmax": {"axis": 1.0},  # axis of the value as laid out in the spec
        "log_softmax": {"axis": 1.0},
    }
)

_MOVES_ZERO = frozenset(
    {"sigmoid", "hard_sigmoid", "log_sigmoid", "softplus", "exponential", "softmax", "log_softmax"}
)


def is_zero_preserving(activation: Activation | None) -> bool:
    """Whether the function gives exactly 0 at 0, channel by channel."""
    if activation is None or activation.function != "relu":
        return activation is None or activation.function not in _MOVES_ZERO
    options = {**FUNCTIONS["relu"], **activation.options}
    return options["threshold"] <= 0.0 or options["negative_slope"] == 0.0
