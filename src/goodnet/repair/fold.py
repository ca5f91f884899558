"""Take directions out of a layer's value by changing the numbers of the layers that read it.

The value h of a layer is seen by its readers as  h - s U V^T (h - m),  where the columns of U are
the directions, those of V tell how much of each is in a value (V^T U = I), m is the mean of h over
clean images, and s is the strength. With s = 1 every image then looks along U like the mean clean
image, so that on average the readers get what they always got: without m they would get 0 there,
which clean images do not have. Since readers are linear, this goes into them:

    W' = W - s W U V^T,    b' = b + s W U V^T m

In a channel map the directions lie in the space of channels, and m is the mean over positions too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.formats.channels import BlockedError, Graph

if TYPE_CHECKING:
    from goodnet.formats.spec import Array, Layer, NetworkSpec

Vectors = NDArray[np.float64]

# They work on each channel alike and linearly, so a direction passes them as it is.
_TRANSPARENT = frozenset(
    {"identity", "avg_pool2d", "global_avg_pool2d", "upsample2d", "crop2d", "zero_pad2d"}
)


@dataclass(frozen=True, eq=False)
class Removal:
    """What to take out of a layer's value.

    Attributes:
        directions: Columns U, shape (channels, rank).
        duals: Columns V, as many: how much of each direction a value holds.
        mean: Of the value over clean images, and positions if it has any, shape (channels,).
        strength: 1 takes out what there is; more pushes as far the other way as it exceeds 1.
    """

    directions: Vectors
    duals: Vectors
    mean: Vectors
    strength: float = 1.0


@dataclass(frozen=True)
class Reader:
    """A dense layer or convolution that reads a layer's value.

    Attributes:
        name: Of the layer that reads.
        channels_first: Whether its weight is (out, channels, positions), else (out, positions,
            channels), when the axes behind the first are taken together so.
    """

    name: str
    channels_first: bool


def readers(spec: NetworkSpec, layer: str) -> list[Reader]:
    """The layers that read the value of a layer, also through pools and flattening.

    Raises:
        InvalidInput: If there is no such layer, its value has no channels, or something reads it
            that cannot take a fold.
    """
    graph = Graph(spec)
    graph.checked(layer, ())
    if layer == spec.output:
        raise InvalidInput(f"layer {layer!r} is the network's answer; choose one before it")
    found: list[Reader] = []
    waiting = [(here, layer, "chw") for here in graph.readers[layer]]
    while waiting:
        here, value, order = waiting.pop(0)
        if here.op in ("conv2d", "dense"):
            found.append(_reader(graph, here, value, order))
            continue
        order = _through(graph, here, value, order, layer=layer)
        waiting += [(behind, here.name, order) for behind in graph.readers[here.name]]
    return found


def fold(
    spec: NetworkSpec,
    layer: str,
    removal: Removal,
    *,
    rows: Sequence[int] | None = None,
) -> dict[str, Array]:
    """The arrays to change so that all who read a layer no longer see some directions.

    At the border of a convolution that pads with zeros the correction by the clean mean also
    counts the part of the kernel that lies outside; everywhere else it is exact.

    Args:
        spec: The network.
        layer: The layer whose value is meant.
        removal: What they no longer see.
        rows: Change only these outputs of the readers; None for all.

    Returns:
        The changed arrays by key.

    Raises:
        InvalidInput: As `readers` does.
    """
    arrays: dict[str, Array] = {}
    for reader in readers(spec, layer):
        weight, bias = (spec.arrays[f"{reader.name}/{name}"] for name in ("weight", "bias"))
        axis = 1 if reader.channels_first else 2
        channels = len(removal.mean)
        shape = (len(weight), channels, -1) if axis == 1 else (len(weight), -1, channels)
        # (out, positions, channels)
        seen = np.moveaxis(weight.astype(np.float64).reshape(shape), axis, 2)
        gone = removal.strength * (seen @ removal.directions) @ removal.duals.T
        if rows is not None:
            gone[np.setdiff1d(np.arange(len(gone)), rows)] = 0
        left = weight - np.moveaxis(gone, 2, axis).reshape(weight.shape)
        arrays[f"{reader.name}/weight"] = left.astype(np.float32)
        arrays[f"{reader.name}/bias"] = (bias + (gone @ removal.mean).sum(1)).astype(np.float32)
    return arrays


def answer_layer(spec: NetworkSpec) -> str | None:
    """The dense layer whose outputs are the classes, before a softmax; None if there is none."""
    last = spec[spec.output]
    while last.op in ("activation", "identity"):
        last = spec[last.inputs[0]]
    return last.name if last.op == "dense" else None


def _through(graph: Graph, here: Layer, value: str, order: str, *, layer: str) -> str:
    """The order of axes behind a layer that a direction passes.

    Raises:
        InvalidInput: If it does not pass.
    """
    if here.op == "flatten":
        # A picture of one position, or a vector, has the same numbers in either order.
        return str(here.attributes["order"]) if graph.is_picture(value) else order
    if here.op not in _TRANSPARENT or here.name == graph.spec.output:
        raise InvalidInput(
            f"directions cannot be taken out of layer {layer!r} by weights alone: {here.name!r} "
            f"({here.op}) reads it, and only dense layers and convolutions can leave them out; "
            "choose another layer"
        )
    return order


def _reader(graph: Graph, here: Layer, value: str, order: str) -> Reader:
    if f"{here.name}/bias" not in graph.spec.arrays:
        raise InvalidInput(
            f"layer {here.name!r} has no bias, which is needed to keep the clean mean where it is; "
            "choose another layer to erase in"
        )
    if here.op == "conv2d" and here.attributes["groups"] != 1:
        raise InvalidInput(
            f"layer {here.name!r} is a convolution in groups, which cannot leave out a direction "
            "across them; choose another layer to erase in"
        )
    try:
        graph.channel_count(value)
    except BlockedError as error:
        raise InvalidInput(f"layer {here.name!r} cannot leave out a direction: {error}") from error
    if here.op == "dense" and graph.is_picture(value):
        raise InvalidInput(f"layer {here.name!r} reads a picture that is not flattened")
    return Reader(here.name, channels_first=here.op == "conv2d" or order == "chw")
