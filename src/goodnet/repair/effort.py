"""How hard to train a repair: as hard as clean accuracy bears, for that is what moves a backdoor.

Small steps leave a backdoor where it is. Large ones, on images moved about, drive it out where the
classes can be told anew from the clean images, and ruin the network where they cannot. Nobody
knows beforehand, so the hardest training is tried first and judged by the images held back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from goodnet.formats.build import build
from goodnet.formats.softmax import without_softmax
from goodnet.repair.tune import Course, plain_spec, tune
from goodnet.training import Diverged, Recipe, Schedule, cross_entropy, distillation, shifts

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.network import Network
    from goodnet.repair.clean import CleanImages
    from goodnet.repair.result import Repair, Settings
    from goodnet.training import Held

__all__ = ["Effort", "efforts", "epochs_for", "tune_hard"]


@dataclass(frozen=True)
class Effort:
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


@dataclass(frozen=True)
class _Level:
    """Learning rate, and the weight of what B answers beside the labels."""

    rate: float
    teacher: float


# Chosen once by the attack left on planted networks; a repair itself sees clean images only.
# Hardest first. A teacher holds accuracy, and some of the backdoor with it.
_LEVELS = (_Level(8e-3, 0.0), _Level(1e-2, 0.5), _Level(3e-3, 0.5))
_EPOCHS, _MOST_EPOCHS, _STEPS = 16, 60, 1000
# With few images nothing can be learned anew: one gentle course close to B.
_FEW_LEVELS, _FEW_EPOCHS, _FEW_SHIFT = (_Level(2e-4, 0.5),), 20, 2
# Images are moved by up to this share of their shorter side.
_SHIFT = 0.1


def tune_hard(
    network: Network,
    clean: CleanImages,
    *,
    start: NetworkSpec,
    settings: Settings,
    held: Held | None = None,
    course: Course | None = None,
) -> Repair:
    """Train a network on clean images as hard as its accuracy bears.

    The hardest training is tried first. One that costs more accuracy on the images held back than
    the settings tolerate gives way to the next; if all do, the one that costs least is taken.

    Args:
        network: B.
        clean: Its clean images.
        start: The description to start from: B, or B pruned.
        settings: How to run it.
        held: Numbers that stay as they are.
        course: What changes from epoch to epoch; only an epoch of the second half is kept.

    Returns:
        The repair, without the name of the method, time and memory: see `repair.tune.finish`.
    """
    tried: list[Repair] = []
    possible = efforts(network, clean, settings=settings)
    for place, effort in enumerate(possible):
        try:
            found = tune(
                network,
                clean,
                start=start,
                schedule=effort.schedule,
                settings=_with_checkpoint(settings, place),
                recipe=replace(effort.recipe, name=f"{effort.recipe.name}, {course}"),
                held=held,
                course=course,
            )
        except Diverged:
            if not tried and effort is possible[-1]:
                raise
            continue
        tried.append(replace(found, details={"training": str(effort)}))
        if found.cost <= settings.tolerance:
            break
    for other in range(1, len(possible)):
        if extra := _with_checkpoint(settings, other).checkpoint:
            extra.unlink(missing_ok=True)
    fits = tried[-1].cost <= settings.tolerance
    best = tried[-1] if fits else min(tried, key=lambda one: one.cost)
    told = replace(best, details={**best.details, "attempts": place + 1})
    return told.with_warning(settings.tolerance)


def efforts(network: Network, clean: CleanImages, *, settings: Settings) -> tuple[Effort, ...]:
    """Ways to train, hardest first; what the settings say goes for all of them.

    Args:
        network: B.
        clean: Its clean images.
        settings: What the user chose.

    References:
        Sha et al., Fine-Tuning Is All You Need to Mitigate Backdoor Attacks, 2022, for large steps;
        Hinton et al., Distilling the Knowledge in a Neural Network, 2015, for B as a teacher.
    """
    levels = _FEW_LEVELS if clean.few else _LEVELS
    found: dict[tuple[float, float], Effort] = {}
    for level in levels:
        schedule = Schedule(
            epochs_for(clean, settings),
            settings.batch_size,
            settings.learning_rate or level.rate,
            settings.seed,
        )
        recipe = _recipe(network, teacher=level.teacher, shift=_shift(clean))
        found.setdefault((schedule.learning_rate, level.teacher), Effort(recipe, schedule))
    return tuple(found.values())


def epochs_for(clean: CleanImages, settings: Settings) -> int:
    """As the settings say, or so many that there are enough steps."""
    if settings.epochs is not None:
        return settings.epochs
    if clean.few:
        return _FEW_EPOCHS
    wanted = math.ceil(_STEPS * settings.batch_size / len(clean.train))
    return min(max(_EPOCHS, wanted), _MOST_EPOCHS)


def _shift(clean: CleanImages) -> int:
    if clean.few:
        return _FEW_SHIFT
    height, width = clean.train.images.shape[2:]
    return max(1, round(_SHIFT * int(min(height, width))))


def _recipe(network: Network, *, teacher: float, shift: int) -> Recipe:
    moved = shifts(shift)
    if not teacher:
        return Recipe(f"labels, shifts {shift}", cross_entropy, moved)
    answers = build(without_softmax(plain_spec(network))).to(network.device)
    objective = distillation(answers, weight=teacher)
    return Recipe(f"distillation {teacher}, shifts {shift}", objective, moved)


def _with_checkpoint(settings: Settings, place: int) -> Settings:
    """Each attempt has a file of its own, so that none that is done is done again."""
    path = settings.checkpoint
    if path is None or not place:
        return settings
    return replace(settings, checkpoint=path.with_name(f"{path.name}.{place}"))
