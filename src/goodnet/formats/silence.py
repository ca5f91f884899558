"""Make channels of a layer zero by the numbers of the network alone, without any new layer.

Either the layers that produce a channel are made to produce zero, or, where somebody else needs
what they produce, the layers that read the channel are made to ignore it. `silent_channels` finds
those that are zero for every image already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.channels import BlockedError, Graph, keeps_zero, passing
from goodnet.formats.spec import NetworkSpec
from goodnet.ops.activations import is_zero_preserving
from goodnet.ops.op import Array, Channels, Joined, Kept, Layer, Made, Mask, Merged, Mixed, Moved


def silent_channels(spec: NetworkSpec, layer: str) -> list[int]:
    """The channels of a layer whose weights, biases or scales are all zero, so that they are.

    Raises:
        InvalidInput: If there is no such layer, or its value has no channels.
    """
    graph = Graph(spec)
    graph.checked(layer, ())
    return [int(channel) for channel in np.flatnonzero(all_silent(graph)[layer])]


def all_silent(graph: Graph) -> dict[str, Mask]:
    """The same of all layers, by name; a layer whose value has no channels has an empty mask."""
    silent: dict[str, Mask] = {}
    for layer in graph.spec.layers:
        silent[layer.name] = _silent(graph, layer, silent)
    return silent


def _silent(graph: Graph, layer: Layer, silent: Mapping[str, Mask]) -> Mask:
    """Which channels of a layer are zero, given which are of the values it reads."""
    try:
        count = graph.channel_count(layer.name)
    except BlockedError:
        return np.zeros(0, dtype=bool)
    how, (arrays, reads) = passing(layer), _silencers(graph, layer)
    if arrays:
        quiet = is_zero_preserving(layer.attributes.get("activation"))
        mask = _zero_rows(graph, layer, *arrays) & quiet
        return mask & silent[layer.inputs[0]] if reads else mask
    if isinstance(how, Merged):
        return _merged(layer, silent, count=count, absorbs=how.absorbs)
    return _moved(graph, layer, silent, count=count)


def _silencers(graph: Graph, layer: Layer) -> tuple[tuple[str, ...], bool]:
    """The arrays whose zeros silence a layer, and whether zeros must be read, too."""
    how = passing(layer)
    if isinstance(how, Made):
        return ("weight", "bias"), False
    if not isinstance(how, Kept | Mixed):
        return (), True
    scaled = how.scale and f"{layer.name}/{how.scale[0]}" in graph.spec.arrays
    if scaled:
        return how.scale, False
    return (how.shift if isinstance(how, Kept) else ()), True


def _merged(layer: Layer, silent: Mapping[str, Mask], *, count: int, absorbs: bool) -> Mask:
    masks = [silent[name] for name in layer.inputs if silent[name].size == count]
    mask = np.full(count, len(masks) == len(layer.inputs) and not absorbs)
    for other in masks:
        mask = mask | other if absorbs else mask & other
    return mask


def _moved(graph: Graph, layer: Layer, silent: Mapping[str, Mask], *, count: int) -> Mask:
    mask = np.zeros(count, dtype=bool)
    found = {name: np.flatnonzero(silent[name]) for name in layer.inputs}
    if not any(each.size for each in found.values()):
        return mask
    try:
        for_all = _only_moves(layer) or all(keeps_zero(layer, x) for x in found.values())
        if found and for_all:
            mask[graph.carry(layer, found)] = True
    except BlockedError:
        pass
    return mask


def _zero_rows(graph: Graph, layer: Layer, *parameters: str) -> Mask:
    """Where all named parameters the layer has are zero, by their first axis."""
    arrays = graph.parameters(layer)
    rows = [arrays[name].reshape(len(arrays[name]), -1) for name in parameters if name in arrays]
    table = np.concatenate(rows, axis=1)
    return np.asarray(~table.any(axis=1), dtype=bool)


_AFTER_CONVOLUTION = frozenset({"batch_norm", "activation", "prelu"})


@dataclass(frozen=True, slots=True)
class _Zeros:
    """Numbers to be made zero: `arrays[key][index]`."""

    key: str
    index: tuple[Any, ...]


def silence(spec: NetworkSpec, layer: str, channels: Iterable[int]) -> dict[str, Array]:
    """The arrays to change so that channels of a layer are exactly zero for all who read them.

    `spec.with_arrays(...)` of the result computes what masking these channels would.

    Args:
        spec: The network.
        layer: The layer whose value is meant, neither the input nor the output.
        channels: Indices along the first axis of that value.

    Returns:
        The changed arrays by key; empty if there are no channels.

    Raises:
        InvalidInput: If there is no such layer or channel, or numbers alone cannot do it.
    """
    graph = Graph(spec)
    found = graph.checked(layer, channels)
    arrays: dict[str, Array] = {}
    for zeros in _plan(graph, layer, found):
        arrays.setdefault(zeros.key, np.array(spec.arrays[zeros.key]))[zeros.index] = 0
    return arrays if found.size else {}


def prunable_layers(spec: NetworkSpec) -> list[str]:
    """The layers with pictures as values, and global pools, whose channels can be silenced."""
    graph = Graph(spec)
    return [layer.name for layer in spec.layers if _is_prunable(graph, layer)]


def default_layer(spec: NetworkSpec) -> str:
    """The last pooling layer that can be pruned, else the last convolution, else dense layer.

    A convolution is taken together with the normalization and activation that follow it.

    Raises:
        InvalidInput: If no such layer of the network can be pruned.
    """
    graph = Graph(spec)
    names = [layer.name for layer in spec.layers if _is_prunable(graph, layer)]
    pools = [name for name in names if _pools(graph.layers[name])]
    stages = [_end_of_stage(graph, x.name) for x in spec.layers if x.op == "conv2d"]
    hidden = (x.name for x in spec.layers if x.op == "dense" and _can_be_silenced(graph, x.name))
    candidates = pools or [name for name in stages if name in names] or list(hidden)
    if not candidates:
        opaque = [x.name for x in spec.layers if x.op == "opaque"]
        raise InvalidInput(
            "the network has no layer whose channels can be silenced; it has "
            f"{', '.join(x.name for x in spec.layers)}"
            + (f" (not known layer by layer: {', '.join(opaque)})" if opaque else "")
        )
    return candidates[-1]


def _is_prunable(graph: Graph, layer: Layer) -> bool:
    has_channels = graph.is_picture(layer.name) or _pools(layer)
    return has_channels and _can_be_silenced(graph, layer.name)


def _pools(layer: Layer) -> bool:
    how = passing(layer)
    return isinstance(how, Kept) and how.pools


def _only_moves(layer: Layer) -> bool:
    return isinstance(passing(layer), Moved | Joined)


def _can_be_silenced(graph: Graph, name: str) -> bool:
    try:
        _plan(graph, name, np.arange(graph.channel_count(name)))
    except (BlockedError, InvalidInput):
        return False
    return True


def _end_of_stage(graph: Graph, name: str) -> str:
    """The last of the normalizations and activations that alone read a convolution."""
    while len(graph.readers[name]) == 1 and graph.readers[name][0].op in _AFTER_CONVOLUTION:
        name = graph.readers[name][0].name
    return name


def _plan(graph: Graph, layer: str, channels: Channels) -> list[_Zeros]:
    if graph.layers[layer].op == "input" or layer == graph.spec.output:
        raise InvalidInput(
            f"layer {layer!r} is the network's image or its answer; choose one in between"
        )
    # The way is the same for all channels of a layer, so that any order of silencing ends the same.
    everything = np.arange(graph.channel_count(layer))
    try:
        _back(graph, layer, everything)
    except BlockedError as back:
        try:
            for some in (everything, everything[:1]):
                _ahead(graph, layer, some)
            return _ahead(graph, layer, channels)
        except BlockedError as ahead:
            raise InvalidInput(
                f"channels of layer {layer!r} cannot be silenced by weights alone: where they are "
                f"made, {back}; where they are read, {ahead}"
            ) from ahead
    return _back(graph, layer, channels)


def _back(graph: Graph, layer: str, channels: Channels) -> list[_Zeros]:
    """Make the channels zero where they are made."""
    plan: list[_Zeros] = []

    def produce(here: Layer, found: Channels) -> Mapping[str, Channels]:
        zeros, sources = _produce(graph, here, found)
        plan.extend(zeros)
        return sources

    graph.back(layer, channels, produce)
    return plan


def _produce(
    graph: Graph, layer: Layer, channels: Channels
) -> tuple[list[_Zeros], Mapping[str, Channels]]:
    """What makes channels of a layer zero: its own numbers, and channels of what it reads."""
    how, (arrays, reads) = passing(layer), _silencers(graph, layer)
    if layer.op == "input":
        raise BlockedError("they come straight from the image")
    if isinstance(how, Made):
        _check_activation(layer)
    elif not arrays and not isinstance(how, Joined | Merged):
        _check_keeps_zero(layer, channels)
    sources = graph.sources(layer, channels) if reads else {}
    return _rows(graph, layer, channels, *arrays), sources


def _rows(graph: Graph, layer: Layer, channels: Channels, *parameters: str) -> list[_Zeros]:
    keys = [f"{layer.name}/{parameter}" for parameter in parameters]
    return [_Zeros(key, (channels,)) for key in keys if key in graph.spec.arrays]


def _ahead(graph: Graph, layer: str, channels: Channels) -> list[_Zeros]:
    """Make all layers that read the channels ignore them."""
    plan: list[_Zeros] = []

    def consume(here: Layer, found: Mapping[str, Channels]) -> Channels | None:
        if not isinstance(passing(here), Made):
            return _pass_on(graph, here, found)
        plan.append(_columns(graph, here, found[here.inputs[0]]))
        return None

    graph.ahead(layer, channels, consume)
    return plan


def _pass_on(graph: Graph, layer: Layer, channels: Mapping[str, Channels]) -> Channels:
    """The channels of a layer that would be zero if those it reads were."""
    if layer.name == graph.spec.output:
        raise BlockedError(f"{layer.name!r} brings them into the network's answer")
    if not isinstance(passing(layer), Merged | Moved | Joined):
        _check_keeps_zero(layer, next(iter(channels.values())))
    return graph.carry(layer, channels)


def _columns(graph: Graph, layer: Layer, channels: Channels) -> _Zeros:
    """The numbers with which a convolution or dense layer reads channels."""
    if layer.attributes.get("groups", 1) == 1:
        return _Zeros(f"{layer.name}/weight", (slice(None), channels))
    out, per_group, *_ = graph.spec.arrays[f"{layer.name}/weight"].shape
    rows = out // layer.attributes["groups"]
    first = channels // per_group * rows
    index = (first[:, None] + np.arange(rows), (channels % per_group)[:, None])
    return _Zeros(f"{layer.name}/weight", index)


def _check_activation(layer: Layer) -> None:
    activation = layer.attributes["activation"]
    if not is_zero_preserving(activation):
        raise BlockedError(f"the {activation.function} of {layer.name!r} is not 0 at 0")


def _check_keeps_zero(layer: Layer, channels: Channels) -> None:
    if layer.op == "activation":
        _check_activation(layer)
    elif not keeps_zero(layer, channels):
        raise BlockedError(f"{layer.name!r} ({layer.op}) does not leave zero at zero")
