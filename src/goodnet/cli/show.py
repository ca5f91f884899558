"""`goodnet show`: a contact sheet of images and of what a network makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note
from goodnet.runs.options import InputOptions


def show(
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES", help="HDF5, .npz, a folder or an image.", show_default=False
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="PNG", help="The picture to write.")] = Path(
        "sheet.png"
    ),
    model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Also show the predictions of this network."),
    ] = None,
    repaired: opt.Repaired = None,
    count: Annotated[
        int, typer.Option(metavar="N", help="Maximum number of images, evenly spaced.")
    ] = 40,
    columns: Annotated[int | None, typer.Option(metavar="N", help="Images per row.")] = None,
    poisoned: Annotated[
        bool, typer.Option("--poisoned", help="The labels are the attacker's targets.")
    ] = False,
    clean: Annotated[
        Path | None,
        typer.Option(metavar="IMAGES", help="Clean labelled images, to determine the pixel scale."),
    ] = None,
    force: opt.Force = False,
    reading: InputOptions,
) -> None:
    """Draw a contact sheet (PNG) of images, their labels and, with --model, predictions."""
    from goodnet.errors import UsageError
    from goodnet.files import atomic_path
    from goodnet.runs.opening import load_set
    from goodnet.runs.predict import open_predictor
    from goodnet.runs.show import ShowOptions, draw_sheet

    if repaired is not None and model is None:
        raise UsageError("--repaired needs --model, the network it was made from")
    if out.suffix.lower() not in ("", ".png"):
        raise UsageError(f"a sheet is written as PNG, got the file name {out.name!r}")
    predictor = None
    if model is not None:
        predictor = open_predictor(model, reading, repaired=repaired, clean=clean)
        note(*filter(None, [predictor.note]))
        opened = predictor.open(images)
    else:
        opened = load_set(images, reading)
    note(*opened.told())
    with atomic_path(out, force=force) as path:
        sheet = draw_sheet(opened, ShowOptions(count, columns, poisoned), predictor=predictor)
        sheet.save(path, format="PNG")
    print(out)
