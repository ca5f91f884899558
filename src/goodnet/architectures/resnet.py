"""ResNet, wide ResNet and ResNeXt.

The stride of a bottleneck is at its 3x3 convolution, as everybody has it since; the paper had it at
the first. With a first convolution of 3x3 it is the variant for small pictures, without a pool.

References:
    He et al., "Deep Residual Learning for Image Recognition", 2015. Zagoruyko and Komodakis, "Wide
    Residual Networks", 2016. Xie et al., "Aggregated Residual Transformations for Deep Neural
    Networks", 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from goodnet.architectures.family import Family, Plan, Shapes, count

# By depths of the four stages, whether blocks are bottlenecks, by how much the first block is wider
# within than the first convolution, and groups.
_NAMES: dict[tuple[tuple[int, ...], bool, int, int], str] = {
    ((2, 2, 2, 2), False, 1, 1): "resnet18",
    ((3, 4, 6, 3), False, 1, 1): "resnet34",
    ((3, 4, 6, 3), True, 1, 1): "resnet50",
    ((3, 4, 23, 3), True, 1, 1): "resnet101",
    ((3, 8, 36, 3), True, 1, 1): "resnet152",
    ((3, 4, 6, 3), True, 2, 1): "wide_resnet50_2",
    ((3, 4, 23, 3), True, 2, 1): "wide_resnet101_2",
    ((3, 4, 6, 3), True, 2, 32): "resnext50_32x4d",
    ((3, 4, 23, 3), True, 4, 32): "resnext101_32x8d",
    ((3, 4, 23, 3), True, 4, 64): "resnext101_64x4d",
}
# torchvision's and timm's, and that of the usual implementation for CIFAR.
_SHORTCUTS, _HEADS = ("downsample", "shortcut"), ("fc", "linear")
_SMALL_STEM, _WIDTH = 3, 64
_SMALL = "its first convolution is 3x3: taken for the variant for small pictures, without a pool"


@dataclass(frozen=True)
class _Widths:
    """Of a block: the channels it reads, has within and gives, its stride and groups."""

    into: int
    inner: int
    out: int
    stride: int
    groups: int


class _Block(nn.Module):
    """Two or three convolutions, and the way past them, under a name."""

    def __init__(self, widths: _Widths, past: str, *, bottleneck: bool) -> None:
        super().__init__()
        into, inner, out, stride = widths.into, widths.inner, widths.out, widths.stride
        if bottleneck:
            self.conv1 = nn.Conv2d(into, inner, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(inner)
            self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=widths.groups, bias=False)
            self.bn2 = nn.BatchNorm2d(inner)
            self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(into, inner, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(inner)
            self.conv2 = nn.Conv2d(inner, out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
        self.relu, self.bottleneck = nn.ReLU(), bottleneck
        self.past = past if stride > 1 or into != out else ""
        if self.past:
            conv = nn.Conv2d(into, out, 1, stride, bias=False)
            self.add_module(past, nn.Sequential(conv, nn.BatchNorm2d(out)))

    def forward(self, value: Tensor) -> Tensor:
        same: Tensor = self.get_submodule(self.past)(value) if self.past else value
        value = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(value)))))
        if self.bottleneck:
            value = self.bn3(self.conv3(self.relu(value)))
        result: Tensor = self.relu(value + same)
        return result


class _ResNet(nn.Module):
    """A stem, four stages of blocks, the mean of all pixels, a linear layer."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        width, into, kernel, _ = shapes["conv1.weight"]
        self.small, depths = kernel == _SMALL_STEM, _depths(shapes)
        past = next((x for x in _SHORTCUTS if f"layer2.0.{x}.0.weight" in shapes), _SHORTCUTS[0])
        self.head = _head(shapes)
        stride = 1 if self.small else 2
        self.conv1 = nn.Conv2d(into, width, kernel, stride, kernel // 2, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU()
        # Zeros around values of 0 and more: the maximum is that of a pool with a border of its own,
        # which Keras does not have.
        self.pad, self.maxpool = nn.ZeroPad2d(1), nn.MaxPool2d(3, 2)
        for stage, depth in enumerate(depths, start=1):
            blocks = []
            for place in range(depth):
                widths = _widths(shapes, stage, width, stride=2 if stage > 1 and not place else 1)
                blocks.append(_Block(widths, past, bottleneck=_is_deep(shapes)))
                width = widths.out
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.stages = len(depths)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.add_module(self.head, nn.Linear(width, shapes[f"{self.head}.weight"][0]))

    def forward(self, images: Tensor) -> Tensor:
        value = self.relu(self.bn1(self.conv1(images)))
        value = value if self.small else self.maxpool(self.pad(value))
        for stage in range(1, self.stages + 1):
            value = self.get_submodule(f"layer{stage}")(value)
        result: Tensor = self.get_submodule(self.head)(torch.flatten(self.avgpool(value), 1))
        return result


def _head(shapes: Shapes) -> str:
    return next((name for name in _HEADS if f"{name}.weight" in shapes), _HEADS[0])


def _is_deep(shapes: Shapes) -> bool:
    return "layer1.0.conv3.weight" in shapes


def _depths(shapes: Shapes) -> tuple[int, ...]:
    return tuple(count(shapes, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))


def _widths(shapes: Shapes, stage: int, into: int, *, stride: int) -> _Widths:
    inner, each, *_ = shapes[f"layer{stage}.0.conv2.weight"]
    deep = _is_deep(shapes)
    out = shapes[f"layer{stage}.0.conv3.weight"][0] if deep else inner
    return _Widths(into, inner, out, stride, inner // each)


def _plan(shapes: Shapes) -> Plan | None:
    width, _, kernel, _ = shapes["conv1.weight"]
    inner, each, *_ = shapes["layer1.0.conv2.weight"]
    name = _NAMES.get((_depths(shapes), _is_deep(shapes), inner // width, inner // each))
    if name is None:
        return None
    notes = () if width == _WIDTH else (f"its stages begin with {width} channels, not {_WIDTH}",)
    if kernel != _SMALL_STEM:
        return Plan(name, lambda: _ResNet(shapes), (224, 224), notes=notes)
    return Plan(name, lambda: _ResNet(shapes), (32, 32), notes=(*notes, _SMALL))


FAMILY = Family(
    tuple(_NAMES.values()),
    "resnet18, 34, 50, 101 and 152, wide_resnet50_2, resnext50_32x4d and their like",
    _plan,
)
