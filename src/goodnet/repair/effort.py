"""How aggressively to train a repair: as much as clean accuracy allows, which removes backdoors.

A low learning rate leaves a backdoor in place. A high one, on shifted images, removes it where the
classes can be learned again from the clean images, and ruins the network where they cannot. Which
holds is not known beforehand, so the hardest training is tried first and judged by the images held
back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from goodnet.formats.build import build
from goodnet.formats.softmax import without_softmax
from goodnet.repair.attempts import Attempt, try_in_turn
from goodnet.repair.tune import Course, tune
from goodnet.training import Recipe, cross_entropy, distillation, shifts

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.network import Network
    from goodnet.repair.clean import CleanImages
    from goodnet.repair.method import Context
    from goodnet.repair.result import RepairResult
    from goodnet.training import Frozen, TrainingConfig


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
    context: Context,
    frozen: Frozen | None = None,
    course: Course | None = None,
) -> RepairResult:
    """Train a network on clean images as hard as its accuracy allows.

    The hardest training is tried first. One that costs more accuracy on the images held back than
    is tolerated gives way to the next; if all do, the one that costs least is taken.

    Args:
        network: B.
        clean: Its clean images.
        start: The description to start from: B, or B pruned.
        context: How to run it.
        frozen: Numbers that stay as they are.
        course: What changes from epoch to epoch; only an epoch of the second half is kept.

    Returns:
        The repair, without the name of the method, time and memory.
    """

    def train(attempt: Attempt, own: Context) -> RepairResult:
        return tune(
            network,
            clean,
            start=start,
            schedule=attempt.schedule,
            context=own,
            recipe=replace(attempt.recipe, name=f"{attempt.recipe.name}, {course}"),
            frozen=frozen,
            course=course,
        )

    found = try_in_turn(
        attempts(network, clean, context=context),
        train,
        context=context,
        enough=lambda repair: repair.cost <= context.training.tolerance,
        score=lambda repair: -repair.cost,
    )
    return found.with_warning(context.training.tolerance)


def attempts(network: Network, clean: CleanImages, *, context: Context) -> tuple[Attempt, ...]:
    """Ways to train, hardest first; what the user chose goes for all of them.

    Args:
        network: B.
        clean: Its clean images.
        context: What the user chose.

    References:
        Sha et al., Fine-Tuning Is All You Need to Mitigate Backdoor Attacks, 2022, for large steps;
        Hinton et al., Distilling the Knowledge in a Neural Network, 2015, for B as a teacher.
    """
    levels = _FEW_LEVELS if clean.few else _LEVELS
    found: dict[tuple[float, float], Attempt] = {}
    for level in levels:
        training = context.training
        schedule = training.schedule(epochs=epochs_for(clean, training), lr=level.rate)
        recipe = _recipe(network, clean, teacher=level.teacher)
        found.setdefault((schedule.learning_rate, level.teacher), Attempt(recipe, schedule))
    return tuple(found.values())


def epochs_for(clean: CleanImages, training: TrainingConfig) -> int:
    """As the user chose, or so many that there are enough steps."""
    if training.epochs is not None:
        return training.epochs
    if clean.few:
        return _FEW_EPOCHS
    wanted = math.ceil(_STEPS * training.batch_size / len(clean.train))
    return min(max(_EPOCHS, wanted), _MOST_EPOCHS)


def labels_moved(clean: CleanImages, share: float) -> Recipe:
    """The labels alone, on images moved by up to a share of their shorter side."""
    if not share:
        return Recipe("labels")
    shift = _pixels(clean, share)
    return Recipe(f"labels, shifts {shift}", cross_entropy, shifts(shift))


def _pixels(clean: CleanImages, share: float) -> int:
    height, width = clean.train.images.shape[2:]
    return max(1, round(share * int(min(height, width))))


def _recipe(network: Network, clean: CleanImages, *, teacher: float) -> Recipe:
    if not teacher:
        return labels_moved(clean, _SHIFT)
    shift = _FEW_SHIFT if clean.few else _pixels(clean, _SHIFT)
    answers = build(without_softmax(network.spec)).to(network.device)
    objective = distillation(answers, weight=teacher)
    return Recipe(f"distillation {teacher}, shifts {shift}", objective, shifts(shift))
