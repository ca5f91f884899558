"""How much a search tries, and about how long that takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from goodnet.scan.families import Family
    from goodnet.scan.subject import Subject

# However little is tried: triggers that are climbed, images that gradients are averaged over.
_FEWEST, _FEWEST_DERIVED = 6, 2
_LEAST_EFFORT = 0.02
# Without gradients an image takes about a third of the time.
_FORWARD = 1 / 3
# Batches that speed is measured with, on each core.
_MEASURED = 2


@dataclass(frozen=True)
class Stage:
    """How many triggers go on, for how many steps, on how many images a step."""

    triggers: int
    steps: int
    images: int

    @property
    def passes(self) -> int:
        """Images that pass through the network and back."""
        return self.triggers * self.steps * self.images


@dataclass(frozen=True)
class Plan:
    """How much a search tries; the defaults are what the null distribution was measured with.

    Attributes:
        proposed: Triggers proposed in all, where the classes are few.
        tried: Images each of these is tried on; one where the classes are many.
        derived: Images whose gradients are averaged.
        leading: Labels of each family that go on in all.
        first: Many begin: which place a patch belongs to shows after a step or two.
        second: Of the labels that lead, in all families.
        last: The last climb, one label in four.
        fewest_last: Of these at least.
    """

    proposed: int = 640
    tried: int = 2
    derived: int = 16
    leading: int = 8
    first: tuple[Stage, ...] = (Stage(480, 1, 2), Stage(96, 3, 3))
    second: Stage = Stage(32, 6, 4)
    last: Stage = Stage(20, 10, 5)
    fewest_last: int = 12

    @classmethod
    def of(cls, effort: float) -> Plan:
        """A plan that tries a share of the usual numbers of triggers and images, 0..1."""

        def part(count: int, least: int = _FEWEST) -> int:
            return max(min(least, count), round(effort * count))

        def shorter(stage: Stage) -> Stage:
            return replace(stage, triggers=part(stage.triggers))

        full = USUAL
        return replace(
            full,
            proposed=part(full.proposed),
            derived=part(full.derived, _FEWEST_DERIVED),
            leading=part(full.leading, 2),
            first=tuple(map(shorter, full.first)),
            second=shorter(full.second),
            last=shorter(full.last),
            fewest_last=part(full.fewest_last),
        )

    def places(self, labels: int) -> tuple[int, int]:
        """Triggers to propose of each label, and images that each of them is tried on."""
        places = max(1, self.proposed // labels)
        return places, self.tried if places > 1 else 1

    def last_of(self, labels: int) -> Stage:
        """The last stage where so many labels are looked for."""
        triggers = min(self.last.triggers, max(self.fewest_last, labels // 4))
        return replace(self.last, triggers=triggers)

    def passes(self, subject: Subject, families: Sequence[Family], labels: int) -> float:
        """About how many images a search sends through the network and back."""
        places, each = self.places(labels)
        tried = places * each * labels
        forward = sum(
            len(family.rough) * tried + self.tried * family.probes(subject.shape)
            for family in families
        )
        climbed = sum(stage.passes for stage in (*self.first, self.second, self.last))
        weight = subject.weight
        backward = labels if weight is None else min(labels, weight.shape[1])
        rough = {rough for family in families for rough in family.rough}
        return len(rough) * self.derived * backward + len(families) * climbed + _FORWARD * forward


USUAL = Plan()


def effort_for(
    subject: Subject, families: Sequence[Family], labels: int, *, seconds: float
) -> float:
    """The effort that a search may make in some seconds, from 0.02 to 1."""
    possible = seconds * _speed(subject)
    low, high = _LEAST_EFFORT, 1.0
    if USUAL.passes(subject, families, labels) <= possible:
        return high
    while high - low > _LEAST_EFFORT / 2:
        middle = (low + high) / 2
        fits = Plan.of(middle).passes(subject, families, labels) <= possible
        low, high = (middle, high) if fits else (low, middle)
    return low


def _speed(subject: Subject) -> float:
    """Images that pass through the network and back in a second."""
    images = torch.rand(subject.batch, *subject.shape, generator=torch.Generator().manual_seed(0))
    images = images.to(subject.device)

    def there_and_back(_: int) -> None:
        pixels = images.clone().requires_grad_()
        torch.autograd.grad(subject.logits(pixels).sum(), pixels)[0].cpu()

    there_and_back(0)
    jobs = range(_MEASURED * torch.get_num_threads())
    since = time.perf_counter()
    subject.each(there_and_back, jobs)
    return len(jobs) * len(images) / (time.perf_counter() - since)
