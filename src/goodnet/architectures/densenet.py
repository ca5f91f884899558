"""DenseNet.

References:
    Huang et al., "Densely Connected Convolutional Networks", 2016.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from goodnet.architectures.family import Family, Plan, Shapes, count

# By the layers of the four blocks and the channels each of them adds.
_NAMES: dict[tuple[tuple[int, ...], int], str] = {
    ((6, 12, 24, 16), 32): "densenet121",
    ((6, 12, 36, 24), 48): "densenet161",
    ((6, 12, 32, 32), 32): "densenet169",
    ((6, 12, 48, 32), 32): "densenet201",
}


class _Layer(nn.Module):
    """Reads all before it and adds a few channels."""

    def __init__(self, into: int, inner: int, out: int) -> None:
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(into), nn.ReLU()
        self.conv1 = nn.Conv2d(into, inner, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(inner), nn.ReLU()
        self.conv2 = nn.Conv2d(inner, out, 3, padding=1, bias=False)

    def forward(self, value: Tensor) -> Tensor:
        new = self.conv1(self.relu1(self.norm1(value)))
        new = self.conv2(self.relu2(self.norm2(new)))
        return torch.cat([value, new], 1)


class _DenseNet(nn.Module):
    """A stem, blocks with transitions between them, the mean of all pixels, a linear layer."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        width, into, kernel, _ = shapes["features.conv0.weight"]
        growth, inner, *_ = shapes["features.denseblock1.denselayer1.conv2.weight"]
        self.features, depths = nn.Sequential(), _depths(shapes)
        stem = {
            "conv0": nn.Conv2d(into, width, kernel, 2, kernel // 2, bias=False),
            "norm0": nn.BatchNorm2d(width),
            "relu0": nn.ReLU(),
            # As in ResNet: a border of zeros for a pool that is behind a ReLU.
            "pad0": nn.ZeroPad2d(1),
            "pool0": nn.MaxPool2d(3, 2),
        }
        for name, module in stem.items():
            self.features.add_module(name, module)
        for place, depth in enumerate(depths, start=1):
            block = nn.Sequential()
            for layer in range(1, depth + 1):
                block.add_module(f"denselayer{layer}", _Layer(width, inner, growth))
                width += growth
            self.features.add_module(f"denseblock{place}", block)
            if place < len(depths):
                self.features.add_module(f"transition{place}", _transition(width))
                width //= 2
        self.features.add_module(f"norm{len(depths) + 1}", nn.BatchNorm2d(width))
        self.relu, self.pool = nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, shapes["classifier.weight"][0])

    def forward(self, images: Tensor) -> Tensor:
        value = self.pool(self.relu(self.features(images)))
        result: Tensor = self.classifier(torch.flatten(value, 1))
        return result


def _transition(width: int) -> nn.Sequential:
    parts = nn.Sequential()
    parts.add_module("norm", nn.BatchNorm2d(width))
    parts.add_module("relu", nn.ReLU())
    parts.add_module("conv", nn.Conv2d(width, width // 2, 1, bias=False))
    parts.add_module("pool", nn.AvgPool2d(2, 2))
    return parts


def _depths(shapes: Shapes) -> tuple[int, ...]:
    """Layers of each block, which count from 1."""
    from_0 = {
        re.sub(r"denselayer(\d+)", lambda found: f"denselayer{int(found[1]) - 1}", key): shape
        for key, shape in shapes.items()
    }
    return tuple(
        count(from_0, rf"features\.denseblock{block}\.denselayer(\d+)\.") for block in range(1, 5)
    )


def _plan(shapes: Shapes) -> Plan | None:
    growth = shapes["features.denseblock1.denselayer1.conv2.weight"][0]
    name = _NAMES.get((_depths(shapes), growth))
    return None if name is None else Plan(name, lambda: _DenseNet(shapes), (224, 224))


FAMILY = Family(tuple(_NAMES.values()), "densenet121, 161, 169 and 201", _plan)
