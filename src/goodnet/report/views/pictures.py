"""Images with what each network answers, in groups."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.report.views import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.report.facts import Picture, Run
    from goodnet.report.marks import Mark

__all__ = ["Answer", "Group", "Image", "Tile", "embed", "picture_groups"]

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


def _group(title: str, note: str, pictures: Sequence[Picture], run: Run) -> list[Group]:
    if not pictures:
        return []
    return [Group(title, note, tuple(_tile(picture, run.classes) for picture in pictures))]


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


def _tile(picture: Picture, classes: int | None) -> Tile:
    poisoned = picture.set != "clean"
    label = f"target {picture.label}" if poisoned else f"label {picture.label}"
    if poisoned and picture.source_label is not None:
        label = f"shows {picture.source_label}, {label}"
    kind = "poisoned" if poisoned else "clean"
    answers = tuple(
        Answer(
            words.network(name),
            "N" if answer == classes else str(answer),
            _mark(picture, answer, classes),
        )
        for name, answer in picture.answers.items()
    )
    return Tile(embed(picture.png), f"{kind} image {picture.index}, {label}", label, answers)


def _mark(picture: Picture, answer: int, classes: int | None) -> Mark:
    if answer == classes:
        return "refused"
    if picture.set == "clean":
        return "right" if answer == picture.label else "wrong"
    if answer == picture.label:
        return "target"
    return "right" if answer == picture.source_label else "wrong"
