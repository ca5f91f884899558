"""The plain description of a network that every reader returns: layers and arrays, no torch.

Values of rank 4 are laid out as PyTorch lays them out, (batch, channels, height, width), whatever
the file did; values of lower rank keep the file's order. Kernels are (out, in / groups, height,
width) for convolutions and (out, in) for dense layers.

The kinds of layers and their attributes are in `goodnet.ops`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from goodnet.errors import InvalidInput, NotFinite
from goodnet.ops import OPS, Layer
from goodnet.ops.activations import Activation
from goodnet.ops.op import Array
from goodnet.preprocessing import IDENTITY, Preprocessing

if TYPE_CHECKING:
    from goodnet.network import ModuleSource

__all__ = [
    "Activation",
    "Array",
    "Layer",
    "NetworkSpec",
    "Origin",
    "SourceFile",
    "check_finite",
]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an array lies in its file, and how the file lays it out (see `ops.layouts`)."""

    path: str
    layout: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The file a network came from.

    Attributes:
        path: The file as given.
        format: "keras-h5", "keras-zip", "onnx", "pytorch", "safetensors" or "hugging-face".
        sha256: Of the bytes that were read.
        version: Version of the program that wrote the file, as the file says.
        notes: What was left unread or is worth a look ("training configuration ignored", ...).
        origins: For each array, where it lies in the file.
        size: Height and width of the images it is for, where it takes others, too, and this is
            known of its architecture.
        class_names: What each class is called, from 0 on; empty where the file does not say.
        config: What `config.json` of a Hugging Face model says, where it tells of the layers.
    """

    path: Path
    format: Literal["keras-h5", "keras-zip", "onnx", "pytorch", "safetensors", "hugging-face"]
    sha256: str
    version: str = ""
    notes: tuple[str, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    class_names: tuple[str, ...] = ()
    config: Mapping[str, Any] | None = None


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
        channels_last: Whether an ONNX file takes its images with the channels last, here still
            first; others made of it do so, too.
    """

    layers: tuple[Layer, ...]
    arrays: Mapping[str, Array]
    output: str
    name: str = "network"
    source: SourceFile | ModuleSource | None = None
    preprocessing: Preprocessing = IDENTITY
    channels_last: bool = False

    @property
    def file(self) -> SourceFile | None:
        """The file it was read from, if it was."""
        return self.source if isinstance(self.source, SourceFile) else None

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

    def sized(self, size: Sequence[int | None]) -> NetworkSpec:
        """The same network for images of (height, width), where it takes any.

        Raises:
            InvalidInput: If it takes images of another size.
            OverBudget: If it would take more for such images than the budgets allow.
        """
        image, *others = self.layers
        channels, *own = self.input_shape
        fits = len(own) == len(size) and all(x in (None, y) for x, y in zip(own, size, strict=True))
        if not fits:
            raise InvalidInput(
                f"the network takes images of {self.input_shape}, got the size {tuple(size)}"
            )
        from goodnet.formats.shapes import check_whole  # which needs this module

        given = replace(image, attributes={"shape": (channels, *size)})
        found = replace(self, layers=(given, *others))
        if None in own:
            check_whole(found)  # what it takes is known only now
        return found

    @property
    def usually_sized(self) -> NetworkSpec:
        """The same network for images of the size it is made for, where it takes others, too.

        As it is where that is not known.
        """
        size = self.file.size if self.file else None
        return self.sized(size) if size and None in self.input_shape[1:] else self

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

    def check_numbers(self) -> None:
        """See whether the layers can compute with their arrays.

        Raises:
            InvalidInput: If one would answer NaN or infinity with its own, whatever it reads.
        """
        for layer in self.layers:
            op = OPS[layer.op]
            keys = {name: f"{layer.name}/{name}" for name in (*op.parameters, *op.buffers)}
            own = {name: self.arrays[key] for name, key in keys.items() if key in self.arrays}
            try:
                op.check(layer.attributes, own)
            except InvalidInput as error:
                raise InvalidInput(f"layer {layer.name!r}: {error}") from error

    def count_parameters(self) -> int:
        """Number of stored numbers, moving statistics included."""
        return sum(int(np.size(array)) for array in self.arrays.values())


def check_finite(array: Array, name: str) -> None:
    """Refuse weights that are no numbers in float32.

    Args:
        array: As read, or in float32.
        name: What to call it in messages.

    Raises:
        NotFinite: If one is NaN or infinite.
    """
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise NotFinite(
            f"{bad} of the {array.size} numbers in the weight {name!r} are NaN or infinite in "
            "float32; a network with such weights cannot be judged"
        )


# What a description is made of, for the child process that reads it.
KINDS = (NetworkSpec, Layer, SourceFile, Origin, Activation, Preprocessing)
