"""Repair networks in several ways, and see what each is worth against poison none of them saw."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goodnet import files
from goodnet.errors import InvalidInput, OverBudget, UsageError
from goodnet.jobs.attack.make import checkpoint_of
from goodnet.jobs.compare.plan import Cell
from goodnet.jobs.prune.run import Opened
from goodnet.jobs.repair.folder import about, write_repair
from goodnet.jobs.repair.run import Suspect, repair, work
from goodnet.jobs.run_record import RECORD, Began
from goodnet.stats import proportion
from goodnet.types import Evaluation, Proportion

__all__ = ["Attacked", "Row", "compare", "defence_rating", "partial_of"]

Stage = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Attacked:
    """What one poisoned set does after a repair.

    Attributes:
        success: Attack success rate of B'.
        robust: Share that B' answers right although poisoned; None where it is not known.
        detected: Share that G takes for backdoored.
        rating: See `defence_rating`.
    """

    success: Proportion
    robust: Proportion | None
    detected: Proportion | None
    rating: float | None


@dataclass(frozen=True)
class Row:
    """What one repair did to one network.

    Attributes:
        model: The name of the network.
        method: What the repair is called; "none" for B itself.
        accuracy: Of B' on the clean test set.
        false_alarms: Of G on it.
        backdoor: By poisoned set.
        seconds: How long it took.
        peak_memory: The most memory held while it ran, bytes.
        folder: Where B' and G are, within the run folder.
        reason: Why there is no B'.
    """

    model: str
    method: str
    accuracy: Proportion | None = None
    false_alarms: Proportion | None = None
    backdoor: Mapping[str, Attacked] = field(default_factory=dict)
    seconds: float | None = None
    peak_memory: int | None = None
    folder: str = ""
    reason: str = ""

    @property
    def rating(self) -> float | None:
        """The mean over the poisoned sets."""
        known = [attack.rating for attack in self.backdoor.values() if attack.rating is not None]
        return sum(known) / len(known) if known else None

    @property
    def order(self) -> tuple[bool, bool, float, float]:
        """Smaller is better: B itself, then what worked by rating and accuracy, then the rest."""
        accuracy = self.accuracy.value if self.accuracy else None
        return self.method != "none", bool(self.reason), -(self.rating or 0), -(accuracy or 0)


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
        rows += sorted([_untouched(name, suspect.baseline), *found], key=lambda row: row.order)
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
        return Row(
            self.model,
            cell.label,
            accuracy=_share(measured["repaired"]["test"]),
            false_alarms=_share(measured["goodnet"]["false_alarms"]),
            backdoor={key: _attacked(measured, key) for key in self.suspect.opened.backdoor},
            seconds=cost["seconds"],
            peak_memory=cost["peak_memory"],
            folder=place.relative_to(self.partial).as_posix(),
        )

    def _is_done(self, cell: Cell, place: Path) -> bool:
        """Whether the same repair of the same files was finished before."""
        if not all((place / name).is_file() for name in (files.RESULTS, RECORD)):
            return False
        return about(self.suspect, cell.plan).items() <= _read(place / files.RESULTS).items()

    def _run(self, cell: Cell, place: Path) -> None:
        checkpoint = checkpoint_of(place)
        with files.run_folder(place, force=True) as folder:
            began = Began(self.line)
            _forget_peak()
            with self.stage(work(self.suspect, cell.plan), cell.label) as advance:
                found = repair(self.suspect, cell.plan, checkpoint=checkpoint, progress=advance)
            write_repair(self.suspect, cell.plan, found, folder, began=began)
        checkpoint.unlink(missing_ok=True)


def _forget_peak() -> None:
    """Have the system count the peak of memory from here on; only Linux can."""
    gc.collect()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _untouched(name: str, baseline: Evaluation) -> Row:
    sets = {
        key: Attacked(found.correct, found.robust, None, None)
        for key, found in baseline.backdoor.items()
    }
    accuracy = baseline.clean.correct if baseline.clean else None
    return Row(name, "none", accuracy=accuracy, backdoor=sets)


def _attacked(measured: Mapping[str, Any], key: str) -> Attacked:
    before, after, good = (measured[name] for name in ("baseline", "repaired", "goodnet"))
    success = proportion(after["backdoor"][key]["count"], after["backdoor"][key]["total"])
    return Attacked(
        success,
        robust=_share(after.get("robust", {}).get(key)),
        detected=_share(good["detected"].get(key)),
        rating=defence_rating(
            accuracy=(_share(before["test"]), _share(after["test"])),
            success=(_share(before["backdoor"][key]), success),
        ),
    )


def _share(found: Mapping[str, Any] | None) -> Proportion | None:
    return proportion(found["count"], found["total"]) if found else None


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
