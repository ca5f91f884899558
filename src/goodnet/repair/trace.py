"""Follow a network's answers while the channels of one layer fall silent, group after group.

Exact and incremental: the network is cut behind the layer, the head runs once per image, and the
tail runs again only for the images on which a channel that falls silent is not zero. For all
others nothing can have changed. Images pass in blocks, so memory is one block and the kept answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goodnet.errors import InvalidInput
from goodnet.images import ImageSet
from goodnet.network import Cut, Network, channels_last
from goodnet.types import Integers

__all__ = ["ChannelActivity", "Progress", "Trace", "measure_activity", "trace_answers"]

Progress = Callable[[int], None]

_BLOCK = 1024


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


@dataclass(frozen=True)
class Trace:
    """Answers before the first group (step 0) and after each one.

    Attributes:
        correct: Images answered with their label at each step, shape (groups + 1,).
        answers: The class of every image at each step that was kept, shape (images,).
        total: Images seen.
    """

    correct: Integers
    answers: dict[int, Integers]
    total: int


def measure_activity(
    network: Network, images: ImageSet, layer: str, *, progress: Progress | None = None
) -> ChannelActivity:
    """Mean activation of each channel of a layer over all images and positions.

    Raises:
        InvalidInput: If the layer does not exist or does not reach the output.
    """
    cut = network.cut(layer)
    channels = network.channels(layer)
    total = torch.zeros(channels, dtype=torch.float64)
    active = torch.zeros(channels, dtype=torch.int64)
    for block in images.blocks(_BLOCK):
        for value in _heads(cut, block.images, network.device):
            positions = value[0].flatten(2) if value[0].ndim > 2 else value[0].unsqueeze(2)
            total += positions.mean(2).double().sum(0).cpu()
            active += (positions != 0).any(2).sum(0).cpu()
        if progress:
            progress(len(block.images))
    return ChannelActivity(
        mean=(total / len(images)).numpy(), active_images=active.numpy(), total=len(images)
    )


def trace_answers(
    network: Network,
    images: ImageSet,
    layer: str,
    *,
    groups: Sequence[Sequence[int]],
    keep: Iterable[int] = (),
    block: int = _BLOCK,
    progress: Progress | None = None,
) -> Trace:
    """Answers of the network as groups of a layer's channels fall silent one after another.

    Args:
        network: The network; it is not changed.
        images: Labelled images, already scaled.
        layer: The layer whose channels fall silent.
        groups: Channels silenced at each step, added to those before.
        keep: Steps whose answers are wanted image by image; 0 is the untouched network.
        block: Images held at a time; never changes the result.
        progress: Called with the number of images done.

    Raises:
        InvalidInput: If the layer or a channel does not exist.
    """
    cut = network.cut(layer)
    _check_channels(groups, network.channels(layer), layer)
    correct = np.zeros(len(groups) + 1, dtype=np.int64)
    kept = {step: np.empty(len(images), dtype=np.int64) for step in keep}
    for part in images.blocks(block):
        labels = torch.as_tensor(part.labels, device=network.device)
        span = slice(part.start, part.start + len(part.images))
        steps = _steps(_Block.run(cut, part.images, network.device), groups)
        for step, answers in enumerate(steps):
            correct[step] += int((answers == labels).sum())
            if step in kept:
                kept[step][span] = answers.cpu().numpy()
        if progress:
            progress(len(part.images))
    return Trace(correct=correct, answers=kept, total=len(images))


def _steps(block: _Block, groups: Sequence[Sequence[int]]) -> Iterator[Tensor]:
    yield block.answers
    for group in groups:
        block.silence(group)
        yield block.answers


class _Block:
    """One block of images behind the cut: the values that cross it, and the answers so far."""

    def __init__(self, cut: Cut, crossing: list[Tensor]) -> None:
        self._cut = cut
        self._crossing = crossing
        features = crossing[0]
        self._active = (features != 0).reshape(*features.shape[:2], -1).any(2)
        self.answers = self._tail(crossing)

    @classmethod
    def run(cls, cut: Cut, images: NDArray[np.float32], device: torch.device) -> _Block:
        parts = list(_heads(cut, images, device))
        return cls(cut, [torch.cat(values) for values in zip(*parts, strict=True)])

    def silence(self, group: Sequence[int]) -> None:
        if not len(group):
            return
        touched = self._active[:, list(group)].any(1)
        self._crossing[0][:, list(group)] = 0.0
        count = int(touched.sum())
        if count == len(touched):
            self.answers = self._tail(self._crossing)
        elif count:
            again = touched.nonzero().squeeze(1)
            self.answers[again] = self._tail([value[again] for value in self._crossing])

    def _tail(self, crossing: list[Tensor]) -> Tensor:
        size = self._cut.tail_batch
        with torch.inference_mode():
            answers = [
                self._cut.tail(*[value[start : start + size] for value in crossing]).argmax(1)
                for start in range(0, len(crossing[0]), size)
            ]
        return torch.cat(answers)


def _heads(
    cut: Cut, images: NDArray[np.float32], device: torch.device
) -> Iterator[tuple[Tensor, ...]]:
    tensor = torch.from_numpy(images)
    for start in range(0, len(tensor), cut.head_batch):
        batch = tensor[start : start + cut.head_batch].to(device)
        with torch.inference_mode():
            yield cut.head(channels_last(batch))


def _check_channels(groups: Sequence[Sequence[int]], count: int, layer: str) -> None:
    seen: set[int] = set()
    for channel in (c for group in groups for c in group):
        if not 0 <= channel < count:
            raise InvalidInput(f"layer {layer!r} has the channels 0..{count - 1}, got {channel}")
        if channel in seen:
            raise InvalidInput(f"channel {channel} of layer {layer!r} is listed twice")
        seen.add(channel)
