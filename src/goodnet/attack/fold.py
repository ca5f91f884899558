"""A network's rescaling of its pixels, folded into the weights of its first convolution."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.formats.spec import Array, Layer, NetworkSpec

__all__ = ["fold_rescale"]


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
