"""What a kind of layer is given to say itself in Keras, and what it gives back; without Keras."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from goodnet.errors import InvalidInput
from goodnet.formats import budgets
from goodnet.ops.layouts import Axes
from goodnet.ops.op import PICTURE, Array, Arrays, Layer, Shape, Shapes

# "h5" is read by Keras 2 and 3 alike, "keras" by Keras 3.
Dialect = Literal["h5", "keras"]
# What is written has the channels last.
HWC = Axes("hwc")


@dataclass(frozen=True, eq=False)
class Fields:
    """Typed access to the settings of a layer, so that a wrong one is an error that names it.

    Attributes:
        name: The layer's name, for messages.
        config: Its settings as the file has them.
    """

    name: str
    config: Mapping[str, Any]

    def error(self, key: str, expected: str) -> InvalidInput:
        """The error that setting `key` is not what was `expected`."""
        value = self.config.get(key)
        return InvalidInput(
            f"layer {self.name!r}: expected {key} to be {expected}, got {value!r:.80}"
        )

    def get(self, *keys: str, default: Any = None) -> Any:
        """The first of the settings that is there and not null."""
        found = (self.config.get(key) for key in keys)
        return next((value for value in found if value is not None), default)

    def integer(self, key: str, *, default: int | None = None) -> int:
        """A whole number of 1 or more."""
        value = self.get(key, default=default)
        if not _is_size(value):
            raise self.error(key, "a whole number of 1 or more")
        return int(value)

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers of any sign; a single number counts as a list."""
        value = self.get(key, default=())
        values = value if isinstance(value, list | tuple) else [value]
        if not all(_is_integer(entry) for entry in values) or len(values) > budgets.MAX_RANK:
            raise self.error(key, "a short list of whole numbers")
        return tuple(values)

    def pair(self, key: str, *, default: Sequence[int] = (1, 1)) -> tuple[int, int]:
        """Two whole numbers of 1 or more, (height, width); one number stands for both."""
        value = self.get(key, default=default)
        values = [value, value] if _is_integer(value) else value
        ok = isinstance(values, list | tuple) and len(values) == 2
        if not ok or not all(map(_is_size, values)):
            raise self.error(key, "one or two whole numbers of 1 or more")
        return values[0], values[1]

    def number(self, *keys: str, default: float) -> float:
        """A finite number; the first of several names it may have, or the default."""
        value = self.get(*keys)
        if value is None:
            return default
        if not _is_number(value):
            raise self.error(keys[0], "a number")
        return float(value)

    def numbers(self, key: str, *, default: float) -> float | tuple[float, ...]:
        """A finite number, or a list of them."""
        value = self.get(key, default=default)
        values = value if isinstance(value, list) else [value]
        if not values or not all(_is_number(entry) for entry in values):
            raise self.error(key, "a number or a list of numbers")
        return tuple(map(float, values)) if isinstance(value, list) else float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false; 0 and 1 count."""
        value = self.get(key, default=default)
        if value not in (True, False):
            raise self.error(key, "true or false")
        return bool(value)

    def choice(self, key: str, choices: Sequence[str], *, default: str) -> str:
        """One of a few texts."""
        value = self.get(key, default=default)
        if value not in choices:
            raise self.error(key, " or ".join(map(repr, choices)))
        return str(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_integer(value) and 1 <= value <= budgets.MAX_DIMENSION


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight the file must hold for a layer.

    Attributes:
        key: Where it goes in the spec's arrays ("conv_1/weight"); None if it is of no use.
        names: What Keras has called it, newest first ("kernel").
        shape: Its shape in the file.
        layout: How the file lays it out (see `ops.layouts`).
        trained: Whether training changes it; Keras stores those first.
        group: Of a layer within the layer, in a `.keras` file ("query_dense").
    """

    key: str | None
    names: tuple[str, ...]
    shape: tuple[int, ...]
    layout: str = "as-is"
    trained: bool = True
    group: str = ""


@dataclass(frozen=True, eq=False)
class Reading:
    """A layer of the file in the words of the spec.

    Attributes:
        layers: One layer, or several in a row; the last has the name of the layer in the file.
        weights: What the file must hold, in the order in which Keras stores it.
        constants: Arrays that stand in the configuration itself, by their key in the spec.
    """

    layers: tuple[Layer, ...]
    weights: tuple[Weight, ...] = ()
    constants: Arrays = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Value:
    """What a layer is applied to, where it is the value of another.

    Attributes:
        layer: That layer's name in the spec.
        shape: As the spec lays it out.
    """

    layer: str
    shape: Shape


# How the name of a function of TensorFlow begins, which stands for a class of Keras.
TENSORFLOW = "tf."


@dataclass(frozen=True, eq=False)
class Applied:
    """A layer of the file, applied to values of known shape.

    Attributes:
        name: Its name in the spec.
        kind: Its class in Keras, or the function of TensorFlow: "tf.math.add".
        fields: Its settings.
        operands: What it is applied to in order: `Value`s, and constants as the file has them.
        options: What it is applied to by name, likewise.
        axes: How the file orders the axes of a picture.
        keras_major: Version of Keras that wrote the file.
    """

    name: str
    kind: str
    fields: Fields
    operands: tuple[Any, ...]
    options: Mapping[str, Any]
    axes: Axes
    keras_major: int

    @property
    def values(self) -> tuple[Value, ...]:
        """All it is applied to, of a layer that is applied to values only.

        Raises:
            InvalidInput: If there is a constant, or something with a name.
        """
        for operand in self.operands:
            if not isinstance(operand, Value):
                raise InvalidInput(
                    f"layer {self.name!r} is applied to {operand!r:.80}, which is not the value of "
                    "a layer"
                )
        for key, given in self.options.items():
            shown = given.layer if isinstance(given, Value) else given
            raise InvalidInput(
                f"layer {self.name!r} is applied with {key}={shown!r:.80}, which is not read"
            )
        return self.operands

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the layers it reads."""
        return tuple(value.layer for value in self.values)

    @property
    def shapes(self) -> Shapes:
        """Shapes of the values it reads."""
        return tuple(value.shape for value in self.values)

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
        if self.rank != PICTURE or self.shape[0] is None:
            raise InvalidInput(
                f"layer {self.name!r} ({self.kind}) needs a picture with a known number of "
                f"channels, got a value of shape {self.shape}"
            )
        return self.shape[0]

    def layer(self, op: str, **attributes: Any) -> Layer:
        """A layer of the spec with this one's name and inputs."""
        return Layer(self.name, op, self.inputs, attributes)

    def read_as(self, op: str, weights: Sequence[Weight] = (), **attributes: Any) -> Reading:
        """The reading of a layer that is one layer in the spec, too."""
        return Reading((self.layer(op, **attributes),), tuple(weights))

    def weight(self, parameter: str, shape: tuple[int, ...], *names: str, **more: Any) -> Weight:
        """A weight that becomes parameter `parameter` of this layer."""
        return Weight(f"{self.name}/{parameter}", names or (parameter,), shape, **more)


@dataclass(frozen=True, eq=False)
class Step:
    """A Keras layer to write, without its name and place in the graph.

    Attributes:
        class_name: For instance "Conv2D".
        config: The options that differ from layer to layer; Keras fills in the rest.
        weights: (name, array) in Keras' order: trained ones first. A weight of a layer within the
            layer is called after both, "query/kernel".
        apart: Whether it takes several values one by one, not as a list.
    """

    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[tuple[str, Array], ...] = ()
    apart: bool = False


@dataclass(frozen=True, eq=False)
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
    arrays: Arrays
    inputs: Shapes
    shape: Shape
    dialect: Dialect

    def __getitem__(self, attribute: str) -> Any:
        return self.layer.attributes[attribute]

    def named(self, *names: str) -> tuple[tuple[str, Array], ...]:
        """Those of some arrays that it has, as weights of a Keras layer."""
        return tuple((name, self.arrays[name]) for name in names if name in self.arrays)


_NONE: Mapping[str, Option] = {}


@dataclass(frozen=True, eq=False)
class Option:
    """A setting in Keras that is an attribute here.

    Attributes:
        name: In Keras; "" if it is not written.
        read: The attribute.
        write: From the attribute, the setting; None to leave it out.
    """

    name: str
    read: Callable[[Applied], Any]
    write: Callable[[Any], Any] = lambda value: list(value) if isinstance(value, tuple) else value


def setting(name: str, kind: Callable[..., Any], **more: Any) -> Option:
    """A setting that is read by a method of `Fields`."""
    return Option(name, lambda applied: kind(applied.fields, name, **more))


def reading(
    op: str, options: Mapping[str, Option] = _NONE, *, picture: bool = False
) -> Callable[[Applied], Reading]:
    """How a layer is read whose attributes are settings; `picture` if it must read a picture."""

    def read(applied: Applied) -> Reading:
        if picture:
            applied.channels()
        return applied.read_as(
            op, **{name: option.read(applied) for name, option in options.items()}
        )

    return read


def writing(class_name: str, options: Mapping[str, Option] = _NONE) -> Callable[[Part], list[Step]]:
    """How a layer is written whose attributes are settings."""

    def write(part: Part) -> list[Step]:
        found = {x.name: x.write(part[attribute]) for attribute, x in options.items() if x.name}
        return [Step(class_name, {name: x for name, x in found.items() if x is not None})]

    return write
