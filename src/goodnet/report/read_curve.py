"""The curve of a pruning: `curve.csv` beside what the results say of it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from goodnet.report.facts import Curve
from goodnet.report.folder import MIB, read_bytes
from goodnet.stats import proportion
from goodnet.typed_json import Unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from goodnet.results import PruneResults
    from goodnet.types import Proportion

__all__ = ["read_curve"]

_CSV_BYTES = 64 * MIB
_FIXED = ("step", "channel", "mean_activation", "fraction_pruned", "clean_accuracy")


def read_curve(folder: Path, found: PruneResults) -> Curve | None:
    """Put a curve together; None where the folder has no `curve.csv`.

    Raises:
        Unreadable: If the two files do not fit each other.
        GoodnetError: If the table cannot be read.
    """
    if not (folder / "curve.csv").exists():
        return None
    before, poisoned = found.baseline.validation, found.baseline.backdoor
    rows = _csv_rows(folder, 1 + len(poisoned))
    most = max(found.channels, default=0)
    if before is None or len(rows) != len(found.channels) or most >= len(found.mean_activation):
        raise Unreadable("curve.csv and results.json do not speak of the same channels")
    columns = [
        _column(share, [row[i] for row in rows])
        for i, share in enumerate((before, *poisoned.values()))
    ]
    return Curve(
        layer=found.layer,
        order=found.order,
        channels=found.channels,
        mean_activation=found.mean_activation,
        dead=found.dead_channels,
        accuracy=columns[0],
        success=dict(zip(poisoned, columns[1:], strict=True)),
        poisoned_activation=found.poisoned_activation,
        drops=found.drops,
    )


def _csv_rows(folder: Path, columns: int) -> list[list[float]]:
    """The shares of each row, clean first."""
    try:
        text = read_bytes(folder, "curve.csv", limit=_CSV_BYTES).decode("utf-8")
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        shares = [[float(cell) for cell in row[len(_FIXED) - 1 :]] for row in rows]
    except (ValueError, csv.Error) as error:
        raise Unreadable("curve.csv is not a table as this program writes it") from error
    if tuple(header[: len(_FIXED)]) != _FIXED or any(len(row) != columns for row in shares):
        raise Unreadable("curve.csv has other columns than results.json has poisoned sets")
    if not all(0 <= share <= 1 for row in shares for share in row):
        raise Unreadable("curve.csv holds a share outside 0..1")
    return shares


def _column(first: Proportion, shares: list[float]) -> tuple[Proportion, ...]:
    """The file has shares; they are of as many images as the first one."""
    return first, *(proportion(round(share * first.total), first.total) for share in shares)
