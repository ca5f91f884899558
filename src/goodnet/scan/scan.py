"""GoodNet's own scan: search for triggers of all labels in many families; which stands out?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goodnet.errors import UsageError
from goodnet.scan.case import Case, Shown
from goodnet.scan.directions import Axis, common_axis, distances
from goodnet.scan.evidence import Evidence, leads, scores, standings
from goodnet.scan.families import FAMILIES, Stamp
from goodnet.scan.margins import margins
from goodnet.scan.null import ALL, LEAST, NULL, p_value, score_at
from goodnet.scan.plan import USUAL, Plan, effort_for
from goodnet.scan.result import Direction, RecoveredTrigger, ScanResult, Target, Verdict
from goodnet.scan.scanner import Scanner, check_shares
from goodnet.scan.search import View, measure, search

if TYPE_CHECKING:
    from goodnet.progress import Stage
    from goodnet.scan.families import Family

Floats = NDArray[np.float64]

# Labels that are named, the most, and labels beside them.
_MOST, _BESIDE = 8, 4
_LITTLE = 1e-3
# Families that must have found a trigger of a label to tell how far its triggers go, and the share
# of the best one's margin from which one counts.
_FAMILIES, _WORKING = 3, 0.3
# Fewer images do not tell what clean images vary by.
_APART = 10
_NO_NULL = (
    "what clean networks score {where} was not measured: there is no p-value, and the verdict is "
    "never more than suspicious"
)
_INVENTED, _SHORT = "on images made from them", "in a search that tries less than usual"
# Searches there are where something is found.
_SEARCHES = 2
_UNSEEN = (
    "not looked for: triggers that differ from image to image, backdoors of one source class only "
    "or from every class to the next, and triggers that need to warp the image"
)


@dataclass(frozen=True)
class Scan(Scanner):
    """Search for a trigger of every label, in many families at once, and compare the labels.

    All classes are ranked by one linear step at clean and at perturbed images, in several families
    of triggers (perturbations on grids from pixels to a few cells, plane waves, opaque rectangles
    and bands, blends). For the best, gradient ascent finds one trigger for all images that raises
    the mean logit margin of the label. A label is named if its triggers gain more margin than those
    of others for the distance they move the features, or lead by so much, that its score exceeds
    that of the first label of clean networks with as many classes. The others are then compared
    without it, in two searches, each on one half of the images, until none stands out in both.

    Attributes:
        alpha: Share of clean networks that may be called backdoored, at least 0.001, below 1.
        effort: Share of the usual number of triggers that is tried, above 0, at most 1. Below 1 the
            verdict is "suspicious" or "inconclusive".
        minutes: Minutes that the search may take, about; the effort is reduced accordingly, to no
            less than 0.02. None for no limit.

    References:
        Ours. Raising the margin follows Wang et al., MM-BD, IEEE S&P 2024; universal perturbations
        are those of Moosavi-Dezfooli et al., CVPR 2017.
    """

    name: ClassVar[str] = "goodnet"
    summary: ClassVar[str] = "search for triggers of all labels in many families"
    paper: ClassVar[str] = "ours"

    alpha: float = 0.01
    effort: float = 1.0
    minutes: float | None = None

    def _check(self) -> None:
        check_shares(self, "alpha")
        if not 0 < self.effort <= 1:
            raise UsageError(f"goodnet needs an effort above 0, at most 1, got {self.effort:g}")
        if self.minutes is not None and not self.minutes > 0:
            raise UsageError(f"goodnet needs minutes above 0, got {self.minutes:g}")
        if self.alpha < LEAST:
            raise UsageError(
                f"goodnet needs alpha of at least {LEAST:g}, got {self.alpha:g}: there is no "
                "telling what rarer clean networks score"
            )

    def _scan(self, case: Case, generator: torch.Generator, stage: Stage) -> ScanResult:
        looked = _can_be_judged(case)
        if len(looked) < 2:
            return self._inconclusive(case, "there are no images of other classes to judge by")
        if self.minutes is not None:
            possible = effort_for(
                case.subject, FAMILIES, len(looked), seconds=60 * self.minutes / _SEARCHES
            )
            limited = replace(self, effort=min(self.effort, possible), minutes=None)
            return limited._scan(case, generator, stage)
        plan = Plan.of(self.effort)
        hunt = Hunt.begin(case, looked, generator, stage, label="searching all classes", plan=plan)
        evidence, targets, named = [hunt.evidence], list[Target](), list[int]()
        left = scores(hunt.evidence)
        while self._p(left.max(), case) <= self.alpha and len(targets) < _MOST:
            label = int(left.argmax())
            targets.append(hunt.target(label, float(left[label])))
            named.append(label)
            if len(named) == len(looked):
                break
            left = _without(named, evidence)
            # A backdoor lifts what is like it, and few images mislead: a further one stands out
            # whichever half of the images is searched on.
            if len(evidence) == 1 and self._p(left.max(), case) <= self.alpha:
                other = replace(case, search=case.judge, judge=case.search)
                again = Hunt.begin(
                    other, looked, generator, stage, label="searching again", plan=plan
                )
                evidence.append(again.evidence)
                left = _without(named, evidence)
        result = self._result(hunt.evidence, targets, case)
        if not targets:
            return result
        ranked = _ranked(hunt.evidence.without(named), looked, without=named)
        return replace(result, beside=hunt.beside(ranked, left))

    def _p(self, score: float, case: Case) -> float:
        return p_value(float(score), case.subject.classes)

    def _result(self, start: Evidence, targets: list[Target], case: Case) -> ScanResult:
        first, short = scores(start), self.effort < 1
        p: float | None = self._p(first.max(), case)
        verdict: Verdict = "backdoored" if targets else "no_finding"
        null, notes = NULL, [_UNSEEN]
        if case.invented or short:
            p, null = None, _NO_NULL.format(where=_INVENTED if case.invented else _SHORT)
            targets = [replace(target, p_value=None) for target in targets]
            verdict = "suspicious" if targets else "no_finding"
        if short:
            notes.insert(0, f"only {self.effort:.0%} of the usual triggers were tried")
            verdict = "suspicious" if targets else "inconclusive"
        return ScanResult(
            self.name,
            self.options,
            verdict,
            p,
            null,
            first.astype(np.float32),
            threshold=score_at(self.alpha, case.subject.classes),
            standings={name: float(each.max()) for name, each in standings(start).items()},
            targets=tuple(targets),
            notes=tuple(notes),
        )


@dataclass(frozen=True, eq=False)
class Hunt:
    """What one search of all families found, judged on images it did not see.

    Attributes:
        case: The network and its images.
        views: By family.
        stamps: By family, what was found as it is put on images.
        evidence: Margins and shifts, on the images to judge by where a trigger was climbed to the
            end.
    """

    case: Case
    views: tuple[View, ...]
    stamps: tuple[Stamp, ...]
    evidence: Evidence

    @classmethod
    def begin(
        cls,
        case: Case,
        labels: Tensor,
        generator: torch.Generator,
        stage: Stage,
        *,
        label: str,
        families: Sequence[Family] = FAMILIES,
        plan: Plan = USUAL,
    ) -> Hunt:
        """Search families of triggers, all or some, for some labels."""
        subject, judge = case.subject, case.judge
        with stage(2 * len(families), label) as advance:
            views = search(
                subject,
                families,
                case.search,
                labels=labels,
                generator=generator,
                plan=plan,
                advance=advance,
            )
        stamps = tuple(view.stamp(subject.shape) for view in views)
        reached = torch.stack([view.reached for view in views]).double()
        shifts = torch.full_like(reached, torch.nan)
        moves: dict[int, list[tuple[float, Tensor]]] = {}
        for number, (view, stamp) in enumerate(zip(views, stamps, strict=True)):
            found = view.found.labels
            values, moved = measure(subject, stamp, found, judge)
            gains = _mean_of_others(values, found, judge)
            reached[number, found] = gains.double()
            shifts[number, found] = moved.norm(dim=1).double()
            for row, each in enumerate(found.tolist()):
                moves.setdefault(each, []).append((float(gains[row]), moved[row]))
        unit = _usual_margin(case)
        kinds = tuple(family.kind for family in families)
        far = _distances(case, moves)
        evidence = Evidence(reached.cpu().numpy(), shifts.cpu().numpy(), unit, kinds, far)
        return cls(case, views, stamps, evidence)

    def triggers(self, label: int) -> tuple[RecoveredTrigger, ...]:
        """Those of one label that work, the best first."""
        return tuple(
            self.case.recovered(self._stamp(place), label, family=self.views[place[0]].family.name)
            for place in self._working(label)
        )

    def target(self, label: int, score: float) -> Target:
        """All that was found of one label."""
        working = self._working(label)
        axis = common_axis(
            self.case.subject,
            [self._stamp(place) for place in working],
            [max(float(self.evidence.margins[number, label]), _LITTLE) for number, _ in working],
            self.case.search.images,
        )
        triggers = self.triggers(label)
        ahead = leads(self.evidence)[:, label]
        return Target(
            label,
            score,
            p_value(score, self.case.subject.classes),
            triggers[0],
            tuple(v.family.name for v, lead in zip(self.views, ahead, strict=True) if lead),
            Direction(
                self.case.subject.layer,
                axis.direction.cpu().numpy(),
                _own_share(axis, self._stamp(working[0]), label, self.case),
            ),
            others=triggers[1:],
        )

    def beside(self, labels: Sequence[int], score: Floats) -> tuple[Target, ...]:
        """The first of some labels that triggers were found of."""
        found = {label: self.triggers(label) for label in labels[: 2 * _BESIDE]}
        return tuple(
            Target(label, float(score[label]), trigger=first[0], others=first[1:])
            for label, first in found.items()
            if first
        )[:_BESIDE]

    def _working(self, label: int) -> list[tuple[int, int]]:
        """Where its triggers with a margin above 0 are, the best first; the best one at least."""
        places = [
            (number, int(at[0]))
            for number, view in enumerate(self.views)
            if len(at := (view.found.labels == label).nonzero())
        ]
        margin = self.evidence.margins[:, label]
        places.sort(key=lambda place: -margin[place[0]])
        return [place for place in places if margin[place[0]] > 0] or places[:1]

    def _stamp(self, place: tuple[int, int]) -> Stamp:
        number, row = place
        return self.stamps[number][row : row + 1]


def _can_be_judged(case: Case) -> Tensor:
    """The classes of which not all images are: the others cannot be led astray."""
    labels = torch.arange(case.subject.classes, device=case.subject.device)
    parts = (case.search.truth, case.judge.truth)
    astray = [(truth[None] != labels[:, None]).any(1) for truth in parts]
    return labels[astray[0] & astray[1]]


def _ranked(evidence: Evidence, looked: Tensor, *, without: Sequence[int]) -> list[int]:
    """The labels that score highest, then those that stand highest, first."""
    found, overall = scores(evidence), standings(evidence)[ALL]
    left = set(looked.tolist()) - set(without)
    return sorted(left, key=lambda k: (-found[k], -overall[k]))


def _without(named: list[int], evidence: Sequence[Evidence]) -> Floats:
    """Scores without the labels named, the lowest of each label in several searches."""
    found: Floats = np.min([scores(each.without(named)) for each in evidence], axis=0)
    return found


def _usual_margin(case: Case) -> float:
    """The median margin of clean images, at least a hundredth of what logits vary by."""
    logits = case.subject.all_logits(case.search.images)
    usual = margins(logits, logits.argmax(1)).median()
    return float(torch.maximum(usual, logits.std(1).mean() / 100))


def _distances(case: Case, moves: Mapping[int, Sequence[tuple[float, Tensor]]]) -> Floats:
    """How far the triggers of each label take the features; NaN where few families have one.

    Args:
        case: The network and its images.
        moves: By label the margin that each of its triggers gains and where it takes the features.
    """
    found = np.full(case.subject.classes, np.nan)
    shifts: dict[int, Tensor] = {}
    weights: dict[int, list[float]] = {}
    for label, each in moves.items():
        if len(each) < _FAMILIES:
            continue
        gains = [max(gain, _LITTLE) for gain, _ in each]
        working = [gain >= _WORKING * max(gains) for gain in gains]
        shifts[label] = torch.stack(
            [to for (_, to), works in zip(each, working, strict=True) if works]
        )
        weights[label] = [gain for gain, works in zip(gains, working, strict=True) if works]
    clean, truth = case.everything.images, case.everything.truth
    if not shifts or len(clean) < _APART:
        return found
    features = case.subject.all_features(clean).flatten(1)
    for label, far in distances(features, truth, shifts, weights).items():
        found[label] = far
    return found


def _mean_of_others(values: Tensor, labels: Tensor, shown: Shown) -> Tensor:
    """The mean over images that are not of the label's own class, shape (labels,)."""
    others = (shown.truth[None] != labels[:, None]).to(values.dtype)
    mean: Tensor = (values * others).sum(1) / others.sum(1)
    return mean


def _own_share(axis: Axis, stamp: Stamp, label: int, case: Case) -> float | None:
    """How far images of the label's own class lie along its axis, stamped ones at 1."""
    everything, truth = case.everything.images, case.everything.truth
    if case.invented or not (truth == label).any() or not (truth != label).any():
        return None
    subject = case.subject
    own = axis.read(subject.all_features(everything[truth == label])).mean()
    stamped = axis.read(subject.all_features(stamp.on(everything[truth != label])[0])).mean()
    return float(own / stamped)
