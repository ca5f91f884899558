"""Intervals and limits: counts and readings in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import SupportsIndex

from goodnet.types import Proportion


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
    return Proportion(count, total)


def conformal_limit(readings: Sequence[float], rate: float) -> tuple[float, float]:
    """What a new reading exceeds no more often than a rate, however the readings are distributed.

    Args:
        readings: Exchangeable with the new one, at least one.
        rate: 0..1.

    Returns:
        The limit and the rate that it holds: k / (n + 1) at the k-th largest of n readings. Where
        n is below 1 / rate - 1 the limit is the largest, and what holds is 1 / (n + 1).

    Example:
        >>> conformal_limit([3.0, 1.0, 2.0], 0.5)
        (2.0, 0.5)
        >>> conformal_limit([3.0, 1.0, 2.0], 0.01)
        (3.0, 0.25)

    References:
        Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005.
    """
    count = len(readings)
    place = max(1, math.floor(rate * (count + 1) + 1e-9))
    return sorted(readings, reverse=True)[min(place, count) - 1], place / (count + 1)
