"""How files lay their arrays out, and how to go there and back.

Every array of a `NetworkSpec` names the layout it had in its file. `to_spec` and `to_file` are
inverse to each other, so a change made here can be written back in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LAYOUTS", "to_file", "to_spec"]

Array = NDArray[Any]


def _depthwise_to_spec(array: Array) -> Array:
    height, width, channels, multiplier = array.shape
    flat: Array = array.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return flat


def _same(array: Array, _shape: tuple[int, ...]) -> Array:
    return array


# layout -> (file to spec, spec to file given the file's shape)
LAYOUTS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, tuple[int, ...]], Array]]] = {
    # vectors, and whatever both sides order alike
    "as-is": (lambda a: a, _same),
    # Keras Conv2D: (height, width, in, out) <-> (out, in, height, width)
    "hwio": (lambda a: a.transpose(3, 2, 0, 1), lambda a, _: a.transpose(2, 3, 1, 0)),
    # Keras Dense: (in, out) <-> (out, in)
    "io": (lambda a: a.T, lambda a, _: a.T),
    # Keras Dense read as a 1x1 convolution: (in, out) <-> (out, in, 1, 1)
    "io-1x1": (lambda a: a.T[:, :, None, None], lambda a, _: a[:, :, 0, 0].T),
    # Keras DepthwiseConv2D: (height, width, in, multiplier) <-> (in * multiplier, 1, height, width)
    "hwim": (
        _depthwise_to_spec,
        lambda a, shape: a.reshape(shape[2], shape[3], shape[0], shape[1]).transpose(2, 3, 0, 1),
    ),
    # a value per pixel and channel: (height, width, channels) <-> (channels, height, width)
    "hwc": (lambda a: a.transpose(2, 0, 1), lambda a, _: a.transpose(1, 2, 0)),
    # a value per channel, any shape that holds only channels <-> (channels, 1, 1)
    "channels": (lambda a: a.reshape(-1, 1, 1), lambda a, shape: a.reshape(shape)),
}


def to_spec(array: Array, layout: str) -> Array:
    """Bring an array of the file into the spec's layout; contiguous."""
    return np.ascontiguousarray(LAYOUTS[layout][0](array))


def to_file(array: Array, layout: str, shape: tuple[int, ...]) -> Array:
    """Bring an array of the spec into the file's layout, where it has `shape`; contiguous."""
    return np.ascontiguousarray(LAYOUTS[layout][1](array, shape))
