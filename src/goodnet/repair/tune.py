"""Training as all repairs do it: judged by the images held back, the best epoch kept.

Only an epoch of the second half is: before, the step size is too large for what is learned to
settle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from goodnet.formats.build import build
from goodnet.repair.clean import CleanImages, count_right
from goodnet.repair.method import Context
from goodnet.repair.result import RepairResult
from goodnet.results import EpochResult
from goodnet.stats import proportion
from goodnet.training import Examples, Frozen, Recipe, Schedule, fit

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.network import Network

# Called before each epoch with its number from 0: what is frozen in it. It may change numbers.
Course = Callable[[int, "Network"], Frozen]

# Epochs without a better one before training stops.
_PATIENCE = 4


def tune(
    network: Network,
    clean: CleanImages,
    *,
    start: NetworkSpec,
    schedule: Schedule,
    context: Context,
    recipe: Recipe,
    train: Examples | None = None,
    judged: Sequence[Examples] = (),
    frozen: Frozen | None = None,
    course: Course | None = None,
) -> RepairResult:
    """Train a network on clean images; the epoch that does best on those held back is kept.

    Args:
        network: B.
        clean: Its clean images.
        start: The description to start from: B, or B pruned.
        schedule: How long and how fast.
        context: Checkpoint and progress.
        recipe: What is asked in each step.
        train: What to train on instead of `clean.train`.
        judged: Held-back sets that an epoch is judged by beside the clean one, all alike.
        frozen: Numbers that stay as they are.
        course: What changes from epoch to epoch.

    Returns:
        The repair, without the name of the method, details, time and memory.
    """
    best = _Best(clean.held_back, judged, course, first=schedule.epochs // 2)
    shown = clean.train if train is None else train
    with context.stage(schedule.epochs * len(shown), "training") as advance:
        fit(
            start,
            shown,
            schedule=schedule,
            recipe=recipe,
            frozen=frozen,
            device=network.device,
            checkpoint=context.checkpoint,
            progress=advance,
            watch=best,
        )
    repaired = build(start.with_arrays(best.arrays(start))).to(network.device)
    return RepairResult(
        "",
        repaired,
        before=clean.before,
        after=count_right(repaired, clean.held_back),
        epochs=tuple(best.epochs),
        chosen=best.chosen,
        notes=clean.notes,
    )


@dataclass
class _Best:
    """Remembers the epoch that is right most often on the sets held back; later ones win ties."""

    held_back: Examples
    judged: Sequence[Examples]
    course: Course | None
    first: int
    epochs: list[EpochResult] = field(default_factory=list)
    chosen: int = 0
    score: float = -1.0
    numbers: dict[str, torch.Tensor] = field(default_factory=dict)

    def before(self, epoch: int, network: Network) -> Frozen | None:
        return self.course(epoch, network) if self.course else None

    def after(self, epoch: int, network: Network, *, loss: float) -> bool:
        accuracy = count_right(network, self.held_back)
        self.epochs.append(EpochResult(loss, accuracy))
        shares = [accuracy, *(count_right(network, examples) for examples in self.judged)]
        score = sum(share.value or 0.0 for share in shares) / len(shares)
        if epoch >= self.first and score >= self.score:
            self.score, self.chosen = score, epoch + 1
            self.numbers = {
                f"{layer}/{key}": tensor.detach().clone()
                for layer in network.layers
                for key, tensor in network.layer(layer).state_dict().items()
            }
        return epoch >= self.first and epoch + 1 - self.chosen >= _PATIENCE

    def state(self) -> dict[str, Any]:
        epochs = [(e.loss, e.accuracy.count, e.accuracy.total) for e in self.epochs]
        told = {"epochs": epochs, "chosen": self.chosen, "score": self.score}
        return told | {"numbers": self.numbers}

    def resume(self, state: dict[str, Any]) -> bool:
        self.epochs = [EpochResult(loss, proportion(n, of)) for loss, n, of in state["epochs"]]
        self.chosen, self.score = state["chosen"], state["score"]
        self.numbers = state["numbers"]
        done = len(self.epochs)
        return done > self.first and done - self.chosen >= _PATIENCE

    def arrays(self, spec: NetworkSpec) -> dict[str, Any]:
        found = {key: tensor.cpu().contiguous().numpy() for key, tensor in self.numbers.items()}
        return {key: found[key] for key in spec.arrays}
