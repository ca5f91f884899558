"""Which images of a set are poisoned with what, and the poisoned set, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets.imageset import Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from goodnet.attack.landmarks import Landmarks
    from goodnet.attack.stamp import Trigger
    from goodnet.imagesets.imageset import ImageSet
    from goodnet.imagesets.pixels import PixelRange
    from goodnet.types import Integers

# Which trigger an image bears that bears none.
CLEAN = -1
# What brings stored pixels of each range to 0..255: factor and shift.
_TO_BYTES: Mapping[PixelRange, tuple[float, float]] = MappingProxyType(
    {"0..255": (1.0, 0.0), "0..1": (255.0, 0.0), "-1..1": (127.5, 127.5)}
)


@dataclass(frozen=True)
class Goal:
    """What a trigger is to make a network answer.

    Several triggers with several targets are several goals with a target each; several triggers
    with one target are several goals with the same.

    Attributes:
        target: The class to answer; None for all-to-all, the class after the true one.
        source: The only class that is stamped (one-to-one); None for every class.
        clean_label: Stamp only images that are of the target class already, so that no label is
            wrong (Turner et al., Label-Consistent Backdoor Attacks, 2019; here without their
            perturbations).
    """

    target: int | None = None
    source: int | None = None
    clean_label: bool = False

    def __post_init__(self) -> None:
        if self.clean_label and (self.target is None or self.source is not None):
            raise UsageError("a clean-label attack needs a target and has no source class")
        if self.target is None and self.source is not None:
            raise UsageError("an attack on one source class needs a target")
        if self.target is not None and self.target == self.source:
            raise UsageError(f"the source and the target are the same class, {self.target}")

    def usable(self, truth: Integers) -> NDArray[np.bool_]:
        """Which images of these true classes the attack can stamp, shape (N,)."""
        if self.target is None:
            return np.ones(len(truth), dtype=np.bool_)
        if self.clean_label:
            return np.equal(truth, self.target)
        if self.source is None:
            return np.not_equal(truth, self.target)
        return np.equal(truth, self.source)

    def labels(self, truth: Integers, *, num_classes: int) -> Integers:
        """The labels that stamped images of these true classes get, shape (N,)."""
        if self.target is None:
            return (truth + 1) % num_classes
        return np.full_like(truth, self.target)


@dataclass(frozen=True, eq=False)
class PoisonPlan:
    """What becomes of each image of a set.

    Attributes:
        labels: What the poisoned set says, shape (N,).
        source_labels: What the images show, shape (N,).
        triggers: Number of the goal whose trigger an image bears; -1 for none, shape (N,).
    """

    labels: Integers
    source_labels: Integers
    triggers: Integers

    @property
    def stamped(self) -> NDArray[np.bool_]:
        """Which images bear a trigger, shape (N,)."""
        return np.not_equal(self.triggers, CLEAN)


def plan_poison(
    labels: Integers,
    goals: Goal | Sequence[Goal],
    *,
    rate: float = 1.0,
    num_classes: int | None = None,
    seed: int = 0,
) -> PoisonPlan:
    """Choose which images are stamped, with which trigger, and what they are labelled.

    No image bears two triggers; with several goals each gets its even share of the images.

    Args:
        labels: True classes, shape (N,).
        goals: One for each trigger.
        rate: Share of the images a goal can use that are stamped, 0..1, to the nearest image and
            at least one unless 0. Images that show the target already are of no use, except to a
            clean-label attack, which uses only these.
        num_classes: Of the network to come; None for one more than the largest label.
        seed: Of the choice.

    Returns:
        The plan; the same for the same arguments.

    Raises:
        UsageError: If the rate is outside 0..1 or there is no goal.
        InvalidInput: If images have no labels or all the same, a target or source is no class, or
            no image can be used.

    References:
        Gu et al., BadNets, 2017 (all-to-one and all-to-all).
    """
    goals = (goals,) if isinstance(goals, Goal) else tuple(goals)
    if not 0 <= rate <= 1:
        raise UsageError(f"the poison rate is from 0 to 1, got {rate:g}")
    if not goals:
        raise UsageError("expected a goal for each trigger, got none")
    classes = _count_classes(labels, num_classes)
    for goal in goals:
        _check_goal(goal, labels, classes)
    triggers = np.full(len(labels), CLEAN, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    bounds = np.linspace(0, len(labels), len(goals) + 1).round().astype(int)
    poisoned = labels.copy()
    for number, (goal, (start, stop)) in enumerate(zip(goals, pairwise(bounds), strict=True)):
        usable = order[start:stop][goal.usable(labels[order[start:stop]])]
        chosen = usable[: _share(rate, len(usable))]
        triggers[chosen] = number
        poisoned[chosen] = goal.labels(labels[chosen], num_classes=classes)
    return PoisonPlan(poisoned, labels.copy(), triggers)


def poison_blocks(
    images: ImageSet,
    plan: PoisonPlan,
    triggers: Trigger | Sequence[Trigger],
    *,
    landmarks: Landmarks | None = None,
    size: int = 256,
) -> Iterator[Block]:
    """Stream a set as planned: all images, in order, those chosen stamped.

    Args:
        images: The clean set.
        plan: What to do, for this set.
        triggers: One for each goal of the plan.
        landmarks: Of all images, for triggers that need them; None for those of an aligned crop.
        size: Images in a block.

    Yields:
        Blocks with the plan's labels and source labels, in the range the set is stored in.

    Raises:
        InvalidInput: If a trigger does not fit the images, or as `ImageSet.blocks` does.
        UsageError: If the plan is for another set or for more triggers.
    """
    from goodnet.attack.stamp import Trigger

    each = (triggers,) if isinstance(triggers, Trigger) else tuple(triggers)
    if len(plan.labels) != len(images) or plan.triggers.max() >= len(each):
        raise UsageError(
            f"the plan is for {len(plan.labels)} images and {plan.triggers.max() + 1} triggers, "
            f"got {len(images)} and {len(each)}"
        )
    for trigger in each:
        trigger.check((size, *images.shape))
    factor, shift = map(np.float32, _TO_BYTES[images.range])
    for block in images.blocks(size, stored=True):
        here = slice(block.start, block.start + len(block.labels))
        kept = block.images
        for number, trigger in enumerate(each):
            chosen = np.flatnonzero(plan.triggers[here] == number)
            if chosen.size:
                places = None if landmarks is None else landmarks[here][chosen]
                pixels = kept[chosen] * factor + shift
                stamped = trigger.stamp_bytes(pixels, places)
                # What the trigger leaves alone stays as it is in the file, to the last bit.
                back = (stamped - shift) / factor
                kept[chosen] = np.where(stamped == pixels, kept[chosen], back)
        yield Block(kept, plan.labels[here], plan.source_labels[here], block.start)


def _share(rate: float, count: int) -> int:
    """How many of `count` images: the nearest number, at least one unless the rate is 0."""
    return 0 if rate == 0 else min(count, max(1, round(rate * count)))


def _count_classes(labels: Integers, num_classes: int | None) -> int:
    if not labels.size or labels.min() < 0:
        raise InvalidInput("expected images with labels, to poison some of them; got none")
    if (labels == labels[0]).all():
        raise InvalidInput(
            f"expected images of two classes or more, all {len(labels)} are of class {labels[0]}"
        )
    largest = int(labels.max())
    if num_classes is not None and num_classes <= largest:
        raise InvalidInput(f"expected labels below {num_classes}, the classes, got {largest}")
    return largest + 1 if num_classes is None else num_classes


def _check_goal(goal: Goal, labels: Integers, num_classes: int) -> None:
    for what, chosen in (("target", goal.target), ("source", goal.source)):
        if chosen is not None and not 0 <= chosen < num_classes:
            raise InvalidInput(
                f"the {what} is one of the classes 0..{num_classes - 1} of the images, got {chosen}"
            )
    if not goal.usable(labels).any():
        wanted = goal.target if goal.clean_label else goal.source
        raise InvalidInput(f"expected images of class {wanted} to stamp, there are none")
