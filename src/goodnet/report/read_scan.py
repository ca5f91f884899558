"""What a scan found: its targets with the triggers and their pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.facts import Recovered, Scan, Target
from goodnet.report.folder import within
from goodnet.report.read_pictures import read_picture

if TYPE_CHECKING:
    from pathlib import Path

    from goodnet.results import NetworkResults, ScanRecord, TargetRecord

__all__ = ["PICTURED", "read_scan"]

PICTURED = 8  # targets whose pictures are read: the most suspicious

_MOST_SAMPLES = 4  # clean images of one target


def read_scan(folder: Path, about: NetworkResults, found: ScanRecord) -> Scan:
    """What a scan found, with its pictures.

    Args:
        folder: The run folder.
        about: The results, which tell how many images were given.
        found: What they say of the scan.

    Raises:
        Unreadable: If a picture is not a small PNG inside the folder.
        GoodnetError: If a file cannot be read.
    """
    given, used = about.inputs.clean, found.images.searched + found.images.judged
    return Scan(
        found.verdict,
        p_value=found.p_value,
        null=found.null,
        scores=found.scores,
        threshold=found.threshold,
        targets=tuple(
            _target(folder, each, pictured=place < PICTURED)
            for place, each in enumerate(found.targets)
        ),
        # Where few images were given, all were searched on and judged by.
        apart=given is None or given.images is None or used <= given.images,
        invented=given is None,
    )


def _target(folder: Path, found: TargetRecord, *, pictured: bool) -> Target:
    if found.file:
        within(folder, found.file)
    return Target(
        found.label,
        found.score,
        p_value=found.p_value,
        trigger=_recovered(folder, found, pictured=pictured),
        families=found.families,
        layer=found.direction.layer if found.direction else "",
        own=found.direction.own if found.direction else None,
        file=found.file or "",
    )


def _recovered(folder: Path, found: TargetRecord, *, pictured: bool) -> Recovered | None:
    trigger, pictures = found.trigger, found.pictures
    if trigger is None:
        return None
    pairs = list(zip(pictures.clean, pictures.stamped, strict=True))[:_MOST_SAMPLES]
    samples = [(read_picture(folder, one), read_picture(folder, other)) for one, other in pairs]
    return Recovered(
        trigger.family,
        trigger.success,
        changed=trigger.changed,
        area=trigger.area,
        margin=trigger.margin,
        png=read_picture(folder, pictures.trigger) if pictures.trigger and pictured else b"",
        samples=tuple(samples) if pictured else (),
    )
