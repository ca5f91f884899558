"""Several ways to train, tried in turn until one is good enough; else the best is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from goodnet.progress import ProgressCallback
    from goodnet.repair.method import Context
    from goodnet.repair.result import RepairResult
    from goodnet.training import Recipe, Schedule


@dataclass(frozen=True)
class Attempt:
    """One way to train.

    Attributes:
        recipe: What is asked in each step.
        schedule: How long and how fast.
    """

    recipe: Recipe
    schedule: Schedule

    def __str__(self) -> str:
        """In a few words."""
        rate, epochs = self.schedule.learning_rate, self.schedule.epochs
        return f"{self.recipe.name}, learning rate {rate:g}, {epochs} epochs"


def try_in_turn(
    attempts: Sequence[Attempt],
    train: Callable[[Attempt, Context], RepairResult],
    *,
    context: Context,
    enough: Callable[[RepairResult], bool],
    score: Callable[[RepairResult], float],
) -> RepairResult:
    """Train in one way after the other until one is enough; if none is, take the best.

    A way that makes training diverge is passed over.

    Args:
        attempts: At least one, the preferred first.
        train: Trains in one way; the context it is given has a checkpoint of its own.
        context: How to run it.
        enough: Whether no other way is to be tried.
        score: The larger the better; of equal ones the first is taken.

    Returns:
        The repair; its details say how it was trained and how many ways were tried.

    Raises:
        Diverged: If training diverged in every way.
    """
    from goodnet.training import Diverged

    tried: list[RepairResult] = []
    for place, attempt in enumerate(attempts):
        try:
            found = train(attempt, _own(context, place))
        except Diverged:
            if not tried and attempt is attempts[-1]:
                raise
            continue
        tried.append(replace(found, details={**found.details, "training": str(attempt)}))
        if enough(found):
            break
    for other in range(1, len(attempts)):
        if extra := _own(context, other).checkpoint:
            extra.unlink(missing_ok=True)
    best = tried[-1] if enough(tried[-1]) else max(tried, key=score)
    return replace(best, details={**best.details, "attempts": place + 1})


def _own(context: Context, place: int) -> Context:
    """Each attempt has a checkpoint of its own, so that none that is done is done again."""
    if not place:
        return context

    def stage(work: int, label: str) -> AbstractContextManager[ProgressCallback]:
        return context.stage(work, f"{label}, attempt {place + 1}")

    path = context.checkpoint
    own = path.with_name(f"{path.name}.{place}") if path else None
    return replace(context, checkpoint=own, stage=stage)
