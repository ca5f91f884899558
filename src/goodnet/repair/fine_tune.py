"""Train on, on clean images: the control that every other repair has to beat."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from goodnet.repair.clean import prepare
from goodnet.repair.effort import tune_hard
from goodnet.repair.result import Repair, Settings
from goodnet.repair.tune import finish

if TYPE_CHECKING:
    from goodnet.images import ImageSet
    from goodnet.network import Network

__all__ = ["fine_tune"]


def fine_tune(network: Network, images: ImageSet, *, settings: Settings | None = None) -> Repair:
    """Train a network on clean images.

    Args:
        network: B, from a file; it is not changed.
        images: Clean, labelled and already scaled.
        settings: How to run it.

    Raises:
        InvalidInput: If B does not answer the clean images as labelled.
        OverBudget: If the images do not fit in memory.

    References:
        Liu, Dolan-Gavitt and Garg, Fine-Pruning, RAID 2018, which shows why it is not enough.
    """
    since, settings = time.perf_counter(), settings or Settings()
    start = network.spec
    clean = prepare(network, images, held_back=settings.held_back, seed=settings.seed)
    found = tune_hard(network, clean, start=start, settings=settings)
    return finish(found, "fine-tune", since=since)
