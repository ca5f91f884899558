"""Which channels are zero for every image because the numbers behind them are zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodnet.formats.activations import is_zero_preserving
from goodnet.formats.channels import MERGES, MOVES, BlockedError, Graph, Mask, keeps_zero

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goodnet.formats.spec import Layer, NetworkSpec

__all__ = ["silent_channels"]


def silent_channels(spec: NetworkSpec, layer: str) -> list[int]:
    """The channels of a layer whose weights, biases or scales are all zero, so that they are.

    Raises:
        InvalidInput: If there is no such layer, or its value has no channels.
    """
    graph = Graph(spec)
    graph.checked(layer, ())
    silent: dict[str, Mask] = {}
    for name in _sources(graph, layer):
        silent[name] = _silent(graph, graph.layers[name], silent)
    return [int(channel) for channel in np.flatnonzero(silent[layer])]


def _sources(graph: Graph, layer: str) -> list[str]:
    """The layer and those before it, up to where its channels are made, in running order."""
    found: set[str] = set()
    waiting = [layer]
    while waiting:
        name = waiting.pop()
        if name not in found and graph.layers[name].op not in ("conv2d", "dense"):
            waiting.extend(graph.layers[name].inputs)
        found.add(name)
    return sorted(found, key=graph.position.__getitem__)


def _silent(graph: Graph, layer: Layer, silent: Mapping[str, Mask]) -> Mask:
    """Which channels of a layer are zero, given which are of the values it reads."""
    try:
        count = graph.channel_count(layer.name)
    except BlockedError:
        return np.zeros(0, dtype=bool)
    if layer.op in ("conv2d", "dense"):
        quiet = is_zero_preserving(layer.attributes["activation"])
        return _zero_rows(graph, layer, "weight", "bias") & quiet
    if layer.op == "batch_norm":
        if f"{layer.name}/gamma" in graph.spec.arrays:
            return _zero_rows(graph, layer, "gamma", "beta")
        return _zero_rows(graph, layer, "mean", "beta") & silent[layer.inputs[0]]
    if layer.op in MERGES:
        return _merged(layer, silent, count=count)
    return _moved(graph, layer, silent, count=count)


def _merged(layer: Layer, silent: Mapping[str, Mask], *, count: int) -> Mask:
    masks = [silent[name] for name in layer.inputs if silent[name].size == count]
    mask = np.full(count, len(masks) == len(layer.inputs) and layer.op != "multiply")
    for other in masks:
        mask = mask | other if layer.op == "multiply" else mask & other
    return mask


def _moved(graph: Graph, layer: Layer, silent: Mapping[str, Mask], *, count: int) -> Mask:
    mask = np.zeros(count, dtype=bool)
    found = {name: np.flatnonzero(silent[name]) for name in layer.inputs}
    try:
        for_all = layer.op in MOVES or all(keeps_zero(layer, x) for x in found.values())
        if found and for_all:
            mask[graph.carry(layer, found)] = True
    except BlockedError:
        pass
    return mask


def _zero_rows(graph: Graph, layer: Layer, *parameters: str) -> Mask:
    """Where all named parameters the layer has are zero, by their first axis."""
    arrays = graph.spec.parameters(layer.name)
    rows = [arrays[name].reshape(len(arrays[name]), -1) for name in parameters if name in arrays]
    table = np.concatenate(rows, axis=1)
    return np.asarray(~table.any(axis=1), dtype=bool)
