"""Units that watch the layers of a network for a trigger.

A unit reads how far the value of a layer goes along the direction in which triggers of a label
take it, and fires where that is further than clean images go. Early layers see where a trigger
lies, late ones what it does; a large trigger is seen best early, a thin one late, so units watch
several layers and one of them is enough.

All is told from clean images and from triggers a scan found. How far clean images go is read from
images that the unit was not made from: 60 images in thousands of dimensions fit anything. How
often units fire on images of the label's own class, the only ones whose answer they can change, is
held by a conformal limit, over all layers together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goodnet.network import answers
from goodnet.repair.watched_layers import WatchedLayer, shown
from goodnet.scan.directions import common_direction
from goodnet.scan.families import Stamp
from goodnet.stats import conformal_limit, proportion

if TYPE_CHECKING:
    from goodnet.progress import ProgressCallback
    from goodnet.scan.case import Case
    from goodnet.scan.result import RecoveredTrigger
    from goodnet.types import Proportion

_FOLDS = 5
# Share of the readings of clean images that may lie above the limit.
_ABOVE = 0.015
# Triggers that gain less than this share of the best one's margin are not the attacker's.
_WORKING, _TRIGGERS = 0.5, 10
# A limit lies beyond clean images, at this share of how far stamped ones go or farther: the poison
# of real networks is at a tenth or more of where those triggers are that a search makes as strong
# as it can. The features look most like the class itself: there it lies farther. For a label that
# may be innocent, whose own images must be spared, it lies halfway. Images that were made from the
# network go as far in any direction as it likes, and tell no limit: there it lies at the share.
_SHARE, _LATE = 0.07, 0.25
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Unit:
    """Fires where a layer's value goes further along a direction than clean images do.

    Attributes:
        label: The label that triggers lead to.
        layer: Whose value it reads.
        reader: What the value is multiplied with, of the value's shape.
        limit: It fires where the sum of the products is above.
        size: How far the limit lies beyond the mean of clean images, above 0.
        room: How far stamped images go beyond that mean, in that unit.
    """

    label: int
    layer: str
    reader: NDArray[np.float32]
    limit: float
    size: float
    room: float

    def moved(self, farther: float) -> Unit:
        """The same with a limit so many times as far beyond clean images."""
        return replace(
            self,
            limit=self.limit + (farther - 1) * self.size,
            size=farther * self.size,
            room=self.room / farther,
        )


@dataclass(frozen=True, eq=False)
class Watch:
    """The units of one label and what is known of how they do.

    Attributes:
        label: The label.
        units: One for each layer that tells its triggers from clean images.
        changed: Which clean images B answers with the label and a unit made without them fires on.
        led: Of each trigger, how many images of other classes B answers with the label.
        escaped: How many of them no unit fires on that was made without the image and without
            triggers of this family, as the attacker's may be of a family that none was found in.
        own: How many clean images of the label's class the limits know.
        alarms: What the share of that class's images that a unit fires on is held to, 0..1; None
            where there are none. It would be exact were the limits of single layers not told from
            the same images.
    """

    label: int
    units: tuple[Unit, ...]
    changed: NDArray[np.bool_]
    led: tuple[Proportion, ...]
    escaped: tuple[Proportion, ...]
    own: int = 0
    alarms: float | None = None


def watch(
    layers: Sequence[WatchedLayer],
    case: Case,
    label: int,
    triggers: Sequence[RecoveredTrigger],
    *,
    own: Tensor | None = None,
    named: bool = True,
    false_alarms: float = 0.01,
    advance: ProgressCallback = lambda _done: None,
) -> Watch:
    """Make the units of one label.

    Args:
        layers: To watch.
        case: B with its clean images, as a scan sees them.
        label: The label.
        triggers: What leads to it, one at least.
        own: More clean images of the label's class, pixels 0..1, that units are not made from; None
            for none.
        named: Whether the label was named, and not only stands out beside those that were.
        false_alarms: Share of the clean images of the label's class that units may fire on, 0..1.
        advance: Told of each layer.
    """
    ordered = sorted(triggers, key=lambda one: -one.margin)
    least = _WORKING * ordered[0].margin
    # One that gains nothing is alone: its share of a margin below 0 would be above it.
    working = [one for one in ordered if one.margin >= least][:_TRIGGERS] or ordered[:1]
    images, truth = shown(case).images, shown(case).truth
    stamped = [stamp_of(one, images.device).on(images)[0] for one in working]
    units: list[Unit] = []
    readings: list[_Readings] = []
    for layer in layers:
        seen = _Seen(
            layer,
            torch.stack([layer.subject.all_features(each).flatten(1) for each in stamped]),
            truth == label,
            None if own is None else layer.subject.all_features(own).flatten(1),
            [max(one.margin, _TINY) for one in working],
            [one.family for one in working],
        )
        found = seen.judge(false_alarms, named=named, invented=case.invented)
        if found.limit < found.stamped:
            units.append(seen.unit(label, found))
            readings.append(found)
        advance(1)
    ratios = [] if case.invented else [found.own / found.limit for found in readings]
    farther, alarms = _conformal(ratios, false_alarms)
    fired = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    caught = torch.zeros(len(working), len(images), dtype=torch.bool, device=images.device)
    kept = []
    for unit, found in zip(units, readings, strict=True):
        if farther < unit.room:
            kept.append(unit.moved(farther))
            fired |= found.clean[: len(images)] > farther * found.limit
            caught |= found.apart > farther * found.limit
    led = torch.stack([answers(case.subject.all_logits(each)) == label for each in stamped])
    led &= truth != label
    others = int((truth != label).sum())
    return Watch(
        label,
        tuple(kept),
        (fired & (answers(case.subject.all_logits(images)) == label)).cpu().numpy(),
        tuple(proportion(int(row.sum()), others) for row in led),
        tuple(proportion(int(row.sum()), others) for row in led & ~caught),
        own=int((truth == label).sum()) + (0 if own is None else len(own)),
        alarms=alarms,
    )


def _conformal(ratios: Sequence[Tensor], rate: float) -> tuple[float, float | None]:
    """How much farther limits must lie for all of them together to hold a rate.

    Args:
        ratios: Of readings of the class's own images to the limit, by layer.
        rate: 0..1.

    Returns:
        What to multiply limits with, at least 1, and the rate that holds; None for it where there
        are no such images.
    """
    if not ratios or not len(ratios[0]):
        return 1.0, None
    worst = torch.stack(list(ratios)).amax(0).tolist()
    limit, holds = conformal_limit(worst, rate)
    return max(1.0, limit), holds


def stamp_of(trigger: RecoveredTrigger, device: torch.device) -> Stamp:
    """A trigger as it is put on pixels 0..1."""
    mask = None if trigger.mask is None else torch.from_numpy(trigger.mask)[None, None].to(device)
    return Stamp(mask, torch.from_numpy(trigger.added)[None].to(device))


@dataclass(frozen=True, eq=False)
class _Readings:
    """What units say of images that they were not made from.

    Attributes:
        clean: Of clean images, then of all moved copies, in the same order, shape (rows,).
        apart: Of stamped images, by units made without triggers of the same family, shape
            (triggers, images).
        own: Of clean images of the label's class, without copies, shape (images,).
        stamped: How far stamped images go.
        limit: What lies between.
    """

    clean: Tensor
    apart: Tensor
    own: Tensor
    stamped: float
    limit: float


@dataclass(frozen=True, eq=False)
class _Seen:
    """What one layer shows of the triggers of a label.

    Attributes:
        layer: The layer.
        stamped: Values of the clean images with each trigger, shape (triggers, images, values).
        own: Which images are of the label's class, shape (images,).
        more: Of more images of that class, shape (images, values); None where there are none.
        weights: How much each trigger counts.
        families: That each trigger is of.
    """

    layer: WatchedLayer
    stamped: Tensor
    own: Tensor
    more: Tensor | None
    weights: Sequence[float]
    families: Sequence[str]

    def judge(self, false_alarms: float, *, named: bool, invented: bool) -> _Readings:
        """Read each fifth of the images by what the others give, and set a limit."""
        count, values = self.layer.images, self.layer.clean
        fifth = torch.arange(len(values), device=values.device) % count % _FOLDS
        clean = values.new_empty(len(values))
        together, apart = (values.new_empty(self.stamped.shape[:2]) for _ in range(2))
        for fold in range(min(_FOLDS, count)):
            out = fifth == fold
            rows = ~out[:count]
            directions = [self._direction(rows), *self._without_each(rows)]
            found = self.layer.readers(~out, torch.stack(directions, 1))
            mean = self.layer.mean(~out)
            clean[out] = (values[out] - mean) @ found[:, 0]
            read = (self.stamped[:, ~rows] - mean) @ found
            together[:, ~rows] = read[:, :, 0]
            apart[:, ~rows] = read[:, :, 1:].diagonal(dim1=0, dim2=2).T
        size = max(_level(clean, int(_ABOVE * len(clean))), _TINY)
        reach = float(together.median(1).values.median())
        share = _SHARE if invented or len(self.layer.shape) > 1 else _LATE
        limit = max(_TINY if invented and named else size, share * reach)
        if not named:
            limit = max(limit, math.sqrt(size * max(reach, 0.0)))
        own, copies = self._own(clean)
        if len(copies) and not invented:
            limit = max(limit, _level(copies, int(false_alarms * int(self.own.sum()))))
        return _Readings(clean, apart, own, reach, limit)

    def unit(self, label: int, found: _Readings) -> Unit:
        """The unit made from all images."""
        reader, mean = self._whole()
        return Unit(
            label,
            self.layer.name,
            reader.view(self.layer.shape).cpu().numpy(),
            float(mean @ reader) + found.limit,
            found.limit,
            found.stamped / found.limit,
        )

    def _own(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Readings of images of the label's class, by units that were not made from them.

        Returns:
            Of the images, and of them and moved copies of those that there are copies of.
        """
        copied = clean[self.own.repeat(len(clean) // len(self.own))]
        own = clean[: len(self.own)][self.own]
        if self.more is None:
            return own, copied
        reader, mean = self._whole()
        read = (self.more - mean) @ reader
        return torch.cat([own, read]), torch.cat([copied, read])

    def _whole(self) -> tuple[Tensor, Tensor]:
        """The reader that all images give, and their mean."""
        rows = torch.ones(len(self.layer.clean), dtype=torch.bool, device=self.own.device)
        direction = self._direction(rows[: self.layer.images])
        return self.layer.readers(rows, direction[:, None])[:, 0], self.layer.mean(rows)

    def _direction(self, rows: Tensor, kept: Sequence[int] | None = None) -> Tensor:
        """The one that some triggers have in common, on some of the images."""
        chosen = list(range(len(self.weights))) if kept is None else kept
        clean = self.layer.clean[: self.layer.images][rows].mean(0)
        shifts = self.stamped[chosen][:, rows].mean(1) - clean
        return common_direction(shifts, [self.weights[k] for k in chosen])

    def _without_each(self, rows: Tensor) -> Iterator[Tensor]:
        """For each trigger the direction of those of other families; its own where it is alone."""
        for family in self.families:
            others = [k for k, name in enumerate(self.families) if name != family]
            yield self._direction(rows, others or None)


def _level(readings: Tensor, above: int) -> float:
    """What so many of the readings lie above."""
    return float(readings.sort(descending=True).values[above])
