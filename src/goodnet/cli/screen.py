"""`goodnet screen`: which of these images look as if they bore a trigger?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, progress_bar, table
from goodnet.runs.options import InputOptions

__all__ = ["screen"]

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
    found = []
    for each in job.screen(ready):
        found.append(each)
        if as_json:
            print(json.dumps(asdict(each)), flush=True)
    suspicious = sum(each.suspicious for each in found)
    if not as_json:
        found.sort(key=lambda each: -each.score)
        rows = [
            [x.file, str(x.index), str(x.answer), f"{x.score:.4g}", "suspicious" * x.suspicious]
            for x in found[: max(count, 0)]
        ]
        print(table(["file", "image", "class", "score", ""], rows))
    note(
        f"{suspicious} of {len(found)} images lie above {ready.limit:.4g}, as clean ones do with a "
        f"probability of at most {100 * ready.held:.2g} %"
    )
    raise typer.Exit(_FINDING if suspicious else 0)
