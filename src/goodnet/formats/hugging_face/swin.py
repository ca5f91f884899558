"""Swin transformers.

References:
    Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from goodnet.errors import InvalidInput
from goodnet.formats.hugging_face.drawing import Conv, Drawing, Place, Value
from goodnet.formats.hugging_face.family import (
    Count,
    Counts,
    Epsilon,
    Family,
    Ratio,
    Side,
    Sides,
    Width,
    activation,
    alike,
    lengths,
)
from goodnet.ops.op import PICTURE

# Of the normalizations of patches.
_EPSILON = 1e-5


@dataclass(frozen=True)
class _Swin:
    image_size: Sides = 224
    patch_size: Sides = 4
    num_channels: Side = 3
    embed_dim: Width = 96
    depths: Counts = (2, 2, 6, 2)
    num_heads: Counts = (3, 6, 12, 24)
    window_size: Count = 7
    mlp_ratio: Ratio = 4.0
    qkv_bias: bool = True
    hidden_act: str = "gelu"
    # With them the library's network does not run.
    use_absolute_embeddings: Literal[False] = False
    layer_norm_eps: Epsilon = 1e-5


@dataclass(frozen=True)
class _Block:
    """One block: where it is, its heads, and by how much its windows are shifted."""

    path: str
    heads: int
    shift: int


def _draw(config: _Swin, classes: int) -> Drawing:
    alike(depths=config.depths, num_heads=config.num_heads)
    net = _Net(config, Drawing(lengths(config.image_size, "image_size"), any_size=False))
    value, size = net.patches()
    for stage, depth in enumerate(config.depths):
        path = f"swin.encoder.layers.{stage}"
        for place in range(depth):
            shift = config.window_size // 2 if place % 2 and min(size) > config.window_size else 0
            block = _Block(f"{path}.blocks.{place}", config.num_heads[stage], shift)
            value = net.block(value, block, size)
        if stage + 1 < len(config.depths):
            value, size = net.merged(value, f"{path}.downsample", size)
    value = net.drawing.layer_norm(
        value, "swin.layernorm", epsilon=config.layer_norm_eps, rank=PICTURE
    )
    net.drawing.dense(net.drawing.pooled(value, "swin.pooler"), "classifier", classes)
    return net.drawing


@dataclass(eq=False)
class _Net:
    """A network that is being drawn, in which sequences stay pictures."""

    config: _Swin
    drawing: Drawing

    def patches(self) -> tuple[Value, tuple[int, int]]:
        """Patches of the images, with a border where the last is cut; and how many there are."""
        patch, path = lengths(self.config.patch_size, "patch_size"), "swin.embeddings"
        value = self.drawing.image(self.config.num_channels)
        value, size = self._filled(value, f"{path}.pad", self.drawing.size, patch)
        conv = Conv(self.config.embed_dim, patch, patch, padding="valid", bias=True)
        value = self.drawing.conv(value, f"{path}.patch_embeddings.projection", conv)
        value = self.drawing.layer_norm(value, f"{path}.norm", epsilon=_EPSILON, rank=PICTURE)
        return value, (size[0] // patch[0], size[1] // patch[1])

    def block(self, value: Value, block: _Block, size: tuple[int, int]) -> Value:
        """Attention within windows, then two linear layers, each added to what it reads."""
        config, path, drawing = self.config, block.path, self.drawing
        epsilon, width = config.layer_norm_eps, value.width
        found = drawing.layer_norm(value, f"{path}.layernorm_before", epsilon=epsilon, rank=PICTURE)
        found = self.attended(found, block, size)
        found = drawing.pixelwise(found, f"{path}.attention.output.dense", width)
        value = drawing.add("add", f"{path}.attention.add", value, found)
        found = drawing.layer_norm(value, f"{path}.layernorm_after", epsilon=epsilon, rank=PICTURE)
        inner = int(config.mlp_ratio * width)
        found = drawing.pixelwise(found, f"{path}.intermediate.dense", inner)
        function = activation(config.hidden_act)
        found = drawing.activation(found, f"{path}.intermediate.activation", function)
        found = drawing.pixelwise(found, f"{path}.output.dense", width)
        return drawing.add("add", f"{path}.add", value, found)

    def attended(self, value: Value, block: _Block, size: tuple[int, int]) -> Value:
        """Attention within windows, of which the last may lie over a border of zeros."""
        config, path, drawing = self.config, f"{block.path}.attention.self", self.drawing
        side, heads = config.window_size, block.heads
        if value.width % heads or min(size) < side:
            raise InvalidInput(
                f"config.json: {value.width} channels of {size[0]} x {size[1]} do not make "
                f"{heads} heads with windows of {side}"
            )
        value, whole = self._filled(value, f"{path}.pad", size, (side, side))
        query, key, own = (
            drawing.pixelwise(value, f"{path}.{part}", value.width, bias=config.qkv_bias)
            for part in ("query", "key", "value")
        )
        shape = ((2 * side - 1) ** 2, heads)
        arrays = {"bias": Place(f"{path}.relative_position_bias_table", shape, shape)}
        found = drawing.add(
            "window_attention",
            path,
            *(query, own, key),
            arrays=arrays,
            heads=heads,
            window=side,
            shift=block.shift,
        )
        more = [given - wanted for given, wanted in zip(whole, size, strict=True)]
        if not any(more):
            return found
        return drawing.add("crop2d", f"{path}.crop", found, padding=(0, more[0], 0, more[1]))

    def merged(
        self, value: Value, path: str, size: tuple[int, int]
    ) -> tuple[Value, tuple[int, int]]:
        """Four pixels as one, column by column, and fewer channels; and the size then."""
        drawing, width = self.drawing, value.width
        value, whole = self._filled(value, f"{path}.pad", size, (2, 2))
        rows, columns = whole[0] // 2, whole[1] // 2
        split = (width, rows, 2, columns, 2)
        value = drawing.add("reshape", f"{path}.split", value, shape=split, order="chw")
        value = drawing.add("permute", f"{path}.turn", value, dims=(5, 3, 1, 2, 4), order="chw")
        shape = (4 * width, rows, columns)
        value = drawing.add(
            "reshape", f"{path}.join", value, width=shape[0], shape=shape, order="chw"
        )
        value = drawing.layer_norm(value, f"{path}.norm", epsilon=_EPSILON, rank=PICTURE)
        value = drawing.pixelwise(value, f"{path}.reduction", 2 * width, bias=False)
        return value, (rows, columns)

    def _filled(
        self, value: Value, name: str, size: tuple[int, int], by: tuple[int, int]
    ) -> tuple[Value, tuple[int, int]]:
        """Zeros at the bottom and right up to a multiple, and the size then."""
        rows, columns = (-side % step for side, step in zip(size, by, strict=True))
        if rows or columns:
            value = self.drawing.add("zero_pad2d", name, value, padding=(0, rows, 0, columns))
        return value, (size[0] + rows, size[1] + columns)


FAMILIES = (Family("SwinForImageClassification", "swin", _Swin, _draw),)
