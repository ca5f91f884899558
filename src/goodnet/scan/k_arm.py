"""K-Arm: the labels compete for the optimisation steps, and the smallest trigger decides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from goodnet.scan.case import Case
from goodnet.scan.inversion import Masks, SearchOptions, begin, shrink, targets
from goodnet.scan.result import ScanResult
from goodnet.scan.scanner import Scanner, check_counts, check_shares

if TYPE_CHECKING:
    from goodnet.progress import Stage

# The smallest part of the image that is reckoned with: a mask can all but vanish.
_LEAST = 1e-6


@dataclass(frozen=True)
class KArm(Scanner):
    """Optimise masks and patterns as Neural Cleanse does, and drop the larger half every round.

    The score of a label is the bound divided by the share of the image that its mask covers (its
    L1 norm) when it was dropped or the search ended. The label that remains is named if its score
    is above 1: a fixed size decides, not an outlier test, so any number of classes will do.

    Attributes:
        steps: Number of optimisation steps in each round.
        images: Number of images in each step.
        attack_success: Share of them that a mask has to lead to its label, 0..1.
        bound: Share of the image below which a mask counts as that of a backdoor, 0..1.

    References:
        Shen et al., Backdoor Scanning for Deep Neural Networks through K-Arm Optimization, ICML
        2021. The bound is that of the authors' code for triggers on all classes, 1720 of 224 x 224
        pixels. Departures: labels are dropped by halves where the paper picks one at a time,
        epsilon-greedily, by how fast its mask shrinks: here all begin with the same mask and take
        the same steps, so the smallest has shrunk most. Left out are the screening of labels
        beforehand, and triggers on one class only with their check of the way back.
    """

    name: ClassVar[str] = "k-arm"
    summary: ClassVar[str] = (
        "find the smallest trigger, dropping the larger half of the labels every round"
    )
    paper: ClassVar[str] = "Shen et al., ICML 2021"

    steps: int = 50
    images: int = 16
    attack_success: float = 0.99
    bound: float = 0.034

    def _check(self) -> None:
        check_counts(self, "steps", "images")
        check_shares(self, "attack_success", "bound")

    def _scan(self, case: Case, generator: torch.Generator, stage: Stage) -> ScanResult:
        masks = self._compete(case, generator, stage)
        share = masks.sizes.cpu().numpy() / math.prod(case.subject.shape[1:])
        scores = (self.bound / np.maximum(share, _LEAST)).astype(np.float32)
        # One label wins; others whose masks are small, too, are not named, as in the paper.
        found = targets(case, masks, scores, max(1.0, float(np.sort(scores)[-2])))
        return ScanResult(
            self.name,
            self.options,
            "backdoored" if found else "no_finding",
            None,
            f"the label with the smallest mask is named if that covers less than {self.bound:g} "
            "of the image, a bound of the method's authors",
            scores,
            targets=found,
        )

    def _compete(self, case: Case, generator: torch.Generator, stage: Stage) -> Masks:
        """The masks of all labels, each as far as it came."""
        options = SearchOptions(self.steps, self.images, self.attack_success)
        rounds = _rounds(case.subject.classes)
        left, gone = begin(case.subject, generator), []
        with stage(sum(rounds), "shrinking masks") as advance:
            for count in rounds:
                order = _smallest_first(left)
                gone.append(left[order[count:]])
                left = left[order[:count]]
                left = shrink(case, left, options, generator=generator, advance=advance)
        masks = Masks.join([*gone, left])
        return masks[masks.labels.argsort()]


def _rounds(classes: int) -> list[int]:
    """How many labels take part in each round."""
    counts = [classes]
    while counts[-1] > 1:
        counts.append(math.ceil(counts[-1] / 2))
    return counts


def _smallest_first(masks: Masks) -> torch.Tensor:
    """Masks that succeed, the smallest first; then those that do not, the nearest to it first."""
    keys = (masks.entropy.cpu().numpy(), masks.norms.cpu().numpy())
    return torch.from_numpy(np.lexsort(keys)).to(masks.labels.device)
