"""`goodnet repair METHOD`: B' by one of the methods, and a GoodNet beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from goodnet.cli import options as opt
from goodnet.cli.method_options import with_options
from goodnet.cli.report import add_report
from goodnet.cli.text import note, percent, progress_bar, table
from goodnet.cli.typed import APPEARANCE, Command, typed

if TYPE_CHECKING:
    from goodnet.jobs.inputs import InputOptions
    from goodnet.jobs.prune.run import PruneJob
    from goodnet.jobs.repair.plan import RepairPlan
    from goodnet.repair import RepairResult
    from goodnet.types import Evaluation

__all__ = ["Place", "carried_out", "costs", "make_repair", "measured", "repair"]


def repair() -> None:
    """Repair a network with clean images; write B', in the file's format, and G."""


class _Methods(TyperGroup):
    """A command for each way of repairing."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Name the methods where there is none of that name."""
        from goodnet.repair import find_repair

        find_repair(args[0])
        return super().resolve_command(ctx, args)


def make_repair() -> Any:
    """The command, with one below it for each way of repairing."""
    from goodnet.cli.cure import cure
    from goodnet.repair import Cure, repairs

    methods = typer.Typer(cls=_Methods, **APPEARANCE)
    methods.callback(help=repair.__doc__)(lambda: None)
    for name, kind in repairs().items():
        function = cure if kind is Cure else _command(kind)
        methods.command(name, cls=Command)(with_options(function, kind))
    return typer.main.get_command(methods)


def _command(kind: Any) -> Any:
    def command(
        context: typer.Context,
        model: opt.Model,
        more: opt.More = None,
        *,
        clean: opt.Clean,
        out: Annotated[Path, typer.Option(metavar="DIR", help="The run folder to make.")],
        test: Annotated[
            Path | None, typer.Option(metavar="IMAGES", help="Clean labelled test images.")
        ] = None,
        backdoor: opt.Backdoor = None,
        options: dict[str, Any],
        scale: opt.Scale = None,
        layout: opt.Layout = None,
        range: opt.Range = None,  # noqa: A002
        architecture: opt.Architecture = None,
        device: opt.Device = "cpu",
        report: opt.Report = True,
        force: opt.Force = False,
    ) -> None:
        from goodnet.jobs.inputs import InputOptions
        from goodnet.jobs.prune.run import PruneJob
        from goodnet.jobs.repair.plan import plan_repair, read_triggers

        triggers = read_triggers(options.pop("triggers", None) or [])
        found, evaluations = carried_out(
            plan_repair(kind, options, triggers=triggers),
            PruneJob(model, clean, test, opt.named_files(backdoor, more)),
            InputOptions(architecture, scale, layout, range, device),
            context=context,
            place=Place(out, report=report, force=force),
        )
        print(_summary(found, evaluations))
        note(f"written to {out}")

    command.__doc__ = f"{kind.summary[0].upper()}{kind.summary[1:]}; write B' and G."
    return command


@dataclass(frozen=True)
class Place:
    """The run folder of a command: where, whether with a report, whether it replaces another."""

    out: Path
    report: bool
    force: bool


def carried_out(
    plan: RepairPlan, job: PruneJob, inputs: InputOptions, *, context: typer.Context, place: Place
) -> tuple[RepairResult, tuple[Evaluation, Evaluation, Evaluation]]:
    """Repair, write the run folder, and measure what was written: B, B' and G."""
    from goodnet import files
    from goodnet.jobs.attack.make import checkpoint_of
    from goodnet.jobs.prune.run import open_job
    from goodnet.jobs.repair.folder import write_repair
    from goodnet.jobs.repair.run import Suspect
    from goodnet.jobs.repair.run import repair as run
    from goodnet.jobs.run_record import Began

    began, checkpoint = Began(typed(context)), checkpoint_of(place.out)
    with files.run_folder(place.out, force=place.force) as folder:
        opened = open_job(job, inputs)
        note(*opened.inputs.notes)
        if checkpoint.exists():
            note(f"going on from {checkpoint}, if the same command left it")
        suspect = Suspect(opened)
        found = run(suspect, plan, checkpoint=checkpoint, stage=progress_bar)
        note(*found.notes)
        evaluations = write_repair(suspect, plan, found, folder, began=began)
        if place.report:
            add_report(folder, place.out)
    checkpoint.unlink(missing_ok=True)
    return found, evaluations


def costs(seconds: float, peak_memory: int | None) -> tuple[str, str]:
    """Seconds and mebibytes for a table; "-" where they are not known."""
    return f"{seconds:.1f}", "-" if peak_memory is None else f"{peak_memory / 2**20:.0f}"


def _summary(found: RepairResult, evaluations: Sequence[Evaluation]) -> str:
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
