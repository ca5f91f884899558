"""ConvNeXT and ConvNeXT V2.

References:
    Liu et al., "A ConvNet for the 2020s", 2022. Woo et al., "ConvNeXt V2: Co-designing and Scaling
    ConvNets with Masked Autoencoders", 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from msgspec import Meta

from goodnet.formats.hugging_face.drawing import Conv, Drawing, Place, Value
from goodnet.formats.hugging_face.family import (
    Count,
    Counts,
    Epsilon,
    Family,
    Side,
    Sides,
    Widths,
    activation,
    alike,
    lengths,
)
from goodnet.ops.op import PICTURE

# Of all normalizations but the last.
_EPSILON = 1e-6
_WIDER = 4
_FIRST, _SECOND = "convnext", "convnextv2"


@dataclass(frozen=True)
class _ConvNext:
    """Of both; the second has no scale at the end of a block."""

    num_channels: Side = 3
    patch_size: Sides = 4
    num_stages: Count = 4
    hidden_sizes: Widths = (96, 192, 384, 768)
    depths: Counts = (3, 3, 9, 3)
    hidden_act: str = "gelu"
    layer_norm_eps: Epsilon = 1e-12
    layer_scale_init_value: Annotated[float, Meta(ge=0)] = 1e-6
    image_size: Sides = 224


def _draw(config: _ConvNext, classes: int, *, root: str) -> Drawing:
    stages = (None,) * config.num_stages
    alike(hidden_sizes=config.hidden_sizes, depths=config.depths, num_stages=stages)
    drawing = Drawing(lengths(config.image_size, "image_size"))
    patch = lengths(config.patch_size, "patch_size")
    conv = Conv(config.hidden_sizes[0], patch, patch, padding="valid", bias=True)
    value, path = drawing.image(config.num_channels), f"{root}.embeddings"
    value = drawing.conv(value, f"{path}.patch_embeddings", conv)
    value = drawing.layer_norm(value, f"{path}.layernorm", epsilon=_EPSILON, rank=PICTURE)
    for stage, width in enumerate(config.hidden_sizes):
        path = f"{root}.encoder.stages.{stage}"
        if stage:
            value = _narrowed(drawing, value, f"{path}.downsampling_layer", width)
        for place in range(config.depths[stage]):
            value = _block(drawing, value, f"{path}.layers.{place}", config=config, root=root)
    value = drawing.pooled(value, f"{root}.pooler")
    value = drawing.layer_norm(value, f"{root}.layernorm", epsilon=config.layer_norm_eps, rank=1)
    drawing.dense(value, "classifier", classes)
    return drawing


def _narrowed(drawing: Drawing, value: Value, path: str, width: int) -> Value:
    """Half as high and wide."""
    value = drawing.layer_norm(value, f"{path}.0", epsilon=_EPSILON, rank=PICTURE)
    return drawing.conv(value, f"{path}.1", Conv(width, 2, 2, padding="valid", bias=True))


def _block(drawing: Drawing, value: Value, path: str, *, config: _ConvNext, root: str) -> Value:
    width, inner = value.width, _WIDER * value.width
    conv = Conv(width, 7, groups=width, bias=True)
    found = drawing.conv(value, f"{path}.dwconv", conv)
    found = drawing.layer_norm(found, f"{path}.layernorm", epsilon=_EPSILON, rank=PICTURE)
    found = drawing.pixelwise(found, f"{path}.pwconv1", inner)
    found = drawing.activation(found, f"{path}.act", activation(config.hidden_act))
    if root == _SECOND:
        arrays = {
            name: Place(f"{path}.grn.{key}", (1, 1, 1, inner), (inner, 1, 1))
            for name, key in (("gamma", "weight"), ("beta", "bias"))
        }
        found = drawing.add("response_norm", f"{path}.grn", found, arrays=arrays, epsilon=_EPSILON)
    found = drawing.pixelwise(found, f"{path}.pwconv2", width)
    if root == _FIRST and config.layer_scale_init_value > 0:
        found = drawing.scaled(found, f"{path}.layer_scale_parameter")
    return drawing.add("add", f"{path}.add", value, found)


FAMILIES = (
    Family("ConvNextForImageClassification", _FIRST, _ConvNext, partial(_draw, root=_FIRST)),
    Family("ConvNextV2ForImageClassification", _SECOND, _ConvNext, partial(_draw, root=_SECOND)),
)
