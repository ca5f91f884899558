"""Two networks in one graph: what both compute alike is computed once.

A layer of the second network is shared where the first has one with the same operation, inputs and
arrays. Where it differs only in silenced channels it is shared too, and the silence is carried
forward as a mask until a layer whose weights can absorb it. So the tower of a pruned network
begins behind the pruned layer, and its outputs stay the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.spec import Array, Layer, NetworkSpec
from goodnet.ops.activations import is_zero_preserving

Mask = NDArray[np.bool_]

_PASSES_ZEROS = frozenset(
    {"max_pool2d", "avg_pool2d", "global_max_pool2d", "global_avg_pool2d", "identity"}
    | {"zero_pad2d", "crop2d", "upsample2d", "activation", "prelu"}
)


@dataclass(frozen=True)
class _Value:
    """A value of the second network: a layer of the merged one, with some channels at zero."""

    layer: str
    silent: Mask | None = None


def merge(first: NetworkSpec, second: NetworkSpec) -> tuple[NetworkSpec, str]:
    """Put a second network beside the first and share what both have in common.

    Returns:
        The first network with the second's own layers added (its output is still the first's),
        and the name of the layer that holds the second's output.

    Raises:
        InvalidInput: If the two take other images, in another way, or have other classes.
    """
    shapes, others = layer_shapes(first), layer_shapes(second)
    _check_alike("images", first.input_shape, second.input_shape)
    _check_alike("preprocessing", first.preprocessing, second.preprocessing)
    _check_alike("outputs", shapes[first.output], others[second.output])
    merger = _Merger(first, others)
    values = {second.layers[0].name: _Value(first.layers[0].name)}
    for layer in second.layers[1:]:
        inputs = [values[name] for name in layer.inputs]
        values[layer.name] = merger.add(layer, second.parameters(layer.name), inputs)
    output = merger.settle(values[second.output], others[second.output])
    return merger.spec(), output


def _check_alike(what: str, first: object, second: object) -> None:
    if first != second:
        raise InvalidInput(
            f"the two networks do not belong together: {what} {first} and {second}; "
            "give the repaired copy of the same network"
        )


class _Merger:
    def __init__(self, first: NetworkSpec, shapes: Mapping[str, tuple[int | None, ...]]) -> None:
        self._first = first
        self._layers = list(first.layers)
        self._arrays = dict(first.arrays)
        self._shapes = shapes

    def spec(self) -> NetworkSpec:
        return replace(self._first, layers=tuple(self._layers), arrays=self._arrays, source=None)

    def add(self, layer: Layer, arrays: Mapping[str, Array], inputs: Sequence[_Value]) -> _Value:
        """The value of a layer of the second network, shared if it can be."""
        names = tuple(value.layer for value in inputs)
        silent = inputs[0].silent
        for twin in self._first.layers:
            if (twin.op, twin.inputs) != (layer.op, names) or twin.attributes != layer.attributes:
                continue
            if all(value.silent is None for value in inputs):
                found = self._compare(twin, arrays)
                if found is not None:
                    return found
            elif len(inputs) == 1 and silent is not None:
                passed = self._pass(twin, arrays, layer=layer, silent=silent)
                if passed is not None:
                    return _Value(twin.name, passed)
        return self._copy(layer, arrays, inputs)

    def settle(self, value: _Value, shape: tuple[int | None, ...]) -> str:
        """Name of a layer that holds the value with its silent channels at zero."""
        if value.silent is None:
            return value.layer
        keep = (~value.silent).astype(np.float32)
        name = self._free(value.layer + "_silenced")
        if len(shape) == 3:
            attributes = {"strides": (1, 1), "dilation": (1, 1), "groups": len(keep)}
            attributes |= {"padding": "valid", "activation": None}
            layer = Layer(name, "conv2d", (value.layer,), attributes)
            arrays: dict[str, Array] = {"weight": keep.reshape(-1, 1, 1, 1)}
        else:
            layer = Layer(name, "batch_norm", (value.layer,), {"epsilon": 0.0})
            arrays = {"gamma": keep, "mean": np.zeros_like(keep), "variance": np.ones_like(keep)}
        self._append(layer, arrays)
        return name

    def _compare(self, twin: Layer, arrays: Mapping[str, Array]) -> _Value | None:
        original = self._first.parameters(twin.name)
        if original.keys() != arrays.keys() or any(
            original[key].shape != arrays[key].shape for key in arrays
        ):
            return None
        if all(np.array_equal(original[key], arrays[key]) for key in arrays):
            return _Value(twin.name)
        silent = _silenced_in(twin, original, arrays)
        return None if silent is None else _Value(twin.name, silent)

    def _pass(
        self, twin: Layer, arrays: Mapping[str, Array], *, layer: Layer, silent: Mask
    ) -> Mask | None:
        if layer.op == "flatten":
            return _flatten_mask(silent, self._shapes[layer.inputs[0]], layer.attributes["order"])
        found = self._compare(twin, arrays)
        same = found is not None and found.silent is None
        zeros_stay = is_zero_preserving(layer.attributes.get("activation"))
        return silent if same and zeros_stay and layer.op in _PASSES_ZEROS else None

    def _copy(self, layer: Layer, arrays: Mapping[str, Array], inputs: Sequence[_Value]) -> _Value:
        silent = inputs[0].silent
        absorbs = layer.op == "dense" or (layer.op == "conv2d" and layer.attributes["groups"] == 1)
        if silent is not None and absorbs and arrays["weight"].shape[1] == len(silent):
            weight = arrays["weight"].copy()
            weight[:, silent] = 0
            arrays, names = {**arrays, "weight": weight}, [inputs[0].layer]
        else:
            names = [
                self.settle(value, self._shapes[name])
                for value, name in zip(inputs, layer.inputs, strict=True)
            ]
        copied = replace(layer, name=self._free(layer.name + "_repaired"), inputs=tuple(names))
        self._append(copied, arrays)
        return _Value(copied.name)

    def _append(self, layer: Layer, arrays: Mapping[str, Array]) -> None:
        self._layers.append(layer)
        self._arrays |= {f"{layer.name}/{key}": array for key, array in arrays.items()}

    def _free(self, name: str) -> str:
        taken = {layer.name for layer in self._layers}
        while name in taken:
            name += "_"
        return name


def _silenced_in(
    layer: Layer, original: Mapping[str, Array], arrays: Mapping[str, Array]
) -> Mask | None:
    """Channels that `arrays` silence, if that is all in which they differ from `original`."""
    keys = {
        "conv2d": ("weight", "bias"),
        "dense": ("weight", "bias"),
        "batch_norm": ("gamma", "beta"),
    }
    own = [key for key in keys.get(layer.op, ()) if key in arrays]
    if not own or (layer.op == "batch_norm" and "gamma" not in own):
        return None
    if not is_zero_preserving(layer.attributes.get("activation")):
        return None
    rows = {key: arrays[key].reshape(len(arrays[key]), -1) for key in own}
    silent = np.logical_and.reduce([(row == 0).all(1) for row in rows.values()])
    unchanged = all(
        np.array_equal(arrays[key][~silent], original[key][~silent])
        if key in own
        else np.array_equal(arrays[key], original[key])
        for key in arrays
    )
    return silent if unchanged else None


def _flatten_mask(silent: Mask, shape: Sequence[Any], order: str) -> Mask:
    if len(shape) != 3:
        return silent if len(shape) == 1 else np.repeat(silent, int(np.prod(shape[1:])))
    _, height, width = shape
    full = np.broadcast_to(silent[:, None, None], (len(silent), height, width))
    return (full.transpose(1, 2, 0) if order == "hwc" else full).reshape(-1)
