"""`goodnet repair`: B' by one of the methods, and a GoodNet beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goodnet.cli import options as opt
from goodnet.cli.report import add_report
from goodnet.cli.text import note, percent, progress_bar, table
from goodnet.cli.typed import typed

if TYPE_CHECKING:
    from goodnet.repair.result import Repair
    from goodnet.types import Evaluation

__all__ = [
    "BatchSize",
    "Epochs",
    "HeldBack",
    "LearningRate",
    "Seed",
    "Sparsity",
    "Tolerance",
    "Trigger",
    "costs",
    "measured",
    "repair",
]

Trigger = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|FILE.npz",
        help="What unlearn and erase take out: a trigger by name, or a file with a mask and a "
        "pattern; may be given several times.",
    ),
]
Sparsity = Annotated[
    float | None,
    typer.Option(metavar="0..1", help="Share of zeros in the end, for sparsify; default 0.7."),
]
Epochs = Annotated[
    int | None,
    typer.Option(metavar="N", help="At most so often is each image seen; default: by method."),
]
BatchSize = Annotated[int | None, typer.Option(metavar="N", help="Images per step; default 64.")]
LearningRate = Annotated[
    float | None, typer.Option(metavar="X", help="Highest step size; default: by method.")
]
HeldBack = Annotated[
    float,
    typer.Option(metavar="0..1", help="Share of the clean images to judge by, not to train on."),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Points of accuracy on images held back that training may cost; default 3.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Same seed, same result.")]


def repair(
    context: typer.Context,
    model: opt.Model,
    more: opt.More = None,
    *,
    clean: opt.Clean,
    method: Annotated[
        str,
        typer.Option(
            metavar="cure|fine-tune|fine-prune|sparsify|unlearn|erase", help="How to make B'."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run folder to make.")],
    test: Annotated[
        Path | None, typer.Option(metavar="IMAGES", help="Clean labelled test images.")
    ] = None,
    backdoor: opt.Backdoor = None,
    trigger: Trigger = None,
    drop: Annotated[
        float | None,
        typer.Option(metavar="X", help="Percentage points fine-prune may prune away; default 10."),
    ] = None,
    sparsity: Sparsity = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Where fine-prune or erase work; for sparsify it may be given several times.",
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(metavar="N", help="Directions erase takes out for each trigger."),
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    held_back: HeldBack = 0.2,
    tolerance: Tolerance = None,
    seed: Seed = 0,
    scale: opt.Scale = None,
    layout: opt.Layout = None,
    range: opt.Range = None,  # noqa: A002
    architecture: opt.Architecture = None,
    device: opt.Device = "cpu",
    report: opt.Report = True,
    force: opt.Force = False,
) -> None:
    """Repair a network with clean images; write B', in the file's format, and G."""
    from goodnet import files
    from goodnet.jobs.attack.make import checkpoint_of
    from goodnet.jobs.inputs import InputOptions
    from goodnet.jobs.prune.run import PruneJob, open_job
    from goodnet.jobs.repair.folder import write_repair
    from goodnet.jobs.repair.plan import Choices, plan_repair, read_triggers
    from goodnet.jobs.repair.run import Suspect
    from goodnet.jobs.repair.run import repair as run
    from goodnet.jobs.run_record import Began
    from goodnet.repair.methods import find_method

    began = Began(typed(context))
    training = (epochs, learning_rate, batch_size, held_back, tolerance, seed)
    choices = Choices(layer, drop, rank, sparsity, *training)
    plan = plan_repair(method, find_method(method), choices, triggers=read_triggers(trigger or []))
    job = PruneJob(model, clean, test, opt.named_files(backdoor, more))
    checkpoint = checkpoint_of(out)
    with files.run_folder(out, force=force) as folder:
        opened = open_job(job, InputOptions(architecture, scale, layout, range, device))
        note(*opened.inputs.notes)
        if checkpoint.exists():
            note(f"going on from {checkpoint}, if the same command left it")
        suspect = Suspect(opened)
        found = run(suspect, plan, checkpoint=checkpoint, stage=progress_bar)
        note(*found.notes)
        evaluations = write_repair(suspect, plan, found, folder, began=began)
        if report:
            add_report(folder, out)
    checkpoint.unlink(missing_ok=True)
    print(_summary(found, evaluations))
    note(f"written to {out}")


def costs(seconds: float, peak_memory: int | None) -> tuple[str, str]:
    """Seconds and mebibytes for a table; "-" where they are not known."""
    return f"{seconds:.1f}", "-" if peak_memory is None else f"{peak_memory / 2**20:.0f}"


def _summary(found: Repair, evaluations: Sequence[Evaluation]) -> str:
    kept = f", epoch {found.chosen} of {len(found.epochs)} kept" if found.epochs else ""
    lines = [
        f"{found.method}{kept}: accuracy on {found.before.total} clean images held back "
        f"{percent(found.before)} before, {percent(found.after)} after",
        *(f"{name}: {text}" for name, value in found.details.items() if (text := _shown(value))),
    ]
    seconds, memory = costs(found.seconds, found.peak_memory)
    parts = ["\n".join(lines)]
    if evaluations[0].clean or evaluations[0].backdoor:
        parts.append(measured(evaluations))
    parts.append("percent, with 95 % intervals (Clopper-Pearson)")
    parts.append(f"{seconds} s, peak memory {memory} MiB")
    return "\n\n".join(parts)


def _shown(value: Any) -> str:
    """A detail in a few words; nothing where it is too much for a line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "" if any(isinstance(each, dict) for each in value) else ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def measured(evaluations: Sequence[Evaluation]) -> str:
    """B, B' and G as a table."""
    header = ["network", "clean accuracy", "false alarms"]
    header += ["poisoned set", "ASR", "detection rate", "robust accuracy"]
    return table(header, [row for found in evaluations for row in _rows(found)])


def _rows(found: Evaluation) -> list[list[str]]:
    """A row for each poisoned set, the first of them with what is known of clean images."""
    clean = (
        [percent(found.clean.correct), percent(found.clean.refused)] if found.clean else ["-"] * 2
    )
    poisoned = [
        [name, *map(percent, (result.correct, result.refused, result.robust))]
        for name, result in found.backdoor.items()
    ] or [["-"] * 4]
    first, *others = poisoned
    return [[found.network, *clean, *first], *(["", "", "", *other] for other in others)]
