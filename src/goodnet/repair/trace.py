"""Follow a network's answers while the channels of one layer fall silent, group after group.

Exact and incremental: the network is cut behind the layer, the head runs once per image, and the
tail runs again only for the images on which a channel that falls silent is not zero. For all
others nothing can have changed. A silent channel costs as much as any other until it is removed: so
whenever half of the channels are gone, the tail is made anew without them. A softmax at the end is
left out altogether, it does not change which output is largest. Images pass in blocks, so memory is
a few blocks and the kept answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.compact import compact
from goodnet.formats.softmax import without_softmax
from goodnet.imagesets import Block, ImageSet
from goodnet.network import NO_ANSWER, Cut, Network, check_finite, map_blocks
from goodnet.progress import ProgressCallback
from goodnet.repair.activity import channel_sums
from goodnet.types import Integers


@dataclass(frozen=True)
class Tail:
    """What runs behind a layer from one step on.

    Attributes:
        step: The first group of channels it is used for.
        channels: Channels of the layer that it reads, in order.
        cut: The network it is the tail of.
    """

    step: int
    channels: tuple[int, ...]
    cut: Cut


def plan_tails(network: Network, layer: str, groups: Sequence[Sequence[int]]) -> list[Tail]:
    """The tails to use as groups of channels fall silent; the first reads all channels.

    There is only one where values pass by the layer or its channels are tied to others.
    """
    everything = tuple(range(network.channels(layer)))
    spec = without_softmax(network.spec)
    tails = [Tail(0, everything, build(spec).to(network.device).cut(layer))]
    silent: list[int] = []
    for step, group in enumerate(groups):
        silent.extend(group)
        left = tuple(channel for channel in everything if channel not in silent)
        if not left or tails[0].cut.values > 1 or 2 * len(left) > len(tails[-1].channels):
            continue
        try:
            smaller = build(compact(spec, layer, silent))
        except InvalidInput:
            break
        tails.append(Tail(step, left, smaller.to(network.device).cut(layer)))
    return tails


Groups = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Trace:
    """Answers before the first group (step 0) and after each one.

    Attributes:
        correct: Images answered with their label at each step, shape (groups + 1,).
        total: Images seen.
        activation: Of each channel of the layer before the first group, the mean over positions,
            summed over images, shape (channels,), float64.
        overflown: Images on which one of these is NaN or infinite.
        unanswered: Images on which the outputs are, before the first group.
    """

    correct: Integers
    total: int
    activation: NDArray[np.float64]
    overflown: int = 0
    unanswered: int = 0

    @property
    def mean_activation(self) -> NDArray[np.float64]:
        """The mean over images and positions, shape (channels,)."""
        return self.activation / self.total


def trace_predictions(
    network: Network,
    images: ImageSet,
    layer: str,
    *,
    groups: Groups,
    block: int | None = None,
    progress: ProgressCallback | None = None,
) -> Trace:
    """Answers of the network as groups of a layer's channels fall silent one after another.

    Args:
        network: The network; it is not changed.
        images: Labelled images.
        layer: The layer whose channels fall silent.
        groups: Channels silenced at each step, added to those before.
        block: Images held at a time; None to fit the memory. Never changes the result.
        progress: Called with the number of images done.

    Outputs that become NaN or infinite as channels fall silent answer no image correctly.

    Raises:
        InvalidInput: If the layer or a channel does not exist, or the layer's value or the outputs
            are NaN or infinite on some images before any channel is silent.
    """
    _check_channels(groups, network.channels(layer), layer)
    tails = plan_tails(network, layer, groups)
    cut = tails[0].cut
    correct = np.zeros(len(groups) + 1, dtype=np.int64)
    activation = np.zeros(network.channels(layer), dtype=np.float64)
    overflown = unanswered = 0

    def trace(part: Block) -> Trace:
        return _trace_block(tails, part, groups)

    blocks = images.blocks(cut.block if block is None else block)
    for part in map_blocks(trace, blocks, cut.device):
        correct += part.correct
        activation += part.activation
        overflown += part.overflown
        unanswered += part.unanswered
        if progress:
            progress(part.total)
    check_finite(unanswered, len(images), images=images.name)
    check_finite(overflown, len(images), who=f"layer {layer!r}", images=images.name)
    return Trace(correct=correct, total=len(images), activation=activation)


def _trace_block(tails: Sequence[Tail], block: Block, groups: Groups) -> Trace:
    behind = _Behind.run(tails, block.images)
    labels = torch.as_tensor(block.labels, device=behind.answers.device)
    correct = [int((behind.answers == labels).sum())]
    unanswered = int((behind.answers == NO_ANSWER).sum())
    for step, group in enumerate(groups):
        behind.silence(step, list(group))
        correct.append(int((behind.answers == labels).sum()))
    return Trace(
        correct=np.array(correct, dtype=np.int64),
        total=len(labels),
        activation=behind.activation,
        overflown=behind.overflown,
        unanswered=unanswered,
    )


class _Behind:
    """One block of images behind the cut: the values that cross it, and the answers so far."""

    def __init__(self, tails: Sequence[Tail], crossing: list[Tensor]) -> None:
        self._tail, self._later = tails[0], deque(tails[1:])
        # The first value is changed in place; it must not be one of the others.
        self._crossing = [crossing[0].clone(), *crossing[1:]]
        self._active = (crossing[0] != 0).reshape(*crossing[0].shape[:2], -1).any(2)
        sums, bad = channel_sums(crossing[0])
        self.activation: NDArray[np.float64] = sums.numpy()
        self.overflown = int(bad)
        self.answers = self._tail.cut.predict(self._crossing)

    @classmethod
    def run(cls, tails: Sequence[Tail], images: NDArray[np.float32]) -> _Behind:
        parts = zip(*tails[0].cut.crossing(images), strict=True)
        return cls(tails, [torch.cat(values) for values in parts])

    def silence(self, step: int, channels: list[int]) -> None:
        """Silence channels in the step's turn, and bring the answers up to date."""
        if self._later and self._later[0].step == step:
            self._shrink()
        else:
            places = [self._tail.channels.index(channel) for channel in channels]
            self._crossing[0][:, places] = 0.0
        again = self._active[:, channels].any(1).nonzero().squeeze(1)
        if len(again) == len(self.answers):
            self.answers = self._tail.cut.predict(self._crossing)
        elif len(again):
            chosen = [value[again] for value in self._crossing]
            self.answers[again] = self._tail.cut.predict(chosen)

    def _shrink(self) -> None:
        """Go on with the next tail, which does without the channels that are silent by now."""
        before, self._tail = self._tail.channels, self._later.popleft()
        places = [before.index(channel) for channel in self._tail.channels]
        self._crossing[0] = self._crossing[0][:, places]


def _check_channels(groups: Groups, count: int, layer: str) -> None:
    seen: set[int] = set()
    for channel in (c for group in groups for c in group):
        if not 0 <= channel < count:
            raise InvalidInput(f"layer {layer!r} has the channels 0..{count - 1}, got {channel}")
        if channel in seen:
            raise InvalidInput(f"channel {channel} of layer {layer!r} is listed twice")
        seen.add(channel)
