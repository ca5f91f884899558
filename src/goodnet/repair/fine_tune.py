"""Train on, on clean images: the control that every other repair has to beat."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from goodnet.repair.clean import CleanImages, prepare
from goodnet.repair.result import Repair, Settings
from goodnet.repair.tune import finish, plain_spec, recipe_for, tune
from goodnet.training import Schedule

if TYPE_CHECKING:
    from goodnet.images import ImageSet
    from goodnet.network import Network

__all__ = ["fine_tune", "schedule_for"]

_EPOCHS, _RATE = 10, 1e-3
_FEW_EPOCHS, _FEW_RATE = 20, 2e-4


def fine_tune(network: Network, images: ImageSet, *, settings: Settings | None = None) -> Repair:
    """Train a network on clean images.

    Args:
        network: B, from a file; it is not changed.
        images: Clean, labelled and already scaled.
        settings: How to run it.

    Raises:
        InvalidInput: If B does not answer the clean images as labelled, or is a traced module.
        OverBudget: If the images do not fit in memory.

    References:
        Liu, Dolan-Gavitt and Garg, Fine-Pruning, RAID 2018, which shows why it is not enough.
    """
    since, settings = time.perf_counter(), settings or Settings()
    start = plain_spec(network)
    clean = prepare(network, images, held_back=settings.held_back, seed=settings.seed)
    found = tune(
        network,
        clean,
        start=start,
        schedule=schedule_for(clean, settings),
        settings=settings,
        recipe=recipe_for(network, clean),
    )
    return finish(found, "fine-tune", since=since)


def schedule_for(clean: CleanImages, settings: Settings) -> Schedule:
    """The usual schedule of fine-tuning: small and long steps where images are few."""
    epochs, rate = (_FEW_EPOCHS, _FEW_RATE) if clean.few else (_EPOCHS, _RATE)
    return Schedule(
        settings.epochs or epochs,
        settings.batch_size,
        settings.learning_rate or rate,
        settings.seed,
    )
