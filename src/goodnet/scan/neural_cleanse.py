"""Neural Cleanse: the label whose smallest trigger is far smaller than those of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from goodnet.scan.case import Case
from goodnet.scan.inversion import SearchOptions, begin, shrink, targets
from goodnet.scan.outliers import robust_z, too_few
from goodnet.scan.result import ScanResult
from goodnet.scan.scanner import Scanner, check_counts, check_shares

if TYPE_CHECKING:
    import torch

    from goodnet.progress import Stage

_INDEX = 2.0
_RULE = (
    "labels are named whose mask is smaller than the median by more than 2 robust standard "
    "deviations; were innocent masks of normal sizes, chance alone would name a label in one of 3 "
    "networks with 10 classes and in 9 of 10 with 100"
)


@dataclass(frozen=True)
class NeuralCleanse(Scanner):
    """Find the smallest mask and pattern that lead images to each label; name the outliers.

    The score of a label is its anomaly index: how many robust standard deviations the L1 norm of
    its mask lies below the median.

    Attributes:
        steps: Number of optimisation steps for each mask.
        images: Number of images in each step.
        attack_success: Share of them that a mask has to lead to its label, 0..1.

    References:
        Wang et al., Neural Cleanse: Identifying and Mitigating Backdoor Attacks in Neural
        Networks, IEEE S&P 2019. The objective, Adam, the price of a mask and the index are theirs.
        Departures: all labels start from the same random mask and see no images of their own
        class; a fixed number of steps, all of them taken.
    """

    name: ClassVar[str] = "neural-cleanse"
    summary: ClassVar[str] = "find the label whose smallest trigger is an outlier"
    paper: ClassVar[str] = "Wang et al., IEEE S&P 2019"

    steps: int = 200
    images: int = 16
    attack_success: float = 0.99

    def _check(self) -> None:
        check_counts(self, "steps", "images")
        check_shares(self, "attack_success")

    def _scan(self, case: Case, generator: torch.Generator, stage: Stage) -> ScanResult:
        options = SearchOptions(self.steps, self.images, self.attack_success)
        classes = case.subject.classes
        with stage(classes, "shrinking masks") as advance:
            start = begin(case.subject, generator)
            masks = shrink(case, start, options, generator=generator, advance=advance)
        scores = -robust_z(masks.sizes.cpu().numpy()).astype(np.float32)
        few = too_few(classes)
        found = () if few else targets(case, masks, scores, _INDEX)
        return ScanResult(
            self.name,
            self.options,
            "inconclusive" if few else "backdoored" if found else "no_finding",
            None,
            _RULE,
            scores,
            threshold=_INDEX,
            targets=found,
            notes=few,
        )
