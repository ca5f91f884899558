"""Repair networks in several ways, and see what each is worth against poison none of them saw."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goodnet import files
from goodnet.errors import InvalidInput, OverBudget, UsageError
from goodnet.jobs.attack.make import checkpoint_of
from goodnet.jobs.compare.plan import Cell
from goodnet.jobs.compare.rows import Row, repaired_row, untouched_row
from goodnet.jobs.prune.run import Opened
from goodnet.jobs.repair.folder import about, write_repair
from goodnet.jobs.repair.run import Suspect, repair
from goodnet.jobs.run_record import RECORD, Began
from goodnet.process import forget_peak
from goodnet.progress import Stage

__all__ = ["compare", "partial_of"]


def partial_of(out: Path) -> Path:
    """Where finished repairs are kept until all are done, beside the folder that is to be made."""
    return out.with_name(f"{out.name}.partial")


def compare(
    models: Mapping[str, Opened],
    cells: Sequence[Cell],
    partial: Path,
    *,
    stage: Stage,
    line: str = "",
) -> list[Row]:
    """Repair every network in every way; what is in `partial` already is not done again.

    Args:
        models: The networks with their images, by name.
        cells: The repairs.
        partial: A folder for the finished ones, made if it is not there; it is this job's own.
        stage: Shows the progress of each repair.
        line: The command as typed, for the record of each repair.

    Returns:
        By network: B, the repairs that worked, best first, and those that did not.

    Raises:
        InvalidInput: If not one repair worked.
        FileError: If something cannot be written.
        UsageError: If the folder holds something else.
    """
    _claim(partial)
    rows = []
    for name, opened in models.items():
        home = partial / name if len(models) > 1 else partial
        files.make_folder(home)
        suspect = Suspect(opened)
        bench = _Bench(
            suspect=suspect, model=name, partial=partial, home=home, stage=stage, line=line
        )
        found = [bench.row(cell) for cell in cells]
        rows += sorted([untouched_row(name, suspect.baseline), *found], key=lambda row: row.order)
    failed = [row for row in rows if row.reason]
    if len(failed) == len(models) * len(cells):
        shutil.rmtree(partial, ignore_errors=True)
        raise InvalidInput(f"no repair worked; {failed[0].method}: {failed[0].reason}")
    return rows


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


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """Where one network is repaired in several ways.

    Attributes:
        suspect: The network and its images.
        model: Its name.
        partial: The folder of the comparison.
        home: The folder of this network in it.
        stage: Shows the progress of each repair.
        line: The command as typed.
    """

    suspect: Suspect
    model: str
    partial: Path
    home: Path
    stage: Stage
    line: str

    def row(self, cell: Cell) -> Row:
        place = self.home / cell.label
        try:
            if not self._is_done(cell, place):
                self._run(cell, place)
        except (InvalidInput, OverBudget) as error:
            checkpoint_of(place).unlink(missing_ok=True)
            return Row(self.model, cell.label, reason=str(error))
        measured = _read(place / files.RESULTS)["measured"]
        (cost,) = _read(place / RECORD)["rows"]
        folder = place.relative_to(self.partial).as_posix()
        return repaired_row(self.model, cell.label, measured=measured, cost=cost, folder=folder)

    def _is_done(self, cell: Cell, place: Path) -> bool:
        """Whether the same repair of the same files was finished before."""
        if not all((place / name).is_file() for name in (files.RESULTS, RECORD)):
            return False
        return about(self.suspect, cell.plan).items() <= _read(place / files.RESULTS).items()

    def _run(self, cell: Cell, place: Path) -> None:
        checkpoint = checkpoint_of(place)
        with files.run_folder(place, force=True) as folder:
            began = Began(self.line)
            forget_peak()
            found = repair(
                self.suspect,
                cell.plan,
                checkpoint=checkpoint,
                stage=lambda work, name: self.stage(work, f"{cell.label}: {name}"),
            )
            write_repair(self.suspect, cell.plan, found, folder, began=began)
        checkpoint.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
