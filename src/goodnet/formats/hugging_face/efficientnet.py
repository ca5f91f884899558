"""EfficientNet as it came from TensorFlow, whose padding is told block by block.

References:
    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from goodnet.errors import InvalidInput
from goodnet.formats.hugging_face.drawing import Conv, Drawing, Value
from goodnet.formats.hugging_face.family import (
    Counts,
    Epsilon,
    Family,
    Ratio,
    Side,
    Sides,
    Width,
    Widths,
    activation,
    alike,
    lengths,
)
from goodnet.formats.spec import Activation

_STEM, _LAST = 32, 1280
_ROOT = "efficientnet"
_Strides = Annotated[tuple[Literal[1, 2], ...], Meta(min_length=1, max_length=16)]
_Places = Annotated[tuple[Annotated[int, Meta(ge=0, le=4096)], ...], Meta(max_length=4096)]


@dataclass(frozen=True)
class _EfficientNet:
    num_channels: Side = 3
    image_size: Sides = 600
    width_coefficient: Ratio = 2.0
    depth_coefficient: Ratio = 3.1
    depth_divisor: Width = 8
    kernel_sizes: Counts = (3, 3, 5, 3, 5, 5, 3)
    in_channels: Widths = (32, 16, 24, 40, 80, 112, 192)
    out_channels: Widths = (16, 24, 40, 80, 112, 192, 320)
    depthwise_padding: _Places = ()
    strides: _Strides = (1, 2, 2, 2, 1, 2, 1)
    num_block_repeats: Counts = (1, 2, 2, 3, 3, 4, 1)
    expand_ratios: Counts = (1, 6, 6, 6, 6, 6, 6)
    squeeze_expansion_ratio: Ratio = 0.25
    hidden_act: str = "swish"
    hidden_dim: Width = 2560
    pooling_type: Literal["mean"] = "mean"
    batch_norm_eps: Epsilon = 0.001

    def widened(self, channels: int) -> int:
        """As many channels as a layer of this width has, not below nine tenths."""
        wanted, by = channels * self.width_coefficient, self.depth_divisor
        found = max(by, int(wanted + by / 2) // by * by)
        return int(found + by if found < 0.9 * wanted else found)


@dataclass(frozen=True)
class _Block:
    """One block: channels it reads and gives, its kernel and stride, and how much it widens."""

    place: int
    into: int
    out: int
    kernel: int
    stride: int
    expand: int
    first: bool


def _draw(config: _EfficientNet, classes: int) -> Drawing:
    last = config.widened(_LAST)
    if config.hidden_dim != last:
        raise InvalidInput(
            f"config.json: with a width_coefficient of {config.width_coefficient:g} the hidden_dim "
            f"is {last}, got {config.hidden_dim}"
        )
    net = _Net(config, Drawing(lengths(config.image_size, "image_size")))
    value, path = net.drawing.image(config.num_channels), f"{_ROOT}.embeddings"
    stem = Conv(config.widened(_STEM), 3, 2, padding=(0, 1, 0, 1))
    value = net.convolved(value, stem, f"{path}.convolution", norm=f"{path}.batchnorm")
    for block in _blocks(config):
        value = net.block(value, block)
    path = f"{_ROOT}.encoder.top"
    value = net.convolved(value, Conv(last), f"{path}_conv", norm=f"{path}_bn")
    net.drawing.dense(net.drawing.pooled(value, f"{_ROOT}.pooler"), "classifier", classes)
    return net.drawing


def _blocks(config: _EfficientNet) -> Iterator[_Block]:
    stages = {
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "kernel_sizes": config.kernel_sizes,
        "strides": config.strides,
        "expand_ratios": config.expand_ratios,
        "num_block_repeats": config.num_block_repeats,
    }
    alike(**stages)
    place = 0
    for into, out, kernel, stride, expand, repeats in zip(*stages.values(), strict=True):
        width, reads = config.widened(out), config.widened(into)
        for again in range(math.ceil(config.depth_coefficient * repeats)):
            read, step = (width, 1) if again else (reads, stride)
            yield _Block(place, read, width, kernel, step, expand, first=not again)
            place += 1


@dataclass(eq=False)
class _Net:
    """A network that is being drawn."""

    config: _EfficientNet
    drawing: Drawing

    def block(self, value: Value, block: _Block) -> Value:
        """Wider channels, each convolved by itself, weighed, and made narrow again."""
        path, found = f"{_ROOT}.encoder.blocks.{block.place}", value
        if value.width != block.into:
            raise InvalidInput(
                f"config.json: block {block.place} reads {block.into} channels by in_channels, but "
                f"the one before it gives {value.width}"
            )
        if block.expand != 1:
            conv, at = Conv(value.width * block.expand), f"{path}.expansion.expand"
            found = self.convolved(found, conv, f"{at}_conv", norm=f"{at}_bn")
        at = f"{path}.depthwise_conv.depthwise"
        conv = Conv(
            found.width, block.kernel, block.stride, self._padding(block), groups=found.width
        )
        found = self.convolved(found, conv, f"{at}_conv", norm=f"{at}_norm")
        found = self.weighed(found, f"{path}.squeeze_excite", block)
        at = f"{path}.projection.project"
        found = self.drawing.conv(found, f"{at}_conv", Conv(block.out))
        found = self.drawing.batch_norm(found, f"{at}_bn", epsilon=self.config.batch_norm_eps)
        adds = block.stride == 1 and not block.first
        return self.drawing.add("add", f"{path}.add", found, value) if adds else found

    def _padding(self, block: _Block) -> str | tuple[int, int, int, int]:
        """With a stride less at the top and left, unless the block is listed."""
        half = block.kernel // 2
        if block.stride == 1:
            return "same"
        before = half if block.place in self.config.depthwise_padding else half - 1
        return (before, half, before, half)

    def weighed(self, value: Value, path: str, block: _Block) -> Value:
        """Squeeze and excitation."""
        inner = max(1, int(block.into * self.config.squeeze_expansion_ratio))
        found = self.drawing.pooled(value, f"{path}.squeeze", keepdims=True)
        found = self.drawing.conv(found, f"{path}.reduce", Conv(inner, bias=True))
        function = activation(self.config.hidden_act)
        found = self.drawing.activation(found, f"{path}.act_reduce", function)
        found = self.drawing.conv(found, f"{path}.expand", Conv(value.width, bias=True))
        found = self.drawing.activation(found, f"{path}.act_expand", Activation("sigmoid"))
        return self.drawing.add("multiply", path, value, found)

    def convolved(self, value: Value, conv: Conv, path: str, *, norm: str) -> Value:
        """A convolution, its normalization and the function behind it."""
        value = self.drawing.conv(value, path, conv)
        value = self.drawing.batch_norm(value, norm, epsilon=self.config.batch_norm_eps)
        function = activation(self.config.hidden_act)
        return self.drawing.activation(value, f"{norm}.activation", function)


FAMILIES = (Family("EfficientNetForImageClassification", "efficientnet", _EfficientNet, _draw),)
