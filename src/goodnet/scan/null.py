"""What clean networks score: the null hypothesis that a verdict is against."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from goodnet.scan.families import Kind

ALL: Final = "all"
DISTANCE: Final = "distance"
Standing: TypeAlias = 'Kind | Literal["all", "distance"]'

# Location and scale of the Gumbel distributions most likely for the label that stands out most in
# each of 29 clean networks (benchmarks/scan_zoo.py --part choose), by kind of triggers; and for
# distances in the 30 below.
_USUAL: MappingProxyType[str, tuple[float, float]] = MappingProxyType(
    {
        ALL: (0.60, 0.20),
        "fine": (1.29, 0.50),
        "coarse": (1.28, 0.38),
        "faint": (1.33, 0.47),
        "patch": (2.03, 0.79),
        "band": (1.17, 0.45),
        DISTANCE: (1.71, 0.84),
    }
)
# And for the largest score of each of 30 clean networks, of 10 to 50 classes and of 200 and more
# (--part choose and calibrate): the more labels there are to compare with, the less the first of
# them stands out. Between both it goes with the logarithm of the number of classes.
_FEW, _MANY = (50, 3.88, 3.34), (200, 1.98, 1.30)

# No p-value is smaller: some dozens of networks do not tell what one in thousands would score.
LEAST = 0.001

NULL = (
    "the largest score among all classes of a clean network of about as many, as measured on 30 "
    "clean networks of 10 to 1,283 classes (synthetic faces and CIFAR-10)"
)


def beyond_usual(name: Standing, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far labels stand beyond the usual first label of clean networks, in its scale.

    Args:
        name: A kind of triggers, "all", or "distance".
        values: As `goodnet.scan.evidence.standings` gives them.
    """
    location, scale = _USUAL[name]
    return (values - location) / scale


def p_value(score: float, classes: int) -> float:
    """Probability that the most suspicious label of a clean network scores at least so high.

    Args:
        score: As `goodnet.scan.evidence.scores` gives it.
        classes: Of the network.

    Returns:
        At least 0.001.

    Example:
        >>> f"{p_value(0.0, 10):.3f} {p_value(10.0, 10):.3f} {p_value(10.0, 1283):.3f}"
        '0.959 0.148 0.002'
    """
    location, scale = _usual_score(classes)
    tail = -math.expm1(-math.exp(min(-(score - location) / scale, 700.0)))
    return max(tail, LEAST)


def score_at(p: float, classes: int) -> float:
    """The score with a p-value of at least 0.001: the inverse of `p_value`.

    Example:
        >>> round(p_value(score_at(0.01, 100), 100), 6)
        0.01
    """
    location, scale = _usual_score(classes)
    return location - scale * math.log(-math.log1p(-p))


def _usual_score(classes: int) -> tuple[float, float]:
    """Location and scale for a number of classes."""
    (few, *first), (many, *second) = _FEW, _MANY
    share = min(max(math.log(classes / few) / math.log(many / few), 0.0), 1.0)
    location, scale = ((1 - share) * a + share * b for a, b in zip(first, second, strict=True))
    return location, scale
