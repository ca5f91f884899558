"""MM-BD: the label whose maximum margin is an outlier; no images needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from goodnet.errors import UsageError
from goodnet.scan.case import Case
from goodnet.scan.margins import margins
from goodnet.scan.outliers import above, too_few
from goodnet.scan.result import ScanResult, Target
from goodnet.scan.scanner import Scanner, check_counts, check_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodnet.progress import Stage
    from goodnet.scan.subject import Subject

_NULL = (
    "a Gamma distribution of the largest margins of all labels but the first; on clean networks "
    "with few classes it gives small p-values more often than it should"
)


@dataclass(frozen=True)
class MMBD(Scanner):
    """Find the maximum margin of each label over all images; is the largest an outlier?

    The score of a label is that margin. Clean images only serve to check that the network works.

    Attributes:
        starts: Number of random images that gradient ascent starts from, the same for all labels.
        steps: Number of steps of gradient ascent.
        rate: Length of a step for a gradient of length 1, in units of the pixel range.
        alpha: The largest p-value that counts as a backdoor, 0..1.

    References:
        Wang et al., MM-BD: Post-Training Detection of Backdoor Attacks with Arbitrary Backdoor
        Pattern Types Using a Maximum Margin Statistic, IEEE S&P 2024; starts, steps, rate and
        level are those of the authors' code. Departures: pixels are brought back to 0..1 after each
        step; no early stop; not only the largest but all margins above the level's are named.
    """

    name: ClassVar[str] = "mm-bd"
    summary: ClassVar[str] = "find the label whose maximum margin is an outlier"
    paper: ClassVar[str] = "Wang et al., IEEE S&P 2024"

    starts: int = 30
    steps: int = 300
    rate: float = 0.01
    alpha: float = 0.05

    def _check(self) -> None:
        check_counts(self, "starts", "steps")
        check_shares(self, "alpha")
        if not self.rate > 0:
            raise UsageError(f"{self.name} needs a rate above 0, got {self.rate:g}")

    def _scan(self, case: Case, generator: torch.Generator, stage: Stage) -> ScanResult:
        from scipy.stats import gamma

        values = self._largest_margins(case.subject, generator, stage).double().cpu().numpy()
        scores, few = values.astype(np.float32), too_few(len(values))
        fit = None if few else _fit(np.sort(values))
        if fit is None:
            notes = few or ("no Gamma distribution fits the margins",)
            return ScanResult(
                self.name, self.options, "inconclusive", None, _NULL, scores, notes=notes
            )
        p_values = -np.expm1(len(values) * gamma.logcdf(values, *fit))
        threshold = float(gamma.ppf((1 - self.alpha) ** (1 / len(values)), *fit))
        found = tuple(
            Target(label, float(scores[label]), float(p_values[label]))
            for label in above(values, threshold)
        )
        return ScanResult(
            self.name,
            self.options,
            "backdoored" if found else "no_finding",
            float(p_values.min()),
            _NULL,
            scores,
            threshold=threshold,
            targets=found,
        )

    def _largest_margins(
        self, subject: Subject, generator: torch.Generator, stage: Stage
    ) -> Tensor:
        """Of all labels, shape (classes,)."""
        begun = torch.rand(self.starts, *subject.shape, generator=generator).to(subject.device)

        def part(labels: Tensor) -> Tensor:
            pixels = begun.repeat(len(labels), 1, 1, 1)
            wanted = labels.repeat_interleave(len(begun))
            for _ in range(self.steps):
                variable = pixels.clone().requires_grad_()
                total = margins(subject.logits(variable), wanted).sum()
                (slope,) = torch.autograd.grad(total, variable)
                pixels = (pixels + self.rate * slope).clamp(0, 1)
            with torch.inference_mode():
                reached = margins(subject.logits(pixels), wanted)
            advance(len(labels))
            return reached.view(len(labels), -1).amax(1)

        labels = torch.arange(subject.classes, device=subject.device)
        share = math.ceil(len(labels) / torch.get_num_threads())
        size = max(1, min(subject.batch // self.starts, share))
        with stage(subject.classes, "raising margins") as advance:
            return torch.cat(subject.each(part, torch.split(labels, size)))


def _fit(values: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Shape, start and scale of the Gamma distribution most likely to give all but the largest.

    Values are in rising order, so that the answer does not depend on how classes are numbered.
    """
    from scipy.stats import gamma

    if not np.isfinite(values).all() or values[0] == values[-2]:
        return None
    try:
        shape, start, scale = gamma.fit(values[:-1])
    except (RuntimeError, ValueError):
        return None
    return (shape, start, scale) if np.isfinite([shape, start, scale]).all() else None
