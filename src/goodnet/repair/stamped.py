"""Clean images with triggers put on them, still labelled with what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import UsageError
from goodnet.imagesets.landmarks import find_landmarks
from goodnet.repair.clean import hold_back_rows
from goodnet.stats import proportion
from goodnet.training import Examples

if TYPE_CHECKING:
    from goodnet.attack import Landmarks, Trigger
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.repair.clean import CleanImages
    from goodnet.training import TrainingConfig
    from goodnet.types import Integers, Proportion

# Good enough: share of stamped images still led to the attacker's label, share of accuracy lost.
LED, LOST = 0.05, 0.01
# Images stamped at a time, and the most that are looked at to see where a trigger leads.
_AT_ONCE, _ENOUGH = 256, 500


@dataclass(frozen=True, eq=False)
class Stamped:
    """What one trigger makes of the clean images of a repair.

    Attributes:
        trigger: The trigger.
        clean: The clean images.
        train_places: Landmarks of those to train on; None for those of an aligned crop.
        held_back: Stamped copies of those held back, with their true labels.
        label: The class the trigger leads to: the wrong answer B gives most often to stamped
            images it is trained on; None where it answers all of them right.
    """

    trigger: Trigger
    clean: CleanImages
    train_places: Landmarks | None
    held_back: Examples
    label: int | None

    def train(self, rows: Integers) -> Examples:
        """Stamped copies of some of the images to train on, with their true labels."""
        some = Examples(self.clean.train.images[rows], self.clean.train.labels[rows])
        places = None if self.train_places is None else self.train_places[rows]
        return _stamp(some, self.trigger, places)


def stamp_clean(
    network: Network,
    clean: CleanImages,
    images: ImageSet,
    *,
    triggers: Sequence[Trigger],
    training: TrainingConfig,
) -> tuple[Stamped, ...]:
    """Stamp clean images with each trigger.

    Args:
        network: B.
        clean: What `prepare` made of the set with the same share and seed.
        images: The set; landmarks beside it tell where triggers of faces lie.
        triggers: At least one.
        training: How the repair is run.

    Returns:
        One for each trigger, in their order.

    Raises:
        InvalidInput: If a trigger does not fit the images, or what lies beside them cannot be
            landmarks of theirs.
    """
    train_places = held_places = None
    landmarks = find_landmarks(images)
    if landmarks is not None:
        held = hold_back_rows(images.labels, training.held_back, training.seed)
        train_places, held_places = landmarks[~held], landmarks[held]
    found = []
    for trigger in triggers:
        trigger.check((1, *images.shape))
        held_back = _stamp(clean.held_back, trigger, held_places)
        stamped = Stamped(trigger, clean, train_places, held_back, None)
        sample = stamped.train(spread_rows(len(clean.train), _ENOUGH))
        label = _led_to(network, sample)
        found.append(replace(stamped, label=label))
    return tuple(found)


def check_triggers(triggers: Sequence[Trigger]) -> None:
    """Refuse to take out nothing.

    Raises:
        UsageError: If there is no trigger.
    """
    if not triggers:
        raise UsageError("expected at least one trigger to take out of the network, got none")


def effects(before: Network, after: Network, stamped: Sequence[Stamped]) -> list[dict[str, Any]]:
    """What each trigger does to stamped images held back, before and after; plain data.

    For each trigger: its name, the label it leads to, the share of images answered right
    although stamped (robust accuracy), and the share of images of other classes that are
    answered with that label, each with its interval.
    """
    told = []
    for one in stamped:
        row: dict[str, Any] = {"trigger": one.trigger.name, "label": one.label}
        for name, network in (("before", before), ("after", after)):
            right, led = _shares(network, one)
            row |= {f"right_{name}": right.to_dict(), f"led_{name}": led.to_dict()}
        told.append(row)
    return told


def target_notes(before: Network, after: Network, stamped: Sequence[Stamped]) -> tuple[str, ...]:
    """Notes on the classes triggers lead to: their own images must still be recognised.

    One that loses no more than chance explains, by the interval of what is left, is not told.
    """
    held_back = stamped[0].clean.held_back
    notes, unknown = [], []
    for label in sorted({one.label for one in stamped if one.label is not None}):
        images = held_back.images[held_back.labels == label]
        if not len(images):
            unknown.append(str(label))
            continue
        was, now = (int((one.predict(images) == label).sum()) for one in (before, after))
        if proportion(now, len(images)).high < was / len(images):
            notes.append(
                f"of {len(images)} clean images held back of class {label}, which a trigger leads "
                f"to, B answers {was} right and B' {now}"
            )
    if unknown:
        which = "class " + unknown[0] if len(unknown) == 1 else "the classes " + ", ".join(unknown)
        notes.append(
            f"triggers lead to {which}, of which no clean image was held back: whether true ones "
            "are still recognised is not known"
        )
    return tuple(notes)


def join(parts: Sequence[Examples]) -> Examples:
    """Several sets of examples as one."""
    images = np.concatenate([part.images for part in parts])
    return Examples(images, np.concatenate([part.labels for part in parts]))


def spread_rows(total: int, most: int) -> Integers:
    """At most so many of `total` rows, evenly spread."""
    count = min(total, most)
    return np.arange(count, dtype=np.int64) * total // count


def _stamp(examples: Examples, trigger: Trigger, places: Landmarks | None) -> Examples:
    stamped = np.empty(examples.images.shape, np.float32)
    for start in range(0, len(examples), _AT_ONCE):
        here = slice(start, start + _AT_ONCE)
        where = None if places is None else places[here]
        stamped[here] = trigger.stamp(examples.images[here], where)
    return Examples(stamped, examples.labels)


def _led_to(network: Network, stamped: Examples) -> int | None:
    answers = network.predict(stamped.images)
    wrong = answers[answers != stamped.labels]
    return int(np.bincount(wrong).argmax()) if wrong.size else None


def _shares(network: Network, stamped: Stamped) -> tuple[Proportion, Proportion]:
    labels = stamped.held_back.labels
    answers = network.predict(stamped.held_back.images)
    right = proportion(int((answers == labels).sum()), len(labels))
    if stamped.label is None:
        return right, proportion(0, len(labels))
    others = labels != stamped.label
    led = int((answers[others] == stamped.label).sum())
    return right, proportion(led, int(others.sum()))
