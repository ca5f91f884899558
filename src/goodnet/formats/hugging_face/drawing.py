"""A network drawn layer by layer, with the keys under which a file holds the arrays of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goodnet.errors import InvalidInput
from goodnet.formats.spec import Activation, Layer

# What the arrays of a batch normalization are called here, and in the file.
_NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
Padding = str | tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Value:
    """What a layer gives: its name, and how many channels or features that has."""

    name: str
    width: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file has an array of a layer.

    Attributes:
        key: In the file.
        shape: There.
        laid_out: The shape that the layer wants, of as many numbers.
    """

    key: str
    shape: tuple[int, ...]
    laid_out: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution.

    Attributes:
        width: Channels that it gives.
        kernel: Its height and width, or one number for both.
        stride: Likewise.
        padding: "half" the kernel on every side, "valid" for none, "same" as TensorFlow has it, or
            the pixels at the top, bottom, left and right.
        dilation: From one number of the kernel to the next.
        groups: Of channels, each by itself.
        bias: Whether it has one.
    """

    width: int
    kernel: int | tuple[int, int] = 1
    stride: int | tuple[int, int] = 1
    padding: Padding = "half"
    dilation: int = 1
    groups: int = 1
    bias: bool = False

    @property
    def attributes(self) -> dict[str, Any]:
        """Of the layer."""
        padding = self.padding
        if padding == "half":
            rows, columns = (side // 2 * self.dilation for side in pair(self.kernel))
            padding = (rows, rows, columns, columns) if rows or columns else "valid"
        return {
            "strides": pair(self.stride),
            "dilation": pair(self.dilation),
            "groups": self.groups,
            "padding": padding,
            "activation": None,
        }


@dataclass(eq=False)
class Drawing:
    """Layers in running order; each method adds one, or a few that go together.

    A layer has the name of the module that it is in the library, and its arrays are under that name
    in the file.

    Attributes:
        layers: As in `NetworkSpec`.
        places: For each array of the description, where the file has it.
        size: Height and width of the images that it was made for.
        any_size: Whether it takes other images, too.
    """

    size: tuple[int, int]
    any_size: bool = True
    layers: list[Layer] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)

    def image(self, channels: int) -> Value:
        """The images that it reads."""
        size = (None, None) if self.any_size else self.size
        return self.add("input", "images", width=channels, shape=(channels, *size))

    def add(
        self,
        op: str,
        name: str,
        *reads: Value,
        width: int | None = None,
        arrays: Mapping[str, Place] | None = None,
        **attributes: Any,
    ) -> Value:
        """A layer of any kind; its value is as wide as the first that it reads if not told."""
        self.layers.append(Layer(name, op, tuple(value.name for value in reads), attributes))
        self.places |= {f"{name}/{key}": place for key, place in (arrays or {}).items()}
        return Value(name, reads[0].width if width is None else width)

    def conv(self, value: Value, path: str, conv: Conv) -> Value:
        """A convolution.

        Raises:
            InvalidInput: If its groups do not divide the channels.
        """
        if value.width % conv.groups or conv.width % conv.groups:
            raise InvalidInput(
                f"config.json: {path} has {conv.groups} groups, which do not divide "
                f"{value.width} channels that become {conv.width}"
            )
        shape = (conv.width, value.width // conv.groups, *pair(conv.kernel))
        arrays = _arrays(path, shape, shape, bias=conv.bias)
        return self.add("conv2d", path, value, width=conv.width, arrays=arrays, **conv.attributes)

    def normed(self, value: Value, path: str, conv: Conv, *, epsilon: float = 1e-5) -> Value:
        """A convolution and its batch normalization, as most modules of the library call them."""
        value = self.conv(value, f"{path}.convolution", conv)
        return self.batch_norm(value, f"{path}.normalization", epsilon=epsilon)

    def dense(self, value: Value, path: str, width: int, *, bias: bool = True) -> Value:
        """A linear layer on a vector, or on each step of a sequence."""
        shape = (width, value.width)
        arrays = _arrays(path, shape, shape, bias=bias)
        return self.add("dense", path, value, width=width, arrays=arrays, activation=None)

    def pixelwise(self, value: Value, path: str, width: int, *, bias: bool = True) -> Value:
        """A linear layer on each pixel of a picture."""
        shape = (width, value.width)
        arrays = _arrays(path, shape, (*shape, 1, 1), bias=bias)
        return self.add("conv2d", path, value, width=width, arrays=arrays, **Conv(width).attributes)

    def scaled(self, value: Value, key: str) -> Value:
        """A picture with each channel on a learned scale: a convolution of single numbers."""
        width = value.width
        arrays = {"weight": Place(key, (width,), (width, 1, 1, 1))}
        attributes = Conv(width, groups=width).attributes
        return self.add("conv2d", key, value, arrays=arrays, **attributes)

    def batch_norm(self, value: Value, path: str, *, epsilon: float = 1e-5) -> Value:
        """A batch normalization by stored statistics."""
        keys = {
            "gamma": "weight",
            "beta": "bias",
            "mean": "running_mean",
            "variance": "running_var",
        }
        shape = (value.width,)
        arrays = {name: Place(f"{path}.{key}", shape, shape) for name, key in keys.items()}
        return self.add("batch_norm", path, value, arrays=arrays, epsilon=epsilon)

    def layer_norm(self, value: Value, path: str, *, epsilon: float, rank: int) -> Value:
        """A normalization of the channels of a picture (rank 3), or of the last axis."""
        shape = (value.width,)
        laid_out = (*shape, 1, 1) if rank == 3 else shape
        arrays = {
            name: Place(f"{path}.{key}", shape, laid_out)
            for name, key in (("gamma", "weight"), ("beta", "bias"))
        }
        axes = (1,) if rank == 3 else (rank,)
        return self.add("layer_norm", path, value, arrays=arrays, axes=axes, epsilon=epsilon)

    def activation(self, value: Value, name: str, function: Activation) -> Value:
        """An elementwise function."""
        return self.add("activation", name, value, activation=function)

    def pooled(self, value: Value, name: str, *, keepdims: bool = False) -> Value:
        """The mean of all pixels."""
        return self.add("global_avg_pool2d", name, value, keepdims=keepdims)

    def sequence(self, value: Value, name: str, steps: int) -> Value:
        """The pixels of a picture, row by row, as steps."""
        flat = self.add("reshape", name, value, shape=(value.width, steps), order="chw")
        return self.add("permute", f"{name}.transpose", flat, dims=(2, 1), order="chw")

    def token(self, value: Value, name: str, at: int, steps: int) -> Value:
        """One of the steps of a sequence, as a vector."""
        one = self.add("crop1d", name, value, cropping=(at, steps - at - 1))
        return self.add("flatten", f"{name}.flatten", one, order="chw")


def _arrays(
    path: str, shape: tuple[int, ...], laid_out: tuple[int, ...], *, bias: bool
) -> dict[str, Place]:
    found = {"weight": Place(f"{path}.weight", shape, laid_out)}
    return found | ({"bias": Place(f"{path}.bias", shape[:1], shape[:1])} if bias else {})


def pair(sides: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width, where one number may stand for both."""
    return (sides, sides) if isinstance(sides, int) else sides
