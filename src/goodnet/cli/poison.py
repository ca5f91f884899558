"""`goodnet poison`: stamp a trigger on a set of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, progress_bar


def poison(
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES", help="HDF5, .npz, a folder or a .tar.xz.", show_default=False
        ),
    ],
    *,
    trigger: Annotated[
        list[str], typer.Option(metavar="NAME", help="Trigger to stamp; repeatable.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HDF5 file to write.")],
    target: Annotated[
        list[int] | None,
        typer.Option(metavar="CLASS", help="Target label: one, or one for each trigger."),
    ] = None,
    source: opt.Source = None,
    mode: opt.Mode = "all-to-one",
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="Share of the images to stamp, with the others left clean, as for training; "
            "default: write stamped images only, as for measuring the attack.",
        ),
    ] = None,
    pattern: opt.Pattern = None,
    classes: Annotated[
        int | None,
        typer.Option(metavar="N", help="Number of classes; default: the largest label + 1."),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of the choice of images to stamp.")
    ] = 0,
    layout: opt.Layout = None,
    range: opt.Range = None,  # noqa: A002
    force: opt.Force = False,
) -> None:
    """Stamp triggers on images: label = the target, source_label = the true class."""
    from goodnet.imagesets import load_images
    from goodnet.runs.poison import PoisonOptions, make_goals, make_triggers, poison_file

    triggers = make_triggers(trigger, pattern=pattern)
    goals = make_goals(mode, target or [], source=source, triggers=len(triggers))
    opened = load_images(images, layout=layout, range=range)
    note(*opened.told())
    options = PoisonOptions(rate, classes, seed, force)
    with progress_bar(len(opened), "poisoning") as advance:
        done = poison_file(opened, triggers, goals, out, options=options, advance=advance)
    counts = ", ".join(f"{n:,} with {t.name}" for n, t in zip(done.stamped, triggers, strict=True))
    note(f"{done.written:,} images written, {counts}")
    print(out)
