"""A network that grows layer by layer, its weights drawn from a seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import budgets
from goodnet.formats.shapes import infer
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec
from goodnet.preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goodnet.formats.shapes import Shape

__all__ = ["RELU", "SpecBuilder"]

RELU, _SOFTMAX = Activation("relu"), Activation("softmax")
# Keras' own.
_EPSILON = 1e-3


class SpecBuilder:
    """A network that grows layer by layer; what adds a layer returns the layer's name."""

    def __init__(
        self, name: str, shape: tuple[int, int, int], *, least: int, num_classes: int, seed: int
    ) -> None:
        """Start with `input` and `rescale`; an image has `least` pixels or more to each side."""
        _check(name, shape, least=least, num_classes=num_classes, seed=seed)
        self._name, self._num_classes = name, num_classes
        self._random = np.random.default_rng(seed)
        self._layers: list[Layer] = []
        self._arrays: dict[str, Array] = {}
        self._shapes: dict[str, Shape] = {}
        self.add("input", "input", shape=shape)
        self.add("rescale", "rescale", "input", scale=1 / 255, offset=-0.5)

    def finish(self, source: str) -> NetworkSpec:
        """The network, with a layer that answers behind `source`."""
        output = self.dense("output", source, self._num_classes, activation=_SOFTMAX)
        return NetworkSpec(
            tuple(self._layers),
            self._arrays,
            output,
            name=self._name,
            preprocessing=Preprocessing(255),
        )

    def channels(self, name: str) -> int:
        """Channels of a layer's picture, or features of its vector."""
        return self._shapes[name][0] or 0

    def conv(
        self, name: str, source: str, filters: int, *, size: int = 3, padding: str = "same"
    ) -> str:
        """A convolution with ReLU."""
        layer = _convolution(name, source, padding=padding, activation=RELU)
        return self._append(layer, self._linear(name, filters, self.channels(source), size, size))

    def normed_conv(self, name: str, source: str, filters: int, *, size: int = 3) -> str:
        """A convolution without bias and a BatchNorm behind it."""
        arrays = self._linear(name, filters, self.channels(source), size, size)
        self._append(_convolution(name, source), {"weight": arrays["weight"]})
        return self._append(
            Layer(f"{name}_bn", "batch_norm", (name,), {"epsilon": _EPSILON}),
            {
                "gamma": np.ones(filters, np.float32),
                "beta": np.zeros(filters, np.float32),
                "mean": np.zeros(filters, np.float32),
                "variance": np.ones(filters, np.float32),
            },
        )

    def dense(
        self, name: str, source: str, features: int, *, activation: Activation | None = None
    ) -> str:
        """A dense layer."""
        layer = Layer(name, "dense", (source,), {"activation": activation})
        return self._append(layer, self._linear(name, features, self.channels(source)))

    def max_pool(self, name: str, source: str) -> str:
        """The highest of each 2 x 2 pixels."""
        size = (2, 2)
        return self.add(name, "max_pool2d", source, pool=size, strides=size, padding="valid")

    def relu(self, name: str, source: str) -> str:
        """A ReLU by itself."""
        return self.add(name, "activation", source, activation=RELU)

    def flatten(self, name: str, source: str) -> str:
        """A picture as a vector, in the order of Keras."""
        return self.add(name, "flatten", source, order="hwc")

    def add(self, name: str, op: str, *inputs: str, **attributes: Any) -> str:
        """A layer without arrays."""
        return self._append(Layer(name, op, inputs, attributes), {})

    def _append(self, layer: Layer, arrays: Mapping[str, Array]) -> str:
        inputs = [self._shapes[name] for name in layer.inputs]
        sizes = {key: array.shape for key, array in arrays.items()}
        self._shapes[layer.name] = infer(layer, inputs, sizes)
        self._layers.append(layer)
        self._arrays |= {f"{layer.name}/{key}": array for key, array in arrays.items()}
        return layer.name

    def _linear(self, name: str, *shape: int) -> dict[str, Array]:
        budgets.check(4 * math.prod(shape), budgets.MODEL_BYTES, f"the weights of layer {name!r}")
        spread = np.float32(math.sqrt(2 / math.prod(shape[1:])))
        weight = self._random.standard_normal(shape, dtype=np.float32)
        return {"weight": spread * weight, "bias": np.zeros(shape[0], np.float32)}


def _convolution(
    name: str, source: str, *, padding: str = "same", activation: Activation | None = None
) -> Layer:
    fixed = {"strides": (1, 1), "dilation": (1, 1), "groups": 1}
    return Layer(name, "conv2d", (source,), fixed | {"padding": padding, "activation": activation})


def _check(
    name: str, shape: tuple[int, int, int], *, least: int, num_classes: int, seed: int
) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise InvalidInput(f"expected the shape (channels, height, width) of an image, got {shape}")
    if min(shape[1:]) < least:
        raise InvalidInput(
            f"the architecture {name!r} needs images of at least {least}x{least} pixels, "
            f"got {shape[2]}x{shape[1]}"
        )
    if num_classes < 2:
        raise InvalidInput(f"expected 2 classes or more to tell apart, got {num_classes}")
    if seed < 0:
        raise UsageError(f"expected a seed from 0, got {seed}")
