"""What the weights of the last linear layer tell: no images, no gradients, milliseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from goodnet.network import single_thread
from goodnet.scan.case import Case
from goodnet.scan.outliers import above, far, robust_z, too_few
from goodnet.scan.result import ScanResult, Target
from goodnet.scan.scanner import Scanner, check_counts, check_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodnet.progress import Stage
    from goodnet.scan.result import Floats
    from goodnet.scan.subject import Subject

_TINY = 1e-12
_NOT_LINEAR = "the logits are not linear in the features: there is no last layer to look at"
_SHUFFLED = (
    "the same last layer with the weights of each feature dealt out to the classes at random"
)
_OUTLIERS = (
    "labels are named whose row lies above the median, in one indicator or another, by so many "
    "robust standard deviations (3.5, or more where the classes are many) that of normal rows one "
    "would in 5 % of networks"
)


@dataclass(frozen=True)
class HTell(Scanner):
    """Pass random features to the last layer: does one label get too many of them?

    The score of a label is the share of the features that get it.

    Attributes:
        probes: Number of random features, with half-normal values.
        shuffles: Number of last layers with shuffled weights to compare with.
        alpha: The largest p-value that counts as a backdoor, 0..1.

    References:
        Yu et al., Fast and Lightweight Backdoor Detection via Head Random Probing, 2026
        (arXiv:2605.18908), of which we know the abstract: the statistic is as we understand it,
        the comparison with shuffled weights is ours.
    """

    name: ClassVar[str] = "htell"
    summary: ClassVar[str] = "find the label that random features get too often"
    paper: ClassVar[str] = "Yu et al., arXiv:2605.18908, 2026"

    probes: int = 1000
    shuffles: int = 99
    alpha: float = 0.05

    def _check(self) -> None:
        check_counts(self, "probes", "shuffles")
        check_shares(self, "alpha")

    def _scan(self, case: Case, generator: torch.Generator, stage: Stage) -> ScanResult:
        rows = _rows(case.subject)
        if rows is None:
            return self._inconclusive(case, _NOT_LINEAR)
        probes = torch.randn(self.probes, rows.shape[1], generator=generator).abs()
        probes[:, -1] = 1  # takes the bias
        # In order, so that the answer does not depend on how the classes are numbered.
        dealt, largest = rows.sort(0).values, torch.zeros(self.shuffles)
        with stage(self.shuffles, "shuffling weights") as advance, single_thread():
            shares = _shares(rows, probes)
            for place in range(self.shuffles):
                order = torch.rand(rows.shape, generator=generator).argsort(0)
                largest[place] = _shares(dealt.gather(0, order), probes).max()
                advance(1)
        return self._judged(shares.numpy(), np.sort(largest.numpy())[::-1])

    def _judged(self, scores: Floats, chance: Floats) -> ScanResult:
        """The scores against the largest ones of shuffled layers, which are in falling order."""
        p_values = _p_values(scores, chance)
        allowed = math.floor(self.alpha * (len(chance) + 1) + 1e-9) - 1
        threshold = float(chance[allowed]) if 0 <= allowed < len(chance) else 1.0
        found = tuple(
            Target(label, float(scores[label]), float(p_values[label]))
            for label in above(scores, threshold)
        )
        return ScanResult(
            self.name,
            self.options,
            "backdoored" if found else "no_finding",
            float(p_values.min()),
            _SHUFFLED,
            scores,
            threshold=threshold,
            targets=found,
        )


@dataclass(frozen=True)
class LastLayer(Scanner):
    """Compute statistics of each row of the last layer: is one of them an outlier?

    The score of a label is the largest robust z of its row's norm, mean, skewness and bias.

    References:
        Yu et al., Lightweight and Fast Backdoor Model Detection (DFBScanner), 2026
        (arXiv:2605.18907), of which we know the abstract: indicators of the last layer and their
        largest anomaly; which ones, and the threshold, are ours.
    """

    name: ClassVar[str] = "last-layer"
    summary: ClassVar[str] = "find the label whose weights in the last layer are outliers"
    paper: ClassVar[str] = "Yu et al., arXiv:2605.18907, 2026"

    def _scan(self, case: Case, generator: torch.Generator, stage: Stage) -> ScanResult:  # noqa: ARG002
        rows = _rows(case.subject)
        if rows is None:
            return self._inconclusive(case, _NOT_LINEAR)
        indicators = _indicators(rows.double().numpy())
        scores = np.max([robust_z(each) for each in indicators], axis=0).astype(np.float32)
        few = too_few(len(scores))
        threshold = far(len(indicators) * len(scores))
        labels = [] if few else above(scores, threshold)
        return ScanResult(
            self.name,
            self.options,
            "inconclusive" if few else "backdoored" if labels else "no_finding",
            None,
            _OUTLIERS,
            scores,
            threshold=threshold,
            targets=tuple(Target(label, float(scores[label])) for label in labels),
            notes=few,
        )


def _rows(subject: Subject) -> Tensor | None:
    """Weights and bias, in this order, of each class, on the CPU; None where there are none."""
    if subject.weight is None:
        return None
    nothing = torch.zeros(1, subject.weight.shape[1], device=subject.device)
    with torch.inference_mode():
        bias: Tensor = subject.tail(nothing)
    return torch.cat([subject.weight, bias.T], 1).cpu()


def _shares(rows: Tensor, probes: Tensor) -> Tensor:
    """The share of probes that each class wins, shape (classes,)."""
    answers = (probes @ rows.T).argmax(1)
    return torch.bincount(answers, minlength=len(rows)).float() / len(probes)


def _p_values(scores: Floats, chance: Floats) -> NDArray[np.float64]:
    """How often the largest score of a shuffled layer is as large, shape (classes,)."""
    as_large = (chance >= scores[:, None]).sum(1)
    found: NDArray[np.float64] = (1 + as_large) / (1 + len(chance))
    return found


def _indicators(rows: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Norm, mean and skewness of each row of weights, and its bias, each of shape (classes,)."""
    weights, bias = rows[:, :-1], rows[:, -1]
    mean = weights.mean(1)
    centred = weights - mean[:, None]
    deviation = np.sqrt((centred**2).mean(1))
    skewness = (centred**3).mean(1) / np.maximum(deviation, _TINY) ** 3
    return [np.linalg.norm(weights, axis=1), mean, skewness, bias]
