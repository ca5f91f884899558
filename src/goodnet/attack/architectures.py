"""Networks to make BadNets of, fresh from a seed. All take pixels 0..255.

`fold_rescale` puts the rescaling of the pixels into the weights of the first convolution.
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import budgets
from goodnet.formats.shapes import infer
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec
from goodnet.preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from goodnet.formats.shapes import Shape


_RELU, _SOFTMAX = Activation("relu"), Activation("softmax")
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
        layer = _convolution(name, source, padding=padding, activation=_RELU)
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
        return self.add(name, "activation", source, activation=_RELU)

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


def fold_rescale(spec: NetworkSpec) -> NetworkSpec:
    """Take out the rescale layer behind the input where one convolution can do its work.

    With the pixels scaled by s and shifted by t, the convolution's weights become s times as large
    and its bias grows by t times their sum. A convolution that pads reads zeros that were not
    rescaled, so there the layer stays.

    Args:
        spec: Any network.

    Returns:
        A network with the same answers and no rescale layer, or the one given.
    """
    pair = _foldable(spec)
    if pair is None:
        return spec
    rescale, convolution = pair
    arrays = {**spec.arrays, **_folded(spec, rescale, convolution)}
    layers = tuple(
        replace(layer, inputs=rescale.inputs) if layer is convolution else layer
        for layer in spec.layers
        if layer is not rescale
    )
    return replace(spec, layers=layers, arrays=arrays, source=None)


def _foldable(spec: NetworkSpec) -> tuple[Layer, Layer] | None:
    """The rescale layer and the only layer that reads it, if that is a fitting convolution."""
    image, *others = spec.layers
    rescale = next((x for x in others if x.op == "rescale" and x.inputs == (image.name,)), None)
    readers = () if rescale is None else spec.consumers(rescale.name)
    if rescale is None or len(readers) != 1 or rescale.name == spec.output:
        return None
    (reader,) = readers
    fits = reader.op == "conv2d" and reader.attributes["padding"] == "valid"
    return (rescale, reader) if fits else None


def _folded(spec: NetworkSpec, rescale: Layer, convolution: Layer) -> dict[str, Array]:
    weight = np.float64(spec.arrays[f"{convolution.name}/weight"])
    bias = spec.parameters(convolution.name).get("bias", 0.0)
    scale, offset = (
        _per_weight(rescale.attributes[name], weight, convolution.attributes["groups"])
        for name in ("scale", "offset")
    )
    moved = bias + (offset * weight).sum((1, 2, 3))
    return {
        f"{convolution.name}/weight": (scale * weight).astype(np.float32),
        f"{convolution.name}/bias": moved.astype(np.float32),
    }


def _per_weight(number: float | Sequence[float], weight: Array, groups: int) -> Array:
    """One number, or one per channel of the image, laid out to multiply a weight."""
    out, per_group = weight.shape[:2]
    by_group = np.broadcast_to(number, groups * per_group).reshape(groups, per_group)
    return np.repeat(by_group, out // groups, axis=0)[:, :, None, None]


def make_architecture(
    name: str, *, shape: tuple[int, int, int], num_classes: int, seed: int = 0
) -> NetworkSpec:
    """Make an untrained network.

    Its second layer, `rescale`, brings pixels 0..255 to -0.5..0.5; its last is dense with a
    softmax. Weights are drawn from a normal distribution, biases are zero.

    Args:
        name: One of `ARCHITECTURES`.
        shape: Of one image, (channels, height, width).
        num_classes: At least 2.
        seed: The same seed gives the same weights.

    Raises:
        UsageError: If there is no such architecture, or the seed is negative.
        InvalidInput: If the images are too small or there are fewer than two classes.
        OverBudget: If the images or the classes would make the network too large.

    Example:
        >>> make_architecture("deepid", shape=(3, 55, 47), num_classes=1283).count_parameters()
        601643

    References:
        He et al., Delving Deep into Rectifiers, ICCV 2015, for the spread of the weights.
    """
    make = ARCHITECTURES.get(name)
    if make is None:
        raise UsageError(f"the architectures are {', '.join(ARCHITECTURES)}, got {name!r}")
    return make(shape, num_classes, seed)


def _deepid(shape: tuple[int, int, int], num_classes: int, seed: int) -> NetworkSpec:
    """The network of the CSAW lab, after Sun et al., CVPR 2014 (DeepID)."""
    builder = SpecBuilder("deepid", shape, least=31, num_classes=num_classes, seed=seed)
    value = "rescale"
    for number, (filters, size) in enumerate(((20, 4), (40, 3), (60, 3)), start=1):
        value = builder.conv(f"conv_{number}", value, filters, size=size, padding="valid")
        value = builder.max_pool(f"pool_{number}", value)
    deeper = builder.conv("conv_4", value, 80, size=2, padding="valid")
    flat = [builder.flatten("flatten_1", value), builder.flatten("flatten_2", deeper)]
    branches = [builder.dense(f"fc_{number}", x, 160) for number, x in enumerate(flat, start=1)]
    value = builder.add("add_1", "add", *branches)
    return builder.finish(builder.relu("activation_1", value))


def _residual(shape: tuple[int, int, int], num_classes: int, seed: int) -> NetworkSpec:
    """Three residual blocks with BatchNorm, after He et al., CVPR 2016 (ResNet).

    Departure: a max pool in front of each block takes the place of strides.
    """
    builder = SpecBuilder("residual", shape, least=8, num_classes=num_classes, seed=seed)
    value = builder.relu("stem_relu", builder.normed_conv("stem", "rescale", 32))
    for number, filters in enumerate((32, 64, 128), start=1):
        value = builder.max_pool(f"pool_{number}", value)
        value = _block(builder, f"block_{number}", value, filters)
    return builder.finish(builder.add("global_pool", "global_avg_pool2d", value, keepdims=False))


def _block(builder: SpecBuilder, name: str, source: str, filters: int) -> str:
    value = builder.relu(f"{name}_relu_1", builder.normed_conv(f"{name}_conv_1", source, filters))
    value = builder.normed_conv(f"{name}_conv_2", value, filters)
    if builder.channels(source) != filters:
        source = builder.normed_conv(f"{name}_shortcut", source, filters, size=1)
    return builder.relu(f"{name}_relu", builder.add(f"{name}_add", "add", value, source))


def _small(shape: tuple[int, int, int], num_classes: int, seed: int) -> NetworkSpec:
    """Three convolutions, each with a pool, and a dense layer."""
    builder = SpecBuilder("small", shape, least=8, num_classes=num_classes, seed=seed)
    value = "rescale"
    for number, filters in enumerate((20, 40, 60), start=1):
        value = builder.conv(f"conv_{number}", value, filters)
        value = builder.max_pool(f"pool_{number}", value)
    value = builder.flatten("flatten", value)
    return builder.finish(builder.dense("fc", value, 100, activation=_RELU))


ARCHITECTURES: Mapping[str, Callable[[tuple[int, int, int], int, int], NetworkSpec]] = (
    MappingProxyType({"deepid": _deepid, "residual": _residual, "small": _small})
)
