"""Between what numbers the values of a network lie, whatever the image: interval arithmetic.

An interval is known for each channel of a picture or vector, else one for the whole value. Of an
operation that is not known here it is all numbers, so what is said by a bound is always true.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from goodnet.formats.affine import Floats, affine
from goodnet.formats.channels import BlockedError, Graph, passing
from goodnet.formats.spec import Activation, Array, Layer
from goodnet.ops.activations import all_options
from goodnet.ops.op import PICTURE, VECTOR, Joined, Moved

_BLOCK = 1 << 21  # weights to sum up at a time
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
    change = affine(layer, graph.parameters(layer), graph.shapes[layer.name])
    if change is not None and len(change[0]) == count:
        return _shifted(*change, given[0].over(count))
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
    arrays = graph.parameters(layer)
    weight, groups = arrays["weight"], layer.attributes.get("groups", 1)
    if layer.attributes.get("padding", "valid") not in ("valid", (0, 0, 0, 0)):
        given = given.with_zero
    own = given.over(weight.shape[1] * groups)
    low, high = (end.reshape(groups, -1) for end in (own.low, own.high))
    table = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    bias = arrays.get("bias", np.zeros(1)).astype(np.float64)
    return Interval(bias - _most(table, -high, -low), bias + _most(table, low, high))


def _most(table: Array, low: Floats, high: Floats) -> Floats:
    """The largest sum of products of each row, shape (groups * rows,).

    Only rows whose sum is bounded are summed up: of trained networks there are few.

    Args:
        table: Weights, shape (groups, rows, channels, places).
        low: Of the channels that are read, shape (groups, channels).
        high: Of them.
    """
    rising, falling = (
        _extreme(np.max, table, np.isinf(high)),
        _extreme(np.min, table, np.isinf(low)),
    )
    found = np.where((rising <= 0) & (falling >= 0), 0.0, np.inf)
    top, bottom = (np.where(np.isinf(end), 0.0, end) for end in (high, low))
    groups, rows = np.nonzero(found == 0)
    step = max(_BLOCK // max(math.prod(table.shape[2:]), 1), 1)
    for start in range(0, len(rows), step):
        group, row = groups[start : start + step], rows[start : start + step]
        some = table[group, row].astype(np.float64)
        above, below = np.maximum(some, 0).sum(2), np.minimum(some, 0).sum(2)
        found[group, row] = (above * top[group] + below * bottom[group]).sum(1)
    return found.ravel()


def _extreme(reduce: Callable[..., Array], table: Array, endless: NDArray[np.bool_]) -> Array:
    """The largest or least weight of each row on a channel without an end, or else 0."""
    if endless.all():
        return reduce(table, axis=(2, 3), initial=0.0)
    return reduce(table, axis=(2, 3), initial=0.0, where=endless[:, None, :, None])


def _shifted(factor: Floats, offset: Floats, given: Interval) -> Interval:
    """Of channels that are multiplied and shifted; zero times infinity is zero."""
    ends = [np.where(factor == 0, 0.0, factor * end) + offset for end in (given.low, given.high)]
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
