"""The network of the lab: the real file where it is at hand, else its shape with random weights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from goodnet.formats import load_network
from goodnet.formats.build import build
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec

__all__ = ["CLASSES", "CONVOLUTION", "POOL", "SHAPE", "draw_deepid", "shared_data"]

SHAPE, CLASSES = (3, 55, 47), 1283
CONVOLUTION, POOL = "conv_3", "pool_3"

# On how large a share of the images each of the 60 channels of the real network is not zero.
_ACTIVE = np.concatenate([np.zeros(33), np.linspace(0.05, 0.98, 19), np.ones(8)])


def shared_data() -> Path | None:
    """The folder of real networks and images beside the project, or None."""
    named = os.environ.get("GOODNET_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


def draw_deepid(path: Path, faces: Array, *, seed: int = 0) -> None:
    """Write a DeepID with random weights as a Keras file.

    The biases of its third convolution are such that its channels are as often zero on `faces`
    as those of the real network are, for that is what pruning it costs.
    """
    spec = _random_deepid(np.random.default_rng(seed))
    cut = build(_without_activation(spec)).cut(POOL)
    with torch.inference_mode():
        highest = cut.head(torch.from_numpy(faces))[0].amax((2, 3)).numpy()
    bias = -np.array(
        [np.quantile(column, 1 - share) for column, share in zip(highest.T, _ACTIVE, strict=True)]
    )
    bias += np.where(_ACTIVE == 0, -1.0, 0.0) + np.where(_ACTIVE == 1, 1.0, 0.0)
    spec = spec.with_arrays({f"{CONVOLUTION}/bias": bias.astype(np.float32)})
    build(spec).save(path)
    load_network(path)


def _random_deepid(random: np.random.Generator) -> NetworkSpec:
    layers = [Layer("input", "input", (), {"shape": SHAPE})]
    arrays: dict[str, Array] = {}
    previous, channels = "input", SHAPE[0]
    for number, (filters, size) in enumerate(((20, 4), (40, 3), (60, 3), (80, 2)), start=1):
        name = f"conv_{number}"
        layers.append(_convolution(name, previous))
        arrays |= _weights(random, name, (filters, channels, size, size))
        previous, channels = name, filters
        if number < 4:
            previous = f"pool_{number}"
            layers.append(_pool(previous, name))
    arrays["conv_1/weight"] /= 255
    for number, (source, features) in enumerate(((POOL, 1200), ("conv_4", 960)), start=1):
        flat, dense = f"flatten_{number}", f"fc_{number}"
        layers += [Layer(flat, "flatten", (source,), {"order": "hwc"}), _dense(dense, flat, None)]
        arrays |= _weights(random, dense, (160, features))
    layers += [
        Layer("add_1", "add", ("fc_1", "fc_2")),
        Layer("activation_1", "activation", ("add_1",), {"activation": Activation("relu")}),
        _dense("output", "activation_1", Activation("softmax")),
    ]
    arrays |= _weights(random, "output", (CLASSES, 160))
    return NetworkSpec(tuple(layers), arrays, "output", name="deepid")


def _weights(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> dict[str, Array]:
    weight = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return {
        f"{name}/weight": weight.astype(np.float32),
        f"{name}/bias": np.zeros(shape[0], np.float32),
    }


def _convolution(name: str, source: str) -> Layer:
    attributes = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": "valid"}
    return Layer(name, "conv2d", (source,), {**attributes, "activation": Activation("relu")})


def _pool(name: str, source: str) -> Layer:
    attributes = {"pool": (2, 2), "strides": (2, 2), "padding": "valid"}
    return Layer(name, "max_pool2d", (source,), attributes)


def _dense(name: str, source: str, activation: Activation | None) -> Layer:
    return Layer(name, "dense", (source,), {"activation": activation})


def _without_activation(spec: NetworkSpec) -> NetworkSpec:
    layers = tuple(_linear(layer) if layer.name == CONVOLUTION else layer for layer in spec.layers)
    return NetworkSpec(layers, spec.arrays, spec.output)


def _linear(layer: Layer) -> Layer:
    return Layer(layer.name, layer.op, layer.inputs, {**layer.attributes, "activation": None})
