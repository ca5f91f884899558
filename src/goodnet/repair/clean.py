"""The clean images of a repair: those to train on, and those held back to judge by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput, OverBudget
from goodnet.stats import proportion
from goodnet.training import Examples

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.training import TrainingConfig
    from goodnet.types import Integers, Proportion

_MOST_BYTES = 8 << 30
# B is right on nearly all clean images, or they are not what it was trained for.
_LEAST_ACCURACY = 0.5
# Fewer images per class than this are few: they cannot say anew what a class looks like.
_FEW = 4


@dataclass(frozen=True, eq=False)
class CleanImages:
    """Clean images in memory, pixels 0..1.

    Attributes:
        train: Those to train on.
        held_back: Those to judge by.
        before: How many of those held back B answers right.
        notes: What a user should know about them.
        few: Whether there are too few to learn the classes from.
    """

    train: Examples
    held_back: Examples
    before: Proportion
    notes: tuple[str, ...]
    few: bool


def prepare(network: Network, images: ImageSet, training: TrainingConfig) -> CleanImages:
    """Read the clean images, see whether they fit the network, and hold a part back.

    Args:
        network: B.
        images: Clean and labelled.
        training: Says what share is held back, evenly from all classes, and the seed.

    Raises:
        InvalidInput: If there are fewer than 4 images, or B does not answer them as labelled.
        OverBudget: If they do not fit in memory.
    """
    everything = _read(images)
    if len(everything) < 4:
        raise InvalidInput(f"expected at least 4 clean images, got {len(everything)}")
    everything.check(network.input_shape, network.num_classes)
    right = network.predict(everything.images) == everything.labels
    if right.mean() < _LEAST_ACCURACY:
        raise InvalidInput(
            f"the network answers only {int(right.sum())} of {len(right)} clean images as they are "
            "labelled; they are mislabelled, at the wrong scale or not what it was trained for"
        )
    chosen = hold_back_rows(everything.labels, training.held_back, training.seed)
    train, kept = (
        Examples(everything.images[rows], everything.labels[rows]) for rows in (~chosen, chosen)
    )
    before = proportion(int(right[chosen].sum()), int(chosen.sum()))
    few = len(train) < _FEW * network.num_classes
    return CleanImages(train, kept, before, _notes(train, network.num_classes, few), few)


def count_right(network: Network, examples: Examples) -> Proportion:
    """How many examples a network answers as labelled; outputs that are NaN answer none."""
    right = network.answers(examples.images) == examples.labels
    return proportion(int(right.sum()), len(right))


def _read(images: ImageSet) -> Examples:
    needed = 4 * len(images) * math.prod(images.shape)
    if needed > _MOST_BYTES:
        raise OverBudget(
            f"{len(images):,} clean images take {needed / 2**30:.1f} GiB, more than "
            f"{_MOST_BYTES >> 30}; give fewer"
        )
    pixels = np.empty((len(images), *images.shape), np.float32)
    for block in images.blocks(256):
        pixels[block.start : block.start + len(block.labels)] = block.images
    return Examples(pixels, images.labels)


def hold_back_rows(
    labels: Integers, share: float, seed: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which images are held back: evenly spread over the images in order of their class."""
    count = min(len(labels) - 2, max(2, round(share * len(labels))))
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    places = np.floor((np.arange(count) + random.random()) * len(labels) / count).astype(np.int64)
    chosen = np.zeros(len(labels), np.bool_)
    chosen[by_class[places % len(labels)]] = True
    return chosen


def _notes(train: Examples, num_classes: int, few: bool) -> tuple[str, ...]:
    missing = num_classes - len(np.unique(train.labels))
    notes = []
    if missing:
        notes.append(
            f"{missing} of {num_classes} classes have no clean image to train on: how they fare is "
            "not known"
        )
    if few:
        notes.append(
            f"{len(train)} images are few for {num_classes} classes: they are shown moved about, "
            "and B' is held close to what B answers"
        )
    return tuple(notes)
