"""Images to attack that are easy to learn, and an attack to make on them, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.attack import Goal, trigger
from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.runs.attack.data import ImageSource
from goodnet.runs.attack.make import make_attack
from goodnet.runs.attack.plan import Attack, AttackOptions, plan_attack
from goodnet.training import Schedule

CLASSES, EACH = 3, 20
SHAPE = (3, 16, 13)


def coloured(seed: int = 0, *, each: int = EACH, shape: tuple[int, int, int] = SHAPE) -> ImageSet:
    """A set that is easy to learn: every class has a colour of its own."""
    random = np.random.default_rng(seed)
    labels = np.arange(CLASSES * each) % CLASSES
    pixels = random.integers(0, 120, (len(labels), *shape))
    pixels[np.arange(len(labels)), labels] += 100
    return images_from_arrays(pixels.astype(np.uint8), labels, layout="NCHW", name="coloured")


def options(*names: str, goals: list[Goal] | None = None, **others: Any) -> AttackOptions:
    triggers = [trigger(name) for name in names or ("patch",)]
    plain = AttackOptions(
        triggers,
        goals or [Goal(0)] * len(triggers),
        Schedule(epochs=2, batch_size=16),
        "small",
        rate=0.25,
    )
    return replace(plain, **others)


def make(folder: Path, source: ImageSource, chosen: AttackOptions) -> Attack:
    attack = plan_attack(source, chosen)
    folder.mkdir()
    make_attack(attack, folder)
    return attack


def pixels_of(images: ImageSet) -> Any:
    """As they are stored."""
    return next(images.blocks(len(images), stored=True)).images
