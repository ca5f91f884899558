"""Every repair, and every run, as rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.facts import Tower
from goodnet.report.measured import clean_shares
from goodnet.report.views import words
from goodnet.report.views.table import (
    Cell,
    Column,
    Table,
    amount_cell,
    name_cell,
    share_cell,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from goodnet.report.facts import Run, Trial

__all__ = ["comparison_table", "summary_table", "summary_towers"]

_NONE = Tower("", None)
_SET = Column("Poisoned set", False)
_MEASURED = (
    Column("B\u2032 clean accuracy"),
    Column("B\u2032 ASR"),
    Column("B\u2032 robust accuracy"),
    Column("G clean accuracy"),
    Column("G ASR"),
    Column("G detection"),
    Column("G false alarms"),
)
_COSTS = (
    Column("DER"),
    Column("Silent channels"),
    Column("Parameters"),
    Column("Time"),
    Column("Memory"),
)
_SHORT = {"prune": "pruning"}


def comparison_table(run: Run) -> Table:
    """A row for B and for each repair, once for each poisoned set."""
    first = "Allowed drop" if run.command == "prune" else "Repair"
    columns = (Column(first, False), Column("Network", False), _SET)
    return _one_set(
        table("Every B\u2032 and its G", (*columns, *_MEASURED, *_COSTS), [*_rows(run)])
    )


def summary_table(runs: Sequence[Run]) -> Table:
    """A row for each run but scans, once for each poisoned set."""
    columns = (
        Column("Run", False),
        Column("How", False),
        _SET,
        Column("B clean accuracy"),
        Column("B\u2032 clean accuracy"),
        Column("B ASR"),
        Column("B\u2032 ASR"),
        Column("G detection"),
        Column("G false alarms"),
    )
    rows = [row for run in runs if run.trials for row in _summary_rows(run)]
    return _one_set(table("Every repair", columns, rows))


def summary_towers(runs: Sequence[Run]) -> dict[str, list[Tower]]:
    """B, B' and G that the first numbers of each run are of."""
    found: dict[str, list[Tower]] = {}
    for number, run in enumerate(runs, start=1):
        trial = _shown(run)
        if trial and trial.repaired and trial.guarded:
            baseline = _baseline(run, trial)
            towers = [*([baseline] if baseline else []), trial.repaired, trial.guarded]
            found[f"{number} {run.name}"] = towers
    return found


def _one_set(found: Table) -> Table:
    """The table; where all rows are of one poisoned set, the caption names it and no column."""
    place = next((i for i, c in enumerate(found.columns) if c.label == _SET.label), None)
    sets = {row[place].text for row in found.rows if place and row[place].text}
    if place is None or len(sets) > 1:
        return found
    rows = [row[:place] + row[place + 1 :] for row in found.rows]
    columns = found.columns[:place] + found.columns[place + 1 :]
    return table(f"{found.caption}; the poisoned set is {sets.pop()}", columns, rows)


def _rows(run: Run) -> Iterator[tuple[Cell, ...]]:
    bases: Mapping[str, Tower] = run.baselines
    if run.baseline is not None:
        bases = {"": run.baseline}
    for model, baseline in bases.items():
        yield from _baseline_rows(baseline, model, run)
        for trial in run.trials:
            if trial.model == model:
                yield from _trial_rows(trial, run)


def _baseline_rows(baseline: Tower, model: str, run: Run) -> Iterator[tuple[Cell, ...]]:
    parameters = run.parameters[0] if run.parameters[1] is not None else None
    costs = (Cell(""), Cell(""), amount_cell(parameters), Cell(""), Cell(""))
    for key in baseline.success or [""]:
        measured = (
            share_cell(baseline.clean),
            share_cell(baseline.success.get(key)),
            share_cell(baseline.robust.get(key)),
        )
        name = Cell("none", "B itself")
        yield name, name_cell(model), name_cell(key), *measured, *[Cell("")] * 4, *costs


def _trial_rows(trial: Trial, run: Run) -> Iterator[tuple[Cell, ...]]:
    repaired, good = trial.repaired or _NONE, trial.guarded or _NONE
    name = name_cell(trial.name, words.name(trial.reason, 120))
    for key in repaired.success or [""]:
        measured = (
            repaired.clean,
            repaired.success.get(key),
            repaired.robust.get(key),
            good.clean,
            good.success.get(key),
            good.detected.get(key),
            good.false_alarms,
        )
        cells = map(share_cell, measured)
        yield name, name_cell(trial.model), name_cell(key), *cells, *_costs(trial, run)


def _costs(trial: Trial, run: Run) -> tuple[Cell, ...]:
    drops = {f"X = {drop.drop:g}": drop for drop in run.curve.drops} if run.curve else {}
    drop = drops.get(trial.name)
    left = drop.parameters if drop else run.parameters[1] if run.single else None
    seconds = trial.cost.seconds if trial.cost else None
    peak = trial.cost.peak_memory if trial.cost else None
    return (
        _rating_cell(trial.rating),
        amount_cell(drop.steps if drop else None),
        amount_cell(left),
        Cell("") if seconds is None else Cell(words.time(seconds), value=seconds),
        Cell("") if peak is None else Cell(words.memory(peak), value=float(peak)),
    )


def _rating_cell(rating: float | None) -> Cell:
    return Cell("") if rating is None else Cell(words.rating(rating), value=100 * rating)


def _summary_rows(run: Run) -> Iterator[tuple[Cell, ...]]:
    trial = _shown(run)
    model = next((fact.name for fact in run.inputs if fact.role == "model"), "")
    if trial is None or trial.repaired is None:
        yield name_cell(run.name, words.name(model)), Cell("no network made"), *[Cell("")] * 7
        return
    before, after, _ = clean_shares(run, trial)
    baseline, good = _baseline(run, trial) or _NONE, trial.guarded or _NONE
    how = Cell(_how(run), words.name(trial.name) if not run.single else "")
    for key in trial.repaired.success or [""]:
        shares = (
            before,
            after,
            baseline.success.get(key),
            trial.repaired.success.get(key),
            good.detected.get(key),
            good.false_alarms,
        )
        named = (name_cell(run.name, words.name(trial.model or model)), how, name_cell(key))
        yield (*named, *map(share_cell, shares))


def _how(run: Run) -> str:
    if run.command == "compare":
        return "best of a comparison"
    return _SHORT.get(run.method) or words.name(run.method, 40)


def _shown(run: Run) -> Trial | None:
    return run.trials[run.shown] if run.shown is not None else None


def _baseline(run: Run, trial: Trial) -> Tower | None:
    return run.baseline or run.baselines.get(trial.model)
