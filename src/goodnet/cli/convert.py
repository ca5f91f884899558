"""`goodnet convert`: a network in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note
from goodnet.runs.options import InputOptions


def convert(
    model: opt.Model,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The file to write; its suffix says the format.",
            show_default=False,
        ),
    ],
    *,
    clean: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGES",
            help="Clean labelled images to compare the answers on; default: made from a seed.",
        ),
    ] = None,
    force: opt.Force = False,
    reading: InputOptions,
) -> None:
    """Write a network in another format, and compare what both files answer.

    Nothing is left behind where an answer differs, or a probability by more than 0.0001: exit
    code 4.
    """
    from goodnet.runs.convert import convert_file

    found, notes = convert_file(model, out, clean, options=reading, force=force)
    note(*notes)
    print(out)
    note(str(found))
