"""Small networks and sets of images for tests, made from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec
from goodnet.formats.torch import wrap
from goodnet.network import Network

Image = NDArray[np.float32]

RELU = Activation("relu")
SOFTMAX = Activation("softmax")


def conv(
    name: str, inputs: str, *, activation: Activation | None = RELU, padding: str = "same"
) -> Layer:
    attributes: dict[str, Any] = {"strides": (1, 1), "dilation": (1, 1), "groups": 1}
    attributes |= {"padding": padding, "activation": activation}
    return Layer(name, "conv2d", (inputs,), attributes)


def pool(name: str, inputs: str, op: str = "max_pool2d") -> Layer:
    return Layer(name, op, (inputs,), {"pool": (2, 2), "strides": (2, 2), "padding": "valid"})


def dense(name: str, inputs: str, *, activation: Activation | None = None) -> Layer:
    return Layer(name, "dense", (inputs,), {"activation": activation})


def flatten(name: str, inputs: str, order: str = "hwc") -> Layer:
    return Layer(name, "flatten", (inputs,), {"order": order})


def image(channels: int = 3, size: int = 8) -> Layer:
    return Layer("input", "input", (), {"shape": (channels, size, size)})


class Weights:
    """Random arrays from one seed, by layer."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.arrays: dict[str, Array] = {}

    def normal(self, *shape: int) -> Array:
        return self._random.normal(size=shape).astype(np.float32)

    def linear(self, name: str, *shape: int) -> None:
        scale = np.float32(np.sqrt(np.prod(shape[1:])))
        self.arrays[f"{name}/weight"] = self.normal(*shape) / scale
        self.arrays[f"{name}/bias"] = 0.1 * self.normal(shape[0])

    def batch_norm(self, name: str, channels: int) -> None:
        self.arrays[f"{name}/gamma"] = 3 * self.normal(channels)
        self.arrays[f"{name}/beta"] = self.normal(channels)
        self.arrays[f"{name}/mean"] = self.normal(channels)
        self.arrays[f"{name}/variance"] = np.abs(self.normal(channels)) + 0.1


def plain_spec(seed: int = 0, *, classes: int = 5, order: str = "hwc") -> NetworkSpec:
    """conv, pool, conv, pool, dense: the last pooling layer is `pool_2`, 6 channels of 2 x 2."""
    weights = Weights(seed)
    weights.linear("conv_1", 4, 3, 3, 3)
    weights.linear("conv_2", 6, 4, 3, 3)
    weights.linear("output", classes, 24)
    layers = (
        image(),
        conv("conv_1", "input"),
        pool("pool_1", "conv_1"),
        conv("conv_2", "pool_1"),
        pool("pool_2", "conv_2"),
        flatten("flatten", "pool_2", order),
        dense("output", "flatten", activation=SOFTMAX),
    )
    return NetworkSpec(layers, weights.arrays, "output")


def deepid_spec(seed: int = 0, *, classes: int = 5) -> NetworkSpec:
    """The CSAW form in small: the last pooling layer feeds a dense layer and a convolution."""
    weights = Weights(seed)
    weights.linear("conv_1", 6, 3, 3, 3)
    weights.linear("conv_2", 4, 6, 3, 3)
    weights.linear("fc_1", 7, 96)
    weights.linear("fc_2", 7, 64)
    weights.linear("output", classes, 7)
    layers = (
        image(),
        conv("conv_1", "input"),
        pool("pool_1", "conv_1"),
        conv("conv_2", "pool_1"),
        flatten("flatten_1", "pool_1"),
        flatten("flatten_2", "conv_2"),
        dense("fc_1", "flatten_1"),
        dense("fc_2", "flatten_2"),
        Layer("add_1", "add", ("fc_1", "fc_2")),
        Layer("activation_1", "activation", ("add_1",), {"activation": RELU}),
        dense("output", "activation_1", activation=SOFTMAX),
    )
    return NetworkSpec(layers, weights.arrays, "output")


def residual_spec(seed: int = 0, *, classes: int = 5) -> NetworkSpec:
    """BatchNorm, a residual Add, and a global average pool behind it."""
    weights = Weights(seed)
    weights.linear("stem", 6, 3, 3, 3)
    weights.batch_norm("stem_bn", 6)
    weights.linear("conv", 6, 6, 3, 3)
    weights.batch_norm("bn", 6)
    weights.linear("output", classes, 6)
    layers = (
        image(),
        conv("stem", "input", activation=None),
        Layer("stem_bn", "batch_norm", ("stem",), {"epsilon": 1e-3}),
        Layer("stem_relu", "activation", ("stem_bn",), {"activation": RELU}),
        conv("conv", "stem_relu", activation=None),
        Layer("bn", "batch_norm", ("conv",), {"epsilon": 1e-3}),
        Layer("add", "add", ("bn", "stem_relu")),
        Layer("relu", "activation", ("add",), {"activation": RELU}),
        Layer("gap", "global_avg_pool2d", ("relu",), {"keepdims": False}),
        dense("output", "gap", activation=SOFTMAX),
    )
    return NetworkSpec(layers, weights.arrays, "output")


SPECS = {"plain": plain_spec, "deepid": deepid_spec, "residual": residual_spec}


def pictures(count: int, seed: int = 0, *, channels: int = 3, size: int = 8) -> Image:
    """Random images, many of whose pixels are zero, so that channels fall silent on some."""
    random = np.random.default_rng(seed)
    colour = random.uniform(-0.7, 0.7, size=(count, channels, 1, 1))
    values = colour + random.uniform(-0.3, 0.3, size=(count, channels, size, size))
    shown = random.random((count, 1, size, size)) < random.random((count, 1, 1, 1))
    return np.where(shown, values, 0.0).astype(np.float32)


class Residual(nn.Module):
    """A module of the user's own, with BatchNorm, a skip and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        value = F.relu(self.stem(images))
        value = value + self.body(value)
        value = F.adaptive_avg_pool2d(value, 1).flatten(1)
        result: Tensor = self.head(self.drop(value))
        return result


def module_network() -> Network:
    torch.manual_seed(0)
    return wrap(Residual(), (3, 8, 8))
