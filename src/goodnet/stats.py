"""Intervals: counts in, numbers out."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

from goodnet.errors import InvalidInput
from goodnet.types import Proportion

__all__ = ["CONFIDENCE", "proportion"]

CONFIDENCE = 0.95


def proportion(count: SupportsIndex, total: SupportsIndex) -> Proportion:
    """The share `count / total` with its exact 95 % interval.

    The interval is Clopper and Pearson's: it holds the true share at least 95 times in 100,
    however few the images. With a total of 0 nothing is known: the value is None, the interval
    0..1.

    Args:
        count: How many did.
        total: Out of how many.

    Returns:
        The share and its interval, in 0..1.

    Raises:
        InvalidInput: If `count` is not in 0..total.

    Example:
        >>> share = proportion(59, 60)
        >>> f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"
        '0.983 (0.911 to 1.000)'

    References:
        Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of
        the binomial, Biometrika 1934.
    """
    count, total = index(count), index(total)
    if not 0 <= count <= total:
        raise InvalidInput(f"expected a count from 0 to the total {total}, got {count}")
    value = count / total if total else None
    return Proportion(value, _lower(count, total), 1.0 - _lower(total - count, total), count, total)


def _lower(count: int, total: int) -> float:
    """The smallest share for which seeing `count` or more is not yet too rare."""
    if count == 0:
        return 0.0
    from scipy.special import betaincinv

    return float(betaincinv(count, total - count + 1, (1.0 - CONFIDENCE) / 2))
