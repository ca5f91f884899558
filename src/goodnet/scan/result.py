"""What a scan finds, as frozen values, and their records in the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.notebook import html_table
from goodnet.results import (
    BesideRecord,
    DirectionRecord,
    ScanImages,
    ScanRecord,
    TargetRecord,
    TriggerRecord,
    Verdict,
)
from goodnet.types import Proportion

__all__ = ["Direction", "RecoveredTrigger", "ScanResult", "Target", "Verdict"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RecoveredTrigger:
    """A trigger as it was found: x' = clip((1 - mask) x + added, 0, 1).

    Attributes:
        family: How triggers look in the family it is of.
        mask: How much of the image it hides, 0..1, shape (height, width); None for a perturbation,
            which hides nothing.
        added: In units of the pixel range, shape (channels, height, width).
        margin: Mean logit margin of the label on images that bear it, of those never searched on.
        success: Share of those images, none of them of the label's class, that are answered with
            the label.
        changed: Root mean square by which it changes them, in units of the pixel range.
        area: Share of the pixels that it changes by more than one step of 255, 0..1.
    """

    family: str
    mask: Floats | None
    added: Floats
    margin: float
    success: Proportion
    changed: float
    area: float

    @property
    def arrays(self) -> dict[str, Floats]:
        """As a trigger file holds it: `mask` and `pattern`, or `added`; pixels 0..255."""
        if self.mask is None:
            return {"added": (255 * self.added).clip(-255, 255).astype(np.float32)}
        hidden = np.maximum(self.mask, np.float32(1e-6))
        pattern = np.where(self.mask > 0, 255 * self.added / hidden, 0)
        return {"mask": self.mask, "pattern": pattern.clip(0, 255).astype(np.float32)}


@dataclass(frozen=True, eq=False)
class Direction:
    """Where the triggers of a label take the features.

    Attributes:
        layer: The layer whose value are the features; "" for the logits.
        vector: Of length 1, the values of the layer in one row.
        own: How far clean images of the label's own class lie along it, where that of stamped
            images is 1 and that of all clean images 0; None where there are none. A backdoor is
            not its class: near 1 the label may owe its score to what its class looks like.
    """

    layer: str
    vector: Floats
    own: float | None = None


@dataclass(frozen=True, eq=False)
class Target:
    """A label that a backdoor seems to lead to.

    Attributes:
        label: The class.
        score: Its score.
        p_value: Probability that the most suspicious label of a clean network scores as high; None
            where the method gives none.
        trigger: The one that works best of those found; None where the method finds none.
        families: All families of triggers in which the label stands out.
        direction: What its triggers do to the features; None where not known.
        others: Triggers of other families that work too, the best first.
    """

    label: int
    score: float
    p_value: float | None = None
    trigger: RecoveredTrigger | None = None
    families: tuple[str, ...] = ()
    direction: Direction | None = None
    others: tuple[RecoveredTrigger, ...] = ()

    @property
    def triggers(self) -> tuple[RecoveredTrigger, ...]:
        """All that were found, the best first."""
        return () if self.trigger is None else (self.trigger, *self.others)

    def to_record(self) -> TargetRecord:
        """As the results have it: without the arrays, and without the other triggers."""
        trigger, direction = self.trigger, self.direction
        return TargetRecord(
            self.label,
            self.score,
            self.p_value,
            self.families,
            trigger=None
            if trigger is None
            else TriggerRecord(
                trigger.family,
                trigger.success,
                changed=trigger.changed,
                area=trigger.area,
                margin=trigger.margin,
            ),
            direction=None
            if direction is None
            else DirectionRecord(direction.layer, direction.own),
        )

    def arrays(self) -> dict[str, Floats]:
        """What `to_record` leaves out: the trigger as a trigger file has it, and the direction."""
        found = {} if self.trigger is None else dict(self.trigger.arrays)
        return found if self.direction is None else {**found, "direction": self.direction.vector}

    @classmethod
    def from_record(cls, record: TargetRecord, arrays: Mapping[str, Floats]) -> Target:
        """The inverse of `to_record` and `arrays`."""
        trigger, direction = record.trigger, record.direction
        return cls(
            record.label,
            record.score,
            record.p_value,
            trigger=None if trigger is None else _trigger(trigger, arrays),
            families=record.families,
            direction=None
            if direction is None
            else Direction(direction.layer, arrays["direction"], direction.own),
        )


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Whether a network seems to carry a backdoor, and for which labels.

    Attributes:
        method: The name of the scanner.
        options: Its fields by name, plain data.
        verdict: "no_finding" does not prove that there is no backdoor; "inconclusive" where a step
            failed or there were too few images.
        p_value: Probability that the most suspicious label of a clean network scores as high as
            that of this one; None where the method gives none.
        null: The null hypothesis of the p-value, or the decision rule, in a sentence.
        scores: Of all labels, higher = more suspicious, float32, shape (classes,).
        threshold: Labels with a score above it are named; None where there is none.
        targets: The labels named, the most suspicious first.
        images: Number of clean images searched on, and of others the triggers were judged by.
        notes: What a user should know, a sentence each.
        standings: Where scores consist of several figures, the largest of each over all labels.
        beside: Labels that stand out beside the targets, but not enough to be named.
    """

    method: str
    options: Mapping[str, Any]
    verdict: Verdict
    p_value: float | None
    null: str
    scores: Floats
    threshold: float | None = None
    targets: tuple[Target, ...] = ()
    images: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = field(default=())
    standings: Mapping[str, float] = field(default_factory=dict)
    beside: tuple[Target, ...] = ()

    def __str__(self) -> str:
        """One line: the verdict, its p-value and the labels."""
        sure = "" if self.p_value is None else f", p = {self.p_value:.2g}"
        labels = ", ".join(str(target.label) for target in self.targets)
        return f"{self.verdict}{sure}" + (f": label {labels}" if labels else "")

    def _repr_html_(self) -> str:
        header = ("label", "score", "p", "trigger", "success in percent, 95 % interval")
        rows = [
            (
                *(each.label, f"{each.score:.2f}"),
                None if each.p_value is None else f"{each.p_value:.2g}",
                *((each.trigger.family, each.trigger.success) if each.trigger else (None, None)),
            )
            for each in self.targets
        ]
        return html_table(str(self), header, rows, (self.null, *self.notes))

    def to_record(self) -> ScanRecord:
        """As the results have it: without the arrays, and without the triggers of `beside`."""
        return ScanRecord(
            method=self.method,
            options=dict(self.options),
            verdict=self.verdict,
            p_value=self.p_value,
            null=self.null,
            targets=tuple(target.to_record() for target in self.targets),
            beside=tuple(BesideRecord(each.label, each.score) for each in self.beside),
            threshold=self.threshold,
            standings=dict(self.standings),
            scores=tuple(round(float(x), 4) if np.isfinite(x) else None for x in self.scores),
            images=ScanImages(*self.images),
            notes=self.notes,
        )

    @classmethod
    def from_record(
        cls, record: ScanRecord, arrays: Mapping[int, Mapping[str, Floats]]
    ) -> ScanResult:
        """The inverse of `to_record`.

        Args:
            record: What `to_record` gave.
            arrays: By label what `Target.arrays` gave.
        """
        return cls(
            method=record.method,
            options=record.options,
            verdict=record.verdict,
            p_value=record.p_value,
            null=record.null,
            scores=np.array([np.nan if x is None else x for x in record.scores], np.float32),
            threshold=record.threshold,
            targets=tuple(
                Target.from_record(each, arrays.get(each.label, {})) for each in record.targets
            ),
            images=(record.images.searched, record.images.judged),
            notes=record.notes,
            standings=record.standings,
            beside=tuple(Target(each.label, each.score) for each in record.beside),
        )


def _trigger(record: TriggerRecord, arrays: Mapping[str, Floats]) -> RecoveredTrigger:
    mask, pattern = arrays.get("mask"), arrays.get("pattern")
    added = mask * pattern if mask is not None and pattern is not None else arrays["added"]
    return RecoveredTrigger(
        family=record.family,
        mask=mask,
        added=(added / 255).astype(np.float32),
        margin=record.margin or 0.0,
        success=record.success,
        changed=record.changed,
        area=record.area,
    )
