"""Train on stamped clean images with their true labels, until triggers no longer matter.

Wang et al., Neural Cleanse, IEEE S&P 2019 (the unlearning half), for triggers that are known.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from goodnet.formats.build import build
from goodnet.formats.softmax import without_softmax
from goodnet.repair.clean import prepare
from goodnet.repair.fold import answer_layer
from goodnet.repair.result import Repair, Settings
from goodnet.repair.stamped import effects, join, stamp_clean, unseen
from goodnet.repair.tune import finish, plain_spec, tune
from goodnet.training import Recipe, Schedule, shifts

if TYPE_CHECKING:
    from goodnet.attack import Landmarks, Trigger
    from goodnet.formats.spec import NetworkSpec
    from goodnet.images import ImageSet
    from goodnet.network import Network
    from goodnet.repair.clean import CleanImages
    from goodnet.repair.stamped import Stamped
    from goodnet.training import Examples, Held
    from goodnet.training.recipe import Objective

__all__ = ["unlearn"]

_EPOCHS, _STEPS, _RATE = 10, 300, 1e-3
_SCARCE_STEPS, _SCARCE_RATE = 100, 5e-3
_FEW_SHIFT, _TEACHER = 2, 0.5


def unlearn(
    network: Network,
    images: ImageSet,
    *,
    triggers: Sequence[Trigger],
    landmarks: Landmarks | None = None,
    settings: Settings | None = None,
) -> Repair:
    """Train on clean images and stamped copies of them with their true labels.

    Where images are many, each is shown clean and with one of the triggers. Where they are few,
    each is shown clean and with every trigger, moved about, and B is heeded where it is right.
    Where there are fewer than classes, only those numbers of the last dense layer are trained that
    make the answers the triggers lead to: with more, the network forgets the classes it is not
    shown.

    Args:
        network: B, from a file; it is not changed.
        images: Clean, labelled and already scaled.
        triggers: What to unlearn, all at once.
        landmarks: Of all images, for triggers that lie on faces, shape (N, 13, 2); None for those
            of an aligned crop.
        settings: How to run it.

    Returns:
        The repair. `details["triggers"]` says for each trigger what it does to the images held
        back, see `repair.stamped.effects`.

    Raises:
        InvalidInput: If B does not answer the clean images as labelled, a trigger does not fit
            them, or B is a traced module.
        OverBudget: If the images do not fit in memory.
        UsageError: If there is no trigger.

    References:
        Wang et al., Neural Cleanse, IEEE S&P 2019. Departures: several triggers, a stamped copy of
        each image instead of every fifth, and what is trained where images are few.
    """
    since, settings = time.perf_counter(), settings or Settings()
    start = plain_spec(network)
    clean = prepare(network, images, held_back=settings.held_back, seed=settings.seed)
    stamped = stamp_clean(
        network, clean, images, triggers=triggers, landmarks=landmarks, settings=settings
    )
    train = _examples(clean, stamped)
    scarce = len(clean.train) < network.num_classes
    schedule = _schedule(settings, count=len(train), scarce=scarce)
    found = tune(
        network,
        clean,
        start=start,
        schedule=schedule,
        settings=settings,
        recipe=_recipe(network, clean),
        train=train,
        judged=[one.held_back for one in stamped],
        held=_held(start, stamped) if scarce else None,
    )
    told = effects(network, found.network, stamped)
    found = replace(found, notes=(*found.notes, *unseen(stamped)))
    found = found.with_warning(settings.tolerance)
    return finish(found, "unlearn", since=since, triggers=told)


def _schedule(settings: Settings, *, count: int, scarce: bool) -> Schedule:
    """At least so many steps as it takes to unlearn on `count` examples."""
    steps, rate = (_SCARCE_STEPS, _SCARCE_RATE) if scarce else (_STEPS, _RATE)
    schedule = Schedule(1, settings.batch_size, settings.learning_rate or rate, settings.seed)
    epochs = max(_EPOCHS, math.ceil(steps / schedule.steps_per_epoch(count)))
    return replace(schedule, epochs=settings.epochs or epochs)


def _recipe(network: Network, clean: CleanImages) -> Recipe:
    if not clean.few:
        return Recipe()
    teacher = build(without_softmax(plain_spec(network))).to(network.device)
    objective = _where_right(teacher, weight=_TEACHER)
    return Recipe(
        f"distillation {_TEACHER} where right, shifts {_FEW_SHIFT}", objective, shifts(_FEW_SHIFT)
    )


def _where_right(teacher: Callable[[Tensor], Tensor], *, weight: float) -> Objective:
    """Distillation that leaves a teacher unheard where it is wrong, as B is on stamped images."""

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


def _held(spec: NetworkSpec, stamped: Sequence[Stamped]) -> Held | None:
    """All numbers but those that make the answers the triggers lead to; None if not to be told."""
    layer = answer_layer(spec)
    labels = sorted({one.label for one in stamped if one.label is not None})
    if layer is None or not labels:
        return None
    held = {key: np.ones(array.shape, np.bool_) for key, array in spec.arrays.items()}
    for parameter in spec.parameters(layer):
        held[f"{layer}/{parameter}"][labels] = False
    return held
