"""How a file orders the axes of a picture, and how its numbers for axes read in the spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from goodnet.errors import InvalidInput
from goodnet.formats.shapes import Shape

__all__ = ["Axes"]

_PICTURE = 3
_FROM_HWC = {1: 2, 2: 3, 3: 1}


@dataclass(frozen=True, slots=True)
class Axes:
    """The order of a picture's axes in the file.

    Attributes:
        order: "hwc" (channels_last) or "chw" (channels_first).
    """

    order: Literal["hwc", "chw"]

    def is_hwc(self, rank: int) -> bool:
        """Whether the file has the channels of a value of `rank` axes last, and the spec first."""
        return self.order == "hwc" and rank == _PICTURE

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

    def shape_to_spec(self, shape: Shape) -> Shape:
        """The shape in the spec of a value that has `shape` in the file."""
        return (shape[2], *shape[:2]) if self.is_hwc(len(shape)) else shape

    def shape_to_file(self, shape: Shape) -> Shape:
        """The shape in the file of a value that has `shape` in the spec."""
        return (*shape[1:], shape[0]) if self.is_hwc(len(shape)) else shape
