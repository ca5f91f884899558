"""Networks to make BadNets of, fresh from a seed. All take pixels 0..255.

`fold` puts the rescaling of the pixels into the weights of the first convolution.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from goodnet.attack.spec_builder import RELU, SpecBuilder
from goodnet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from goodnet.formats.spec import Array, Layer, NetworkSpec

__all__ = ["ARCHITECTURES", "fold_rescale", "make_architecture"]


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
    return builder.finish(builder.dense("fc", value, 100, activation=RELU))


ARCHITECTURES: Mapping[str, Callable[[tuple[int, int, int], int, int], NetworkSpec]] = (
    MappingProxyType({"deepid": _deepid, "residual": _residual, "small": _small})
)
