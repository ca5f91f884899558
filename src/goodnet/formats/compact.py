"""Remove channels of a layer physically: a smaller network with the same outputs.

What makes a channel is cut where it is made, what reads it where it is read, and everything in
between loses it. Where a channel is tied to others, as by a skip connection, it has to stay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.channels import BlockedError, Graph, keeps_zero, passing
from goodnet.formats.spec import NetworkSpec
from goodnet.ops.activations import SOFTMAX, is_zero_preserving
from goodnet.ops.op import (
    Array,
    Attributes,
    Channels,
    Joined,
    Kept,
    Layer,
    Made,
    Merged,
    Moved,
)


def compact(spec: NetworkSpec, layer: str, channels: Iterable[int]) -> NetworkSpec:
    """The network without some channels of a layer; it answers as if they were silenced.

    Args:
        spec: The network.
        layer: The layer whose channels go, neither the input nor the output.
        channels: Indices along the first axis of its value; at least one channel must stay.

    Returns:
        A smaller network; it has no `source`, as it is not the file's network any more.

    Raises:
        InvalidInput: If there is no such layer or channel, all channels would go, or a channel is
            tied to others.
    """
    graph = Graph(spec)
    found = graph.checked(layer, channels)
    if found.size == graph.shapes[layer][0]:
        raise InvalidInput(
            f"at least one channel of layer {layer!r} must stay, got all {found.size} to remove"
        )
    if graph.layers[layer].op == "input" or layer == spec.output:
        raise InvalidInput(
            f"layer {layer!r} is the network's image or its answer; choose one in between"
        )
    removal = _Removal(graph)
    try:
        graph.back(layer, found, removal.produce)
        graph.ahead(layer, found, removal.consume)
    except BlockedError as error:
        raise InvalidInput(
            f"channels of layer {layer!r} cannot be removed, only silenced: {error}"
        ) from error
    return removal.result()


class _Removal:
    """Collects what to cut while walking along the layers."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._arrays = graph.spec.arrays
        # array -> axis -> what goes
        self._cuts: dict[str, dict[int, Channels]] = defaultdict(dict)
        self._attributes: dict[str, Attributes] = {}

    def result(self) -> NetworkSpec:
        """The network with everything cut."""
        spec = self._graph.spec
        arrays = {
            key: self._cut(array, self._cuts.get(key, {})) for key, array in self._arrays.items()
        }
        layers = tuple(
            replace(x, attributes={**x.attributes, **self._attributes.get(x.name, {})})
            for x in spec.layers
        )
        return replace(spec, layers=layers, arrays=arrays, source=None)

    def produce(self, layer: Layer, channels: Channels) -> Mapping[str, Channels]:
        """Cut what a layer makes; returns what goes from the values it reads."""
        if channels.size == self._graph.channel_count(layer.name):
            raise BlockedError(f"nothing would be left of {layer.name!r}")
        _check_separate(layer)
        how = passing(layer)
        if isinstance(how, Made):
            if _groups(layer) > 1:
                return {layer.inputs[0]: self._drop_groups(layer, channels)}
            self._drop(layer, ("weight", "bias"), channels)
            return {}
        if not isinstance(how, Joined | Merged | Kept):
            raise BlockedError(f"{layer.name!r} ({layer.op}) makes them together with others")
        self._drop_between(layer, channels)
        return self._graph.sources(layer, channels)

    def consume(self, layer: Layer, channels: Mapping[str, Channels]) -> Channels | None:
        """Cut what a layer reads; returns what goes from its own value, None if that stays."""
        found, how = next(iter(channels.values())), passing(layer)
        if isinstance(how, Made) and _groups(layer) == 1:
            self._cuts[f"{layer.name}/weight"][1] = found
            return None
        if layer.name == self._graph.spec.output:
            raise BlockedError(f"{layer.name!r} brings them into the network's answer")
        if isinstance(how, Made):
            return self._pass_groups(layer, found)
        if isinstance(how, Merged):
            self._check_merge(layer, channels)
        elif not isinstance(how, Moved | Joined) and not keeps_zero(
            layer, found, self._graph.spec.parameters(layer.name)
        ):
            raise BlockedError(f"{layer.name!r} ({layer.op}) does not leave zero at zero")
        passed = self._graph.carry(layer, channels)
        self._drop_between(layer, passed)
        return passed

    def _check_merge(self, layer: Layer, channels: Mapping[str, Channels]) -> None:
        others = [name for name in layer.inputs if name not in channels]
        if any(self._graph.channel_count(name) > 1 for name in others):
            raise BlockedError(f"{layer.name!r} ({layer.op}) ties them to those of {others[0]!r}")
        first, *more = channels.values()
        if not all(np.array_equal(first, other) for other in more):
            raise BlockedError(f"{layer.name!r} ({layer.op}) ties them to each other")

    def _multiplier(self, layer: Layer) -> int:
        """Output channels per input channel of a convolution that keeps these apart."""
        out, per_group, *_ = self._arrays[f"{layer.name}/weight"].shape
        if per_group > 1:
            raise BlockedError(f"{layer.name!r} takes them in groups with others")
        return int(out) // _groups(layer)

    def _drop_groups(self, layer: Layer, channels: Channels) -> Channels:
        """Cut whole groups of a convolution with one input channel each; returns the groups."""
        multiplier, groups = self._multiplier(layer), _groups(layer)
        gone = np.unique(channels // multiplier)
        if gone.size * multiplier != channels.size:
            raise BlockedError(f"{layer.name!r} makes them in groups with others")
        self._drop(layer, ("weight", "bias"), channels)
        self._attributes[layer.name] = {"groups": groups - gone.size}
        return gone

    def _pass_groups(self, layer: Layer, channels: Channels) -> Channels:
        """Cut the groups that read the channels, if they give nothing but zero without them."""
        multiplier = self._multiplier(layer)
        found: Channels = (channels[:, None] * multiplier + np.arange(multiplier)).ravel()
        bias = self._arrays.get(f"{layer.name}/bias")
        moves_zero = not is_zero_preserving(layer.attributes["activation"])
        if moves_zero or (bias is not None and bias[found].any()):
            raise BlockedError(f"{layer.name!r} ({layer.op}) does not leave zero at zero")
        self._drop_groups(layer, found)
        return found

    def _drop_between(self, layer: Layer, channels: Channels) -> None:
        """Cut the numbers and attributes of a layer that works channel by channel."""
        how, shape = passing(layer), self._graph.shapes[layer.name]
        if isinstance(how, Kept):
            alike = [name for name in how.broadcast if self._is_per_channel(layer, name)]
            self._drop(layer, (*how.rows, *alike), channels)
            self._attributes[layer.name] = how.without(layer.attributes, channels)
        elif isinstance(how, Moved):
            count = self._graph.channel_count(layer.name) - channels.size
            self._attributes[layer.name] = how.resized(layer.attributes, (count, *shape[1:]))

    def _is_per_channel(self, layer: Layer, parameter: str) -> bool:
        """Whether an array that broadcasts against a value has a number for each channel."""
        shape = self._arrays[f"{layer.name}/{parameter}"].shape
        value = self._graph.shapes[layer.name]
        return len(shape) == len(value) and shape[0] == value[0]

    def _drop(self, layer: Layer, parameters: Iterable[str], channels: Channels) -> None:
        for parameter in parameters:
            if f"{layer.name}/{parameter}" in self._arrays:
                self._cuts[f"{layer.name}/{parameter}"][0] = channels

    @staticmethod
    def _cut(array: Array, cuts: Mapping[int, Channels]) -> Array:
        for axis, channels in cuts.items():
            array = np.delete(array, channels, axis=axis)
        return array


def _check_separate(layer: Layer) -> None:
    activation = layer.attributes.get("activation")
    if activation is not None and activation.function in SOFTMAX:
        raise BlockedError(f"the {activation.function} of {layer.name!r} mixes them with others")


def _groups(layer: Layer) -> int:
    return int(layer.attributes.get("groups", 1))
