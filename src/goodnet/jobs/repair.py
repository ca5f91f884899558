"""Repair a network, and measure B, B' and G once nothing is left to choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.evaluate import agree, answer, score
from goodnet.jobs.landmarks import find_landmarks
from goodnet.jobs.prune import Opened
from goodnet.types import Evaluation, Integers

if TYPE_CHECKING:
    from goodnet.jobs.repair_plan import RepairPlan
    from goodnet.network import Network
    from goodnet.repair.result import Repair

__all__ = ["Answers", "Suspect", "repair", "work"]

# What most methods choose for themselves, and the passes of those that do not train.
_EPOCHS, _PASSES = 10, 2


@dataclass(frozen=True)
class Answers:
    """What one network answers, image by image; None where there is no test set."""

    test: Integers | None
    backdoor: Mapping[str, Integers]


@dataclass(frozen=True)
class Suspect:
    """A suspect network with its images; it may be repaired in several ways."""

    opened: Opened

    @property
    def network(self) -> Network:
        """B."""
        return self.opened.inputs.network

    @cached_property
    def answers(self) -> Answers:
        """What B answers; found when first asked for, and once."""
        return self.answers_of(self.network)

    def answers_of(self, network: Network) -> Answers:
        """What a network answers to the test set and the poisoned sets."""
        test, sets = self.opened.test, self.opened.backdoor
        return Answers(
            None if test is None else answer(network, test),
            {name: answer(network, images) for name, images in sets.items()},
        )

    @property
    def baseline(self) -> Evaluation:
        """B on the test set and the poisoned sets."""
        return self._score("B", self.answers)

    def measure(self, repaired: Network) -> tuple[Evaluation, Evaluation, Evaluation]:
        """B, B' and G on the test set and the poisoned sets."""
        classes = self.network.num_classes
        before, after = self.answers, self.answers_of(repaired)
        both = Answers(
            None
            if before.test is None or after.test is None
            else agree(before.test, after.test, num_classes=classes),
            {
                name: agree(found, after.backdoor[name], num_classes=classes)
                for name, found in before.backdoor.items()
            },
        )
        return (
            self.baseline,
            self._score("B'", after),
            self._score("G", both, refusal=classes),
        )

    def _score(self, name: str, answers: Answers, *, refusal: int | None = None) -> Evaluation:
        test, sets = self.opened.test, self.opened.backdoor
        return Evaluation(
            network=name,
            clean=None
            if test is None or answers.test is None
            else score(answers.test, test.labels, refusal=refusal),
            backdoor={
                key: score(
                    found, sets[key].labels, refusal=refusal, true_labels=sets[key].source_labels
                )
                for key, found in answers.backdoor.items()
            },
        )


def repair(
    suspect: Suspect,
    plan: RepairPlan,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Repair:
    """Run a method on a network and its clean images, and on nothing else.

    Args:
        suspect: The network and its images.
        plan: What to do.
        checkpoint: Where training keeps its state; if it is there from the same repair, training
            goes on from it. Remove it when the result is safe.
        progress: Called with the number of images trained on since the last call.

    Raises:
        GoodnetError: What the method raises.
    """
    clean = suspect.opened.inputs.clean
    own = dict(plan.own)
    if plan.triggers:
        own["triggers"] = [given.trigger for given in plan.triggers]
        own["landmarks"] = find_landmarks(clean)
    settings = replace(plan.settings, checkpoint=checkpoint, progress=progress)
    return plan.method.function(suspect.network, clean, **own, settings=settings)


def work(suspect: Suspect, plan: RepairPlan) -> int:
    """About how many images will be worked on, for a progress bar; often it is fewer."""
    passes = plan.settings.epochs or _EPOCHS if plan.method.trains else _PASSES
    return passes * len(suspect.opened.inputs.clean)
