"""What clean networks score: the null hypothesis that a verdict is against."""

from __future__ import annotations

import math

__all__ = ["LEAST", "NULL", "p_value", "score_at"]

# The largest score of clean networks is distributed about like this: the most likely Gumbel
# distribution of 26 clean networks (benchmarks/scan_zoo.py --half choose).
_LOCATION, _SCALE = 0.715, 0.214

# No p-value is smaller: some dozens of networks do not tell what one in thousands would score.
LEAST = 0.001

NULL = (
    "the largest score among all classes of a clean network, as measured on 26 clean networks of "
    "10 to 200 classes (synthetic faces and CIFAR-10)"
)


def p_value(score: float) -> float:
    """Probability that the most suspicious label of a clean network scores at least so high.

    Args:
        score: As `goodnet.scan.evidence.scores` gives it.

    Returns:
        At least 0.001.

    Example:
        >>> f"{p_value(0.0):.3f} {p_value(30.0):.3f}"
        '1.000 0.001'
    """
    tail = -math.expm1(-math.exp(min(-(score - _LOCATION) / _SCALE, 700.0)))
    return max(tail, LEAST)


def score_at(p: float) -> float:
    """The score with a p-value of at least 0.001: the inverse of `p_value`.

    Example:
        >>> round(p_value(score_at(0.01)), 6)
        0.01
    """
    return _LOCATION - _SCALE * math.log(-math.log1p(-p))
