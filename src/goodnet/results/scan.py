"""What the results of a scan hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from goodnet.results.parts import Count, Number, Share
from goodnet.types import Proportion

Verdict = Literal["no_finding", "suspicious", "backdoored", "inconclusive"]


@dataclass(frozen=True)
class TriggerRecord:
    """A trigger that was found: see `goodnet.scan.RecoveredTrigger`."""

    family: str
    success: Proportion
    changed: Annotated[float, Meta(ge=0.0, le=2.0**53)]
    area: Share
    margin: Number | None = None


@dataclass(frozen=True)
class DirectionRecord:
    """Where triggers take the features: the layer, and how far clean images of the label lie."""

    layer: str = ""
    own: Number | None = None


@dataclass(frozen=True)
class TargetPictures:
    """Pictures of a trigger: alone, and clean images without it and with it."""

    trigger: str | None = None
    clean: tuple[str, ...] = ()
    stamped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.clean) != len(self.stamped):
            raise ValueError("there is not one stamped picture for each clean one")


@dataclass(frozen=True)
class TargetRecord:
    """A label that stands out: see `goodnet.scan.Target`.

    Attributes:
        label: The class.
        score: How suspicious it is.
        p_value: As of the scan; None where not known.
        families: All families of triggers in which the label stands out.
        trigger: The best that was found.
        direction: What its triggers do to the features.
        file: The file of the run folder that holds trigger and direction; None for none.
        pictures: Of the trigger.
    """

    label: Count
    score: Number
    p_value: Share | None = None
    families: tuple[str, ...] = ()
    trigger: TriggerRecord | None = None
    direction: DirectionRecord | None = None
    file: str | None = None
    pictures: TargetPictures = TargetPictures()


@dataclass(frozen=True)
class BesideRecord:
    """A label that stands out, but not enough to be named."""

    label: Count
    score: Number


@dataclass(frozen=True)
class ScanImages:
    """Images a scan searched on, and those it judged triggers by."""

    searched: Count = 0
    judged: Count = 0


@dataclass(frozen=True)
class ScanRecord:
    """A scan: see `goodnet.scan.ScanResult`."""

    method: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict = "inconclusive"
    p_value: Share | None = None
    null: str = ""
    targets: tuple[TargetRecord, ...] = ()
    beside: tuple[BesideRecord, ...] = ()
    threshold: Number | None = None
    standings: Mapping[str, Number] = field(default_factory=dict)
    scores: tuple[Number | None, ...] = ()
    images: ScanImages = ScanImages()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        labels = [target.label for target in self.targets]
        if len(set(labels)) < len(labels):
            raise ValueError("a label stands twice among the targets")
        if max(labels, default=0) >= max(len(self.scores), 1):
            raise ValueError(f"a target has no label below {len(self.scores)}")
