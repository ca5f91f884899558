"""Slow oracles: what fast code must agree with, written as plainly as possible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from goodnet.imagesets import ImageSet
from goodnet.network import Network
from goodnet.types import Integers


def masked(network: Network, layer: str, channels: Iterable[int]) -> Network:
    """A copy that sets channels of a layer's value to zero; what lies behind sees the zeros."""
    duplicate = network.copy()
    keep = torch.ones(network.channels(layer))
    keep[list(channels)] = 0

    def mask(_module: nn.Module, _inputs: object, value: Tensor) -> Tensor:
        return value * keep.reshape(1, -1, *[1] * (value.ndim - 2))

    duplicate.layer(layer).register_forward_hook(mask)
    return duplicate


def slow_correct(
    network: Network, images: ImageSet, layer: str, groups: Sequence[Sequence[int]]
) -> Integers:
    """Images answered right after each group fell silent, every image run again every time."""
    block = images.sample(len(images))
    silent: list[int] = []
    counts = []
    for group in ([], *groups):
        silent.extend(group)
        answers = masked(network, layer, silent).predict(block.images)
        counts.append(int((answers == block.labels).sum()))
    return np.asarray(counts, dtype=np.int64)
