"""Train a network: Adam in one cycle; the same from the same seed.

There are three seams: the loss and how a step is taken (`Recipe`), and what holds after each step
(`Frozen`, and a `Watch` that looks on between epochs).

A network that takes pixels 0..255 has first weights some hundred times smaller than others. Steps
of the usual size would wipe them out, so they are as much smaller as the pixels are larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from goodnet.errors import InvalidInput
from goodnet.formats.build import build, extract
from goodnet.formats.softmax import without_softmax
from goodnet.network import Network
from goodnet.training.checkpoint import Checkpoint, fingerprint
from goodnet.training.config import Frozen
from goodnet.training.gradient import SharedGradient, shared_gradient
from goodnet.training.recipe import PLAIN, Recipe

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.network import Network
    from goodnet.training.config import Schedule
    from goodnet.training.examples import Examples
    from goodnet.types import Integers

_SAMPLE = 256
# What brings pixels to a size of its own.
_BRINGS_TO_SIZE = frozenset({"rescale", "normalize"})


def parameter_groups(network: Network, examples: Examples) -> list[dict[str, Any]]:
    """The parameters of a network in groups for an optimiser, each with its `lr_factor`.

    Args:
        network: Made of a description.
        examples: What it is to be trained on.
    """
    sample = network.preprocessing(torch.from_numpy(examples.pixels(slice(_SAMPLE)))).numpy()
    size = max(1.0, float(np.sqrt(np.square(sample).mean())))
    first = {
        id(network.layer(name).get_parameter(key))
        for name in (reads_pixels(network.spec))
        for key, _ in network.layer(name).named_parameters()
        if key == "weight"
    }
    everything = list(network.graph.parameters())
    groups = [
        {"params": [p for p in everything if id(p) not in first], "lr_factor": 1.0},
        {"params": [p for p in everything if id(p) in first], "lr_factor": 1 / size},
    ]
    return [group for group in groups if group["params"]]


def reads_pixels(spec: NetworkSpec) -> list[str]:
    """Layers with weights of their own that see the pixels as they come in."""
    raw = {layer.name for layer in spec.layers if layer.op == "input"}
    found = []
    for layer in spec.layers:
        if not raw.intersection(layer.inputs) or layer.op in _BRINGS_TO_SIZE:
            continue
        if spec.parameters(layer.name):
            found.append(layer.name)
        else:
            raw.add(layer.name)
    return found


class Diverged(InvalidInput):
    """The loss of training is no longer a number: its steps are too large."""


class Watch(Protocol):
    """Looks on between epochs."""

    def before(self, epoch: int, network: Network) -> Frozen | None:
        """What is frozen in an epoch, counted from 0, beside what always is; may change numbers."""
        ...

    def after(self, epoch: int, network: Network, *, loss: float) -> bool:
        """Whether to stop here. `loss` is the mean over the epoch."""
        ...

    def state(self) -> dict[str, Any]:
        """All it remembers: tensors, numbers and lists."""
        ...

    def resume(self, state: dict[str, Any]) -> bool:
        """Remember again; whether training had stopped."""
        ...


def fit(
    spec: NetworkSpec,
    examples: Examples,
    *,
    schedule: Schedule,
    recipe: Recipe = PLAIN,
    frozen: Frozen | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    progress: Callable[[int], None] | None = None,
    watch: Watch | None = None,
) -> NetworkSpec:
    """Train a copy of a network on examples.

    The same arguments give the same numbers, on any number of threads, interrupted or not.

    Args:
        spec: The network; a softmax at its end is left out while it is trained.
        examples: What it is to answer.
        schedule: How long and how fast.
        recipe: What is asked of it in each step.
        frozen: Numbers that stay as they are.
        device: Where to compute.
        checkpoint: A file that is written after every epoch. If it is there and belongs to the
            same work, training goes on from it. Remove it when you have what you wanted.
        progress: Called with the number of images trained on since the last call.
        watch: Looks on between epochs.

    Returns:
        The same layers with trained arrays.

    Raises:
        InvalidInput: If the examples do not fit the network, or a network with BatchNorm is to be
            trained on single images.
        Diverged: If the loss is no longer a number.
        FileError: If the checkpoint cannot be written.
    """
    network = build(without_softmax(spec)).to(device)
    examples.check(network.input_shape, network.num_classes)
    _check_batches(spec, examples, schedule)
    work = _Work(network, examples, schedule, frozen or {}, watch)
    saved = None
    if checkpoint is not None:
        mark = fingerprint(spec, examples, schedule, frozen or {}, recipe=recipe.name)
        saved = Checkpoint(checkpoint, mark)
    first = work.resume(saved)
    if progress and first:
        progress(first * len(examples))
    with shared_gradient(network.graph, network.device, recipe=recipe) as shared:
        for epoch in range(first, schedule.epochs):
            stop = work.epoch(epoch, shared, progress)
            if saved is not None:
                saved.save(network.graph, work.optimizer, epoch + 1, watch=work.state())
            if stop:
                break
    network.graph.eval()
    return spec.with_arrays(extract(network).arrays)


def _check_batches(spec: NetworkSpec, examples: Examples, schedule: Schedule) -> None:
    smallest = len(examples) // schedule.steps_per_epoch(len(examples))
    if smallest < 2 and any(layer.op == "batch_norm" for layer in spec.layers):
        raise InvalidInput(
            f"expected batches of 2 images or more to train BatchNorm on, got {len(examples)} "
            f"images in batches of {schedule.batch_size}; give more images or larger batches"
        )


class _Work:
    """A network in training, its optimiser and the numbers it holds."""

    def __init__(
        self,
        network: Network,
        examples: Examples,
        schedule: Schedule,
        frozen: Frozen,
        watch: Watch | None,
    ) -> None:
        self._network, self._examples, self._schedule = network, examples, schedule
        self._frozen, self._watch = frozen, watch
        self.optimizer = torch.optim.Adam(parameter_groups(network, examples), fused=True)

    def resume(self, saved: Checkpoint | None) -> int:
        """Take over what is saved; the epoch to go on with."""
        if saved is None:
            return 0
        done, watched = saved.load(self._network.graph, self.optimizer)
        if done and self._watch and self._watch.resume(watched):
            return self._schedule.epochs
        return done

    def state(self) -> dict[str, Any]:
        return self._watch.state() if self._watch else {}

    def epoch(
        self, epoch: int, shared: SharedGradient, progress: Callable[[int], None] | None
    ) -> bool:
        """Train on every example once; whether to stop then."""
        frozen = dict(self._frozen)
        if self._watch:
            frozen |= self._watch.before(epoch, self._network) or {}
        kept = list(_kept(self._network, frozen))
        total = 0.0
        for step, picked in self._order(epoch):
            seed = [self._schedule.seed, step]
            gradient = partial(shared.step, self._examples, picked, seed=seed)
            loss = shared.recipe.step(gradient, shared.parameters)
            if not np.isfinite(loss):
                raise Diverged(
                    f"training diverged in epoch {epoch + 1}; give a learning rate below "
                    f"{self._schedule.learning_rate:g}"
                )
            self._descend(step, kept)
            total += loss * len(picked)
            if progress:
                progress(len(picked))
        if self._watch is None:
            return False
        self._network.graph.eval()
        return self._watch.after(epoch, self._network, loss=total / len(self._examples))

    def _order(self, epoch: int) -> Iterator[tuple[int, Integers]]:
        """The steps of an epoch: the number of each and the examples it sees."""
        random = np.random.default_rng([self._schedule.seed, epoch])
        shuffled = random.permutation(len(self._examples))
        steps = self._schedule.steps_per_epoch(len(shuffled))
        # In even batches: a last one of few images would shake the statistics of BatchNorm.
        yield from enumerate(np.array_split(shuffled, steps), start=epoch * steps)

    def _descend(self, step: int, kept: list[tuple[nn.Parameter, Tensor, Tensor]]) -> None:
        """Move against the gradient, but for what is frozen."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["lr_factor"] * self._schedule.rate(step, len(self._examples))
        self.optimizer.step()
        with torch.no_grad():
            for parameter, mask, values in kept:
                # Zeroing the gradient would not do: Adam moves on by its memory.
                parameter.copy_(torch.where(mask, values, parameter))


def _kept(network: Network, frozen: Frozen) -> Iterator[tuple[nn.Parameter, Tensor, Tensor]]:
    """Parameters with frozen numbers: which those are, and the values they keep."""
    for key, mask in frozen.items():
        layer, name = key.rsplit("/", 1)
        found = dict(network.layer(layer).named_parameters()).get(name)
        if found is not None:
            yield found, torch.from_numpy(mask).to(found.device), found.detach().clone()
