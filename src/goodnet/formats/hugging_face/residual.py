"""Networks of residual blocks: ResNet and RegNet.

References:
    He et al., "Deep Residual Learning for Image Recognition", 2015. Radosavovic et al., "Designing
    Network Design Spaces", 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from goodnet.formats.hugging_face.drawing import Conv, Drawing, Padding, Value
from goodnet.formats.hugging_face.family import (
    Counts,
    Family,
    Side,
    Width,
    Widths,
    activation,
    alike,
)
from goodnet.formats.spec import Activation

# What the paper's bottleneck narrows to.
_REDUCTION = 4
_RELU, _SIZE = Activation("relu"), (224, 224)


@dataclass(frozen=True)
class _ResNet:
    num_channels: Side = 3
    embedding_size: Width = 64
    hidden_sizes: Widths = (256, 512, 1024, 2048)
    depths: Counts = (3, 4, 6, 3)
    layer_type: Literal["basic", "bottleneck"] = "bottleneck"
    hidden_act: str = "relu"
    downsample_in_first_stage: bool = False
    downsample_in_bottleneck: bool = False


@dataclass(frozen=True)
class _RegNet:
    num_channels: Side = 3
    embedding_size: Width = 32
    hidden_sizes: Widths = (128, 192, 512, 1088)
    depths: Counts = (2, 6, 12, 2)
    groups_width: Width = 64
    layer_type: Literal["x", "y"] = "y"
    hidden_act: str = "relu"
    # Before transformers 5 it was true whatever the configuration says.
    downsample_in_first_stage: Literal[True] = True


@dataclass(frozen=True)
class _Block:
    """One block: where it is, channels that it gives, its stride, and the function at its end."""

    path: str
    width: int
    stride: int
    function: Activation


def _draw_resnet(config: _ResNet, classes: int) -> Drawing:
    drawing, path = Drawing(_SIZE), "resnet.embedder.embedder"
    conv = Conv(config.embedding_size, kernel=7, stride=2)
    value = drawing.normed(drawing.image(config.num_channels), path, conv)
    value = drawing.activation(value, f"{path}.activation", activation(config.hidden_act))
    value = _max_pooled(drawing, value, "resnet.embedder.pooler", config.hidden_act)
    for block in _blocks(config, "resnet"):
        value = _added(drawing, value, block, _resnet_layers(config, block))
    return _classified(drawing, value, "resnet", classes)


def _max_pooled(drawing: Drawing, value: Value, path: str, function: str) -> Value:
    """The maximum of 3x3 pixels; behind a ReLU a border of zeros changes none, and Keras has it."""
    border, behind_relu = (1, 1, 1, 1), function in ("relu", "relu6")
    if behind_relu:
        value = drawing.add("zero_pad2d", f"{path}.pad", value, padding=border)
    wanted: Padding = "valid" if behind_relu else border
    return drawing.add("max_pool2d", path, value, pool=(3, 3), strides=(2, 2), padding=wanted)


def _resnet_layers(config: _ResNet, block: _Block) -> Callable[[Drawing, Value], Value]:
    """Two convolutions, or three that are narrower within; ReLU between, whatever is behind."""
    path, width, stride = f"{block.path}.layer", block.width, block.stride
    convs = [Conv(width, 3, stride), Conv(width, 3)]
    if config.layer_type == "bottleneck":
        inner, first = width // _REDUCTION, config.downsample_in_bottleneck
        convs = [
            Conv(inner, 1, stride if first else 1),
            Conv(inner, 3, 1 if first else stride),
            Conv(width),
        ]

    def draw(drawing: Drawing, value: Value) -> Value:
        for place, conv in enumerate(convs):
            at = f"{path}.{place}"
            value = drawing.normed(value, at, conv)
            if place + 1 < len(convs):
                value = drawing.activation(value, f"{at}.activation", _RELU)
        return value

    return draw


def _draw_regnet(config: _RegNet, classes: int) -> Drawing:
    drawing, path = Drawing(_SIZE), "regnet.embedder.embedder"
    conv = Conv(config.embedding_size, kernel=3, stride=2)
    value = drawing.normed(drawing.image(config.num_channels), path, conv)
    value = drawing.activation(value, f"{path}.activation", activation(config.hidden_act))
    for block in _blocks(config, "regnet"):
        value = _added(drawing, value, block, _regnet_layers(config, block))
    return _classified(drawing, value, "regnet", classes)


def _regnet_layers(config: _RegNet, block: _Block) -> Callable[[Drawing, Value], Value]:
    """Three convolutions, that in the middle in groups; Y weighs the channels before the last."""
    path, width = f"{block.path}.layer", block.width
    groups = max(1, width // config.groups_width)

    def draw(drawing: Drawing, value: Value) -> Value:
        into = value.width
        for place, conv in enumerate((Conv(width), Conv(width, 3, block.stride, groups=groups))):
            value = drawing.normed(value, f"{path}.{place}", conv)
            value = drawing.activation(value, f"{path}.{place}.activation", block.function)
        if config.layer_type == "x":
            return drawing.normed(value, f"{path}.2", Conv(width))
        value = _weighed(drawing, value, f"{path}.2", round(into / _REDUCTION))
        return drawing.normed(value, f"{path}.3", Conv(width))

    return draw


def _weighed(drawing: Drawing, value: Value, path: str, inner: int) -> Value:
    """Squeeze and excitation."""
    found = drawing.pooled(value, f"{path}.pooler", keepdims=True)
    found = drawing.conv(found, f"{path}.attention.0", Conv(inner, bias=True))
    found = drawing.activation(found, f"{path}.attention.1", _RELU)
    found = drawing.conv(found, f"{path}.attention.2", Conv(value.width, bias=True))
    found = drawing.activation(found, f"{path}.attention.3", Activation("sigmoid"))
    return drawing.add("multiply", path, value, found)


def _blocks(config: _ResNet | _RegNet, root: str) -> Iterator[_Block]:
    alike(hidden_sizes=config.hidden_sizes, depths=config.depths)
    stages = zip(config.hidden_sizes, config.depths, strict=True)
    for stage, (width, depth) in enumerate(stages):
        first = 2 if stage or config.downsample_in_first_stage else 1
        for place in range(depth):
            path = f"{root}.encoder.stages.{stage}.layers.{place}"
            yield _Block(path, width, 1 if place else first, activation(config.hidden_act))


def _added(
    drawing: Drawing, value: Value, block: _Block, layers: Callable[[Drawing, Value], Value]
) -> Value:
    """What layers give with what they read, which goes through a convolution if it has to."""
    found, past = layers(drawing, value), value
    if block.stride > 1 or value.width != block.width:
        conv = Conv(block.width, stride=block.stride)
        past = drawing.normed(value, f"{block.path}.shortcut", conv)
    value = drawing.add("add", f"{block.path}.add", found, past)
    return drawing.activation(value, f"{block.path}.activation", block.function)


def _classified(drawing: Drawing, value: Value, root: str, classes: int) -> Drawing:
    drawing.dense(drawing.pooled(value, f"{root}.pooler"), "classifier.1", classes)
    return drawing


FAMILIES = (
    Family("ResNetForImageClassification", "resnet", _ResNet, _draw_resnet),
    Family("RegNetForImageClassification", "regnet", _RegNet, _draw_regnet),
)
