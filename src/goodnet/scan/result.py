"""What a scan finds, as frozen values that turn into plain data and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.stats import proportion
from goodnet.types import Proportion

__all__ = ["Direction", "RecoveredTrigger", "ScanResult", "Target", "Verdict"]

Verdict = Literal["no_finding", "suspicious", "backdoored", "inconclusive"]
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

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the arrays of trigger and direction stay out, and the other triggers."""
        found: dict[str, Any] = {
            "label": self.label,
            "score": self.score,
            "p_value": self.p_value,
            "families": list(self.families),
        }
        if self.trigger is not None:
            found["trigger"] = {
                "family": self.trigger.family,
                "margin": self.trigger.margin,
                "success": self.trigger.success.to_dict(),
                "changed": self.trigger.changed,
                "area": self.trigger.area,
            }
        if self.direction is not None:
            found["direction"] = {"layer": self.direction.layer, "own": self.direction.own}
        return found

    def arrays(self) -> dict[str, Floats]:
        """What `to_dict` leaves out: the trigger as a trigger file holds it, and the direction."""
        found = {} if self.trigger is None else dict(self.trigger.arrays)
        return found if self.direction is None else {**found, "direction": self.direction.vector}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Target:
        """The inverse of `to_dict` and `arrays`."""
        trigger, direction = data.get("trigger"), data.get("direction")
        return cls(
            label=int(data["label"]),
            score=float(data["score"]),
            p_value=data["p_value"],
            trigger=None if trigger is None else _trigger(trigger, arrays),
            families=tuple(data["families"]),
            direction=None
            if direction is None
            else Direction(direction["layer"], arrays["direction"], direction["own"]),
        )


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Whether a network seems to carry a backdoor, and for which labels.

    Attributes:
        method: The name of the scanner.
        options: Its fields by name, plain data.
        verdict: "no_finding" is no proof that there is none; "inconclusive" where a step failed or
            there was too little to go by.
        p_value: Probability that the most suspicious label of a clean network scores as high as
            that of this one; None where the method gives none.
        null: What the p-value is against, or by what rule the verdict is, a sentence.
        scores: Of all classes, higher = more suspicious, float32, shape (classes,).
        threshold: Labels with a score above it are named; None where there is none.
        targets: The labels that stand out, the most suspicious first.
        images: Clean images searched on, and others that the triggers were judged by.
        notes: What a user should know, a sentence each.
        standings: Where scores are made of several figures, the largest of each among all classes.
        beside: Labels that stand out beside those that are named, but not enough to be named.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `results.json`; the arrays stay out, and the triggers of `beside`."""
        return {
            "method": self.method,
            "options": dict(self.options),
            "verdict": self.verdict,
            "p_value": self.p_value,
            "null": self.null,
            "targets": [target.to_dict() for target in self.targets],
            "beside": [{"label": each.label, "score": each.score} for each in self.beside],
            "threshold": self.threshold,
            "standings": dict(self.standings),
            "scores": [round(float(x), 4) if np.isfinite(x) else None for x in self.scores],
            "images": {"searched": self.images[0], "judged": self.images[1]},
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], arrays: Mapping[int, Mapping[str, Floats]]
    ) -> ScanResult:
        """The inverse of `to_dict`.

        Args:
            data: What `to_dict` gave.
            arrays: By label what `Target.arrays` gave.

        Raises:
            InvalidInput: If the verdict is not one that is known.
        """
        if data["verdict"] not in get_args(Verdict):
            raise InvalidInput(
                f"the verdicts are {', '.join(get_args(Verdict))}, got {data['verdict']!r}"
            )
        return cls(
            method=data["method"],
            options=data["options"],
            verdict=data["verdict"],
            p_value=data["p_value"],
            null=data["null"],
            scores=np.array([np.nan if x is None else x for x in data["scores"]], np.float32),
            threshold=data["threshold"],
            targets=tuple(
                Target.from_dict(each, arrays.get(each["label"], {})) for each in data["targets"]
            ),
            images=(data["images"]["searched"], data["images"]["judged"]),
            notes=tuple(data["notes"]),
            standings=data.get("standings", {}),
            beside=tuple(Target(each["label"], each["score"]) for each in data.get("beside", [])),
        )


def _trigger(data: Mapping[str, Any], arrays: Mapping[str, Floats]) -> RecoveredTrigger:
    mask, pattern = arrays.get("mask"), arrays.get("pattern")
    added = mask * pattern if mask is not None and pattern is not None else arrays["added"]
    return RecoveredTrigger(
        family=data["family"],
        mask=mask,
        added=(added / 255).astype(np.float32),
        margin=float(data["margin"]),
        success=proportion(data["success"]["count"], data["success"]["total"]),
        changed=float(data["changed"]),
        area=float(data["area"]),
    )
