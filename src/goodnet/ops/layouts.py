"""How files order the axes of pictures and arrays, and how to go there and back.

Every array of a network names the layout it had in its file. `to_spec` and `to_file` are inverse to
each other, so a change made here can be written back in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.op import PICTURE, Array

_Size = TypeVar("_Size")
_FROM_HWC = {1: 2, 2: 3, 3: 1}
_TO_HWC = {2: 1, 3: 2, 1: 3}


class Layout(NamedTuple):
    """A layout: an array's shape in the spec from that in the file, and the ways there and back."""

    shape: Callable[[tuple[int, ...]], tuple[int, ...]]
    to_spec: Callable[[Array], Array]
    to_file: Callable[[Array, tuple[int, ...]], Array]


def _permuted(*axes: int) -> Layout:
    back = tuple(np.argsort(axes))
    return Layout(
        lambda s: tuple(s[axis] for axis in axes),
        lambda a: a.transpose(axes),
        lambda a, _: a.transpose(back),
    )


LAYOUTS: dict[str, Layout] = {
    # vectors, and whatever both sides order alike
    "as-is": Layout(lambda s: s, lambda a: a, lambda a, _: a),
    # Keras Conv2D: (height, width, in, out) <-> (out, in, height, width)
    "hwio": _permuted(3, 2, 0, 1),
    # Keras Conv2DTranspose: (height, width, out, in) <-> (out, in, height, width)
    "hwoi": _permuted(2, 3, 0, 1),
    # ONNX ConvTranspose: (in, out, height, width) <-> (out, in, height, width)
    "iohw": _permuted(1, 0, 2, 3),
    # Keras Dense: (in, out) <-> (out, in)
    "io": _permuted(1, 0),
    # the same of a single output that stands for two classes: z in the file is the second less the
    # first here, which is zero to begin with
    "two-io": Layout(
        lambda s: (2 * s[1], s[0]),
        lambda a: np.concatenate([np.zeros_like(a), a], 1).T,
        lambda a, _: (a[1:] - a[:1]).T,
    ),
    "two-as-is": Layout(
        lambda s: (2 * s[0],),
        lambda a: np.concatenate([np.zeros_like(a), a]),
        lambda a, _: a[1:] - a[:1],
    ),
    # Keras Dense read as a 1x1 convolution: (in, out) <-> (out, in, 1, 1)
    "io-1x1": Layout(
        lambda s: (s[1], s[0], 1, 1), lambda a: a.T[:, :, None, None], lambda a, _: a[:, :, 0, 0].T
    ),
    # Keras DepthwiseConv2D: (height, width, in, multiplier) <-> (in * multiplier, 1, height, width)
    "hwim": Layout(
        lambda s: (s[2] * s[3], 1, s[0], s[1]),
        lambda a: a.transpose(2, 3, 0, 1).reshape(-1, 1, *a.shape[:2]),
        lambda a, s: a.reshape(s[2], s[3], s[0], s[1]).transpose(2, 3, 0, 1),
    ),
    # a scale for each channel, read as a depthwise convolution: (channels,) <-> (channels, 1, 1, 1)
    "scales": Layout(
        lambda s: (s[0], 1, 1, 1), lambda a: a.reshape(-1, 1, 1, 1), lambda a, s: a.reshape(s)
    ),
    # Keras MultiHeadAttention: (in, heads, each) <-> (heads * each, in), its biases, and
    # (heads, each, out) <-> (out, heads * each)
    "in-heads": Layout(
        lambda s: (s[1] * s[2], s[0]),
        lambda a: a.reshape(len(a), -1).T,
        lambda a, s: a.T.reshape(s),
    ),
    "heads": Layout(lambda s: (s[0] * s[1],), lambda a: a.reshape(-1), lambda a, s: a.reshape(s)),
    "heads-out": Layout(
        lambda s: (s[2], s[0] * s[1]),
        lambda a: a.reshape(-1, a.shape[2]).T,
        lambda a, s: a.T.reshape(s),
    ),
    # a value per pixel and channel: (height, width, channels) <-> (channels, height, width)
    "hwc": _permuted(2, 0, 1),
    # a value per channel, any shape that holds only channels <-> (channels, 1, 1)
    "channels": Layout(
        lambda s: (math.prod(s), 1, 1), lambda a: a.reshape(-1, 1, 1), lambda a, s: a.reshape(s)
    ),
}

# Of a dense layer with one output: its layout where the output stands for two classes.
TWO_ROWS = {"io": "two-io", "as-is": "two-as-is"}


def to_spec(array: Array, layout: str) -> Array:
    """Bring an array of the file into the spec's layout; contiguous."""
    return np.ascontiguousarray(LAYOUTS[layout].to_spec(array))


def to_file(array: Array, layout: str, shape: tuple[int, ...] = ()) -> Array:
    """Bring an array of the spec into the file's layout, where it has `shape`; contiguous."""
    return np.ascontiguousarray(LAYOUTS[layout].to_file(array, shape))


def array_shape(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """The shape an array of the file takes in the spec.

    Example:
        >>> array_shape((3, 3, 16, 32), "hwio")
        (32, 16, 3, 3)
    """
    return LAYOUTS[layout].shape(shape)


def full_rank(array: Array, rank: int) -> Array:
    """An array with axes of length 1 in front, as it broadcasts against a value of `rank` axes."""
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def channels_last(array: Array) -> Array:
    """An array that lies as a picture does in the spec, as a file has it; others as they are."""
    return to_file(array, "hwc") if array.ndim == PICTURE else array


@dataclass(frozen=True, slots=True)
class Axes:
    """The order of a picture's axes in a file.

    Attributes:
        order: "hwc" (channels_last) or "chw" (channels_first).
    """

    order: Literal["hwc", "chw"]

    def is_hwc(self, rank: int) -> bool:
        """Whether the file has the channels of a value of `rank` axes last, and the spec first."""
        return self.order == "hwc" and rank == PICTURE

    def to_spec(self, axis: int, rank: int) -> int:
        """The axis in the spec, the batch being 0, of an axis in the file.

        Args:
            axis: As Keras counts: the batch is 0, and -1 is the last.
            rank: Axes of the value without the batch.

        Raises:
            InvalidInput: If there is no such axis, or it is the batch.
        """
        positive = axis if axis >= 0 else axis + rank + 1
        if not 1 <= positive <= rank:
            raise InvalidInput(f"there is no axis {axis} in a value of {rank} axes and a batch")
        return _FROM_HWC[positive] if self.is_hwc(rank) else positive

    def to_file(self, axis: int, rank: int) -> int:
        """The axis in the file, the batch being 0, of an axis in the spec, 1 or more.

        Example:
            >>> [Axes("hwc").to_file(axis, 3) for axis in (1, 2, 3)]
            [3, 1, 2]
        """
        return _TO_HWC[axis] if self.is_hwc(rank) else axis

    def shape_to_spec(self, shape: tuple[_Size, ...]) -> tuple[_Size, ...]:
        """The shape in the spec of a value that has `shape` in the file."""
        return (shape[2], *shape[:2]) if self.is_hwc(len(shape)) else shape

    def shape_to_file(self, shape: tuple[_Size, ...]) -> tuple[_Size, ...]:
        """The shape in the file of a value that has `shape` in the spec."""
        return (*shape[1:], shape[0]) if self.is_hwc(len(shape)) else shape
