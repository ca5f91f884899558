"""State dicts with random numbers, by names and shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from published import resnet
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]


def small_resnet(classes: int = 5, *, channels: int = 3) -> dict[str, tuple[int, ...]]:
    """A ResNet-18 for small pictures with a sixteenth of the channels."""
    thin = resnet((2, 2, 2, 2), deep=False, small=True, classes=classes, channels=channels)
    return {key: tuple(_thin(size) for size in shape) for key, shape in thin.items()}


def _thin(size: int) -> int:
    return size // 16 if size in (64, 128, 256, 512) else size


def state_dict(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Numbers with which values stay of one order through the network."""
    random = torch.Generator().manual_seed(seed)
    return {key: _numbers(key, shape, random) for key, shape in shapes.items()}


def _numbers(key: str, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if key.endswith("running_var"):
        return torch.rand(shape, generator=random) + 0.5
    if len(shape) == 1:
        least = 0.5 if key.endswith("weight") else -0.25
        return torch.rand(shape, generator=random) * 0.5 + least
    return torch.randn(shape, generator=random) * math.sqrt(2 / math.prod(shape[1:]))
