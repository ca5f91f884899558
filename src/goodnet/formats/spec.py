"""The plain description of a network that every reader returns: layers and arrays, no torch.

Values of rank 4 are laid out as PyTorch lays them out, (batch, channels, height, width), whatever
the file did; values of lower rank keep the file's order. Kernels are (out, in / groups, height,
width) for convolutions and (out, in) for dense layers.

Operations and their attributes (`ATTRIBUTES` below is the full table):

* A fused activation is the attribute `activation` of `conv2d` and `dense`: what a layer's name
  stands for is its value after the activation, as in Keras.
* `padding` is "valid", "same" (as TensorFlow pads: the odd pixel goes to the bottom and right) or
  (top, bottom, left, right): always so for `zero_pad2d` and `crop2d`, never for `avg_pool2d`.
* `order` on `flatten`, `reshape` and `permute` says how the file orders the axes of a picture,
  "hwc" or "chw": the layer acts as if the value lay in that order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.preprocessing import IDENTITY, Preprocessing

if TYPE_CHECKING:
    from goodnet.network import ModuleSource

__all__ = ["ATTRIBUTES", "Activation", "Array", "Layer", "NetworkSpec", "Origin", "Source"]

Array = NDArray[Any]
AttributeValue = Any

# op -> the attributes it carries, each always present.
ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "input": ("shape",),  # (channels, height, width) or (features,); None = any size
        "conv2d": ("strides", "dilation", "groups", "padding", "activation"),  # weight, [bias]
        "dense": ("activation",),  # weight, [bias]; acts on the last axis of rank 2 or 3
        "batch_norm": ("epsilon",),  # [gamma], [beta], mean, variance; axis 1 of rank 2 and 4
        "activation": ("activation",),
        "prelu": (),  # alpha, shaped to broadcast against a value without its batch axis
        "max_pool2d": ("pool", "strides", "padding"),
        "avg_pool2d": ("pool", "strides", "padding"),  # padded pixels are not counted
        "global_max_pool2d": ("keepdims",),
        "global_avg_pool2d": ("keepdims",),
        "global_max_pool1d": ("keepdims",),  # (batch, steps, features) -> (batch, features)
        "global_avg_pool1d": ("keepdims",),
        "flatten": ("order",),
        "reshape": ("shape", "order"),  # shape without the batch axis, in the file's order, -1 once
        "permute": ("dims", "order"),  # 1-based, in the file's order, as Keras counts
        "add": (),
        "subtract": (),
        "multiply": (),
        "average": (),
        "maximum": (),
        "minimum": (),
        "concatenate": ("axis",),  # axis of the value as laid out here, 1 or more
        "identity": (),
        "zero_pad2d": ("padding",),
        "crop2d": ("padding",),
        "upsample2d": ("size", "interpolation"),  # "nearest" | "bilinear"
        "rescale": ("scale", "offset"),  # floats, or one per channel
        "normalize": ("invert",),  # mean, variance, shaped to broadcast without the batch axis
        "opaque": ("module", "shape"),  # a part of the user's module, the shape of its value
    }
)


@dataclass(frozen=True, slots=True)
class Activation:
    """An elementwise function or a softmax.

    Attributes:
        function: One of the names in `goodnet.formats.activations`.
        options: Its numbers by name, for instance `{"negative_slope": 0.3}`.
    """

    function: str
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its name in the file, what it does, and the layers it reads."""

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = ATTRIBUTES[self.op]
        if set(known) != set(self.attributes):
            raise InvalidInput(
                f"layer {self.name!r} ({self.op}) needs the attributes {sorted(known)}, "
                f"got {sorted(self.attributes)}"
            )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an array lies in its file, and how the file lays it out (see `formats.layouts`)."""

    path: str
    layout: str


@dataclass(frozen=True, slots=True)
class Source:
    """The file a network came from.

    Attributes:
        path: The file as given.
        format: "keras-h5" or "keras-zip".
        sha256: Of the bytes that were read.
        version: Version of the program that wrote the file, as the file says.
        notes: What was left unread or is worth a look ("training configuration ignored", ...).
        origins: For each array, where it lies in the file.
    """

    path: Path
    format: Literal["keras-h5", "keras-zip"]
    sha256: str
    version: str = ""
    notes: tuple[str, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkSpec:
    """A classifier as plain data: one input, one output, layers in an order that can be run.

    Attributes:
        layers: Every layer after all layers it reads; the first is the only `input`.
        arrays: "<layer>/<parameter>" -> array (float32), for instance "conv_1/weight".
        output: Name of the layer whose value is the answer, shape (batch, classes).
        name: The model's name in the file.
        source: The file or module that has these very layers, if perhaps other numbers; None for
            a network made here.
        preprocessing: What is done to images 0..1 before the first layer; no file holds it.
    """

    layers: tuple[Layer, ...]
    arrays: Mapping[str, Array]
    output: str
    name: str = "network"
    source: Source | ModuleSource | None = None
    preprocessing: Preprocessing = IDENTITY

    @property
    def file(self) -> Source | None:
        """The file it was read from, if it was."""
        return self.source if isinstance(self.source, Source) else None

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise InvalidInput(
            f"no layer is called {name!r}; the network has {', '.join(x.name for x in self.layers)}"
        )

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of one image, (channels, height, width)."""
        return tuple(self.layers[0].attributes["shape"])

    def parameters(self, layer: str) -> dict[str, Array]:
        """The arrays of one layer by parameter name: {"weight": ..., "bias": ...}."""
        prefix = layer + "/"
        return {
            key[len(prefix) :]: array
            for key, array in self.arrays.items()
            if key.startswith(prefix) and "/" not in key[len(prefix) :]
        }

    def consumers(self, name: str) -> tuple[Layer, ...]:
        """The layers that read the value of layer `name`."""
        return tuple(layer for layer in self.layers if name in layer.inputs)

    def with_arrays(self, changed: Mapping[str, Array]) -> NetworkSpec:
        """The same network with some arrays replaced."""
        return replace(self, arrays={**self.arrays, **changed})

    def count_parameters(self) -> int:
        """Number of stored numbers, moving statistics included."""
        return sum(int(np.size(array)) for array in self.arrays.values())
