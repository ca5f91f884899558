"""Which channels of one value become which of the next: what silencing and removing have in common.

The channels of a picture are its first axis, those of a vector its numbers. Shapes leave out the
batch axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.spec import NetworkSpec
from goodnet.ops import OPS
from goodnet.ops.op import (
    PICTURE,
    VECTOR,
    Array,
    Arrays,
    Channels,
    Joined,
    Kept,
    Layer,
    Mask,
    Merged,
    Moved,
    Passing,
    Shape,
)

_NO_ARRAYS: Arrays = MappingProxyType({})


class BlockedError(Exception):
    """A walk along the layers cannot go on; the message says at which layer and why."""


def whole_channels(name: str, mask: Mask) -> Channels:
    """The channels that are marked in a value.

    Args:
        name: The layer whose value it is.
        mask: Its shape, True where marked.

    Raises:
        BlockedError: If a channel is marked in parts, or the value has no channels.
    """
    rows = mask.reshape(len(mask), -1)
    if mask.ndim not in (PICTURE, VECTOR) or (rows.any(1) != rows.all(1)).any():
        raise BlockedError(f"{name!r} spreads them over other channels")
    return np.flatnonzero(rows.all(1))


def passing(layer: Layer) -> Passing:
    """How channels pass through a layer."""
    return OPS[layer.op].channels


Producer = Callable[[Layer, Channels], Mapping[str, Channels]]
Consumer = Callable[[Layer, Mapping[str, Channels]], Channels | None]


class Graph:
    """A network's layers by name, with who reads them and the shapes of their values."""

    def __init__(self, spec: NetworkSpec) -> None:
        self.spec = spec
        self.layers = {layer.name: layer for layer in spec.layers}
        self.position = {layer.name: index for index, layer in enumerate(spec.layers)}
        self.shapes: Mapping[str, Shape] = layer_shapes(spec)
        self.readers: dict[str, list[Layer]] = {layer.name: [] for layer in spec.layers}
        for layer in spec.layers:
            for name in dict.fromkeys(layer.inputs):
                self.readers[name].append(layer)

    def parameters(self, layer: Layer) -> dict[str, Array]:
        """The arrays of a layer by parameter name."""
        op, arrays = OPS[layer.op], self.spec.arrays
        keys = {name: f"{layer.name}/{name}" for name in (*op.parameters, *op.buffers)}
        return {name: arrays[key] for name, key in keys.items() if key in arrays}

    def channel_count(self, name: str) -> int:
        """Channels of a layer's value.

        Raises:
            BlockedError: If it is neither a picture nor a vector, or their number is left open.
        """
        shape = self.shapes[name]
        if len(shape) not in (PICTURE, VECTOR) or shape[0] is None:
            raise BlockedError(f"the value of {name!r} has no channels (its shape is {shape})")
        return shape[0]

    def is_picture(self, name: str) -> bool:
        """Whether a layer's value is (channels, height, width)."""
        return len(self.shapes[name]) == PICTURE

    def checked(self, name: str, channels: Iterable[int]) -> Channels:
        """The channels of a layer, sorted, each once.

        Raises:
            InvalidInput: If there is no such layer or channel.
        """
        layer = self.spec[name]
        try:
            count = self.channel_count(layer.name)
        except BlockedError as error:
            raise InvalidInput(f"layer {name!r} cannot be pruned: {error}") from error
        found = sorted(set(channels))
        outside = [channel for channel in found if not 0 <= channel < count]
        if outside:
            raise InvalidInput(
                f"layer {name!r} has the channels 0 to {count - 1}, got {outside[0]}"
            )
        return np.array(found, dtype=np.int64)

    def back(self, layer: str, channels: Channels, produce: Producer) -> None:
        """Walk from channels to where they are made.

        `produce` is called with each layer on the way and its channels, and returns those of the
        values it reads that they come from.

        Raises:
            BlockedError: If somebody else reads one of these values.
        """
        wanted = {layer: channels}
        while wanted:
            name, found = wanted.popitem()
            sources = produce(self.layers[name], found)
            for source in sources:
                self.check_private(source, self.layers[name])
            wanted.update(sources)

    def ahead(self, layer: str, channels: Channels, consume: Consumer) -> None:
        """Walk from channels to all who read them, in running order.

        `consume` is called with each layer on the way and the channels of what it reads, and
        returns those of its own value, None where the way ends.
        """
        dead = {layer: channels}
        waiting = {reader.name for reader in self.readers[layer]}
        while waiting:
            # In running order, so that all a layer reads has been dealt with before it.
            name = min(waiting, key=self.position.__getitem__)
            waiting.remove(name)
            here = self.layers[name]
            passed = consume(here, {x: dead[x] for x in here.inputs if x in dead})
            if passed is not None:
                dead[name] = passed
                waiting.update(reader.name for reader in self.readers[name])

    def sources(self, layer: Layer, channels: Channels) -> Mapping[str, Channels]:
        """The channels of what a layer reads that its own come from, where it makes none.

        Raises:
            BlockedError: If they are spread over others.
        """
        how = passing(layer)
        if isinstance(how, Joined):
            return self.split(layer, channels)
        if isinstance(how, Merged):
            self.check_same_channels(layer, layer.inputs)
        return dict.fromkeys(layer.inputs, channels)

    def check_private(self, name: str, reader: Layer) -> None:
        """Make sure that nobody but `reader` sees the value of a layer.

        Raises:
            BlockedError: If somebody does.
        """
        others = [layer.name for layer in self.readers[name] if layer.name != reader.name]
        if name == self.spec.output:
            others.append("the network's answer")
        if others:
            raise BlockedError(f"the value of {name!r} is also read by {', '.join(others)}")

    def split(self, layer: Layer, channels: Channels) -> dict[str, Channels]:
        """The channels of a concatenation, back to the values it joins.

        Raises:
            BlockedError: If it joins a value to itself.
        """
        if len(set(layer.inputs)) < len(layer.inputs):
            raise BlockedError(f"{layer.name!r} joins a value to itself")
        if layer.attributes["axis"] != 1:
            return dict.fromkeys(layer.inputs, channels)
        found: dict[str, Channels] = {}
        start = 0
        for name in layer.inputs:
            end = start + self.channel_count(name)
            inside = channels[(channels >= start) & (channels < end)]
            if inside.size:
                found[name] = inside - start
            start = end
        return found

    def carry(self, layer: Layer, channels: Mapping[str, Channels]) -> Channels:
        """Where channels of the values a layer reads are in its own value.

        Args:
            layer: A layer that only moves, joins or changes numbers by themselves.
            channels: By input; inputs that are not named have none.

        Raises:
            BlockedError: If they do not make up whole channels there.
        """
        how = passing(layer)
        if isinstance(how, Joined):
            return self._joined(layer, channels)
        if isinstance(how, Merged):
            return self._merged(layer, channels, absorbs=how.absorbs)
        (found,) = channels.values()
        if not isinstance(how, Moved):
            return found
        mask = self._mask(layer.inputs[0], found)
        return whole_channels(layer.name, how.places(mask, layer.attributes))

    def check_same_channels(self, layer: Layer, names: Iterable[str]) -> None:
        """Make sure that values have the same channels as the layer that merges them.

        Raises:
            BlockedError: If one is spread over the channels of another.
        """
        count = self.channel_count(layer.name)
        for name in names:
            if self.channel_count(name) != count:
                raise BlockedError(f"{layer.name!r} spreads {name!r} over other channels")

    def _merged(self, layer: Layer, channels: Mapping[str, Channels], *, absorbs: bool) -> Channels:
        self.check_same_channels(layer, channels)
        if absorbs:
            return np.unique(np.concatenate(list(channels.values())))
        if set(channels) != set(layer.inputs) or not _all_equal(channels.values()):
            raise BlockedError(f"{layer.name!r} ({layer.op}) mixes them with other channels")
        return next(iter(channels.values()))

    def _joined(self, layer: Layer, channels: Mapping[str, Channels]) -> Channels:
        if layer.attributes["axis"] != 1:
            if set(channels) != set(layer.inputs) or not _all_equal(channels.values()):
                raise BlockedError(f"{layer.name!r} joins them to others side by side")
            return next(iter(channels.values()))
        parts = []
        start = 0
        for name in layer.inputs:
            parts.append(channels.get(name, np.empty(0, np.int64)) + start)
            start += self.channel_count(name)
        return np.concatenate(parts)

    def _mask(self, name: str, channels: Channels) -> Mask:
        """The value of a layer with True where these channels are."""
        shape = self.shapes[name]
        known = tuple(size for size in shape if size is not None)
        if len(known) < len(shape):
            raise BlockedError(f"the value of {name!r} has no known size")
        mask = np.zeros(known, dtype=bool)
        mask[channels] = True
        return mask


def keeps_zero(layer: Layer, channels: Channels, arrays: Arrays = _NO_ARRAYS) -> bool:
    """Whether a layer works channel by channel and gives exactly zero where it reads only zeros.

    Its arrays are given where rounding does not matter.
    """
    how = passing(layer)
    return isinstance(how, Kept) and how.keeps_zero(layer, channels, arrays)


def _all_equal(channels: Iterable[Channels]) -> bool:
    first, *others = channels
    return all(np.array_equal(first, other) for other in others)
