"""What a comparison leaves behind: the table, and every repair in a folder of its own."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import goodnet
from goodnet import files
from goodnet.jobs.plain import plain_share
from goodnet.jobs.run_record import Began, RepairCost, write_record
from goodnet.report.tables import text_cell

if TYPE_CHECKING:
    from goodnet.jobs.compare.rows import Row
    from goodnet.types import Proportion

__all__ = ["remove_partial", "write_comparison"]

SCHEMA = 1


def write_comparison(rows: Sequence[Row], partial: Path, folder: Path, *, began: Began) -> None:
    """Fill an empty run folder.

    Args:
        rows: The comparison.
        partial: Where its repairs are; they are copied, so that an interruption loses none.
        folder: Where to write.
        began: When the command began.
    """
    for row in rows:
        if row.folder:
            shutil.copytree(partial / row.folder, folder / row.folder)
    with (folder / "comparison.csv").open("w", newline="", encoding="utf-8") as file:
        lines = [line for row in rows for line in _lines(row)]
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    results = {
        "schema": SCHEMA,
        "command": "compare",
        "goodnet": goodnet.__version__,
        "rows": [_result(row) for row in rows],
    }
    files.write_json(folder / files.RESULTS, results)
    costs = [
        RepairCost(row.model, row.method, row.seconds, row.peak_memory)
        for row in rows
        if row.seconds is not None
    ]
    write_record(folder, began, costs)


def remove_partial(partial: Path) -> None:
    """Remove the folder the repairs were kept in, when the run folder is safe."""
    shutil.rmtree(partial, ignore_errors=True)


def _lines(row: Row) -> Iterator[dict[str, Any]]:
    """A line for each poisoned set; one for a repair that failed."""
    for name, attack in row.backdoor.items() or [("", None)]:
        yield {
            "model": text_cell(row.model),
            "method": row.method,
            "poisoned_set": text_cell(name),
            **_cells("clean_accuracy", row.accuracy),
            **_cells("attack_success", attack.success if attack else None),
            **_cells("robust_accuracy", attack.robust if attack else None),
            "rating": attack.rating if attack else None,
            **_cells("detection_rate", attack.detected if attack else None),
            **_cells("false_alarms", row.false_alarms),
            "seconds": row.seconds,
            "peak_memory": row.peak_memory,
            "reason": text_cell(row.reason),
        }


def _cells(name: str, share: Proportion | None) -> dict[str, float | None]:
    if share is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}


def _result(row: Row) -> dict[str, Any]:
    """What two runs have in common: all but the costs."""
    return {
        "model": row.model,
        "method": row.method,
        "test": plain_share(row.accuracy),
        "false_alarms": plain_share(row.false_alarms),
        "backdoor": {
            name: {
                "success": plain_share(attack.success),
                "robust": plain_share(attack.robust),
                "detected": plain_share(attack.detected),
                "rating": attack.rating,
            }
            for name, attack in row.backdoor.items()
        },
        "rating": row.rating,
        "folder": row.folder or None,
        "reason": row.reason or None,
    }
