"""The pictures of a page: images with what each network answers, and triggers that were found."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.report import words
from goodnet.report.folder import samples_of
from goodnet.report.views.tables import listed
from goodnet.results import DirectionRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from goodnet.report.contact_sheet import Mark
    from goodnet.report.facts import Run
    from goodnet.results import PictureRecord, TargetRecord, TriggerRecord

_NETWORKS = ("B", "B'", "G")
_SHOWN_SIDE = 96  # pixels of the page; small images are enlarged to about this


@dataclass(frozen=True)
class Image:
    """A PNG to be set into the page: its address holds it. Width and height in the page."""

    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Answer:
    """What one network said, and what to think of it."""

    network: str
    text: str
    mark: Mark


@dataclass(frozen=True)
class Tile:
    """One image of a group."""

    image: Image
    alt: str
    label: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Group:
    """Images that belong together, and a sentence about them."""

    title: str
    note: str
    tiles: tuple[Tile, ...]


def picture_groups(run: Run) -> tuple[Group, ...]:
    """Samples of each set, and after them those by which G fails and that were not shown yet."""
    groups: list[Group] = []
    for key in dict.fromkeys(picture.set for picture in run.pictures):
        of_set = [picture for picture in run.pictures if picture.set == key]
        samples = [picture for picture in of_set if picture.why == "sample"]
        shown = {picture.index for picture in samples}
        failures = [p for p in of_set if p.why != "sample"]
        new = [picture for picture in failures if picture.index not in shown]
        groups += _group(_title(key), _sample_note(key), samples, run)
        groups += _group(*_failure(key, samples=len(shown & {p.index for p in failures})), new, run)
    return tuple(groups)


def embed(png: bytes) -> Image:
    """Set a PNG into the page, enlarged by a whole factor if it is small."""
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    factor = max(round(_SHOWN_SIDE / max(width, height, 1)), 1)
    data = base64.b64encode(png).decode("ascii")
    return Image(f"data:image/png;base64,{data}", width * factor, height * factor)


def _group(title: str, note: str, pictures: Sequence[PictureRecord], run: Run) -> list[Group]:
    if not pictures:
        return []
    return [Group(title, note, tuple(_tile(picture, run) for picture in pictures))]


def _title(key: str) -> str:
    return "Clean images" if key == "clean" else f"Poisoned images: {words.name(key)}"


def _sample_note(key: str) -> str:
    spread = "Spread evenly over the set."
    if key == "clean":
        return spread
    return f"{spread} The label is what the attacker wants."


def _failure(key: str, *, samples: int) -> tuple[str, str]:
    are = "is one" if samples == 1 else "are such"
    more = f" {samples} of those above {are}, too." if samples else ""
    if key == "clean":
        return "Clean images that G refused", f"False alarms: G answers N.{more}"
    title = f"Poisoned images that G let through: {words.name(key)}"
    return title, f"Failures of the defence: B and B\u2032 agree on the target.{more}"


def _tile(picture: PictureRecord, run: Run) -> Tile:
    poisoned = picture.set != "clean"
    label = f"{'target' if poisoned else 'label'} {run.called(picture.label)}"
    if poisoned and picture.source_label is not None:
        label = f"shows {run.called(picture.source_label)}, {label}"
    kind = "poisoned" if poisoned else "clean"
    known = {name: picture.answers.get(name) for name in _NETWORKS}
    answers = tuple(
        Answer(
            words.network(name),
            "N" if answer == run.classes else str(answer),
            _mark(picture, answer, run.classes),
        )
        for name, answer in known.items()
        if answer is not None
    )
    image = embed(run.images[picture.file])
    return Tile(image, f"{kind} image {picture.index}, {label}", label, answers)


def _mark(picture: PictureRecord, answer: int, classes: int | None) -> Mark:
    if answer == classes:
        return "refused"
    if picture.set == "clean":
        return "right" if answer == picture.label else "wrong"
    if answer == picture.label:
        return "target"
    return "right" if answer == picture.source_label else "wrong"


_MOST_FAMILIES = 8


@dataclass(frozen=True)
class TargetView:
    """A label that stands out.

    Attributes:
        label: Which.
        trigger: A picture of the trigger; None where there is none.
        samples: Clean images, each with the same one stamped.
        lines: What is known of it: in a word or two, the value, and what more there is to say.
    """

    label: str
    trigger: Image | None
    samples: tuple[tuple[Image, Image], ...]
    lines: tuple[tuple[str, str, str], ...]


def target_view(target: TargetRecord, run: Run) -> TargetView:
    """Lay out a label that stands out, with its trigger and what is known of it."""
    trigger, alone, images = target.trigger, target.pictures.trigger, run.images
    samples = samples_of(target) if trigger else ()
    return TargetView(
        run.called(target.label),
        embed(images[alone]) if trigger and alone else None,
        tuple((embed(images[clean]), embed(images[stamped])) for clean, stamped in samples),
        (*(_trigger_lines(trigger) if trigger else ()), *_target_lines(target)),
    )


def _trigger_lines(trigger: TriggerRecord) -> Iterator[tuple[str, str, str]]:
    success = trigger.success
    of = f"{words.amount(success.count)} of {words.amount(success.total)} images"
    counted = [words.interval(success), of] if success.total else ["no images of other classes"]
    yield "Kind of trigger", words.name(trigger.family, 60), ""
    yield "Success", words.percent(success), ", ".join(counted)
    changed = f"{100 * trigger.changed:.3g}\u00a0% of the pixel range (RMS)"
    yield "Size", f"{100 * trigger.area:.3g}\u00a0% of the pixels", f"changes images by {changed}"
    if trigger.margin is not None:
        yield "Logit margin", f"{trigger.margin:.4g}", "of the label over the next, on average"


def _target_lines(target: TargetRecord) -> Iterator[tuple[str, str, str]]:
    sure = "" if target.p_value is None else words.chance(target.p_value)
    yield "Score", f"{target.score:.4g}", sure
    direction = target.direction or DirectionRecord()
    if direction.layer or direction.own is not None:
        where = f"the layer {words.name(direction.layer, 40)}" if direction.layer else "the logits"
        own = "not known" if direction.own is None else f"{direction.own:.2f}"
        yield "Its own class", own, f"clean images lie at 0, stamped ones at 1, in {where}"
    others = [f for f in target.families if not target.trigger or f != target.trigger.family]
    if others:
        named = listed([words.name(family, 60) for family in others], _MOST_FAMILIES)
        yield "Also stands out in" if target.trigger else "Stands out in", named, ""
    if target.file:
        yield "File", words.name(target.file, 60), ""
