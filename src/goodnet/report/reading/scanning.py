"""The run folder of `goodnet scan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from goodnet.report.facts import Finding, Recovered, Run, Scan, Target
from goodnet.report.reading import parts
from goodnet.report.reading.fields import Fields, Unreadable
from goodnet.report.reading.folder import within
from goodnet.report.reading.pictures import read_picture

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PICTURED", "read_scan", "read_scanning"]

PICTURED = 8  # targets whose pictures are read: the most suspicious

_MOST_CLASSES = 100_000
_MOST_SAMPLES = 4  # clean images of one target


def read_scanning(folder: Path, found: Fields, name: str) -> Run:
    """Read a scan.

    Raises:
        Unreadable: If something in the folder is not as this program writes it.
        GoodnetError: If a file cannot be read.
    """
    scan = read_scan(folder, found, found)
    return Run(
        name=name,
        command="scan",
        method=found.text("method"),
        classes=len(scan.scores),
        baseline=None,
        trials=(),
        shown=None,
        scan=scan,
        layers=parts.layers(found),
        parameters=(found.inner("network").whole("parameters"), None),
        inputs=parts.inputs(found),
        options=_options(found),
        **parts.shared_parts(folder, found),
    )


def read_scan(folder: Path, about: Fields, found: Fields) -> Scan:
    """Read what the results say of a scan.

    Args:
        folder: The run folder.
        about: The results.
        found: What they say of the scan.

    Raises:
        Unreadable: As `read_scanning`.
        GoodnetError: As `read_scanning`.
    """
    scores = _scores(found, about.whole("classes"))
    targets = [
        _target(folder, each, len(scores), pictured=place < PICTURED)
        for place, each in enumerate(found.each("targets"))
    ]
    if len({target.label for target in targets}) < len(targets):
        raise Unreadable("a label stands twice among the targets")
    return Scan(
        _verdict(found),
        p_value=_chance(found, "p_value"),
        null=found.text("null"),
        scores=scores,
        threshold=found.number("threshold"),
        targets=tuple(targets),
        apart=_apart(found, about.inner("inputs").inner("clean").whole("images")),
        invented="clean" not in about.inner("inputs"),
    )


def _verdict(found: Fields) -> Finding:
    verdict = found.text("verdict")
    if verdict not in get_args(Finding):
        raise Unreadable(f"the verdict is none of {', '.join(get_args(Finding))}")
    return cast("Finding", verdict)


def _scores(found: Fields, classes: int | None) -> tuple[float | None, ...]:
    scores = found.readings("scores")
    if classes is None or not 2 <= classes <= _MOST_CLASSES:
        raise Unreadable(f"the number of classes is not between 2 and {_MOST_CLASSES}")
    if len(scores) != classes:
        raise Unreadable(f"there are {len(scores)} scores for {classes} classes")
    return scores


def _apart(found: Fields, given: int | None) -> bool:
    """False where so few images were given that all were searched on and judged by."""
    images = found.inner("images")
    used = (images.whole("searched") or 0) + (images.whole("judged") or 0)
    return given is None or used <= given


def _target(folder: Path, found: Fields, classes: int, *, pictured: bool) -> Target:
    label, score = found.whole("label"), found.number("score")
    if label is None or label >= classes or score is None:
        raise Unreadable(f"a target has no score, or no label below {classes}")
    direction, file = found.inner("direction"), found.text("file")
    if file:
        within(folder, file)
    return Target(
        label,
        score,
        p_value=_chance(found, "p_value"),
        trigger=_trigger(folder, found, pictured=pictured) if "trigger" in found else None,
        families=found.texts("families"),
        layer=direction.text("layer"),
        own=direction.number("own"),
        file=file,
    )


def _trigger(folder: Path, found: Fields, *, pictured: bool) -> Recovered:
    trigger, pictures = found.inner("trigger"), found.inner("pictures") if pictured else Fields({})
    success, alone = trigger.share("success"), pictures.text("trigger")
    changed, area = trigger.number("changed"), trigger.number("area")
    if success is None or changed is None or changed < 0 or area is None or not 0 <= area <= 1:
        raise Unreadable("a trigger lacks its success or its size")
    return Recovered(
        trigger.text("family"),
        success,
        changed=changed,
        area=area,
        margin=trigger.number("margin"),
        png=read_picture(folder, alone) if alone else b"",
        samples=_samples(folder, pictures),
    )


def _samples(folder: Path, pictures: Fields) -> tuple[tuple[bytes, bytes], ...]:
    clean, stamped = pictures.texts("clean"), pictures.texts("stamped")
    if len(clean) != len(stamped):
        raise Unreadable("there is not one stamped picture for each clean one")
    pairs = list(zip(clean, stamped, strict=True))[:_MOST_SAMPLES]
    return tuple((read_picture(folder, one), read_picture(folder, other)) for one, other in pairs)


def _chance(found: Fields, key: str) -> float | None:
    chance = found.number(key)
    if chance is not None and not 0 <= chance <= 1:
        raise Unreadable(f"a {key} is not in 0..1")
    return chance


def _options(found: Fields) -> dict[str, str]:
    settings, images = found.inner("options"), found.inner("images")
    counts = {f"images {use}": text for use, text in parts.options(images, images).items()}
    own = parts.options(found, ("method", "scale", "classes", "device", "threshold"))
    return own | counts | parts.options(settings, settings)
