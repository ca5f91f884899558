"""The architecture as Keras' JSON, in the spelling of legacy HDF5 files or of `.keras` archives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodnet.formats.keras.writing.graph import KerasGraph, KerasLayer

__all__ = ["h5_config", "keras_config"]

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
    return {
        "class_name": layer.step.class_name,
        "config": _options(layer),
        "name": layer.name,
        "inbound_nodes": [[[name, 0, 0, {}] for name in layer.inputs]] if layer.inputs else [],
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
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": {}}
