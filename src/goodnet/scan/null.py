"""What clean networks score: the null hypothesis that a verdict is against."""

from __future__ import annotations

import math

__all__ = ["NULL", "p_value", "score_at"]

# The largest score of clean networks: a Gumbel distribution of its logarithm, fitted to the clean
# networks of the half of the zoo to choose by (benchmarks/scan_zoo.py --half choose --fit).
_LOCATION, _SCALE = -3.0, 0.5

NULL = (
    "the largest score among all classes of a clean network, as measured on clean networks of 10 "
    "to 1,283 classes (synthetic faces and CIFAR-10)"
)


def p_value(score: float) -> float:
    """Probability that the most suspicious label of a clean network scores at least so high.

    Example:
        >>> p_value(0.0)
        1.0
    """
    if score <= 0:
        return 1.0
    return -math.expm1(-math.exp(-(math.log(score) - _LOCATION) / _SCALE))


def score_at(p: float) -> float:
    """The score with a p-value: the inverse of `p_value`.

    Example:
        >>> round(p_value(score_at(0.01)), 6)
        0.01
    """
    return math.exp(_LOCATION - _SCALE * math.log(-math.log1p(-p)))
