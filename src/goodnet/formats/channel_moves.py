"""Where the numbers of chosen channels go when a value is flattened, reshaped or permuted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RESHAPES", "BlockedError", "Channels", "Mask", "whole_channels"]

Channels = NDArray[np.int64]
Mask = NDArray[np.bool_]

_PICTURE, _VECTOR = 3, 1


class BlockedError(Exception):
    """A walk along the layers cannot go on; the message says at which layer and why."""


def _to_file(mask: Mask, order: str) -> Mask:
    return mask.transpose(1, 2, 0) if mask.ndim == _PICTURE and order == "hwc" else mask


def _from_file(mask: Mask, order: str) -> Mask:
    return mask.transpose(2, 0, 1) if mask.ndim == _PICTURE and order == "hwc" else mask


def _flatten(mask: Mask, attributes: Mapping[str, Any]) -> Mask:
    return _to_file(mask, attributes["order"]).reshape(-1)


def _reshape(mask: Mask, attributes: Mapping[str, Any]) -> Mask:
    order = attributes["order"]
    return _from_file(_to_file(mask, order).reshape(attributes["shape"]), order)


def _permute(mask: Mask, attributes: Mapping[str, Any]) -> Mask:
    order = attributes["order"]
    axes = [dim - 1 for dim in attributes["dims"]]
    return _from_file(_to_file(mask, order).transpose(axes), order)


# operation -> its effect on the places of a value
RESHAPES: dict[str, Callable[[Mask, Mapping[str, Any]], Mask]] = {
    "flatten": _flatten,
    "reshape": _reshape,
    "permute": _permute,
}


def whole_channels(name: str, mask: Mask) -> Channels:
    """The channels that are marked in a value.

    Args:
        name: The layer whose value it is.
        mask: Its shape, True where marked.

    Raises:
        BlockedError: If a channel is marked in parts, or the value has no channels.
    """
    rows = mask.reshape(len(mask), -1)
    if mask.ndim not in (_PICTURE, _VECTOR) or (rows.any(1) != rows.all(1)).any():
        raise BlockedError(f"{name!r} spreads them over other channels")
    return np.flatnonzero(rows.all(1))
