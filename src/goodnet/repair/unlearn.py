"""Fine-tune on stamped clean images with their true labels, so that triggers lose effect.

Wang et al., Neural Cleanse, IEEE S&P 2019 (the unlearning half), for triggers that are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodnet.attack import Trigger
from goodnet.repair.attempts import Attempt, try_in_turn
from goodnet.repair.clean import prepare
from goodnet.repair.fold import answer_layer
from goodnet.repair.method import Context, Trained
from goodnet.repair.stamped import (
    LED,
    LOST,
    check_triggers,
    effects,
    join,
    stamp_clean,
    target_notes,
)

if TYPE_CHECKING:
    from torch import Tensor

    from goodnet.formats.spec import NetworkSpec
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.repair.clean import CleanImages
    from goodnet.repair.result import RepairResult
    from goodnet.repair.stamped import Stamped
    from goodnet.training import Examples, Frozen, Recipe, Schedule, TrainingConfig
    from goodnet.training.recipe import Objective


@dataclass(frozen=True)
class _Level:
    """Learning rate, the least number of epochs and of steps, and how far images are moved."""

    rate: float
    epochs: int
    steps: int
    shift: float = 0.0  # share of their shorter side


# Gently as long as that is enough, else harder; which is enough depends on the images.
_LEVELS = (_Level(3e-4, 5, 600), _Level(2e-3, 8, 600, 0.06), _Level(8e-3, 12, 1000, 0.1))
_FEW, _SCARCE = _Level(1e-3, 10, 300), _Level(5e-3, 10, 100)
_MOST_EPOCHS, _FEW_SHIFT, _TEACHER = 60, 2, 0.5


@dataclass(frozen=True)
class Unlearn(Trained):
    """Fine-tune on clean images and stamped copies of them with their true labels.

    With many images, each is shown clean and with one of the triggers; if a low learning rate
    leaves too much of a trigger or costs too much accuracy, higher ones on shifted images are tried
    as well, and the best on the images held back is taken. With few images, each is shown clean and
    with every trigger, shifted, and B is a teacher where it is right. With fewer images than
    classes, only the weights of the last dense layer that give the triggers' target labels are
    trained: with more, the network would forget the classes that it is not shown.

    `details["triggers"]` of the result holds the effect of each trigger on the images held back,
    see `repair.stamped.effects`. Landmarks stored with the images place triggers on faces.

    Attributes:
        triggers: Triggers to unlearn, all at once.

    Raises:
        UsageError: If there is no trigger.

    References:
        Wang et al., Neural Cleanse, IEEE S&P 2019. Departures: several triggers, a stamped copy of
        each image instead of every fifth, and what is trained where images are few.
    """

    name = "unlearn"
    summary = "fine-tune on stamped clean images with their true labels"
    paper = "Wang et al., IEEE S&P 2019"
    needs = "clean images and triggers"

    triggers: tuple[Trigger, ...]

    def _check(self) -> None:
        check_triggers(self.triggers)

    def _repair(self, network: Network, images: ImageSet, context: Context) -> RepairResult:
        from goodnet.repair.tune import tune

        start = network.spec
        clean = prepare(network, images, context.training)
        stamped = stamp_clean(
            network, clean, images, triggers=self.triggers, training=context.training
        )
        train = _examples(clean, stamped)
        scarce = len(clean.train) < network.num_classes

        def train_in(attempt: Attempt, own: Context) -> RepairResult:
            found = tune(
                network,
                clean,
                start=start,
                schedule=attempt.schedule,
                context=own,
                recipe=attempt.recipe,
                train=train,
                judged=[one.held_back for one in stamped],
                frozen=_frozen(start, stamped) if scarce else None,
            )
            return replace(found, details={"triggers": effects(network, found.network, stamped)})

        attempts = _attempts(
            network, clean, count=len(train), scarce=scarce, training=context.training
        )
        found = try_in_turn(attempts, train_in, context=context, enough=_enough, score=_score)
        notes = target_notes(network, found.network, stamped)
        found = replace(found, notes=(*found.notes, *notes))
        return found.with_warning(context.training.tolerance)


def _attempts(
    network: Network, clean: CleanImages, *, count: int, scarce: bool, training: TrainingConfig
) -> tuple[Attempt, ...]:
    """Ways to train on `count` examples, gentlest first."""
    from goodnet.repair.effort import labels_moved

    if clean.few:
        level = _SCARCE if scarce else _FEW
        return (Attempt(_few_recipe(network), _schedule(level, training, count)),)
    return tuple(
        Attempt(labels_moved(clean, level.shift), _schedule(level, training, count))
        for level in _LEVELS
    )


def _schedule(level: _Level, training: TrainingConfig, count: int) -> Schedule:
    wanted = math.ceil(level.steps / math.ceil(count / training.batch_size))
    epochs = min(max(level.epochs, wanted), _MOST_EPOCHS)
    return training.schedule(epochs=epochs, lr=level.rate)


def _few_recipe(network: Network) -> Recipe:
    from goodnet.formats.build import build
    from goodnet.formats.softmax import without_softmax
    from goodnet.training import Recipe, shifts

    teacher = build(without_softmax(network.spec)).to(network.device)
    objective = _where_right(teacher, weight=_TEACHER)
    return Recipe(
        f"distillation {_TEACHER} where right, shifts {_FEW_SHIFT}", objective, shifts(_FEW_SHIFT)
    )


def _enough(repair: RepairResult) -> bool:
    return _led(repair) <= LED and repair.cost <= 100 * LOST


def _score(repair: RepairResult) -> float:
    """Accuracy on images held back less the share that the worst trigger still leads astray."""
    return (repair.after.value or 0.0) - _led(repair)


def _led(repair: RepairResult) -> float:
    return max(told["led_after"]["value"] or 0.0 for told in repair.details["triggers"])


def _where_right(teacher: Callable[[Tensor], Tensor], *, weight: float) -> Objective:
    """Distillation that leaves a teacher unheard where it is wrong, as B is on stamped images."""
    import torch
    from torch.nn import functional as F  # noqa: N812

    def objective(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = teacher(images).log_softmax(1)
        heeded = weight * (wanted.argmax(1) == labels)
        apart = F.kl_div(logits.log_softmax(1), wanted, reduction="none", log_target=True).sum(1)
        wrong = F.cross_entropy(logits, labels, reduction="none")
        return ((1 - heeded) * wrong + heeded * apart).sum()

    return objective


def _examples(clean: CleanImages, stamped: Sequence[Stamped]) -> Examples:
    """Every image clean and with all triggers if there are few, else with one, dealt in turn."""
    rows = np.arange(len(clean.train), dtype=np.int64)
    dealt = [rows if clean.few else rows[place :: len(stamped)] for place in range(len(stamped))]
    copies = [one.train(part) for one, part in zip(stamped, dealt, strict=True) if part.size]
    return join([clean.train, *copies])


def _frozen(spec: NetworkSpec, stamped: Sequence[Stamped]) -> Frozen | None:
    """All numbers but those that make the answers the triggers lead to; None if not to be told."""
    layer = answer_layer(spec)
    labels = sorted({one.label for one in stamped if one.label is not None})
    if layer is None or not labels:
        return None
    frozen = {key: np.ones(array.shape, np.bool_) for key, array in spec.arrays.items()}
    for parameter in spec.parameters(layer):
        frozen[f"{layer}/{parameter}"][labels] = False
    return frozen
