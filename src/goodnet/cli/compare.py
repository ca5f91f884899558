"""`goodnet compare`: several repairs of the same networks in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.repair import costs
from goodnet.cli.text import note, percent, progress_bar, table
from goodnet.errors import UsageError
from goodnet.files import remove_folder
from goodnet.runs.options import InputFiles, InputOptions, Place

if TYPE_CHECKING:
    from goodnet.results import Attacked, ComparedRow
    from goodnet.runs.compare import Comparison

_HEADER = ["method", "clean accuracy", "poisoned set", "ASR", "robust accuracy", "DER"]
_HEADER += ["G detection rate", "G false alarms", "s", "MiB"]


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...", help="Keras .h5 or .keras files, or ONNX.", show_default=False
        ),
    ],
    *,
    clean: opt.Clean,
    test: Annotated[Path, typer.Option(metavar="IMAGES", help="Clean labelled test images.")],
    backdoor: opt.Backdoor = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="Of those that goodnet methods lists under repair; default: all, but those that "
            "need a trigger only with --trigger.",
        ),
    ] = None,
    trigger: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE.npz",
            help="What unlearn and erase remove: a trigger by name, or a file with a mask and a "
            "pattern; repeatable.",
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X",
            help="Allowed drop in percentage points for prune and fine-prune, repeatable; default: "
            "2, 4, 10, 30 for prune, 10 for fine-prune.",
        ),
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="Final share of zero weights, for sparsify."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Maximum number of training epochs.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Images per training step.")
    ] = None,
    lr: Annotated[float | None, typer.Option(metavar="X", help="Highest learning rate.")] = None,
    held_back: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="Share of the clean images to hold back for validation."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(metavar="X", help="Clean accuracy that B' may lose, in percentage points."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of the random numbers; default: 0.")
    ] = None,
    reading: InputOptions,
    place: Place,
) -> None:
    """Repair networks by several methods and print one table, best first."""
    from goodnet.runs import compare as job
    from goodnet.runs.cells import name_models, plan_cells
    from goodnet.runs.folder import run_folder
    from goodnet.runs.inputs import open_files
    from goodnet.runs.repair import read_triggers

    given = {
        "sparsity": sparsity,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "held_back": held_back,
        "tolerance": tolerance,
        "seed": seed,
    }
    values = {name: value for name, value in given.items() if value is not None}
    cells = plan_cells(
        [name for text in methods for name in text.split(",")] if methods else None,
        values,
        drops=opt.numbers(drop, what="a drop in percentage points") if drop else None,
        triggers=read_triggers(trigger or []),
    )
    suspects, more = _split(models)
    sets = opt.named_files([*(backdoor or []), *more])
    if not sets:
        raise UsageError("expected poisoned images to compare by: --backdoor NAME=IMAGES")
    partial = job.partial_of(place.out)
    with run_folder(place, say=note) as run:
        opened = {
            name: open_files(InputFiles(path, clean, test, sets), reading)
            for name, path in name_models(suspects).items()
        }
        for name, inputs in opened.items():
            note(*(f"{name}: {text}" for text in inputs.notes))
        if partial.exists():
            note(f"repairs that are finished in {partial} are not done again")
        found = job.compare(opened, cells, partial, stage=progress_bar, line=place.line)
        # The sets are the same for every network.
        job.write_comparison(found, partial, run, notes=next(iter(opened.values())).warnings)
    remove_folder(partial)
    print(_summary(found))
    note(f"written to {place.out}")


def _split(items: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Models, and poisoned sets as NAME=FILE that follow the first one after --backdoor."""
    sets = [str(item) for item in items if "=" in str(item) and not item.exists()]
    return [item for item in items if str(item) not in sets], sets


def _summary(found: Comparison) -> str:
    rows = found.rows
    several = len({row.model for row in rows}) > 1
    header = ["model", *_HEADER] if several else _HEADER
    lines = [
        [row.model, *cells] if several else cells for row in rows for cells in _lines(row, found)
    ]
    failed = [
        f"{row.model}: " * several + f"{row.method}: {row.reason}" for row in rows if row.reason
    ]
    parts = [table(header, lines), *(["\n".join(failed)] if failed else [])]
    parts.append(
        "best DER first (over all poisoned sets: the mean); percent, with 95 % intervals "
        "(Clopper-Pearson)"
    )
    return "\n\n".join(parts)


def _lines(row: ComparedRow, found: Comparison) -> list[list[str]]:
    """A line for each poisoned set, the first with what does not depend on it."""
    if row.reason:
        return [[row.method, "failed", *[""] * 8]]
    seconds, memory = ("-", "-")
    if cost := found.costs.get((row.model, row.method)):
        seconds, memory = costs(cost)
    lines = []
    for number, (name, attack) in enumerate(row.backdoor.items()):
        attacked = _attack(attack)
        if number:
            lines.append([row.method, "", name, *attacked, "", "", ""])
        else:
            alarms = percent(row.false_alarms)
            lines.append([row.method, percent(row.test), name, *attacked, alarms, seconds, memory])
    return lines


def _attack(attack: Attacked) -> list[str]:
    rating = "-" if attack.rating is None else f"{100 * attack.rating:.2f}"
    shares = (attack.success, attack.robust)
    return [*map(percent, shares), rating, percent(attack.detected)]
