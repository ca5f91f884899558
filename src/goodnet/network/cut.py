"""A network in two parts at a layer: what lies before it runs once, what lies behind it often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from goodnet.network.answers import answers
from goodnet.network.batching import computing


@dataclass(frozen=True)
class Cut:
    """A network in two parts; head then tail is the network.

    Attributes:
        head: Images -> tuple of the values that cross: the layer's own first, then those of
            skip connections.
        tail: Those values -> the network's output.
        head_batch: Images to give the head at a time.
        tail_batch: Images to give the tail at a time.
        block: Images to hold at a time.
        values: How many values cross.
        shape: Of one image.
        device: Where both parts are.
    """

    head: nn.Module
    tail: nn.Module
    head_batch: int
    tail_batch: int
    block: int
    values: int
    shape: tuple[int, ...]
    device: torch.device

    def crossing(self, images: NDArray[np.float32]) -> Iterator[tuple[Tensor, ...]]:
        """The values that cross, a batch of images at a time."""
        for batch in batches(images, self.head_batch):
            with torch.inference_mode(), computing(self.shape):
                found: tuple[Tensor, ...] = self.head(channels_last(batch.to(self.device)))
            yield found

    def predict(self, crossing: Sequence[Tensor]) -> Tensor:
        """The class of each image from the values that cross, shape (images,), or `NO_ANSWER`."""
        parts = [batches(value, self.tail_batch) for value in crossing]
        with torch.inference_mode(), computing(self.shape):
            found = [answers(self.tail(*values)) for values in zip(*parts, strict=True)]
        return torch.cat(found)


def batches(images: NDArray[np.float32] | Tensor, size: int) -> Iterator[Tensor]:
    """Slices of `images` along the first axis as tensors."""
    tensor = torch.as_tensor(images)
    for start in range(0, len(tensor), size):
        yield tensor[start : start + size]


def channels_last(images: Tensor) -> Tensor:
    """Pictures in the memory layout convolutions run fastest in; other values as they are."""
    return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images
