"""Random numbers by counting: each is a function of a key and its place, with no state between.

SplitMix64 (Steele, Lea and Flood 2014) on whole arrays, so that an image is the same whatever
else is drawn beside it.
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.types import Integers

Keys = NDArray[np.uint64]
# All are float32; sums of arrays and plain numbers have no type that says so.
Floats = NDArray[np.floating[Any]]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TABLE_BITS = 12


def make_keys(seed: int, *parts: Integers) -> Keys:
    """One key for each row of `parts`, arrays of the same shape (n,), none negative."""
    keys = _mix(np.full(parts[0].shape, seed, np.uint64) + _STEP)
    for part in parts:
        keys = _mix(keys ^ _mix(part.astype(np.uint64) + _STEP))
    return keys


def uniforms(keys: Keys, count: int) -> Floats:
    """Numbers in 0..1, shape (n, count), from keys of shape (n,)."""
    numbers: Floats = (_bits(keys, count) >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    return numbers


def normals(keys: Keys, count: int) -> Floats:
    """Standard normal numbers cut at 3.7, shape (n, count), from keys of shape (n,).

    Each 64 bits give four, each one of 4,096 quantiles: as fine as a pixel's noise needs.
    """
    quarters = _bits(keys, -(-count // 4)).view(np.uint16)[:, :count]
    numbers: Floats = _quantiles()[quarters >> np.uint16(16 - _TABLE_BITS)]
    return numbers


def _bits(keys: Keys, count: int) -> Keys:
    places = np.arange(1, count + 1, dtype=np.uint64)
    return _mix(keys[:, None] + _STEP * places)


def _mix(bits: Keys) -> Keys:
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    mixed: Keys = bits ^ (bits >> np.uint64(31))
    return mixed


@cache
def _quantiles() -> Floats:
    size = 1 << _TABLE_BITS
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / size) for i in range(size)], np.float32)
