"""Follow a network's answers while the channels of one layer fall silent, group after group.

Exact and incremental: the network is cut behind the layer, the head runs once per image, and the
tail runs again only for the images on which a channel that falls silent is not zero. For all
others nothing can have changed. Images pass in blocks, so memory is a few blocks and the kept
answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from goodnet.errors import InvalidInput
from goodnet.images import Block, ImageSet
from goodnet.network import Cut, Network, map_blocks
from goodnet.repair.activity import Progress
from goodnet.types import Integers

__all__ = ["Trace", "trace_answers"]

Groups = Sequence[Sequence[int]]


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


def trace_answers(
    network: Network,
    images: ImageSet,
    layer: str,
    *,
    groups: Groups,
    keep: Iterable[int] = (),
    block: int | None = None,
    progress: Progress | None = None,
) -> Trace:
    """Answers of the network as groups of a layer's channels fall silent one after another.

    Args:
        network: The network; it is not changed.
        images: Labelled images, already scaled.
        layer: The layer whose channels fall silent.
        groups: Channels silenced at each step, added to those before.
        keep: Steps whose answers are wanted image by image; 0 is the untouched network.
        block: Images held at a time; None to fit the memory. Never changes the result.
        progress: Called with the number of images done.

    Raises:
        InvalidInput: If the layer or a channel does not exist.
    """
    cut = network.cut(layer)
    _check_channels(groups, network.channels(layer), layer)
    correct = np.zeros(len(groups) + 1, dtype=np.int64)
    kept = {step: np.empty(len(images), dtype=np.int64) for step in keep}

    def trace(part: Block) -> tuple[int, Trace]:
        return part.start, _trace_block(cut, part, groups, keep=kept.keys())

    blocks = images.blocks(cut.block if block is None else block)
    for start, part in map_blocks(trace, blocks, cut.device):
        correct += part.correct
        for step, answers in part.answers.items():
            kept[step][start : start + part.total] = answers
        if progress:
            progress(part.total)
    return Trace(correct=correct, answers=kept, total=len(images))


def _trace_block(cut: Cut, block: Block, groups: Groups, *, keep: Iterable[int]) -> Trace:
    parts = zip(*cut.crossing(block.images), strict=True)
    crossing = [torch.cat(values) for values in parts]
    # The first value is changed in place below; it must not be one of the others.
    features = crossing[0] = crossing[0].clone()
    active = (features != 0).reshape(*features.shape[:2], -1).any(2)
    labels = torch.as_tensor(block.labels, device=cut.device)
    answers = cut.answers(crossing)
    steps = [answers.clone()]
    for group in groups:
        chosen = list(group)
        again = active[:, chosen].any(1).nonzero().squeeze(1)
        features[:, chosen] = 0.0
        if len(again) == len(answers):
            answers = cut.answers(crossing)
        elif len(again):
            answers[again] = cut.answers([value[again] for value in crossing])
        steps.append(answers.clone())
    return Trace(
        correct=np.array([int((step == labels).sum()) for step in steps], dtype=np.int64),
        answers={index: steps[index].cpu().numpy() for index in keep},
        total=len(labels),
    )


def _check_channels(groups: Groups, count: int, layer: str) -> None:
    seen: set[int] = set()
    for channel in (c for group in groups for c in group):
        if not 0 <= channel < count:
            raise InvalidInput(f"layer {layer!r} has the channels 0..{count - 1}, got {channel}")
        if channel in seen:
            raise InvalidInput(f"channel {channel} of layer {layer!r} is listed twice")
        seen.add(channel)
