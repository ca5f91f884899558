"""Layers that multiply each channel by a number and add another: however they are spelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from goodnet.ops.layouts import full_rank
from goodnet.ops.normalization import NORMALIZE_EPSILON
from goodnet.ops.op import Array, Arrays, Layer, Shape

Floats = NDArray[np.float64]
_SEQUENCE = 2
Affine = tuple[Floats, Floats]


def affine(layer: Layer, own: Arrays, shape: Shape) -> Affine | None:
    """The factor and the offset of each channel of a layer, shape (channels,) each.

    Args:
        layer: Any layer.
        own: Its arrays, by name.
        shape: Of its value; the channels of a sequence are the numbers of each step.

    Returns:
        None for a layer that does something else, or not the same everywhere in a channel.
    """
    made = _AFFINE.get(layer.op)
    axis = 1 if len(shape) == _SEQUENCE else 0
    count = shape[axis] if shape else None
    if made is None or count is None:
        return None
    arrays = {name: array.astype(np.float64) for name, array in own.items()}
    if layer.op == "normalize":  # whose arrays may differ along any axis
        full = [full_rank(array, len(shape)) for array in arrays.values()]
        if any(array.size not in (1, array.shape[axis]) for array in full):
            return None
    each = [np.ravel(array) for array in made(layer, arrays)]
    if any(array.size not in (1, count) for array in each):
        return None
    factor, offset = (np.broadcast_to(array, (count,)) for array in each)
    return factor, offset


def _batch_norm(layer: Layer, arrays: Arrays) -> tuple[Array, Array]:
    deviation = np.sqrt(arrays["variance"] + layer.attributes["epsilon"])
    factor = arrays.get("gamma", np.ones(1)) / deviation
    return factor, arrays.get("beta", np.zeros(1)) - arrays["mean"] * factor


def _normalize(layer: Layer, arrays: Arrays) -> tuple[Array, Array]:
    deviation = np.maximum(np.sqrt(arrays["variance"]), NORMALIZE_EPSILON)
    if layer.attributes["invert"]:
        return deviation, arrays["mean"]
    return 1 / deviation, -arrays["mean"] / deviation


def _rescale(layer: Layer, _: Arrays) -> tuple[Array, Array]:
    scale, offset = (np.asarray(layer.attributes[name], float) for name in ("scale", "offset"))
    return scale, offset


_AFFINE: Mapping[str, Callable[[Layer, Arrays], tuple[Array, Array]]] = {
    "batch_norm": _batch_norm,
    "normalize": _normalize,
    "rescale": _rescale,
}
