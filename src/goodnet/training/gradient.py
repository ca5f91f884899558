"""The gradient of one batch, computed on several cores and the same on any number of them.

A batch is cut in a fixed number of parts. Each part runs through a copy of the network that shares
its parameters, on one core, and the gradients are added in order. On small networks this beats
splitting every single operation over the cores. BatchNorm takes its statistics within a part.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from goodnet.network import channels_last, workers
from goodnet.training.recipe import PLAIN, Recipe

if TYPE_CHECKING:
    from goodnet.network import Run
    from goodnet.training.examples import Examples
    from goodnet.types import Integers

_PARTS = 4


class _Piece(NamedTuple):
    network: nn.Module
    rows: Integers
    random: np.random.Generator
    scale: float


@dataclass(frozen=True)
class SharedGradient:
    """A network in training and the copies that work on the parts of a batch.

    Attributes:
        parameters: Of the network and of every copy: they share them.
        buffers: Of the network, then of each copy, one vector each.
        copies: They work on the parts.
        recipe: What is asked in each step.
        run: Where the parts are worked on.
        device: Where the network is.
    """

    parameters: Sequence[nn.Parameter]
    buffers: Sequence[Tensor]
    copies: Sequence[nn.Module]
    recipe: Recipe
    run: Run
    device: torch.device

    def step(self, examples: Examples, picked: Integers, *, seed: Sequence[int] = (0,)) -> float:
        """Leave the gradient of the mean loss of some examples in the parameters; that loss."""
        # BatchNorm has no statistics of a single number.
        count = max(1, min(len(self.copies), len(picked) // 2))
        pieces = np.array_split(picked, count)
        scale = 1 / len(picked)
        jobs = [
            _Piece(network, piece, np.random.default_rng([*seed, place]), scale)
            for place, (network, piece) in enumerate(zip(self.copies, pieces, strict=False))
        ]
        done = list(self.run(lambda job: self._gradient(examples, job), jobs))
        columns = zip(*(gradients for _, gradients in done), strict=True)
        for parameter, column in zip(self.parameters, columns, strict=True):
            parameter.grad = reduce(torch.add, column)
        self._share_buffers(len(jobs))
        return sum(loss for loss, _ in done)

    def _gradient(self, examples: Examples, piece: _Piece) -> tuple[float, tuple[Tensor, ...]]:
        images = torch.from_numpy(examples.pixels(piece.rows)).to(self.device)
        labels = torch.from_numpy(examples.labels[piece.rows]).to(self.device)
        if self.recipe.augment is not None:
            images = self.recipe.augment(images, piece.random)
        with _watched(piece.network, self.recipe.layers) as values:
            logits = piece.network(channels_last(images))
        loss = self.recipe.objective(logits, labels, images)
        if self.recipe.inside is not None:
            loss = loss + self.recipe.inside(values, labels)
        loss = piece.scale * loss
        return float(loss.detach()), torch.autograd.grad(loss, self.parameters)

    def _share_buffers(self, used: int) -> None:
        own, *others = self.buffers
        own.copy_(torch.stack(others[:used]).mean(0))
        for buffers in others:
            buffers.copy_(own)


@contextmanager
def shared_gradient(
    network: nn.Module, device: torch.device, *, recipe: Recipe = PLAIN
) -> Iterator[SharedGradient]:
    """Train `network` in parts: one per core on the CPU, whole on another device."""
    count = _PARTS if device.type == "cpu" else 1
    copies = [_sharing_parameters(network) for _ in range(count)]
    buffers = [_as_one_vector(one, device) for one in (network, *copies)]
    with workers(device) as run:
        yield SharedGradient(list(network.parameters()), buffers, copies, recipe, run, device)


@contextmanager
def _watched(network: nn.Module, layers: Sequence[str]) -> Iterator[list[Tensor]]:
    """The values of some layers, filled in while the network runs."""
    values: list[Tensor] = []

    def keep(_module: nn.Module, _given: object, value: Tensor) -> None:
        values.append(value)

    handles = [network.get_submodule(name).register_forward_hook(keep) for name in layers]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()


def _sharing_parameters(network: nn.Module) -> nn.Module:
    memo = {id(parameter): parameter for parameter in network.parameters()}
    return copy.deepcopy(network, memo).train()


def _as_one_vector(network: nn.Module, device: torch.device) -> Tensor:
    """Move all buffers into one vector that they are views of: many small copies become one."""
    buffers = list(network.buffers())
    vector = torch.cat([torch.empty(0, device=device), *(buffer.flatten() for buffer in buffers)])
    parts = torch.split(vector, [buffer.numel() for buffer in buffers])
    for buffer, part in zip(buffers, parts, strict=True):
        buffer.data = part.view_as(buffer)
    return vector
