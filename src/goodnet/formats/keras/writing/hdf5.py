"""The arrays as HDF5, built in memory: the same network always gives the same bytes."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import TYPE_CHECKING

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.formats.keras.writing.graph import KerasGraph
    from goodnet.formats.spec import Array

__all__ = ["legacy_file", "weights_file"]

# Keras 2 as it was last, which is what the spelling of the file follows.
_LEGACY_VERSION = b"2.15.0"
# HDF5 keeps an attribute in the header of its object, which holds 64 KiB.
_HEADER_BYTES = 64512


def legacy_file(graph: KerasGraph, config: str) -> bytes:
    """A whole legacy model file: the architecture and all arrays."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        _write_versions(file)
        file.attrs["model_config"] = config.encode()
        group = file.create_group("model_weights")
        _write_versions(group)
        _write_names(group, "layer_names", [layer.name for layer in graph.layers])
        for layer in graph.layers:
            arrays = {f"{layer.name}/{name}:0": array for name, array in layer.step.weights}
            layer_group = group.create_group(layer.name)
            _write_names(layer_group, "weight_names", list(arrays))
            for path, array in arrays.items():
                _write_array(layer_group, path, array)
    return memory.getvalue()


def weights_file(graph: KerasGraph) -> bytes:
    """The `model.weights.h5` of a `.keras` archive: layers by class and count."""
    memory = io.BytesIO()
    seen: Counter[str] = Counter()
    with h5py.File(memory, "w") as file:
        file.create_group("vars").attrs["name"] = graph.name
        for layer in graph.layers:
            kind = _snake_case(layer.step.class_name)
            path = f"layers/{kind}_{seen[kind]}" if seen[kind] else f"layers/{kind}"
            seen[kind] += 1
            group = file.create_group(f"{path}/vars")
            group.attrs["name"] = layer.name
            for index, (_, array) in enumerate(layer.step.weights):
                _write_array(group, str(index), array)
    return memory.getvalue()


def _write_versions(group: h5py.Group) -> None:
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = _LEGACY_VERSION


def _write_array(group: h5py.Group, path: str, array: Array) -> None:
    group.create_dataset(path, data=np.ascontiguousarray(array, np.float32), track_times=False)


def _write_names(group: h5py.Group, attribute: str, names: Sequence[str]) -> None:
    """A list of names, as Keras spreads a long one over numbered attributes."""
    encoded = np.array([name.encode() for name in names])
    if encoded.nbytes <= _HEADER_BYTES:
        group.attrs[attribute] = encoded
        return
    step = _HEADER_BYTES // encoded.itemsize
    for index, start in enumerate(range(0, len(encoded), step)):
        group.attrs[f"{attribute}{index}"] = encoded[start : start + step]


def _snake_case(class_name: str) -> str:
    """As Keras turns a class into the name of a group.

    Example:
        >>> _snake_case("MaxPooling2D"), _snake_case("ReLU")
        ('max_pooling2d', 're_lu')
    """
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
