"""What a reader of one kind of layer is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from goodnet.errors import InvalidInput
from goodnet.formats.keras.config.activations import read_activation
from goodnet.formats.spec import Activation, Array, Layer

if TYPE_CHECKING:
    from goodnet.formats.keras.config.axes import Axes
    from goodnet.formats.keras.config.fields import Fields
    from goodnet.formats.shapes import Shape

__all__ = ["Applied", "Reading", "Weight"]


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight the file must hold for a layer.

    Attributes:
        key: Where it goes in the spec's arrays ("conv_1/weight"); None if it is of no use.
        names: What Keras has called it, newest first ("kernel").
        shape: Its shape in the file.
        layout: How the file lays it out (see `formats.layouts`).
        trained: Whether training changes it; Keras stores those first.
    """

    key: str | None
    names: tuple[str, ...]
    shape: tuple[int, ...]
    layout: str = "as-is"
    trained: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """A layer of the file in the words of the spec.

    Attributes:
        layers: One layer, or several in a row; the last has the name of the layer in the file.
        weights: What the file must hold, in the order in which Keras stores it.
        constants: Arrays that stand in the configuration itself, by their key in the spec.
    """

    layers: tuple[Layer, ...]
    weights: tuple[Weight, ...] = ()
    constants: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Applied:
    """A layer of the file, applied to values of known shape.

    Attributes:
        name: Its name in the spec.
        kind: Its class in Keras.
        fields: Its settings.
        inputs: Names of the layers it reads.
        shapes: Shapes of the values it reads, as the spec lays them out.
        axes: How the file orders the axes of a picture.
        keras_major: Version of Keras that wrote the file.
    """

    name: str
    kind: str
    fields: Fields
    inputs: tuple[str, ...]
    shapes: tuple[Shape, ...]
    axes: Axes
    keras_major: int

    @property
    def shape(self) -> Shape:
        """The shape of the one value it reads."""
        if len(self.shapes) != 1:
            raise InvalidInput(f"layer {self.name!r} takes one input, got {len(self.shapes)}")
        return self.shapes[0]

    @property
    def rank(self) -> int:
        """Axes of the one value it reads, without the batch."""
        return len(self.shape)

    def channels(self) -> int:
        """Channels of the one picture it reads.

        Raises:
            InvalidInput: If it reads something else, or their number is left open.
        """
        if self.rank != 3 or self.shape[0] is None:
            raise InvalidInput(
                f"layer {self.name!r} ({self.kind}) needs a picture with a known number of "
                f"channels, got a value of shape {self.shape}"
            )
        return self.shape[0]

    def activation(self, rank: int | None = None) -> Activation | None:
        """The function in its `activation` setting, applied to a value of `rank` axes."""
        return read_activation(
            self.fields,
            self.axes,
            rank=self.rank if rank is None else rank,
            keras_major=self.keras_major,
        )

    def layer(self, op: str, **attributes: Any) -> Layer:
        """A layer of the spec with this one's name and inputs."""
        return Layer(self.name, op, self.inputs, attributes)

    def read_as(self, op: str, weights: Sequence[Weight] = (), **attributes: Any) -> Reading:
        """The reading of a layer that is one layer in the spec, too."""
        return Reading((self.layer(op, **attributes),), tuple(weights))

    def weight(self, parameter: str, shape: tuple[int, ...], *names: str, **more: Any) -> Weight:
        """A weight that becomes parameter `parameter` of this layer."""
        return Weight(f"{self.name}/{parameter}", names or (parameter,), shape, **more)
