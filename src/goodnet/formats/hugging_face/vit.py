"""Vision transformers: ViT, and DeiT with its distillation token.

References:
    Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020. Touvron et al., "Training
    data-efficient image transformers", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from goodnet.errors import InvalidInput
from goodnet.formats.hugging_face.drawing import Conv, Drawing, Place, Value
from goodnet.formats.hugging_face.family import (
    Count,
    Epsilon,
    Family,
    Side,
    Sides,
    Width,
    activation,
    lengths,
)


@dataclass(frozen=True)
class _ViT:
    """Of both."""

    hidden_size: Width = 768
    num_hidden_layers: Count = 12
    num_attention_heads: Count = 12
    intermediate_size: Width = 3072
    hidden_act: str = "gelu"
    layer_norm_eps: Epsilon = 1e-12
    image_size: Sides = 224
    patch_size: Sides = 16
    num_channels: Side = 3
    qkv_bias: bool = True


@dataclass(frozen=True)
class _Kind:
    """What the parts are called: the whole, its tokens, and the linear layers that read these."""

    root: str
    tokens: tuple[str, ...]
    heads: tuple[str, ...] = ("classifier",)


def _draw(config: _ViT, classes: int, *, kind: _Kind) -> Drawing:
    if config.hidden_size % config.num_attention_heads:
        raise InvalidInput(
            f"config.json: a hidden_size of {config.hidden_size} does not make "
            f"{config.num_attention_heads} equal heads"
        )
    drawing = Drawing(lengths(config.image_size, "image_size"), any_size=False)
    value, steps = _embedded(drawing, config, kind)
    for place in range(config.num_hidden_layers):
        value = _block(drawing, value, config, f"{kind.root}.encoder.layer.{place}")
    epsilon = config.layer_norm_eps
    value = drawing.layer_norm(value, f"{kind.root}.layernorm", epsilon=epsilon, rank=2)
    answers = [
        drawing.dense(drawing.token(value, f"{head}.token", place, steps), head, classes)
        for place, head in enumerate(kind.heads)
    ]
    if len(answers) > 1:
        drawing.add("average", "logits", *answers)
    return drawing


def _embedded(drawing: Drawing, config: _ViT, kind: _Kind) -> tuple[Value, int]:
    """Patches behind tokens, with an embedding of each place; and how many steps these are."""
    path, patch, width = (
        f"{kind.root}.embeddings",
        lengths(config.patch_size, "patch_size"),
        config.hidden_size,
    )
    patches = f"{path}.patch_embeddings"
    value = drawing.image(config.num_channels)
    conv = Conv(width, kernel=patch, stride=patch, padding="valid", bias=True)
    value = drawing.conv(value, f"{patches}.projection", conv)
    rows, columns = (side // each for side, each in zip(drawing.size, patch, strict=True))
    if not rows * columns:
        raise InvalidInput(
            f"config.json: patches of {patch[0]} x {patch[1]} are larger than images of "
            f"{drawing.size[0]} x {drawing.size[1]}"
        )
    value = drawing.sequence(value, patches, rows * columns)
    for token in reversed(kind.tokens):
        arrays = {"tokens": Place(f"{path}.{token}", (1, 1, width), (1, width))}
        value = drawing.add("prepend", f"{path}.{token}", value, arrays=arrays)
    name, steps = f"{path}.position_embeddings", rows * columns + len(kind.tokens)
    arrays = {"offset": Place(name, (1, steps, width), (steps, width))}
    return drawing.add("shift", name, value, arrays=arrays), steps


def _block(drawing: Drawing, value: Value, config: _ViT, path: str) -> Value:
    """Attention, then two linear layers, each added to what it reads."""
    inner, epsilon, bias = f"{path}.attention.attention", config.layer_norm_eps, config.qkv_bias
    read = drawing.layer_norm(value, f"{path}.layernorm_before", epsilon=epsilon, rank=2)
    query, key, own = (
        drawing.dense(read, f"{inner}.{part}", value.width, bias=bias)
        for part in ("query", "key", "value")
    )
    found = drawing.add("attention", inner, query, own, key, heads=config.num_attention_heads)
    found = drawing.dense(found, f"{path}.attention.output.dense", value.width)
    value = drawing.add("add", f"{path}.attention.add", found, value)
    read = drawing.layer_norm(value, f"{path}.layernorm_after", epsilon=epsilon, rank=2)
    found = drawing.dense(read, f"{path}.intermediate.dense", config.intermediate_size)
    function = activation(config.hidden_act)
    found = drawing.activation(found, f"{path}.intermediate.activation", function)
    found = drawing.dense(found, f"{path}.output.dense", value.width)
    return drawing.add("add", f"{path}.add", found, value)


_VIT = _Kind("vit", ("cls_token",))
_DEIT = _Kind("deit", ("cls_token", "distillation_token"))
_TAUGHT = replace(_DEIT, heads=("cls_classifier", "distillation_classifier"))
FAMILIES = (
    Family("ViTForImageClassification", "vit", _ViT, partial(_draw, kind=_VIT)),
    Family("DeiTForImageClassification", "deit", _ViT, partial(_draw, kind=_DEIT)),
    Family("DeiTForImageClassificationWithTeacher", "deit", _ViT, partial(_draw, kind=_TAUGHT)),
)
