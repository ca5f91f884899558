"""Write a network as a Keras file made of built-in layers, without Keras.

`.keras` files load in Keras 3 with safe mode on; `.h5` files in Keras 2 and 3. Values are channels
last. The same network always gives the same bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from goodnet.errors import UsageError
from goodnet.files import atomic_path
from goodnet.formats.keras.graph import KerasGraph, KerasLayer, keras_graph, snake_case
from goodnet.formats.spec import Array, NetworkSpec

# Keras 2 as it was last, which is what the spelling of the file follows.
_LEGACY_VERSION = b"2.15.0"
# How a `.keras` file calls layers within a layer.
_WITHIN = {name: f"{name}_dense" for name in ("query", "key", "value")}
_WITHIN["attention_output"] = "output_dense"
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
            kind = snake_case(layer.step.class_name)
            path = f"layers/{kind}_{seen[kind]}" if seen[kind] else f"layers/{kind}"
            seen[kind] += 1
            group = file.create_group(f"{path}/vars")
            group.attrs["name"] = layer.name
            inside: Counter[str] = Counter()
            for name, array in layer.step.weights:
                inner = name.rpartition("/")[0]
                place = file.require_group(f"{path}/{_WITHIN[inner]}/vars") if inner else group
                _write_array(place, str(inside[inner]), array)
                inside[inner] += 1
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


Json = dict[str, Any]


def h5_config(graph: KerasGraph) -> Json:
    """The `model_config` of an HDF5 file, such that Keras 2 and Keras 3 read it.

    "Model" is the class name that every Keras from 2.0 on takes for a functional model.
    """
    return {"class_name": "Model", "config": _model(graph, _h5_layer)}


def keras_config(graph: KerasGraph) -> Json:
    """The `config.json` of a `.keras` archive."""
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": _model(graph, _keras_layer),
        "registered_name": "Functional",
    }


def _model(graph: KerasGraph, layer: Callable[[KerasLayer], Json]) -> Json:
    return {
        "name": graph.name,
        "trainable": True,
        "layers": [layer(x) for x in graph.layers],
        "input_layers": [[graph.layers[0].name, 0, 0]],
        "output_layers": [[graph.output, 0, 0]],
    }


def _options(layer: KerasLayer) -> Json:
    return {"name": layer.name, "dtype": "float32", **layer.step.config}


def _h5_layer(layer: KerasLayer) -> Json:
    """As Keras 2 writes it, but where the ways of Keras 2 and 3 to name values part."""
    node: Any = [[name, 0, 0, {}] for name in layer.inputs]
    return {
        "class_name": layer.step.class_name,
        "config": _options(layer),
        "name": layer.name,
        "inbound_nodes": [_keras_node(layer) if layer.step.apart else node] if node else [],
    }


def _keras_layer(layer: KerasLayer) -> Json:
    return {
        "module": "keras.layers",
        "class_name": layer.step.class_name,
        "config": _options(layer),
        "registered_name": None,
        "name": layer.name,
        "inbound_nodes": [_keras_node(layer)] if layer.inputs else [],
    }


def _keras_node(layer: KerasLayer) -> Json:
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": [name, 0, 0]},
        }
        for name in layer.inputs
    ]
    one_by_one = len(tensors) == 1 or layer.step.apart
    return {"args": tensors if one_by_one else [tensors], "kwargs": {}}


# The first Keras that reads what is written here.
_KERAS_VERSION = "3.0.0"
# The earliest date a zip archive can say; a real one would make every file different.
_DATE = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = 0o600 << 16


def write(spec: NetworkSpec, destination: Path, *, force: bool = False) -> None:
    """Write a network; the suffix says as what.

    Args:
        spec: The network.
        destination: A name that ends in `.keras` (Keras 3) or `.h5` (Keras 2 and 3).
        force: Replace an existing file.

    Raises:
        UsageError: If the suffix is another one, or the file exists and `force` is not given.
        InvalidInput: If the network's layers do not fit together or built-in layers cannot say
            what one of them does.
        FileError: If the system refuses to write.
    """
    suffix = destination.suffix.lower()
    if suffix not in _WRITERS:
        raise UsageError(
            f"a model is written as {' or '.join(_WRITERS)}, got the file name {destination.name!r}"
        )
    content = _WRITERS[suffix](spec)
    with atomic_path(destination, force=force) as path:
        path.write_bytes(content)


def _h5_bytes(spec: NetworkSpec) -> bytes:
    graph = keras_graph(spec, "h5")
    return legacy_file(graph, json.dumps(h5_config(graph), allow_nan=False))


def _keras_bytes(spec: NetworkSpec) -> bytes:
    graph = keras_graph(spec, "keras")
    members = {
        "metadata.json": json.dumps({"keras_version": _KERAS_VERSION}).encode(),
        "config.json": json.dumps(keras_config(graph), allow_nan=False).encode(),
        "model.weights.h5": weights_file(graph),
    }
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system, info.external_attr = 3, _PLAIN_FILE
            archive.writestr(info, content)
    return memory.getvalue()


_WRITERS = {".keras": _keras_bytes, ".h5": _h5_bytes}
