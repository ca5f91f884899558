"""Repair a network, and measure B, B' and G once nothing is left to choose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.evaluation import answer
from goodnet.jobs.predictions import PairPredictions, Predictions, evaluation
from goodnet.jobs.prune.run import Opened
from goodnet.progress import Stage, no_progress

if TYPE_CHECKING:
    from goodnet.jobs.repair.plan import RepairPlan
    from goodnet.network import Network
    from goodnet.repair import RepairResult
    from goodnet.types import Evaluation

__all__ = ["Suspect", "repair"]


@dataclass(frozen=True)
class Suspect:
    """A suspect network with its images; it may be repaired in several ways."""

    opened: Opened

    @property
    def network(self) -> Network:
        """B."""
        return self.opened.inputs.network

    @cached_property
    def predictions(self) -> Predictions:
        """What B answers; found when first asked for, and once."""
        return self.predictions_of(self.network)

    def predictions_of(self, network: Network) -> Predictions:
        """What a network answers to the clean images it is judged by and the poisoned sets."""
        return Predictions(
            answer(network, self.opened.judged),
            {name: answer(network, images) for name, images in self.opened.backdoor.items()},
        )

    @property
    def baseline(self) -> Evaluation:
        """B on the test set and the poisoned sets."""
        return evaluation(self.opened, self.predictions, "B")

    def measure(self, repaired: Network) -> PairPredictions:
        """B, B' and G on the same images."""
        return PairPredictions(self.opened, self.predictions, self.predictions_of(repaired))


def repair(
    suspect: Suspect,
    plan: RepairPlan,
    *,
    checkpoint: Path | None = None,
    stage: Stage = no_progress,
) -> RepairResult:
    """Run a method on a network and its clean images, and on nothing else.

    Args:
        suspect: The network and its images.
        plan: What to do.
        checkpoint: Where training keeps its state; if it is there from the same repair, training
            goes on from it. Remove it when the result is safe.
        stage: Shows the progress of each stage of it.

    Raises:
        GoodnetError: What the method raises.
    """
    found: RepairResult = plan.method(
        suspect.network, suspect.opened.inputs.given, stage=stage, checkpoint=checkpoint
    )
    return found
