"""Between what numbers the values of a network lie, whatever the image: interval arithmetic.

An interval is known for each channel of a picture or vector, else one for the whole value. Of an
operation that is not known here it is all numbers, so what is said by a bound is always true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from goodnet.formats.channels import BlockedError, Graph, passing
from goodnet.formats.spec import Activation, Array, Layer
from goodnet.ops.activations import all_options
from goodnet.ops.op import PICTURE, VECTOR, Joined, Moved

Floats = NDArray[np.float64]
# Values of these lie where those lie that they read, channel by channel.
_WITHIN = frozenset(
    f"global_{kind}_pool{axes}" for kind in ("max", "avg") for axes in ("1d", "2d")
) | {"identity", "max_pool2d", "avg_pool2d", "crop2d"}
_RANGES = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0)}
_RANGES |= {"tanh": (-1.0, 1.0), "hard_tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0)}
_RANGES |= {"exponential": (0.0, np.inf), "softplus": (0.0, np.inf), "log_softmax": (-np.inf, 0.0)}


@dataclass(frozen=True, eq=False)
class Interval:
    """The least and the most of each channel, shape (channels,), or of all, shape (1,)."""

    low: Floats
    high: Floats

    @classmethod
    def unknown(cls, count: int = 1) -> Interval:
        """All numbers."""
        return cls(np.full(count, -np.inf), np.full(count, np.inf))

    def over(self, count: int) -> Interval:
        """One interval for each of so many channels."""
        if self.low.size == count:
            return self
        low, high = self.low.min(initial=np.inf), self.high.max(initial=-np.inf)
        return Interval(np.full(count, low), np.full(count, high))

    @property
    def with_zero(self) -> Interval:
        """What a border of zeros makes of it."""
        return Interval(np.minimum(self.low, 0), np.maximum(self.high, 0))

    def clipped(self, low: float, high: float) -> Interval:
        """Cut off at both ends."""
        return Interval(np.clip(self.low, low, high), np.clip(self.high, low, high))


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds of the values of all layers.

    Attributes:
        values: By layer.
        before: By layer with an activation, of what the activation is given.
    """

    values: Mapping[str, Interval]
    before: Mapping[str, Interval]


def bounds_of(graph: Graph) -> Bounds:
    """Bounds of the values of a network, whose images may hold any numbers."""
    values: dict[str, Interval] = {}
    before: dict[str, Interval] = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in graph.spec.layers:
            found = _of_layer(graph, layer, [values[name] for name in layer.inputs])
            activation = layer.attributes.get("activation")
            if activation is not None:
                before[layer.name] = found
                found = _activated(found, activation)
            values[layer.name] = found
    return Bounds(values, before)


def _of_layer(graph: Graph, layer: Layer, given: list[Interval]) -> Interval:
    """Of a layer's value before its activation."""
    try:
        count = graph.channel_count(layer.name)
    except BlockedError:
        count = 1
    if layer.op in ("conv2d", "dense") and len(graph.shapes[layer.name]) in (PICTURE, VECTOR):
        return _made(graph, layer, given[0])
    if layer.op == "activation" or layer.op in _WITHIN:
        return given[0].over(count)
    if layer.op == "zero_pad2d":
        return given[0].over(count).with_zero
    if layer.op == "batch_norm":
        return _normalized(graph.spec.parameters(layer.name), layer, given[0].over(count))
    if isinstance(passing(layer), Moved | Joined):
        return _moved(graph, layer, given, count)
    if layer.op in _MERGES:
        return reduce(_MERGES[layer.op], [each.over(count) for each in given])
    return Interval.unknown(count)


def _moved(graph: Graph, layer: Layer, given: list[Interval], count: int) -> Interval:
    """Of numbers that are put in other places."""
    own = [x.low.size for x in given]
    if layer.op == "flatten":
        each, places = given[0], max(count // max(own[0], 1), 1)
        spread = np.repeat if layer.attributes["order"] == "chw" else np.tile
        if own[0] * places == count and len(graph.shapes[layer.inputs[0]]) == PICTURE:
            return Interval(spread(each.low, places), spread(each.high, places))
    low = np.concatenate([each.low for each in given])
    high = np.concatenate([each.high for each in given])
    if layer.op == "concatenate" and layer.attributes["axis"] == 1 and sum(own) == count:
        return Interval(low, high)
    return Interval(
        np.full(count, low.min(initial=np.inf)), np.full(count, high.max(initial=-np.inf))
    )


def _made(graph: Graph, layer: Layer, given: Interval) -> Interval:
    """Of sums of products with weights, group by group."""
    arrays = graph.spec.parameters(layer.name)
    weight, groups = arrays["weight"], layer.attributes.get("groups", 1)
    if layer.attributes.get("padding", "valid") not in ("valid", (0, 0, 0, 0)):
        given = given.with_zero
    own = given.over(weight.shape[1] * groups)
    bias = arrays.get("bias", np.zeros(1)).astype(np.float64)
    if weight.shape[1] == 1:
        found = _scaled(weight, own.over(groups))
        return Interval(found.low + bias, found.high + bias)
    rows = np.split(weight, groups)
    ends = zip(np.split(own.low, groups), np.split(own.high, groups), strict=True)
    parts = [_products(x, low, high) for x, (low, high) in zip(rows, ends, strict=True)]
    return Interval(
        np.concatenate([low for low, _ in parts]) + bias,
        np.concatenate([high for _, high in parts]) + bias,
    )


def _scaled(weight: Array, given: Interval) -> Interval:
    """Of sums of products with one channel each, as a depthwise convolution makes them."""
    table = weight.reshape(len(weight), -1).astype(np.float64)
    above, below = np.maximum(table, 0).sum(1), np.minimum(table, 0).sum(1)
    times = len(weight) // given.low.size
    low, high = np.repeat(given.low, times), np.repeat(given.high, times)
    return Interval(
        _times(above, low) + _times(below, high), _times(above, high) + _times(below, low)
    )


def _times(factor: Floats, end: Floats) -> Floats:
    """A product in which zero times infinity is zero."""
    return np.where(factor == 0, 0.0, factor * end)


def _products(weight: Array, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The least and the largest sum of products of each row, shape (rows,) each."""
    table = weight.reshape(*weight.shape[:2], -1)
    most = _most(table, low, high)
    return -_most(table, -high, -low), most


def _most(table: Array, low: Floats, high: Floats) -> Floats:
    """The largest sum of products of each row, shape (rows,).

    Only rows whose sum is bounded are summed up: of trained networks there are few.

    Args:
        table: Weights, shape (rows, channels, places).
        low: Of the channels that are read.
        high: Of them.
    """
    bounded = np.ones(len(table), dtype=bool)
    if np.isinf(high).any():
        bounded &= _part(table, np.isinf(high)).max((1, 2), initial=0.0) <= 0
    if np.isinf(low).any():
        bounded &= _part(table, np.isinf(low)).min((1, 2), initial=0.0) >= 0
    found = np.full(len(table), np.inf)
    if bounded.any():
        some = table[bounded].astype(np.float64)
        above, below = np.maximum(some, 0).sum(2), np.minimum(some, 0).sum(2)
        ends = [np.where(np.isinf(end), 0.0, end) for end in (high, low)]
        found[bounded] = above @ ends[0] + below @ ends[1]
    return found


def _part(table: Array, channels: NDArray[np.bool_]) -> Array:
    return table if channels.all() else table[:, channels]


def _normalized(arrays: Mapping[str, Array], layer: Layer, given: Interval) -> Interval:
    own = {name: array.astype(np.float64) for name, array in arrays.items()}
    factor = own.get("gamma", np.ones(1)) / np.sqrt(own["variance"] + layer.attributes["epsilon"])
    shift = own.get("beta", np.zeros(1)) - own["mean"] * factor
    ends = [_times(factor, end) + shift for end in (given.low, given.high)]
    return Interval(np.minimum(*ends), np.maximum(*ends))


def _activated(given: Interval, activation: Activation) -> Interval:
    if is_rectifier(activation):
        top = all_options(activation).get("max_value", 6.0)
        return given.clipped(0.0, top)
    if activation.function == "linear":
        return given
    low, high = _RANGES.get(activation.function, (-np.inf, np.inf))
    return Interval(np.full_like(given.low, low), np.full_like(given.high, high))


def is_rectifier(activation: Activation) -> bool:
    """Whether the function is 0 up to 0."""
    if activation.function == "relu":
        options = all_options(activation)
        return options["threshold"] == 0.0 and options["negative_slope"] == 0.0
    return activation.function == "relu6"


def _multiplied(one: Interval, other: Interval) -> Interval:
    """Known only where nothing is negative."""
    positive = (one.low >= 0) & (other.low >= 0)
    return Interval(np.where(positive, 0.0, -np.inf), np.full_like(one.high, np.inf))


_MERGES: Mapping[str, Callable[[Interval, Interval], Interval]] = {
    "add": lambda a, b: Interval(a.low + b.low, a.high + b.high),
    "subtract": lambda a, b: Interval(a.low - b.high, a.high - b.low),
    "multiply": _multiplied,
    "maximum": lambda a, b: Interval(np.maximum(a.low, b.low), np.maximum(a.high, b.high)),
    "minimum": lambda a, b: Interval(np.minimum(a.low, b.low), np.minimum(a.high, b.high)),
}
