"""`goodnet screen`: which of these images look as if they bore a trigger?"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, progress_bar, table
from goodnet.runs.options import InputOptions

if TYPE_CHECKING:
    from goodnet.runs.screen import Screened

_FINDING = 1


def screen(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES...", help="Image files, HDF5, .npz or folders.", show_default=False
        ),
    ],
    *,
    model: Annotated[Path, typer.Option(metavar="MODEL", help="The network that classifies them.")],
    clean: opt.Clean,
    detector: Annotated[
        str,
        typer.Option(metavar="NAME", help="One that goodnet methods lists under screen."),
    ] = "confidence",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An option of the detector, such as overlays=32; repeatable.",
        ),
    ] = None,
    false_alarms: Annotated[
        str,
        typer.Option(metavar="RATE", help="Share of clean images that may be called suspicious."),
    ] = "1%",
    count: Annotated[
        int, typer.Option(metavar="N", help="Number of images to list, the most suspicious first.")
    ] = 20,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one line of JSON per image, in the order of the images."
        ),
    ] = False,
    reading: InputOptions,
) -> None:
    """Score incoming images, the most suspicious first. Exit code 1 if one is suspicious."""
    from goodnet.runs import screen as job

    ready = job.open_screen(
        images,
        model,
        clean,
        detector=job.make_detector(detector, set_ or []),
        false_alarms=opt.share(false_alarms, what="a share such as 1% for --false-alarms"),
        reading=reading,
        stage=progress_bar,
    )
    note(*ready.notes)
    seen = Counter[bool]()

    def told() -> Iterator[Screened]:
        for each in job.screen(ready):
            seen[each.suspicious] += 1
            if as_json:
                print(json.dumps(asdict(each)), flush=True)
            yield each

    # Of a long stream only those to list are held.
    worst = nlargest(max(count, 1), told(), key=_rank)
    if not as_json:
        rows = [
            [x.file, str(x.index), _class(x.answer), _shown(x.score), "suspicious" * x.suspicious]
            for x in worst[: max(count, 0)]
        ]
        print(table(["file", "image", "class", "score", ""], rows))
    note(
        f"{seen[True]} of {seen.total()} images lie above {ready.limit:.4g}, as clean ones do with "
        f"a probability of at most {100 * ready.held:.2g} %"
    )
    raise typer.Exit(_FINDING if seen[True] else 0)


def _rank(each: Screened) -> float:
    return math.inf if each.score is None else each.score


def _shown(score: float | None) -> str:
    return "no number" if score is None else f"{score:.4g}"


def _class(answer: int | None) -> str:
    return "none" if answer is None else str(answer)
