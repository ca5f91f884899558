"""Train a network: Adam, one cycle, cross-entropy; the same from the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from goodnet.errors import InvalidInput
from goodnet.formats.build import build, extract
from goodnet.formats.softmax import without_softmax
from goodnet.training.checkpoint import Checkpoint, fingerprint
from goodnet.training.gradient import shared_gradient

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.network import Network
    from goodnet.training.examples import Examples
    from goodnet.training.held import Held
    from goodnet.training.schedule import Schedule
    from goodnet.types import Integers

__all__ = ["fit"]


def fit(
    spec: NetworkSpec,
    examples: Examples,
    *,
    schedule: Schedule,
    held: Held | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> NetworkSpec:
    """Train a copy of a network on examples.

    The same arguments give the same numbers, on any number of threads, interrupted or not.

    Args:
        spec: The network; a softmax at its end is left out while it is trained.
        examples: What it is to answer.
        schedule: How long and how fast.
        held: Numbers that stay as they are.
        device: Where to compute.
        checkpoint: A file that is written after every epoch. If it is there and belongs to the
            same work, training goes on from it. Remove it when you have what you wanted.
        progress: Called with the number of images trained on since the last call.

    Returns:
        The same layers with trained arrays.

    Raises:
        InvalidInput: If the examples do not fit the network, or training diverges.
        FileError: If the checkpoint cannot be written.
    """
    network = build(without_softmax(spec)).to(device)
    examples.check(network.input_shape, network.num_classes)
    work = _Work(network, schedule, held or {}, examples)
    start = 0
    saved = None
    if checkpoint is not None:
        saved = Checkpoint(checkpoint, fingerprint(spec, examples, schedule, work.held))
        start = saved.load(network.graph, work.optimizer)
    if progress and start:
        progress(start * len(examples))
    with shared_gradient(network.graph, network.device) as parts:
        for epoch in range(start, schedule.epochs):
            for step, picked in work.order(epoch):
                loss = parts.step(examples, picked)
                if not np.isfinite(loss):
                    raise InvalidInput(
                        f"training diverged in epoch {epoch + 1}; give a learning rate below "
                        f"{schedule.learning_rate:g}"
                    )
                work.descend(step)
                if progress:
                    progress(len(picked))
            if saved is not None:
                saved.save(network.graph, work.optimizer, epoch + 1)
    network.graph.eval()
    return spec.with_arrays(extract(network).arrays)


class _Work:
    """The optimiser of a network, with the numbers it holds."""

    def __init__(
        self, network: Network, schedule: Schedule, held: Held, examples: Examples
    ) -> None:
        self.held = held
        self.optimizer = torch.optim.Adam(network.graph.parameters(), foreach=True)
        self._schedule, self._count = schedule, len(examples)
        self._free = list(_free(network, held))

    def order(self, epoch: int) -> Iterator[tuple[int, Integers]]:
        """The steps of an epoch: the number of each and the examples it sees."""
        random = np.random.default_rng([self._schedule.seed, epoch])
        shuffled, size = random.permutation(self._count), self._schedule.batch_size
        first = epoch * self._schedule.steps_per_epoch(self._count)
        for place, start in enumerate(range(0, self._count, size)):
            yield first + place, shuffled[start : start + size]

    def descend(self, step: int) -> None:
        """Move against the gradient, but for what is held."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._schedule.rate(step, self._count)
        for parameter, free in self._free:
            if parameter.grad is not None:
                parameter.grad.mul_(free)
        self.optimizer.step()


def _free(network: Network, held: Held) -> Iterator[tuple[nn.Parameter, Tensor]]:
    """Parameters with held numbers, each with 1 where a number may change and 0 elsewhere."""
    for key, mask in held.items():
        layer, name = key.rsplit("/", 1)
        found = dict(network.module(layer).named_parameters()).get(name)
        if found is not None:
            yield found, torch.from_numpy(~mask).to(found.device, found.dtype)
