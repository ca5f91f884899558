"""MobileNetV1 and MobileNetV2, with the padding of TensorFlow unless the configuration says not.

References:
    Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
    Applications", 2017. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from goodnet.formats.hugging_face.drawing import Conv, Drawing, Value
from goodnet.formats.hugging_face.family import (
    Epsilon,
    Family,
    Ratio,
    Side,
    Sides,
    Width,
    activation,
    lengths,
)

_STEM, _LAST = 32, 1280
_V1_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_V2_FIRST = 16
# Of the blocks behind the first: channels before the multiplier, and strides.
_V2_WIDTHS = (24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
_V2_STRIDES = (2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)


@dataclass(frozen=True)
class _Shared:
    """Of both."""

    num_channels: Side = 3
    image_size: Sides = 224
    depth_multiplier: Ratio = 1.0
    min_depth: Width = 8
    hidden_act: str = "relu6"
    tf_padding: bool = True
    layer_norm_eps: Epsilon = 0.001


@dataclass(frozen=True)
class _V1(_Shared):
    pass


@dataclass(frozen=True)
class _V2(_Shared):
    depth_divisible_by: Width = 8
    expand_ratio: Ratio = 6.0
    output_stride: Side = 32
    first_layer_is_expansion: bool = True
    finegrained_output: bool = True

    def multiplied(self, channels: int) -> int:
        """As many channels as a layer of this width multiplier has."""
        return self.rounded(round(channels * self.depth_multiplier))

    def rounded(self, channels: int) -> int:
        """To a multiple, not below nine tenths."""
        by = self.depth_divisible_by
        found = max(self.min_depth, int(channels + by / 2) // by * by)
        return found + by if found < 0.9 * channels else found


@dataclass(eq=False)
class _Net:
    """A network of either kind that is being drawn."""

    config: _Shared
    drawing: Drawing

    def convolved(self, value: Value, path: str, conv: Conv, *, active: bool = True) -> Value:
        """A convolution, its normalization, and perhaps the function behind it."""
        config = self.config
        if config.tf_padding:
            conv = replace(conv, padding="same")
        value = self.drawing.normed(value, path, conv, epsilon=config.layer_norm_eps)
        if not active:
            return value
        return self.drawing.activation(value, f"{path}.activation", activation(config.hidden_act))

    def by_channel(self, value: Value, path: str, *, stride: int = 1, dilation: int = 1) -> Value:
        """3x3 pixels of each channel by itself."""
        conv = Conv(value.width, 3, stride, dilation=dilation, groups=value.width)
        return self.convolved(value, path, conv)

    def classified(self, value: Value, root: str, classes: int) -> Drawing:
        """The whole, with the mean of all pixels and a linear layer at its end."""
        value = self.drawing.pooled(value, f"{root}.pooler")
        self.drawing.dense(value, "classifier", classes)
        return self.drawing


def _draw_v1(config: _V1, classes: int) -> Drawing:
    net, depth = _Net(config, Drawing(lengths(config.image_size, "image_size"))), _STEM

    def width() -> int:
        return max(int(depth * config.depth_multiplier), config.min_depth)

    value = net.drawing.image(config.num_channels)
    value = net.convolved(value, "mobilenet_v1.conv_stem", Conv(width(), 3, 2))
    for place, stride in enumerate(_V1_STRIDES):
        if stride == 2 or place == 0:
            depth *= 2
        value = net.by_channel(value, f"mobilenet_v1.layer.{2 * place}", stride=stride)
        value = net.convolved(value, f"mobilenet_v1.layer.{2 * place + 1}", Conv(width()))
    return net.classified(value, "mobilenet_v1", classes)


def _draw_v2(config: _V2, classes: int) -> Drawing:
    net = _Net(config, Drawing(lengths(config.image_size, "image_size")))
    value = _stem(net, config)
    for path, width, stride, dilation in _blocks(config):
        inner = Conv(config.rounded(round(value.width * config.expand_ratio)))
        found = net.convolved(value, f"{path}.expand_1x1", inner)
        found = net.by_channel(found, f"{path}.conv_3x3", stride=stride, dilation=dilation)
        found = net.convolved(found, f"{path}.reduce_1x1", Conv(width), active=False)
        adds = stride == 1 and value.width == width
        value = net.drawing.add("add", f"{path}.add", value, found) if adds else found
    fine = config.finegrained_output and config.depth_multiplier < 1
    last = Conv(_LAST if fine else config.multiplied(_LAST))
    value = net.convolved(value, "mobilenet_v2.conv_1x1", last)
    return net.classified(value, "mobilenet_v2", classes)


def _stem(net: _Net, config: _V2) -> Value:
    path, width = "mobilenet_v2.conv_stem", config.multiplied(_STEM)
    value = net.drawing.image(config.num_channels)
    value = net.convolved(value, f"{path}.first_conv", Conv(width, 3, 2))
    if not config.first_layer_is_expansion:
        value = net.convolved(value, f"{path}.expand_1x1", Conv(width))
    value = net.by_channel(value, f"{path}.conv_3x3")
    out = Conv(config.multiplied(_V2_FIRST))
    return net.convolved(value, f"{path}.reduce_1x1", out, active=False)


def _blocks(config: _V2) -> Iterator[tuple[str, int, int, int]]:
    """Path, width, stride and dilation; past the output stride a wider reach replaces strides."""
    reached, dilation = 2, 1
    for place, (channels, stride) in enumerate(zip(_V2_WIDTHS, _V2_STRIDES, strict=True)):
        path, width = f"mobilenet_v2.layer.{place}", config.multiplied(channels)
        if reached == config.output_stride:
            yield path, width, 1, dilation
            dilation *= stride
        else:
            reached *= stride
            yield path, width, stride, 1


FAMILIES = (
    Family("MobileNetV1ForImageClassification", "mobilenet_v1", _V1, _draw_v1),
    Family("MobileNetV2ForImageClassification", "mobilenet_v2", _V2, _draw_v2),
)
