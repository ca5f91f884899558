"""Repair networks in several ways, and see what each is worth against poison none of them saw."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goodnet import files
from goodnet.errors import GoodnetError, InvalidInput, OverBudget, UsageError
from goodnet.process import forget_peak
from goodnet.progress import Stage
from goodnet.report.tables import text_cell
from goodnet.results import (
    Attacked,
    ComparedRow,
    CompareResults,
    MethodCost,
    PairRates,
    Rates,
    RepairResults,
    RunRecord,
)
from goodnet.run_folder import read_object
from goodnet.runs.cells import Cell
from goodnet.runs.folder import RECORD, RunFolder, checkpoint_of, run_folder
from goodnet.runs.inputs import Inputs
from goodnet.runs.options import Place
from goodnet.runs.predictions import Suspect
from goodnet.runs.repair import about, repair, write_repair
from goodnet.typed_json import Unreadable, plain
from goodnet.types import Proportion


@dataclass(frozen=True)
class Comparison:
    """Several repairs of several networks.

    Attributes:
        rows: By network: B, the repairs that worked, best first, and those that did not.
        costs: What each repair took, by model and method.
    """

    rows: tuple[ComparedRow, ...]
    costs: Mapping[tuple[str, str], MethodCost]


def partial_of(out: Path) -> Path:
    """Where finished repairs are kept until all are done, beside the folder that is to be made."""
    return out.with_name(f"{out.name}.partial")


def compare(
    models: Mapping[str, Inputs],
    cells: Sequence[Cell],
    partial: Path,
    *,
    stage: Stage,
    line: str = "",
) -> Comparison:
    """Repair every network in every way; what is in `partial` already is not done again.

    Args:
        models: The networks with their images, by name.
        cells: The repairs.
        partial: A folder for the finished ones, made if it is not there; it is this job's own.
        stage: Shows the progress of each repair.
        line: The command as typed, for the record of each repair.

    Raises:
        InvalidInput: If not one repair worked.
        FileError: If something cannot be written.
        UsageError: If the folder holds something else.
    """
    _claim(partial)
    rows: list[ComparedRow] = []
    costs: dict[tuple[str, str], MethodCost] = {}
    for name, inputs in models.items():
        home = partial / name if len(models) > 1 else partial
        files.make_folder(home)
        bench = _Bench(Suspect(inputs), name, partial, home=home, stage=stage, line=line)
        found = [bench.row(cell) for cell in cells]
        baseline = untouched_row(name, Rates.of(bench.suspect.baseline))
        rows += sorted([baseline, *found], key=by_rating)
        costs |= bench.costs
    failed = [row for row in rows if row.reason]
    if len(failed) == len(models) * len(cells):
        files.remove_folder(partial)
        raise InvalidInput(f"no repair worked; {failed[0].method}: {failed[0].reason}")
    return Comparison(tuple(rows), costs)


def _claim(partial: Path) -> None:
    """Make the folder, or see that an earlier run of this job made it."""
    mark = partial / files.RESULTS
    if partial.exists() and not mark.is_file() and (partial.is_file() or any(partial.iterdir())):
        raise UsageError(
            f"finished repairs would be kept in a folder that holds something else, move it or "
            f"give another --out: {partial}"
        )
    files.make_folder(partial)
    files.write_json(mark, {"schema": 1, "command": "compare", "finished": False})


def by_rating(row: ComparedRow) -> tuple[bool, bool, float, float]:
    """Smaller is better: B itself, then what worked by rating and accuracy, then the rest."""
    accuracy = row.test.value if row.test else None
    return row.method != "none", bool(row.reason), -(row.rating or 0), -(accuracy or 0)


class _Bench:
    """Where one network is repaired in several ways.

    Attributes:
        suspect: The network and its images.
        costs: What each repair took, by model and method.
    """

    def __init__(
        self, suspect: Suspect, model: str, partial: Path, *, home: Path, stage: Stage, line: str
    ) -> None:
        self.suspect = suspect
        self.costs: dict[tuple[str, str], MethodCost] = {}
        self._model = model
        self._partial = partial
        self._home = home
        self._stage = stage
        self._line = line

    def row(self, cell: Cell) -> ComparedRow:
        place = self._home / cell.label
        try:
            if not self._is_done(cell, place):
                self._run(cell, place)
        except (InvalidInput, OverBudget) as error:
            checkpoint_of(place).unlink(missing_ok=True)
            return ComparedRow(self._model, cell.label, reason=str(error))
        measured = read_object(place, files.RESULTS, RepairResults).measured
        (cost,) = read_object(place, RECORD, RunRecord).rows
        cost = replace(cost, model=self._model, method=cell.label)
        self.costs[self._model, cell.label] = cost
        folder = place.relative_to(self._partial).as_posix()
        return repaired_row(self._model, cell.label, measured, folder=folder)

    def _is_done(self, cell: Cell, place: Path) -> bool:
        """Whether the same repair of the same files was finished before."""
        try:
            done = read_object(place, files.RESULTS, RepairResults)
            read_object(place, RECORD, RunRecord)
        except (GoodnetError, Unreadable):
            return False
        asked = RepairResults(**about(self.suspect.inputs, cell.plan))
        own = about(self.suspect.inputs, cell.plan).keys() | {"schema", "goodnet"}
        return all(plain(getattr(done, key)) == plain(getattr(asked, key)) for key in own)

    def _run(self, cell: Cell, place: Path) -> None:
        with run_folder(Place(place, force=True, line=self._line), resumes=True) as run:
            forget_peak()
            found = repair(
                self.suspect.inputs,
                cell.plan,
                checkpoint=run.checkpoint,
                stage=lambda work, name: self._stage(work, f"{cell.label}: {name}"),
            )
            write_repair(self.suspect, cell.plan, found, run)


def write_comparison(
    found: Comparison, partial: Path, run: RunFolder, *, notes: tuple[str, ...] = ()
) -> None:
    """Fill an empty run folder: the table, and every repair in a folder of its own.

    Args:
        found: The comparison.
        partial: Where its repairs are; they are copied, so that an interruption loses none.
        run: The folder.
        notes: What a user should know of the images.
    """
    for row in found.rows:
        if row.folder:
            shutil.copytree(partial / row.folder, run.path / row.folder)
    with (run.path / "comparison.csv").open("w", newline="", encoding="utf-8") as file:
        lines = [line for row in found.rows for line in _lines(row, found.costs)]
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    costs = [found.costs.get((row.model, row.method)) for row in found.rows]
    run.write(CompareResults(rows=found.rows, notes=notes), [cost for cost in costs if cost])


def _lines(
    row: ComparedRow, costs: Mapping[tuple[str, str], MethodCost]
) -> Iterator[dict[str, Any]]:
    """A line for each poisoned set; one for a repair that failed."""
    cost = costs.get((row.model, row.method))
    for name, attack in row.backdoor.items() or [("", None)]:
        yield {
            "model": text_cell(row.model),
            "method": row.method,
            "poisoned_set": text_cell(name),
            **_cells("clean_accuracy", row.test),
            **_cells("attack_success", attack.success if attack else None),
            **_cells("robust_accuracy", attack.robust if attack else None),
            "rating": attack.rating if attack else None,
            **_cells("detection_rate", attack.detected if attack else None),
            **_cells("false_alarms", row.false_alarms),
            "seconds": cost.seconds if cost else None,
            "peak_memory": cost.peak_memory if cost else None,
            "reason": text_cell(row.reason or ""),
        }


def _cells(name: str, share: Proportion | None) -> dict[str, float | None]:
    if share is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}


def defence_rating(
    *,
    accuracy: tuple[Proportion | None, Proportion | None],
    success: tuple[Proportion | None, Proportion | None],
) -> float | None:
    """DER, the defence effectiveness rating: 1 is a backdoor gone at no cost, 0.5 is no effect.

    `(max(0, drop of success) - max(0, drop of accuracy) + 1) / 2`.

    Args:
        accuracy: On clean images, before and after.
        success: Of the attack, before and after.

    Returns:
        The rating, 0..1; None where a share is not known.

    References:
        Zhu et al., Enhancing Fine-Tuning Based Backdoor Defense with Sharpness-Aware Minimization,
        ICCV 2023. There no poisoned image shows the target class; here all that are given count.
    """
    values = [share.value if share else None for share in (*accuracy, *success)]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    lost, gained = known[0] - known[1], known[2] - known[3]
    return (max(0.0, gained) - max(0.0, lost) + 1) / 2


def untouched_row(model: str, baseline: Rates) -> ComparedRow:
    """B itself."""
    sets = {
        key: Attacked(success, baseline.robust.get(key))
        for key, success in baseline.backdoor.items()
    }
    return ComparedRow(model, "none", baseline.test, backdoor=sets)


def repaired_row(model: str, method: str, measured: PairRates, *, folder: str) -> ComparedRow:
    """A repair that worked.

    Args:
        model: The name of the network.
        method: What the repair is called.
        measured: B, B' and G.
        folder: Where it is.
    """
    before, after, good = measured.baseline, measured.repaired, measured.goodnet
    sets = {
        key: Attacked(
            success,
            robust=after.robust.get(key),
            detected=good.detected.get(key),
            rating=defence_rating(
                accuracy=(before.test, after.test),
                success=(before.backdoor.get(key), success),
            ),
        )
        for key, success in after.backdoor.items()
    }
    ratings = [attack.rating for attack in sets.values() if attack.rating is not None]
    return ComparedRow(
        model,
        method,
        after.test,
        good.false_alarms,
        sets,
        rating=sum(ratings) / len(ratings) if ratings else None,
        folder=folder,
    )
