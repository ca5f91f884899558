"""`goodnet repair METHOD`: B' by one of the methods, and a GoodNet beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from goodnet.cli import options as opt
from goodnet.cli.method_options import expanded
from goodnet.cli.text import note, percent, progress_bar, table
from goodnet.cli.typed import APPEARANCE, Command
from goodnet.runs.options import InputFiles, InputOptions, Place

if TYPE_CHECKING:
    from goodnet.repair import RepairResult
    from goodnet.results import Cost, Rates, RepairResults
    from goodnet.runs.repair import RepairPlan

__all__ = ["carried_out", "costs", "make_repair", "measured", "repair"]


def repair() -> None:
    """Repair a network with clean images; write B', in the format of the file, and G."""


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
        methods.command(name, cls=Command)(expanded(function, kind))
    return typer.main.get_command(methods)


def _command(kind: Any) -> Any:
    def command(
        model: opt.Model,
        more: opt.More = None,
        *,
        clean: opt.Clean,
        test: opt.Test = None,
        backdoor: opt.Backdoor = None,
        options: dict[str, Any],
        reading: InputOptions,
        place: Place,
    ) -> None:
        from goodnet.runs.repair import plan_repair, read_triggers

        triggers = read_triggers(options.pop("triggers", None) or [])
        plan = plan_repair(kind, options, triggers=triggers)
        files = InputFiles(model, clean, test, opt.named_files(backdoor, more))
        found, results = carried_out(plan, files, reading, place)
        print(_summary(found, results))
        note(f"written to {place.out}")

    command.__doc__ = f"{kind.summary[0].upper()}{kind.summary[1:]}; write B' and G."
    return command


def carried_out(
    plan: RepairPlan, files: InputFiles, reading: InputOptions, place: Place
) -> tuple[RepairResult, RepairResults]:
    """Repair, write the run folder, and measure what was written: B, B' and G."""
    from goodnet.runs.folder import run_folder
    from goodnet.runs.inputs import open_files
    from goodnet.runs.predictions import Suspect
    from goodnet.runs.repair import repair as run_plan
    from goodnet.runs.repair import write_repair

    with run_folder(place, say=note, resumes=True) as run:
        inputs = open_files(files, reading)
        note(*inputs.notes)
        found = run_plan(inputs, plan, checkpoint=run.checkpoint, stage=progress_bar)
        note(*found.notes)
        return found, write_repair(Suspect(inputs), plan, found, run)


def costs(cost: Cost) -> tuple[str, str]:
    """Seconds and mebibytes for a table; "-" where they are not known."""
    memory = cost.peak_memory
    seconds = "-" if cost.seconds is None else f"{cost.seconds:.1f}"
    return seconds, "-" if memory is None else f"{memory / 2**20:.0f}"


def _summary(found: RepairResult, results: RepairResults) -> str:
    kept = f", epoch {found.chosen} of {len(found.epochs)} kept" if found.epochs else ""
    lines = [
        f"{found.method}{kept}: accuracy on {found.judged} "
        f"{percent(found.before)} before, {percent(found.after)} after",
        *(f"{name}: {text}" for name, value in found.details.items() if (text := _shown(value))),
    ]
    return "\n\n".join(["\n".join(lines), *measured(results, found)])


def _shown(value: Any) -> str:
    """A detail in a few words; nothing where it is too much for a line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "" if any(isinstance(each, dict) for each in value) else ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def measured(results: RepairResults, found: RepairResult) -> list[str]:
    """B, B' and G as a table where anything was measured, and what it cost."""
    from goodnet.results import Cost

    both = results.measured
    networks = {"B": both.baseline, "B'": both.repaired, "G": both.goodnet}
    header = ["network", "clean accuracy", "false alarms"]
    header += ["poisoned set", "ASR", "detection rate", "robust accuracy"]
    rows = [row for name, rates in networks.items() for row in _rows(name, rates)]
    known = both.baseline.test or both.baseline.backdoor
    seconds, memory = costs(Cost(found.seconds, found.peak_memory))
    return [
        *([table(header, rows)] if known else []),
        "percent, with 95 % intervals (Clopper-Pearson)",
        f"{seconds} s, peak memory {memory} MiB",
    ]


def _rows(name: str, rates: Rates) -> list[list[str]]:
    """A row for each poisoned set, the first of them with what is known of clean images."""
    good = rates.guarded
    poisoned = [
        [key, *map(percent, (success, good.detected.get(key), rates.robust.get(key)))]
        for key, success in rates.backdoor.items()
    ] or [["-"] * 4]
    first, *others = poisoned
    clean = [percent(rates.test), percent(good.false_alarms)]
    return [[name, *clean, *first], *(["", "", "", *other] for other in others)]
