"""What a kind of layer is given to recognise itself in an ONNX graph; without onnx."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats import budgets
from goodnet.ops.layouts import Axes, full_rank, to_spec
from goodnet.ops.op import PICTURE, Array, Shape

# Sizes of two batches: what differs between them depends on the batch.
BATCHES = (2, 3)
# Axes of arrays in a file, by their layout.
_RANKS = {"io": 2, "io-1x1": 2, "channels": 1, "hwc": 3, "iohw": 4}


@dataclass(frozen=True, eq=False)
class Value:
    """What the graph computes from images, as a layer of the spec.

    Attributes:
        layer: That layer's name.
        shape: Of one image's value as the spec lays it out.
        axes: How the graph orders the axes of a picture.
    """

    layer: str
    shape: Shape
    axes: Axes = field(default_factory=lambda: Axes("chw"))

    @property
    def rank(self) -> int:
        """Axes without the batch."""
        return len(self.shape)


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers that do not depend on images.

    Attributes:
        array: As the graph has them.
        key: Of the array in the file, if they are just that array.
        other: What they would be for another size of the batch, where they depend on it.
    """

    array: Array
    key: str = ""
    other: Array | None = None

    def of(self, images: int) -> Array:
        """What they are for a batch of one of the sizes in `BATCHES`."""
        return self.array if images == BATCHES[0] or self.other is None else self.other


@dataclass(frozen=True, eq=False)
class Numbers:
    """An array of a layer.

    Attributes:
        array: As the spec lays it out.
        key: Of the array of the file that it is, "" if it is made of several.
        layout: How the file lays it out, see `ops.layouts`.
    """

    array: Array
    key: str = ""
    layout: str = "as-is"


@dataclass(frozen=True, eq=False)
class Found:
    """One layer of a description.

    Attributes:
        op: Its kind.
        inputs: The values it reads.
        attributes: All that the kind has.
        arrays: By the name of the parameter.
        axes: How the graph orders the axes of its value, if it is a picture; None as of the first
            value that is read.
        then: A layer that goes on from this one and has its name.
    """

    op: str
    inputs: tuple[Value, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Numbers] = field(default_factory=dict)
    axes: Axes | None = None
    then: Callable[[Value], Found] | None = None


@dataclass(frozen=True, eq=False)
class Node:
    """An operation of the graph with all that it is given.

    Attributes:
        name: In the graph.
        kind: For instance "Conv".
        operands: What it reads; None for what is left out.
        attributes: As the file has them.
        opset: Version of the operations.
    """

    name: str
    kind: str
    operands: Sequence[Value | Constant | None]
    attributes: Mapping[str, Any]
    opset: int

    def error(self, expected: str) -> InvalidInput:
        """The error that something else was `expected`."""
        return InvalidInput(f"operation {self.name!r} ({self.kind}): expected {expected}")

    def integer(self, name: str, default: int) -> int:
        """A whole number."""
        found = self.attributes.get(name, default)
        if not isinstance(found, int):
            raise self.error(f"{name} to be a whole number, got {found!r:.60}")
        return found

    def integers(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """Whole numbers, which later versions read as an operand."""
        found = self.attributes.get(name, default)
        if not isinstance(found, Sequence) or not all(isinstance(x, int) for x in found):
            raise self.error(f"{name} to be whole numbers, got {found!r:.60}")
        return tuple(found)

    def pair(self, name: str, default: Sequence[int] = (1, 1)) -> tuple[int, int]:
        """Two whole numbers of 1 or more, (height, width)."""
        found = self.integers(name, default)
        if len(found) != 2 or not all(1 <= x <= budgets.MAX_DIMENSION for x in found):
            raise self.error(f"{name} to be two whole numbers of 1 or more, got {found}")
        return found[0], found[1]

    def number(self, name: str, default: float) -> float:
        """A number."""
        found = self.attributes.get(name, default)
        if not isinstance(found, int | float) or not math.isfinite(found):
            raise self.error(f"{name} to be a number, got {found!r:.60}")
        return float(found)

    def text(self, name: str, default: str) -> str:
        """A text."""
        return str(self.attributes.get(name, default))

    def must_be(self, **wanted: Any) -> None:
        """See that attributes are what they are by default.

        Raises:
            InvalidInput: If one is not.
        """
        for name, value in wanted.items():
            found = self.attributes.get(name, value)
            if found != value:
                raise self.error(f"{name} to be {value!r}, got {found!r:.60}")

    def value(self, place: int = 0) -> Value:
        """A value that it reads.

        Raises:
            InvalidInput: If there is none, or it is a constant.
        """
        found = self.operands[place] if place < len(self.operands) else None
        if not isinstance(found, Value):
            raise self.error("what it reads to depend on the images")
        return found

    def picture(self) -> Value:
        """The first value that it reads, a picture with the channels in front.

        Raises:
            InvalidInput: If it is something else.
        """
        found = self.value()
        if found.rank != PICTURE or found.axes.order != "chw":
            raise self.error(f"a picture (channels, height, width), got a value of {found.shape}")
        return found

    def constant(self, place: int) -> Constant | None:
        """Numbers that it reads; None where they are left out.

        Raises:
            InvalidInput: If they depend on the images, or on how many there are.
        """
        found = self.operands[place] if place < len(self.operands) else None
        if found is None:
            return None
        if not isinstance(found, Constant) or found.other is not None:
            raise self.error(f"operand {place} to be constant")
        return found

    def sizes(self, place: int) -> tuple[int, ...] | None:
        """Whole numbers that it reads."""
        found = self.constant(place)
        return None if found is None else tuple(found.array.reshape(-1).astype(int).tolist())

    def has_shape(self, place: int, *sizes: int | None) -> bool:
        """Whether it reads a shape there, if any, of these sizes for each image; -1 is any."""
        found = self.operands[place] if place < len(self.operands) else None
        if found is None:
            return True
        given = [found.of(images).tolist() for images in BATCHES if isinstance(found, Constant)]
        return len(given) == len(BATCHES) and all(
            isinstance(shape, list)
            and len(shape) == len(sizes) + 1
            and all(x in (-1, y) for x, y in zip(shape, (images, *sizes), strict=True))
            for shape, images in zip(given, BATCHES, strict=True)
        )

    def numbers(self, place: int, layout: str = "as-is") -> Numbers | None:
        """An array of its layer, as the file lays it out; None where it is left out."""
        found = self.constant(place)
        if found is None:
            return None
        array = found.array.astype(np.float32)
        if array.ndim != _RANKS.get(layout, array.ndim):
            raise self.error(f"an array of {_RANKS[layout]} axes, got the shape {array.shape}")
        return Numbers(to_spec(array, layout), found.key, layout)

    def arrays(self, **places: int) -> dict[str, Numbers]:
        """Arrays of its layer that lie in the file as here, those that are not left out."""
        found = {name: self.numbers(place) for name, place in places.items()}
        return {name: numbers for name, numbers in found.items() if numbers is not None}

    def axis(self, axis: int, value: Value) -> int:
        """An axis of a value as the spec lays it out.

        Raises:
            InvalidInput: If there is no such axis, or it is the batch.
        """
        return value.axes.to_spec(axis, value.rank)

    def found(self, op: str, **attributes: Any) -> Found:
        """A layer that reads the first value."""
        return Found(op, (self.value(),), attributes)


Rule = Callable[[Node], Found]


def repeated(constant: Constant, value: Value) -> Numbers | None:
    """A constant for each image, with as many axes as a value; None if images have others."""
    array, key = constant.array.astype(np.float32), constant.key
    if constant.other is not None:
        rows = [row for images in BATCHES for row in np.atleast_1d(constant.of(images))]
        if not rows or any(not np.array_equal(rows[0], row) for row in rows):
            return None
        array = array[:1] if array.ndim else array
    found = placed(array, value)
    if found is None:
        return None
    return Numbers(found, "" if value.axes.is_hwc(value.rank) else key)


def placed(constant: Array, value: Value) -> Array | None:
    """A constant as it broadcasts against a value laid out as here; None if it has more axes."""
    array = constant
    while array.ndim > value.rank and array.shape[0] == 1:
        array = array[0]
    if array.ndim > value.rank:
        return None
    array = full_rank(array, value.rank)
    return to_spec(array, "hwc") if value.axes.is_hwc(value.rank) else array
