"""GoodNet's own scan: search triggers of many families for all labels, and see which stands out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goodnet.scan.case import Case, Shown
from goodnet.scan.directions import Axis, common_axis, without
from goodnet.scan.evidence import leads, scores
from goodnet.scan.families import FAMILIES, Stamp
from goodnet.scan.margins import margins
from goodnet.scan.null import NULL, p_value, score_at
from goodnet.scan.result import Direction, ScanResult, Target, Verdict
from goodnet.scan.scanner import Scanner, check_shares
from goodnet.scan.search import View, measure, search

if TYPE_CHECKING:
    from goodnet.progress import Stage

__all__ = ["Scan"]

Floats = NDArray[np.float64]

# "Suspicious" begins at so many times the level of "backdoored".
_SUSPICIOUS = 3.0
# How often what was found is erased and the rest searched again, and for how many labels.
_ROUNDS, _AGAIN = 4, 48
_LITTLE = 1e-3
_UNSEEN = (
    "not looked for: triggers that differ from image to image, backdoors of one source class only "
    "or from every class to the next, and triggers that need to warp the image"
)


@dataclass(frozen=True)
class Scan(Scanner):
    """Search a trigger for every label, in many families at once, and compare the labels.

    All classes are ranked by one linear step at clean and at roughened images; the best are
    climbed, in several families of triggers (perturbations on grids from pixels to a few cells,
    plane waves, opaque rectangles and bands, blends), by one trigger for all images that raises
    the mean logit margin of the label. A label that leads the others in most families, or in some
    by far, is a backdoor's. What was found is erased from the features, and the rest searched
    again, until nothing stands out.

    Attributes:
        alpha: Share of clean networks that may be called backdoored, 0..1.

    References:
        Ours. The margin as what is raised is that of Wang et al., MM-BD, IEEE S&P 2024; universal
        perturbations are those of Moosavi-Dezfooli et al., CVPR 2017.
    """

    name: ClassVar[str] = "goodnet"
    summary: ClassVar[str] = "search triggers of many families for all labels"
    paper: ClassVar[str] = "ours"

    alpha: float = 0.01

    def __post_init__(self) -> None:
        check_shares(self, "alpha")

    def _scan(self, case: Case, generator: torch.Generator, stage: Stage) -> ScanResult:
        unit = _usual_margin(case)
        looked = torch.arange(case.subject.classes, device=case.subject.device)
        hunt = _Hunt.begin(case, looked, generator, stage, label="searching all classes")
        first = hunt.scores(unit)
        targets: list[Target] = []
        named: list[int] = []
        axes: list[Axis] = []
        for _ in range(_ROUNDS):
            new = self._outliers(hunt, unit, named)
            if not new:
                break
            for label, score in new:
                target, axis = hunt.target(label, score, unit, case)
                targets.append(target)
                axes.append(axis)
            named += [label for label, _ in new]
            rest = [int(k) for k in np.argsort(-first, kind="stable") if int(k) not in named]
            if len(rest) < 2:
                break
            looked = torch.tensor(sorted(rest[:_AGAIN]), device=case.subject.device)
            cured = replace(case, subject=case.subject.through(without(axes)))
            hunt = _Hunt.begin(cured, looked, generator, stage, label="searching what is left")
        return self._result(first, targets)

    def _outliers(self, hunt: _Hunt, unit: float, named: Sequence[int]) -> list[tuple[int, float]]:
        """Labels that stand out one after the other, each beside those that are not yet named."""
        found: list[tuple[int, float]] = []
        while True:
            left = hunt.scores(unit, without=[*named, *(label for label, _ in found)])
            label = int(left.argmax())
            if p_value(float(left[label])) > self.alpha * (1 if found or named else _SUSPICIOUS):
                return found
            found.append((label, float(left[label])))

    def _result(self, first: Floats, targets: list[Target]) -> ScanResult:
        highest = max([float(first.max()), *(target.score for target in targets)])
        p = p_value(highest)
        verdict: Verdict = "no_finding"
        if targets:
            verdict = "backdoored" if p <= self.alpha else "suspicious"
        return ScanResult(
            self.name,
            self.options,
            verdict,
            p,
            NULL,
            first.astype(np.float32),
            threshold=score_at(self.alpha),
            targets=tuple(targets),
            notes=(_UNSEEN,),
        )


@dataclass(frozen=True, eq=False)
class _Hunt:
    """What one search of all families found, judged on images it did not see.

    Attributes:
        views: By family.
        stamps: By family, what was found as it is put on images.
        reached: Margins on images never searched on where a trigger was climbed to the end, else
            those it was left at, shape (families, classes).
        values: By family, the margins of each label found on each of those images.
    """

    views: tuple[View, ...]
    stamps: tuple[Stamp, ...]
    reached: Floats
    values: tuple[Tensor, ...] = field(repr=False)

    @classmethod
    def begin(
        cls, case: Case, labels: Tensor, generator: torch.Generator, stage: Stage, *, label: str
    ) -> _Hunt:
        subject = case.subject
        with stage(2 * len(FAMILIES), label) as advance:
            views = search(
                subject, FAMILIES, case.search, labels=labels, generator=generator, advance=advance
            )
        stamps = tuple(view.stamp(subject.shape) for view in views)
        values = tuple(
            measure(subject, stamp, view.found.labels, case.judge)
            for view, stamp in zip(views, stamps, strict=True)
        )
        reached = torch.stack([view.reached for view in views])
        for row, view, value in zip(reached, views, values, strict=True):
            row[view.found.labels] = _mean_of_others(value, view.found.labels, case.judge)
        return cls(views, stamps, reached.double().cpu().numpy(), values)

    def scores(self, unit: float, *, without: Iterable[int] = ()) -> Floats:
        """Scores of all classes but some, which get 0."""
        return scores(self._left(without), unit=unit)

    def _left(self, without: Iterable[int]) -> Floats:
        left: Floats = self.reached.copy()
        left[:, list(without)] = -np.inf
        return left

    def target(self, label: int, score: float, unit: float, case: Case) -> tuple[Target, Axis]:
        """All that was found of one label."""
        places = [
            (number, int(at[0]))
            for number, view in enumerate(self.views)
            if len(at := (view.found.labels == label).nonzero())
        ]
        margin: Floats = self.reached[:, label]
        best = max(places, key=lambda place: margin[place[0]])
        working = [place for place in places if margin[place[0]] > 0] or [best]
        axis = common_axis(
            case.subject,
            [self._stamp(place) for place in working],
            [max(float(margin[number]), _LITTLE) for number, _ in working],
            case.search.images,
        )
        family = self.views[best[0]].family.name
        trigger = case.recovered(self._stamp(best), label, family=family)
        ahead = leads(self.reached, unit=unit)[:, label]
        families = [view.family.name for view, lead in zip(self.views, ahead, strict=True) if lead]
        direction = Direction(
            case.subject.layer,
            axis.direction.cpu().numpy(),
            _own_share(axis, self._stamp(best), label, case),
        )
        p = p_value(score)
        return Target(label, score, p, trigger, tuple(families), direction), axis

    def _stamp(self, place: tuple[int, int]) -> Stamp:
        number, row = place
        return self.stamps[number][row : row + 1]


def _usual_margin(case: Case) -> float:
    """The median margin of clean images, at least a hundredth of what logits vary by."""
    logits = case.subject.all_logits(case.search.images)
    usual = margins(logits, logits.argmax(1)).median()
    return float(torch.maximum(usual, logits.std(1).mean() / 100))


def _mean_of_others(values: Tensor, labels: Tensor, shown: Shown) -> Tensor:
    """The mean over images that are not of the label's own class, of all where there are none."""
    others = (shown.truth[None] != labels[:, None]).to(values.dtype)
    counts = others.sum(1)
    return torch.where(counts > 0, (values * others).sum(1) / counts.clamp_min(1), values.mean(1))


def _own_share(axis: Axis, stamp: Stamp, label: int, case: Case) -> float | None:
    """How far images of the label's own class lie along its axis, stamped ones at 1."""
    everything, truth = case.everything.images, case.everything.truth
    if case.invented or not (truth == label).any() or not (truth != label).any():
        return None
    subject = case.subject
    own = axis.read(subject.all_features(everything[truth == label])).mean()
    stamped = axis.read(subject.all_features(stamp.on(everything[truth != label])[0])).mean()
    return float(own / stamped)
