"""VGG, with and without batch normalization.

References:
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    2014. With one linear layer behind the convolutions it is the variant for CIFAR.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from goodnet.architectures.family import Family, Plan, Shapes

# Convolutions in each of the five stages.
_NAMES: dict[tuple[int, ...], str] = {
    (1, 1, 2, 2, 2): "vgg11",
    (2, 2, 2, 2, 2): "vgg13",
    (2, 2, 3, 3, 3): "vgg16",
    (2, 2, 4, 4, 4): "vgg19",
}
_WIDTHS = (64, 128, 256, 512, 512)
_STAGES = len(_WIDTHS)


class _Vgg(nn.Module):
    """Convolutions and pools, then linear layers under torchvision's names."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.features = _features(shapes)
        self.classifier: nn.Module
        if "classifier.weight" in shapes:
            self.classifier = nn.Linear(*_sizes(shapes, "classifier"))
        else:
            self.classifier = nn.Sequential(
                nn.Linear(*_sizes(shapes, "classifier.0")),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(*_sizes(shapes, "classifier.3")),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(*_sizes(shapes, "classifier.6")),
            )

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.classifier(torch.flatten(self.features(images), 1))
        return result


class _TimmVgg(nn.Module):
    """The same with the linear layers as convolutions, under timm's names."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.features = _features(shapes)
        self.pre_logits, self.head = nn.Module(), nn.Module()
        for name in ("fc1", "fc2"):
            out, into, *kernel = shapes[f"pre_logits.{name}.weight"]
            self.pre_logits.add_module(name, nn.Conv2d(into, out, (kernel[0], kernel[1])))
        self.relu, self.pool = nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        self.head.add_module("fc", nn.Linear(*_sizes(shapes, "head.fc")))

    def forward(self, images: Tensor) -> Tensor:
        value = self.features(images)
        for name in ("pre_logits.fc1", "pre_logits.fc2"):
            value = self.relu(self.get_submodule(name)(value))
        result: Tensor = self.get_submodule("head.fc")(torch.flatten(self.pool(value), 1))
        return result


def _sizes(shapes: Shapes, name: str) -> tuple[int, int]:
    out, into = shapes[f"{name}.weight"]
    return into, out


def _features(shapes: Shapes) -> nn.Sequential:
    parts: list[nn.Module] = []
    normalized, into = _is_normalized(shapes), shapes["features.0.weight"][1]
    for width, depth in zip(_WIDTHS, _depths(shapes), strict=True):
        for _ in range(depth):
            norm = [nn.BatchNorm2d(width)] if normalized else []
            parts += [nn.Conv2d(into, width, 3, padding=1), *norm, nn.ReLU()]
            into = width
        parts.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*parts)


def _is_normalized(shapes: Shapes) -> bool:
    return "features.1.weight" in shapes


def _depths(shapes: Shapes) -> tuple[int, ...]:
    """How many convolutions each stage has; a gap between their numbers is a pool."""
    step = 3 if _is_normalized(shapes) else 2
    depths, last = [0], -step
    for place in sorted(_convolutions(shapes)):
        if place != last + step:
            depths.append(0)
        depths[-1] += 1
        last = place
    return tuple(depths)


def _convolutions(shapes: Shapes) -> Iterator[int]:
    for key, shape in shapes.items():
        match = re.fullmatch(r"features\.(\d+)\.weight", key)
        if match and len(shape) > 1:
            yield int(match[1])


def _plan(shapes: Shapes) -> Plan | None:
    depths = _depths(shapes)
    name = _NAMES.get(depths)
    if name is None:
        return None
    name += "_bn" * _is_normalized(shapes)
    if "pre_logits.fc1.weight" in shapes:
        side = 2**_STAGES * shapes["pre_logits.fc1.weight"][2]
        return Plan(name, lambda: _TimmVgg(shapes), (side, side))
    first = "classifier" if "classifier.weight" in shapes else "classifier.0"
    side = 2**_STAGES * math.isqrt(shapes[f"{first}.weight"][1] // _WIDTHS[-1])
    return Plan(name, lambda: _Vgg(shapes), (side, side), any_size=False)


FAMILY = Family(
    tuple(name + end for end in ("", "_bn") for name in _NAMES.values()),
    "vgg11, 13, 16 and 19, also with _bn",
    _plan,
)
