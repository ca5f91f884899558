"""What a kind of layer is given to say itself in ONNX, and the expression it gives back; no onnx.

Values are laid out as in the spec, with the batch in front: pictures have the channels first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.op import Array, Arrays, Layer, Shape, Shapes


@dataclass(frozen=True, eq=False)
class Parameter:
    """An array of the layer that keeps its name.

    Attributes:
        name: As the layer calls it.
        array: As the operation reads it.
    """

    name: str
    array: Array


@dataclass(frozen=True, eq=False)
class Expression:
    """An operation and what it is applied to.

    Attributes:
        kind: For instance "Conv".
        operands: The names of layers, arrays, or what other operations give; None for what is left
            out. An expression that stands in several places is computed once.
        attributes: Whole numbers, floats, texts, or tuples of whole numbers.
        opset: The version of the operations that first has it, where that is later than most.
    """

    kind: str
    operands: tuple[Operand, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 0

    def since(self, opset: int) -> Expression:
        """The same, where it needs a later version of the operations."""
        return replace(self, opset=opset)


Operand = str | Array | Parameter | Expression | None


def apply(kind: str, *operands: Operand, **attributes: Any) -> Expression:
    """An operation on operands."""
    return Expression(kind, operands, attributes)


def number(value: float) -> Array:
    """A number as an operation reads it."""
    return np.array(value, np.float32)


def sizes(*numbers: int) -> Array:
    """Whole numbers as an operation reads them."""
    return np.array(numbers, np.int64)


@dataclass(frozen=True, eq=False)
class Written:
    """One layer of a spec with all that decides how it is said.

    Attributes:
        layer: The layer.
        arrays: Its arrays by name.
        inputs: Shapes of the values it reads, without the batch axis.
        shape: Shape of its own value.
    """

    layer: Layer
    arrays: Arrays
    inputs: Shapes
    shape: Shape

    def __getitem__(self, attribute: str) -> Any:
        return self.layer.attributes[attribute]

    @property
    def value(self) -> str:
        """The first value that it reads."""
        return self.layer.inputs[0]

    @property
    def rank(self) -> int:
        """Axes of the first value that it reads, without the batch."""
        return len(self.inputs[0])

    def array(self, name: str) -> Parameter | None:
        """An array of its own; None where it has none of this name."""
        return Parameter(name, self.arrays[name]) if name in self.arrays else None

    def known(self, shape: Shape) -> tuple[int, ...]:
        """A shape all of whose sizes must be known.

        Raises:
            InvalidInput: If one is open.
        """
        found = tuple(size for size in shape if size is not None)
        if len(found) < len(shape):
            raise self.error("is written to ONNX for images of a known size only")
        return found

    def error(self, why: str) -> InvalidInput:
        """The error that it cannot be said."""
        return InvalidInput(f"layer {self.layer.name!r} ({self.layer.op}) {why}")
