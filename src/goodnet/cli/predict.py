"""`goodnet predict`: the class of each image, or N."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, plain
from goodnet.runs.options import InputOptions


def predict(
    model: opt.Model,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Image files or folders.", show_default=False),
    ],
    *,
    repaired: opt.Repaired = None,
    clean: Annotated[
        Path | None,
        typer.Option(metavar="IMAGES", help="Clean labelled images, to determine the pixel scale."),
    ] = None,
    reading: InputOptions,
) -> None:
    """Print one line per image: its class, or N (the number of classes) for "backdoored".

    Of a folder with its file first, and with the names of classes where --classes says them.
    """
    from goodnet.runs.predict import open_predictor

    predictor = open_predictor(model, reading, repaired=repaired, clean=clean)
    if predictor.note:
        note(predictor.note)
    for path, opened in zip(images, predictor.open_each(images), strict=True):
        if opened.converted:
            note(f"{opened.name}: {opened.converted}")
        for block in opened.blocks(1024):
            for place, answer in enumerate(predictor.predict(block, opened).final, block.start):
                name = f"{plain(opened.file_of(place))}\t" if path.is_dir() else ""
                print(f"{name}{plain(predictor.called(int(answer)))}")
