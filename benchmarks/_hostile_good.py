"""The good files that hostile ones are made from, and small Keras files written by hand."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from PIL import Image

from goodnet import load

__all__ = [
    "PLAIN",
    "changed",
    "conv",
    "dense",
    "good_files",
    "image",
    "layer",
    "sequential",
    "small_layers",
    "write_keras",
    "write_legacy",
    "write_small",
]

Config = dict[str, Any]
Arrays = dict[str, Any]

_SETS = "../good/model.h5 --clean ../good/clean.h5 --scale 1/255"
# Each command on good files, run in the folder `good`; `report` needs the run that `prune` leaves.
PLAIN = {
    "inspect": "inspect ../good/model.h5",
    "show": "show ../good/clean.h5 --force",
    "predict": "predict ../good/model.h5 ../good/one.png --scale 1/255",
    "evaluate": f"evaluate {_SETS}",
    "prune": f"prune {_SETS} --test ../good/clean.h5 --out RUN --force",
    "report": "report RUN --force",
    "repair fine-tune": f"repair fine-tune {_SETS} --out FT --force --epochs 1",
    "repair unlearn": f"repair unlearn {_SETS} --out UL --force --epochs 1 --trigger trigger.npz",
}


def good_files(folder: Path) -> None:
    """Write a network, images that it labels itself, a picture and a trigger."""
    write_small(folder / "model.h5")
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (200, 8, 8, 3)) * random.random((200, 1, 1, 3))
    images = pixels.astype(np.uint8)
    network = load(folder / "model.h5")
    given = torch.from_numpy(np.moveaxis(images, -1, 1).copy()) / 255
    answers = network(given).argmax(1).numpy()
    for name, labels in (("clean", answers), ("three", np.arange(200) % 3)):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"], file["label"] = images, labels.astype(np.uint8)
    Image.fromarray(images[0]).save(folder / "one.png")
    np.savez(folder / "trigger.npz", mask=np.eye(8), pattern=np.ones((3, 8, 8), np.uint8))


def layer(kind: str, name: str, **config: Any) -> Config:
    """A layer as Keras 2 writes it."""
    return {"class_name": kind, "config": {"name": name, **config}}


def image() -> Config:
    """The input: 8 x 8 pixels of three colours."""
    return layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3])


def conv(**config: Any) -> Config:
    """The convolution of the small network."""
    settings = {"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid"}
    settings |= {"data_format": "channels_last", "activation": "relu"}
    return layer("Conv2D", "conv", **{**settings, **config})


def dense(name: str = "answer", **config: Any) -> Config:
    """The last layer of the small network, or another dense one."""
    return layer("Dense", name, **{"units": 5, "activation": "softmax", **config})


def small_layers() -> list[Config]:
    """Convolution, normalisation, pooling, and an answer of 5 classes."""
    pool = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}
    return [
        image(),
        conv(),
        layer("BatchNormalization", "norm", axis=[3], epsilon=0.001),
        layer("MaxPooling2D", "pool", data_format="channels_last", **pool),
        layer("Flatten", "flat", data_format="channels_last"),
        dense(),
    ]


def sequential(layers: Sequence[Config]) -> Config:
    """A model that is a chain of layers."""
    return {"class_name": "Sequential", "config": {"name": "net", "layers": list(layers)}}


def small_arrays() -> Arrays:
    """The numbers of the small network: layer/weight -> array."""
    random = np.random.default_rng(0)
    shapes = {"conv/kernel": (3, 3, 3, 4), "conv/bias": (4,), "norm/gamma": (4,)}
    shapes |= {"norm/beta": (4,), "norm/moving_mean": (4,), "norm/moving_variance": (4,)}
    shapes |= {"answer/kernel": (36, 5), "answer/bias": (5,)}
    positive = ("gamma", "variance")
    return {
        key: (abs(value) + 0.1 if key.endswith(positive) else value).astype(np.float32)
        for key, shape in shapes.items()
        for value in [random.normal(size=shape)]
    }


def write_legacy(path: Path, model: Config | str, arrays: Mapping[str, Any]) -> None:
    """A legacy HDF5 file with the given configuration and numbers."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = model if isinstance(model, str) else json.dumps(model)
        file.attrs["keras_version"] = "2.4.0"
        weights = file.create_group("model_weights")
        names = list(dict.fromkeys(key.split("/")[0] for key in arrays))
        weights.attrs["layer_names"] = np.array(names, dtype="S")
        for name in names:
            own = [f"{key}:0" for key in arrays if key.split("/")[0] == name]
            weights.create_group(name).attrs["weight_names"] = np.array(own, dtype="S")
        for key, array in arrays.items():
            weights[f"{key.split('/')[0]}/{key}:0"] = array


def write_small(path: Path, model: Config | str | None = None) -> None:
    """The small network as a legacy file; `model` replaces its configuration."""
    write_legacy(path, sequential(small_layers()) if model is None else model, small_arrays())


def write_keras(
    path: Path,
    config: Config | str,
    fill: Callable[[h5py.File], object] = lambda _: None,
    *,
    more: Mapping[str, bytes] | None = None,
) -> None:
    """A `.keras` archive whose HDF5 file is what `fill` makes of an empty one."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        fill(file)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", '{"keras_version": "2.13.1"}')
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.writestr("model.weights.h5", memory.getvalue())
        for name, data in (more or {}).items():
            archive.writestr(name, data)


def changed(folder: Path, change: Callable[[h5py.File], object]) -> None:
    """The good network as `x.h5`, with a change."""
    write_small(folder / "x.h5")
    with h5py.File(folder / "x.h5", "r+") as file:
        change(file)
