"""What a kind of layer has to say of itself, and the kinds that are known.

A kind is one `Op`: the shape it gives, what it computes, how channels pass through it, and how
Keras, PyTorch and ONNX spell it. A new kind is a module of this package that registers it and is
imported in `goodnet.ops`.

Shapes leave out the batch axis: (channels, height, width) for a picture, (features,) for a vector,
None for a size that is left open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

    from goodnet.ops.attributes import Kind
    from goodnet.ops.expression import Expression, Written
    from goodnet.ops.keras import Applied, Part, Reading, Step
    from goodnet.ops.onnx import Found, Node
    from goodnet.ops.torch import Call, Operation

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Channels = NDArray[np.int64]
Mask = NDArray[np.bool_]
Shape = tuple[int | None, ...]
Shapes = tuple[Shape, ...]
Attributes = Mapping[str, Any]
Parameters = Mapping[str, Shape]

PICTURE, VECTOR = 3, 1

# A window that reaches over the border may be as wide as this, or twice as wide as the picture.
_WIDE = 64


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its name in the file, what it does, and the layers it reads."""

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attributes: Attributes = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = OPS[self.op].attributes
        if set(known) != set(self.attributes):
            raise InvalidInput(
                f"layer {self.name!r} ({self.op}) needs the attributes {sorted(known)}, "
                f"got {sorted(self.attributes)}"
            )


@dataclass(frozen=True, eq=False)
class Given:
    """What decides the shape of a layer's value.

    Attributes:
        attributes: Of the layer.
        inputs: Shapes of the values it reads.
        parameters: Shapes of its arrays, by name.
    """

    attributes: Attributes
    inputs: Shapes
    parameters: Parameters

    def __getitem__(self, attribute: str) -> Any:
        return self.attributes[attribute]

    @property
    def value(self) -> Shape:
        """The shape of the only value that is read.

        Raises:
            InvalidInput: If there are more or none.
        """
        if len(self.inputs) != 1:
            raise InvalidInput(f"expected one input, got {len(self.inputs)}")
        return self.inputs[0]

    @property
    def picture(self) -> tuple[int | None, Shape]:
        """Channels and size of the only value that is read, a picture.

        Raises:
            InvalidInput: If it is something else.
        """
        shape = self.value
        if len(shape) != PICTURE:
            raise InvalidInput(
                f"expected a picture (channels, height, width), got the shape {shape}"
            )
        return shape[0], shape[1:]

    def windows(self, size: Shape, kernel: Shape) -> Shape:
        """How often windows fit along height and width, by their strides, dilation and padding.

        Raises:
            InvalidInput: If not even one does, or one is far wider than the picture.
        """
        return tuple(count for count, _ in self._axes(size, kernel))

    def bordered(self, kernel: Shape) -> Shape:
        """The shape of the only picture that is read with the border its windows reach over."""
        channels, size = self.picture
        return (channels, *(length for _, length in self._axes(size, kernel)))

    def _axes(self, size: Shape, kernel: Shape) -> list[tuple[int | None, int | None]]:
        """How often windows fit, and pixels with the border, along height and width."""
        padding, dilation = self["padding"], self.attributes.get("dilation", (1, 1))
        sides = (0, 0, 0, 0) if isinstance(padding, str) else padding
        found: list[tuple[int | None, int | None]] = []
        for axis, length in enumerate(size):
            if length is None:
                found.append((None, None))
                continue
            reach, stride = ((kernel[axis] or 1) - 1) * dilation[axis] + 1, self["strides"][axis]
            if padding != "valid" and reach > max(_WIDE, 2 * length):
                raise InvalidInput(
                    f"a window that reaches over {reach} pixels is far wider than the {length} of "
                    f"the picture; expected at most {max(_WIDE, 2 * length)}"
                )
            whole = length + sum(sides[2 * axis : 2 * axis + 2])
            if padding == "same":
                count = -(-length // stride)
                whole = max(whole, (count - 1) * stride + reach)
            count = (whole - reach) // stride + 1
            if count < 1:
                raise InvalidInput(f"a window of {kernel[axis]} does not fit into {whole} pixels")
            found.append((count, whole))
        return found

    def check_vectors(self, names: tuple[str, ...], length: int | None) -> None:
        """Make sure that arrays have one number for each channel.

        Raises:
            InvalidInput: If one does not.
        """
        for name in names:
            if self.parameters.get(name, (length,)) != (length,):
                raise InvalidInput(
                    f"expected {name} of shape ({length},), got {self.parameters[name]}"
                )


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer takes for one image, beside its value.

    Attributes:
        numbers: Of the largest value that is made on the way.
        steps: Multiplications, or what takes as long.
    """

    numbers: int = 0
    steps: int = 0


@dataclass(frozen=True, eq=False)
class Mixed:
    """Every channel depends on others of what is read, or nothing is known of how they pass.

    Attributes:
        scale: Arrays whose zeros make channels zero whatever is read, if the layer has the first.
    """

    scale: tuple[str, ...] = ()


class Made:
    """Every channel is made of all that is read: rows of `weight`, plus `bias`, its columns read.

    With the attribute `groups` above 1, of all channels of its group.
    """


@dataclass(frozen=True, eq=False)
class Kept:
    """Every channel depends on the same channel of the one value that is read.

    Attributes:
        keeps_zero: Whether channels are exactly zero where zeros are read. It is given the layer,
            the channels, and its arrays where rounding does not matter, else none.
        rows: Arrays with one number for each channel.
        broadcast: Arrays that broadcast against the value.
        scale: Arrays whose zeros make channels zero whatever is read, if the layer has the first.
        shift: Arrays whose zeros make channels zero where zeros are read.
        without: The attributes that change when channels go.
        pools: Whether it ends a stage of a network, where channels are pruned by default.
    """

    keeps_zero: Callable[[Layer, Channels, Arrays], bool] = lambda *_: True
    rows: tuple[str, ...] = ()
    broadcast: tuple[str, ...] = ()
    scale: tuple[str, ...] = ()
    shift: tuple[str, ...] = ()
    without: Callable[[Attributes, Channels], Attributes] = lambda *_: {}
    pools: bool = False


@dataclass(frozen=True, eq=False)
class Moved:
    """The numbers of a value in other places.

    Attributes:
        places: Where those go that are marked in what is read.
        resized: The attributes that change when the value's shape becomes another.
    """

    places: Callable[[Mask, Attributes], Mask]
    resized: Callable[[Attributes, Shape], Attributes] = lambda *_: {}


@dataclass(frozen=True, eq=False)
class Merged:
    """Every channel depends on the same channel of several values.

    Attributes:
        absorbs: Whether a zero in one of them is enough for a zero.
    """

    absorbs: bool = False


class Joined:
    """Several values behind one another, along the attribute `axis`."""


Passing = Mixed | Made | Kept | Moved | Merged | Joined


@dataclass(frozen=True, eq=False, kw_only=True)
class Op:
    """A kind of layer.

    Attributes:
        name: As layers of a description have it.
        attributes: What a layer of this kind carries, each always there.
        parameters: The arrays that training changes; a layer may lack some.
        buffers: Those that it does not.
        shape: The shape of its value.
        cost: From what decides the shape, and the shape, what it takes beside its value.
        compute: From the attributes, the torch function of the values; of a layer with arrays, of
            the layer's module and the values.
        check: Refuses attributes and arrays with which it would answer NaN or infinity.
        constants: From the attributes, arrays that the module has, too.
        channels: How channels pass through.
        from_keras: For each class of Keras that becomes such a layer, how it is read.
        to_keras: The built-in layers of Keras that compute it; None where none do.
        from_torch: For each module ("nn.ReLU"), function ("F.relu") or method (".relu") of PyTorch
            that becomes such a layer, how it is read.
        from_onnx: For each operation of ONNX that becomes such a layer, how it is read.
        to_onnx: The operations of ONNX that compute it; None where none do.
        checks: What its attributes may be that are not as `ops.attributes` has them.
    """

    name: str
    shape: Callable[[Given], Shape]
    compute: Callable[[Attributes], Callable[..., Tensor]]
    cost: Callable[[Given, Shape], Cost] = lambda *_: Cost()
    attributes: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    check: Callable[[Attributes, Arrays], None] = lambda *_: None
    constants: Callable[[Attributes], Arrays] = lambda _: {}
    channels: Passing = field(default_factory=Mixed)
    from_keras: Mapping[str, Callable[[Applied], Reading]] = field(default_factory=dict)
    to_keras: Callable[[Part], list[Step]] | None = None
    from_torch: Mapping[str, Callable[[Call], Operation | None]] = field(default_factory=dict)
    from_onnx: Mapping[str, Callable[[Node], Found]] = field(default_factory=dict)
    to_onnx: Callable[[Written], Expression] | None = None
    checks: Mapping[str, Kind] = field(default_factory=dict)


OPS: dict[str, Op] = {}


def register(*ops: Op) -> None:
    """Make kinds of layers known to all that reads, changes, builds and writes networks."""
    OPS.update({op.name: op for op in ops})


def identity(value: Tensor) -> Tensor:
    """The value as it is."""
    return value


def same_shape(given: Given) -> Shape:
    """The shape of what is read, against which all arrays must broadcast."""
    shape = given.value
    for name, array in given.parameters.items():
        if broadcast(shape, array) != shape:
            raise InvalidInput(f"{name} of shape {array} does not fit a value of shape {shape}")
    return shape


def broadcast(left: Shape, right: Shape) -> Shape:
    """NumPy's rule on shapes; an open size fits any other.

    Raises:
        InvalidInput: If they do not fit together.
    """
    rank = max(len(left), len(right))
    pairs = zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True)
    return tuple(_meet(a, b, shapes=(left, right)) for a, b in pairs)


def _meet(a: int | None, b: int | None, *, shapes: tuple[Shape, Shape]) -> int | None:
    if a == b or b == 1:
        return a
    if a == 1 or a is None:
        return b
    if b is None:
        return a
    raise InvalidInput(f"the shapes {shapes[0]} and {shapes[1]} do not fit together")


def product(shape: Shape) -> int | None:
    """Numbers in a value; None where a size is open."""
    known = [size for size in shape if size is not None]
    return math.prod(known) if len(known) == len(shape) else None


def most_held(steps: Iterable[tuple[str, Sequence[str]]], sizes: Mapping[str, int]) -> int:
    """The most numbers held at a time, where each value goes once all that read it are done.

    Args:
        steps: In running order, what each gives and what it reads.
        sizes: Numbers in what each gives.
    """
    order = list(steps)
    last = {name: place for place, (_, reads) in enumerate(order) for name in reads}
    held = most = 0
    for place, (name, reads) in enumerate(order):
        held += sizes[name]
        most = max(most, held)
        done = [x for x in {*reads} if last[x] == place]
        held -= sum(sizes[x] for x in done)
    return most
