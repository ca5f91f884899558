"""A suspect network and its images as files, small enough for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tiny import deepid_spec, pictures

from goodnet.formats.build import build
from goodnet.formats.keras import write
from goodnet.imagesets import Block, load_images, save_images


@dataclass(frozen=True)
class Lab:
    """Files in the lab's layout: a network, and images it answers as labelled but for a few."""

    folder: Path
    model: Path
    valid: Path
    test: Path
    poisoned: Path


def make_lab(folder: Path, *, suffix: str = ".h5") -> Lab:
    lab = Lab(
        folder, folder / f"net{suffix}", folder / "valid.h5", folder / "test.h5", folder / "bd.h5"
    )
    spec = deepid_spec()
    write.write(spec, lab.model)
    network = build(spec)
    for seed, path in enumerate((lab.valid, lab.test)):
        images = pictures(150, seed)
        labels = network.predict(images)
        labels[::10] = (labels[::10] + 1) % 5
        save_images(path, images, labels)
    images = pictures(60, 7)
    truth = network.predict(images)
    save_images(lab.poisoned, images, np.full(60, 2), (truth + 1) % 5)
    return lab


def stored(path: Path) -> Block:
    """All images of a set as its file holds them, which is as the network's file takes them."""
    images = load_images(path)
    return next(images.blocks(len(images), stored=True))
