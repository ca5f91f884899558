"""What is written, one layer at a time: a layer of the spec, and the Keras layers it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goodnet.formats.shapes import Shape
    from goodnet.formats.spec import Array, Layer

__all__ = ["PICTURE", "Dialect", "Part", "Step", "file_shape", "keras_axis"]

# "h5" is read by Keras 2 and 3 alike, "keras" by Keras 3.
Dialect = Literal["h5", "keras"]

# Axes of a picture without its batch axis: channels, height, width.
PICTURE = 3


@dataclass(frozen=True, slots=True)
class Step:
    """A Keras layer without its name and place in the graph.

    Attributes:
        class_name: For instance "Conv2D".
        config: The options that differ from layer to layer; Keras fills in the rest.
        weights: (name, array) in Keras' order: trained ones first.
    """

    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[tuple[str, Array], ...] = ()


def keras_axis(axis: int, rank: int) -> int:
    """Where an axis of the spec's value lies in a channels-last value; both count the batch.

    Args:
        axis: 1 or more.
        rank: Axes of the value without the batch.

    Example:
        >>> [keras_axis(axis, 3) for axis in (1, 2, 3)]
        [3, 1, 2]
    """
    return {1: 3, 2: 1, 3: 2}[axis] if rank == PICTURE else axis


def file_shape(shape: Shape) -> Shape:
    """The shape of a value as a channels-last file has it; both leave out the batch."""
    return (*shape[1:], shape[0]) if len(shape) == PICTURE else shape


@dataclass(frozen=True, slots=True)
class Part:
    """One layer of a spec with all that decides how it is written.

    Attributes:
        layer: The layer.
        arrays: Its arrays by parameter name.
        inputs: Shapes of the values it reads, without the batch axis.
        shape: Shape of its own value.
        dialect: Which Keras versions must understand it.
    """

    layer: Layer
    arrays: Mapping[str, Array]
    inputs: tuple[Shape, ...]
    shape: Shape
    dialect: Dialect

    def __getitem__(self, attribute: str) -> Any:
        return self.layer.attributes[attribute]
