"""`goodnet faces`: a data set of synthetic people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, progress_bar
from goodnet.errors import UsageError


def faces(
    *,
    people: Annotated[int, typer.Option(metavar="N", help="Number of people, labelled from 0.")],
    per_person: Annotated[int, typer.Option(metavar="N", help="Images of each person.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HDF5 file to write.")],
    size: Annotated[str, typer.Option(metavar="HxW", help="Height and width in pixels.")] = "55x47",
    seed: Annotated[
        int,
        typer.Option(
            metavar="S", help="Seed of the random numbers; another seed gives other people."
        ),
    ] = 0,
    first_shot: Annotated[
        int,
        typer.Option(
            metavar="I",
            help="Index of the first image of each person, to draw other images for a test set.",
        ),
    ] = 0,
    force: opt.Force = False,
) -> None:
    """Draw labelled faces of synthetic people, with landmarks of eyes, brows and mouth."""
    from goodnet.runs.faces import FacesRequest, write_faces

    request = FacesRequest(people, per_person, first_shot, _height_and_width(size), seed)
    with progress_bar(request.total, "drawing") as advance:
        write_faces(out, request, force=force, progress=advance)
    last = first_shot + per_person - 1
    note(f"{request.total:,} faces of {people:,} people, shots {first_shot}..{last}, {size} pixels")
    print(out)


def _height_and_width(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isascii() and height.isdigit() and width.isascii() and width.isdigit()):
        raise UsageError(f"expected a size as height x width, for example 55x47, got {text!r}")
    if len(text) > 20:
        raise UsageError(f"expected a size of a few digits, got {text[:20]!r}...")
    return int(height), int(width)
