"""How much each channel of a layer does on clean images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goodnet.imagesets import Block, ImageSet
from goodnet.network import Network, check_finite, map_blocks
from goodnet.progress import ProgressCallback
from goodnet.types import Integers

# Called with the number of images done since the last call.


@dataclass(frozen=True)
class ChannelActivity:
    """How much each channel of a layer does on clean images.

    Attributes:
        mean: Mean over images and positions, shape (channels,), float64.
        active_images: Images on which the channel is not zero everywhere, shape (channels,).
        total: Images seen.
    """

    mean: NDArray[np.float64]
    active_images: Integers
    total: int


def measure_activity(
    network: Network, images: ImageSet, layer: str, *, progress: ProgressCallback | None = None
) -> ChannelActivity:
    """Mean activation of each channel of a layer over all images and positions.

    Raises:
        InvalidInput: If the layer does not exist or does not reach the output, or its value is NaN
            or infinite on some images.
    """
    cut = network.cut(layer)

    def measure(block: Block) -> tuple[int, Tensor, Tensor, Tensor]:
        parts = [
            (*channel_sums(values[0]), _counts(values[0])) for values in cut.crossing(block.images)
        ]
        sums, bad, active = (torch.stack(column).sum(0) for column in zip(*parts, strict=True))
        return len(block.images), sums, bad, active

    total = torch.zeros(network.channels(layer), dtype=torch.float64)
    active = torch.zeros(network.channels(layer), dtype=torch.int64)
    overflown = 0
    for count, sums, bad, counts in map_blocks(measure, images.blocks(cut.block), cut.device):
        total += sums
        active += counts
        overflown += int(bad)
        if progress:
            progress(count)
    check_finite(overflown, len(images), who=f"layer {layer!r}", images=images.name)
    return ChannelActivity(
        mean=(total / len(images)).numpy(), active_images=active.numpy(), total=len(images)
    )


def channel_sums(value: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over positions of each channel, summed over images.

    Args:
        value: What a layer gives, shape (images, channels, ...).

    Returns:
        The sums, shape (channels,), float64, and on how many images one is NaN or infinite, both on
        the CPU.
    """
    means = value.reshape(*value.shape[:2], -1).mean(2)
    bad = (~means.isfinite()).any(1).sum()
    return means.double().sum(0).cpu(), bad.cpu()


def _counts(value: Tensor) -> Tensor:
    """On how many images each channel is not zero somewhere."""
    return (value != 0).reshape(*value.shape[:2], -1).any(2).sum(0).cpu()
