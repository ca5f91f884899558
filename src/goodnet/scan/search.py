"""Find for each label a trigger that raises its margin on all images.

All labels are tried by one linear step from the gradients of their margins; the best go on to be
climbed, fewer and fewer of them for longer and longer. What one family found for a label is where
the others go on from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from goodnet.scan.gradients import margin_gradients, roughen
from goodnet.scan.margins import all_margins, margins
from goodnet.scan.plan import USUAL

if TYPE_CHECKING:
    from goodnet.progress import ProgressCallback
    from goodnet.scan.case import Shown
    from goodnet.scan.families import Family, Stamp
    from goodnet.scan.plan import Plan, Stage
    from goodnet.scan.subject import Subject

_MOMENTUM = 0.8
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Found:
    """Triggers of one family.

    Attributes:
        labels: What each leads to, shape (triggers,).
        free: What a search moves, shape (triggers, ...).
        place: What it does not, shape (triggers, ...).
        margins: Mean margin of the label on images that bear it, shape (triggers,).
    """

    labels: Tensor
    free: Tensor
    place: Tensor
    margins: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor) -> Found:
        return Found(self.labels[rows], self.free[rows], self.place[rows], self.margins[rows])

    def best(self, count: int, *, each: int) -> Found:
        """Those with the largest margins, the largest first, at most `each` of one label."""
        order = self.margins.argsort(descending=True, stable=True).tolist()
        taken: dict[int, int] = {}
        rows: list[int] = []
        for row in order:
            label = int(self.labels[row])
            if taken.get(label, 0) < each and len(rows) < count:
                taken[label] = taken.get(label, 0) + 1
                rows.append(row)
        return self[torch.tensor(rows, device=self.labels.device)]


@dataclass(frozen=True, eq=False)
class View:
    """What the search of one family found.

    Attributes:
        family: How triggers look in it.
        found: Those that went all the way, at most one for a label, the best first.
        reached: The margin that was reached for each class at whatever stage it was left, shape
            (classes,); minus infinity for a class that was not looked for.
    """

    family: Family
    found: Found
    reached: Tensor

    def stamp(self, shape: tuple[int, int, int]) -> Stamp:
        """What was found as it is put on images of this shape."""
        return self.family.stamp(self.found.free, self.found.place, shape)


def search(
    subject: Subject,
    families: Sequence[Family],
    shown: Shown,
    *,
    labels: Tensor,
    generator: torch.Generator,
    plan: Plan = USUAL,
    advance: ProgressCallback = lambda _done: None,
) -> tuple[View, ...]:
    """Search all families for all labels.

    A label that is among the best of one family goes on in all, from what its best trigger changes.

    Args:
        subject: The network.
        families: How triggers may look.
        shown: Images to search on.
        labels: Those looked for, in rising order, shape (labels,).
        generator: Decides which images each step looks at.
        plan: How much is tried.
        advance: Told of each family that is done with a round; there are two rounds.

    Returns:
        What each family found.
    """
    slopes = _gradients(subject, families, shown[: plan.derived], labels, generator)
    begun = []
    for family in families:
        begun.append(
            _begin(subject, family, slopes, shown, labels=labels, generator=generator, plan=plan)
        )
        advance(1)
    best = [view.found.best(plan.leading, each=1) for view in begun]
    leading = {int(label) for found in best for label in found.labels}
    chosen = torch.tensor(sorted(leading), device=subject.device)
    changes = _changes(subject, begun, chosen, shown)
    done = []
    for view in begun:
        order = torch.randperm(len(shown), generator=generator).to(subject.device)
        kept = view.found[torch.isin(view.found.labels, chosen)]
        taken = _propose(subject, view.family, [changes], shown, chosen, order, places=1, tried=1)
        done.append(_finish(subject, view, _join([kept, taken]), shown, generator, plan=plan))
        advance(1)
    return tuple(done)


def measure(subject: Subject, stamp: Stamp, labels: Tensor, shown: Shown) -> tuple[Tensor, Tensor]:
    """What triggers do to all images.

    Args:
        subject: The network.
        stamp: One trigger for each label.
        labels: What each leads to, shape (labels,).
        shown: Clean images.

    Returns:
        The margin of each label on each stamped image, shape (labels, images), and where each
        trigger moves the mean of the features, shape (labels, features).
    """
    clean = subject.all_features(shown.images).flatten(1).mean(0)

    def part(job: tuple[int, Tensor]) -> tuple[Tensor, Tensor]:
        place, label = job
        with torch.inference_mode():
            features = [
                subject.features(stamp[place : place + 1].on(some)[0])
                for some in torch.split(shown.images, subject.batch)
            ]
            values = [margins(subject.tail(some), label) for some in features]
            moved = torch.cat(features).flatten(1).mean(0) - clean
            return torch.cat(values), moved

    values, moved = zip(*subject.each(part, list(enumerate(labels))), strict=True)
    return torch.stack(values), torch.stack(moved)


def _gradients(
    subject: Subject,
    families: Sequence[Family],
    shown: Shown,
    labels: Tensor,
    generator: torch.Generator,
) -> dict[float, Tensor]:
    """The gradients of the labels' margins at each roughness that a family asks for."""
    return {
        rough: margin_gradients(
            subject, roughen(shown.images, rough, generator), shown.truth, labels
        )
        for rough in sorted({rough for family in families for rough in family.rough})
    }


def _begin(
    subject: Subject,
    family: Family,
    slopes: Mapping[float, Tensor],
    shown: Shown,
    *,
    labels: Tensor,
    generator: torch.Generator,
    plan: Plan,
) -> View:
    """Propose triggers for all labels and take the best of them a few steps on."""
    order = torch.randperm(len(shown), generator=generator).to(subject.device)
    given = [slopes[rough] for rough in family.rough]
    places, tried = plan.places(len(labels))
    proposed = _propose(subject, family, given, shown, labels, order, places=places, tried=tried)
    probed = _probe(subject, family, shown[order[: plan.tried]], labels, places=places)
    found = _join([proposed, *probed])
    reached = _reached(subject, found)
    for stage in plan.first:
        found = _stage(subject, family, found, shown, stage, generator)
        reached = _later(reached, _reached(subject, found))
    return View(family, found, reached)


def _finish(
    subject: Subject,
    view: View,
    found: Found,
    shown: Shown,
    generator: torch.Generator,
    *,
    plan: Plan,
) -> View:
    family, looked = view.family, int(torch.isfinite(view.reached).sum())
    found = _stage(subject, family, found, shown, plan.second, generator)
    reached = _later(view.reached, _reached(subject, found))
    found = replace(found, free=family.refine(found.free, subject.shape))
    found = _stage(subject, family, found, shown, plan.last_of(looked), generator)
    reached = _later(reached, _reached(subject, found))
    return View(family, found.best(len(found), each=1), reached)


def _changes(subject: Subject, views: Sequence[View], labels: Tensor, shown: Shown) -> Tensor:
    """What the best trigger of each label changes, of the family in which the label ranks best.

    To other families this is what a gradient is: where to go. Returns (labels, channels, height,
    width).
    """
    mean = shown.images.mean(0, keepdim=True)
    best = torch.full((len(labels),), torch.inf, device=subject.device)
    changes = torch.zeros(len(labels), *subject.shape, device=subject.device)
    for view in views:
        found = view.found.best(len(view.found), each=1)
        ranks = (view.reached[None] > view.reached[labels][:, None]).sum(1)
        made = view.family.stamp(found.free, found.place, subject.shape).on(mean)[:, 0] - mean
        for place, label in enumerate(labels):
            at = (found.labels == label).nonzero()[:, 0]
            if len(at) and ranks[place] < best[place]:
                best[place], changes[place] = ranks[place], made[at[0]]
    return changes


def _stage(
    subject: Subject,
    family: Family,
    found: Found,
    shown: Shown,
    stage: Stage,
    generator: torch.Generator,
) -> Found:
    each = max(1, stage.triggers // len(torch.unique(found.labels)))
    orders = [
        torch.randperm(len(shown), generator=generator).to(subject.device)
        for _ in range(stage.steps)
    ]
    best = found.best(stage.triggers, each=each)
    return _climb(subject, family, best, shown, orders=orders, count=stage.images)


def _later(before: Tensor, now: Tensor) -> Tensor:
    """A longer climb is the better judge: what it reached replaces what was reached before."""
    return torch.where(now > -torch.inf, now, before)


def _propose(
    subject: Subject,
    family: Family,
    gradients: Sequence[Tensor],
    shown: Shown,
    labels: Tensor,
    order: Tensor,
    *,
    places: int,
    tried: int,
) -> Found:
    """The best triggers to first order for every label, with their margins on a few images."""

    def part(job: tuple[Tensor, Tensor]) -> Found:
        slopes, some = job
        found = []
        for free, place in family.propose(slopes, mean, places=places):
            chosen = shown.others(some, order, tried)
            stamp = family.stamp(free, place, subject.shape)
            with torch.inference_mode():
                values = _margins(subject, stamp, some, shown.images[chosen])
            found.append(Found(some, free, place, values))
        return _join(found)

    mean = shown.images.mean(0)
    each = max(1, subject.batch // tried)
    jobs = [
        pair
        for slopes in gradients
        for pair in zip(torch.split(slopes, each), torch.split(labels, each), strict=True)
    ]
    return _join(subject.each(part, jobs))


def _probe(
    subject: Subject,
    family: Family,
    shown: Shown,
    labels: Tensor,
    *,
    places: int,
) -> list[Found]:
    """The triggers of a family that do best for each label, of those tried on all labels at once.

    Far from clean images gradients mislead; what stamped images are answered with does not.
    """
    count = family.probes(subject.shape)
    if not count:
        return []
    images, truth = shown.images, shown.truth

    def part(rows: Tensor) -> Tensor:
        with torch.inference_mode():
            stamp = family.stamp(*family.probe(rows, subject.shape), subject.shape)
            logits = subject.logits(stamp.on(images).flatten(0, 1))
            values = all_margins(logits.view(len(rows), len(images), -1))[:, :, labels]
            own = truth[:, None] == labels
            kept = torch.where(own, 0.0, values).sum(1) / (~own).sum(0).clamp_min(1)
            return torch.where(own.all(0), -torch.inf, kept)

    rows = torch.arange(count, device=subject.device)
    split = torch.split(rows, max(1, subject.batch // len(images)))
    values, which = torch.cat(subject.each(part, split)).topk(min(places, count), dim=0)
    return [
        Found(labels, *family.probe(row, subject.shape), value)
        for value, row in zip(values, which, strict=True)
    ]


def _climb(
    subject: Subject,
    family: Family,
    start: Found,
    shown: Shown,
    *,
    orders: Sequence[Tensor],
    count: int,
) -> Found:
    """Move triggers up their margins, one step for each order of the images."""

    def part(rows: Tensor) -> Found:
        here = start[rows]
        free, velocity = here.free, torch.zeros_like(here.free)
        seen: list[Tensor] = []
        for order in orders:
            images = shown.images[shown.others(here.labels, order, count)]
            variable = free.clone().requires_grad_()
            stamp = family.stamp(variable, here.place, subject.shape)
            values = _margins(subject, stamp, here.labels, images)
            (slope,) = torch.autograd.grad(values.sum(), variable)
            velocity = _MOMENTUM * velocity + (1 - _MOMENTUM) * _unit(slope)
            free = family.move(free, _unit(velocity), subject.shape)
            seen.append(values.detach())
        last = torch.stack(seen[-max(1, len(seen) // 4) :]).mean(0)
        return Found(here.labels, free, here.place, last)

    rows = torch.arange(len(start), device=subject.device)
    return _join(subject.each(part, torch.split(rows, max(1, subject.batch // count))))


def _margins(subject: Subject, stamp: Stamp, labels: Tensor, images: Tensor) -> Tensor:
    """Mean margins on some images for each label, (labels, images, ...)."""
    logits = subject.logits(stamp.on(images).flatten(0, 1))
    found: Tensor = margins(logits.view(*images.shape[:2], -1), labels[:, None]).mean(1)
    return found


def _reached(subject: Subject, found: Found) -> Tensor:
    best = torch.full((subject.classes,), -torch.inf, device=subject.device)
    return best.scatter_reduce(0, found.labels, found.margins, "amax")


def _unit(values: Tensor) -> Tensor:
    length = values.square().sum(tuple(range(1, values.ndim)), keepdim=True).sqrt()
    return values / length.clamp_min(_TINY)


def _join(parts: list[Found]) -> Found:
    return Found(
        torch.cat([part.labels for part in parts]),
        torch.cat([part.free for part in parts]),
        torch.cat([part.place for part in parts]),
        torch.cat([part.margins for part in parts]),
    )
