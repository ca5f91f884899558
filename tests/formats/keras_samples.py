"""Keras files of all ages made by hand, for tests: no version of Keras is needed to write them."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from goodnet.formats.spec import Array

Config = dict[str, Any]

# What the small network holds: layer -> weight -> shape in the file, in Keras' order.
WEIGHTS: dict[str, dict[str, tuple[int, ...]]] = {
    "conv": {"kernel": (3, 3, 3, 4), "bias": (4,)},
    "norm": {"gamma": (4,), "beta": (4,), "moving_mean": (4,), "moving_variance": (4,)},
    "answer": {"kernel": (36, 5), "bias": (5,)},
}
# Names in the file and in the spec.
KEYS = {
    "conv/kernel": "conv/weight",
    "conv/bias": "conv/bias",
    "norm/gamma": "norm/gamma",
    "norm/beta": "norm/beta",
    "norm/moving_mean": "norm/mean",
    "norm/moving_variance": "norm/variance",
    "answer/kernel": "answer/weight",
    "answer/bias": "answer/bias",
}


def small_arrays(seed: int = 0) -> dict[str, Array]:
    """The weights of the small network as a file has them: "conv/kernel" -> array."""
    random = np.random.default_rng(seed)
    return {
        f"{layer}/{name}": random.normal(size=shape).astype(np.float32) ** 2
        for layer, weights in WEIGHTS.items()
        for name, shape in weights.items()
    }


def layer(kind: str, name: str, **config: Any) -> Config:
    """A layer as Keras 2 writes it."""
    settings = {"name": name, "trainable": True, "dtype": "float32", **config}
    return {"class_name": kind, "config": settings}


def conv(name: str = "conv", **config: Any) -> Config:
    settings = {
        "filters": 4,
        "kernel_size": [3, 3],
        "strides": [1, 1],
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "activation": "relu",
        "use_bias": True,
        "kernel_initializer": {"class_name": "VarianceScaling", "config": {"seed": None}},
        "kernel_regularizer": None,
    }
    return layer("Conv2D", name, **(settings | config))


def dense(name: str = "answer", **config: Any) -> Config:
    return layer("Dense", name, **{"units": 5, "activation": "softmax", "use_bias": True, **config})


def small_layers() -> list[Config]:
    """Image (8, 8, 3), convolution, normalisation, pooling, answer of 5 classes."""
    return [
        layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3], sparse=False),
        conv(),
        layer("BatchNormalization", "norm", axis=[3], epsilon=0.001, center=True, scale=True),
        layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], padding="valid",
              data_format="channels_last"),
        layer("Dropout", "drop", rate=0.5, noise_shape=None, seed=None),
        layer("Flatten", "flat", data_format="channels_last"),
        dense(),
    ]  # fmt: skip


def functional(
    layers: Sequence[Config], *, name: str = "model_1", kind: str = "Functional"
) -> Config:
    """A chain of layers as a functional model of Keras 2."""
    chain: list[Config] = []
    before = None
    for item in layers:
        own = item["config"]["name"]
        nodes: list[Any] = [] if before is None else [[[before, 0, 0, {}]]]
        chain.append({**item, "name": own, "inbound_nodes": nodes})
        before = own
    first = layers[0]["config"]["name"]
    config = {
        "name": name,
        "layers": chain,
        "input_layers": [[first, 0, 0]],
        "output_layers": [[before, 0, 0]],
    }
    return {"class_name": kind, "config": config}


def sequential(layers: Sequence[Config], *, name: str = "sequential_1") -> Config:
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def small_model() -> Config:
    return functional(small_layers())


Groups = dict[str, list[tuple[str, "Array"]]]


def legacy_groups(arrays: Mapping[str, Array], *, pattern: str = "{layer}/{name}:0") -> Groups:
    """Arrays by layer, with the name each has in its group."""
    groups: Groups = {}
    for key, array in arrays.items():
        own, _, name = key.rpartition("/")
        groups.setdefault(own, []).append((pattern.format(layer=own, name=name), array))
    return groups


def write_legacy(
    path: Path,
    model: Config | str | bytes | None,
    groups: Groups,
    *,
    root: str = "model_weights",
    version: str | None = "2.4.0",
    parts: int = 1,
    fixed: bool = True,
) -> Path:
    """A legacy HDF5 file.

    Args:
        path: Where to write it.
        model: The configuration; None for a file of weights alone (then `root` is "").
        groups: Of weights.
        root: The group that holds them.
        version: Of Keras.
        parts: Split the lists of names into so many attributes.
        fixed: Names in strings of fixed length, as h5py wrote them before 3.0.
    """
    with h5py.File(path, "w") as file:
        if model is not None:
            text = json.dumps(model) if isinstance(model, dict) else model
            file.attrs["model_config"] = text
        if version:
            file.attrs["keras_version"] = version
            file.attrs["backend"] = "tensorflow"
        holder = file.create_group(root) if root else file
        _write_names(holder, "layer_names", list(groups), parts=parts, fixed=fixed)
        for name, weights in groups.items():
            group = holder.require_group(name)
            listed = [weight for weight, _ in weights]
            _write_names(group, "weight_names", listed, parts=parts, fixed=fixed)
            for weight, array in weights:
                group.create_dataset(weight, data=array)
    return path


def _write_names(
    group: h5py.Group, name: str, values: list[str], *, parts: int, fixed: bool
) -> None:
    data = np.array([value.encode() for value in values], dtype="S")
    if not fixed:
        group.attrs.create(name, values, dtype=h5py.string_dtype())
    elif parts == 1:
        group.attrs[name] = data
    else:
        for index, part in enumerate(np.array_split(data, parts)):
            group.attrs[f"{name}{index}"] = part


def write_small(path: Path, model: Config | str | bytes | None = None, **more: Any) -> Path:
    """The small network as a legacy file; `model` replaces its configuration."""
    groups = legacy_groups(small_arrays())
    return write_legacy(path, small_model() if model is None else model, groups, **more)


def write_keras(
    path: Path,
    config: Config | bytes,
    arrays: Mapping[str, Array],
    *,
    version: str = "2.13.1",
    more: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """A `.keras` archive with the given data sets inside."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    with zipfile.ZipFile(path, "w", compression) as archive:
        metadata = {"keras_version": version, "date_saved": "2023-07-01@12:00:00"}
        archive.writestr("metadata.json", json.dumps(metadata))
        text = config if isinstance(config, bytes) else json.dumps(config).encode()
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", memory.getvalue())
        for name, data in (more or {}).items():
            archive.writestr(name, data)
    return path


def native_arrays(
    container: str = "layers", numbers: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """The small network's weights under the paths of a `.keras` archive."""
    classes = {"conv": "conv2d", "norm": "batch_normalization", "answer": "dense"}
    arrays, found = small_arrays(), {}
    for own, weights in WEIGHTS.items():
        number = (numbers or {}).get(own, 0)
        place = classes[own] + (f"_{number}" if number else "")
        for index, name in enumerate(weights):
            found[f"{container}/{place}/vars/{index}"] = arrays[f"{own}/{name}"]
    return found
