"""What B, B' and G answer, image by image, and what that amounts to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from goodnet.evaluation import agree, score
from goodnet.types import Evaluation, Integers

if TYPE_CHECKING:
    from goodnet.jobs.prune.run import Opened

__all__ = ["PairPredictions", "Predictions", "evaluation"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """The class one network gives each image.

    Attributes:
        clean: Of `Opened.judged`, shape (images,).
        backdoor: Of each poisoned set, shape (images,).
    """

    clean: Integers
    backdoor: Mapping[str, Integers]


@dataclass(frozen=True, eq=False)
class PairPredictions:
    """A network, its repaired copy, and the GoodNet of both on the images of a job.

    Attributes:
        opened: The job.
        original: What B answers.
        repaired: What B' answers.
    """

    opened: Opened
    original: Predictions
    repaired: Predictions

    @property
    def reject_class(self) -> int:
        """The class by which G says "backdoored"."""
        return self.opened.inputs.network.num_classes

    @cached_property
    def goodnet(self) -> Predictions:
        """What G answers."""
        before, after = self.original, self.repaired
        return Predictions(
            agree(before.clean, after.clean, num_classes=self.reject_class),
            {
                name: agree(found, after.backdoor[name], num_classes=self.reject_class)
                for name, found in before.backdoor.items()
            },
        )

    @property
    def by_network(self) -> Mapping[str, Predictions]:
        """By the name of the network: "B", "B'", "G"."""
        return {"B": self.original, "B'": self.repaired, "G": self.goodnet}

    @cached_property
    def evaluations(self) -> tuple[Evaluation, Evaluation, Evaluation]:
        """B, B' and G on the test set and the poisoned sets."""
        return (
            evaluation(self.opened, self.original, "B"),
            evaluation(self.opened, self.repaired, "B'"),
            evaluation(self.opened, self.goodnet, "G", reject_class=self.reject_class),
        )


def evaluation(
    opened: Opened, answers: Predictions, name: str, *, reject_class: int | None = None
) -> Evaluation:
    """What the answers of one network amount to on the test set and the poisoned sets.

    Args:
        opened: The job.
        answers: Of the network.
        name: What to call it.
        reject_class: The class that means "backdoored"; None for a network without it.
    """
    test, sets = opened.test, opened.backdoor
    return Evaluation(
        network=name,
        clean=None
        if test is None
        else score(answers.clean, test.labels, reject_class=reject_class),
        backdoor={
            key: score(
                found,
                sets[key].labels,
                reject_class=reject_class,
                true_labels=sets[key].source_labels,
            )
            for key, found in answers.backdoor.items()
        },
    )
