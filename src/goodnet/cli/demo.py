"""`goodnet demo`: the main job from nothing, with the commands a user would type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, table

if TYPE_CHECKING:
    from goodnet.runs.demo import Journal, Step


def demo(
    *,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for images, networks and results.")
    ] = Path("goodnet-demo"),
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Seed of the random numbers; another seed gives other people and networks.",
        ),
    ] = 0,
    force: opt.Force = False,
) -> None:
    """Train a BadNet on synthetic faces, then cure, guard, evaluate, show and compare.

    A second run repeats only what has changed; --force repeats everything.
    """
    from goodnet import files
    from goodnet.runs.demo import Journal, lab_table, page, story

    files.make_folder(out)
    steps = story(out, seed=seed)
    journal = Journal(out) if force else Journal.read(out)
    for place, step in enumerate(steps):
        _take(step, steps[place:], journal)
    pruned = out / "run"
    print(f"\n{pruned}: percent on test images; X is what B' lost on validation images\n")
    print(table(*lab_table(pruned)))
    print(f"\n{_made(steps, out)}")
    print(f"\nopen {page(out)} in a browser: what was found, on one page")


def _take(step: Step, following: list[Step], journal: Journal) -> None:
    """Do a step, or say that it was done; after one that is done, all that follow are to do."""
    from goodnet.cli.main import app

    print(f"\n# {step.title}\n$ {step.command}", flush=True)
    if journal.holds(step):
        note(f"done before, see {step.folder}; --force does it again")
        return
    if step.folder is not None:
        journal.forget(following)
    app(list(step.words), standalone_mode=False)
    journal.add(step)


def _made(steps: list[Step], out: Path) -> str:
    folders = [str(step.folder) for step in steps if step.folder is not None]
    sheets = [str(out / name) for name in ("clean.png", "poisoned.png")]
    return "\n".join(["written:", *(f"  {path}" for path in [*folders, *sheets])])
