"""What happened step by step, as tables of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.views import words
from goodnet.report.views.table import Cell, Column, Table, amount_cell, share_cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from goodnet.report.facts import Curve, Run

__all__ = ["epochs_table", "steps_table"]


def steps_table(curves: Sequence[Curve]) -> Table:
    """A row for each channel that falls silent, of one curve after the other."""
    sets = list(dict.fromkeys(key for curve in curves for key in curve.success))
    columns = [
        Column("Channels silenced"),
        Column("Order", False),
        Column("Channel"),
        Column("Mean activation"),
        Column("Clean accuracy (validation)"),
        *(Column(f"ASR: {words.name(key, 40)}") for key in sets),
    ]
    several = len(curves) > 1
    rows = [row for curve in curves for row in _steps(curve, sets, several=several)]
    return table("Every step of the curve", columns, rows)


def epochs_table(run: Run) -> Table:
    """A row for each epoch; the one B' is from is marked."""
    columns = [Column("Epoch"), Column("Mean loss"), Column("Accuracy, images held back")]
    rows = [
        (
            Cell(str(number), "B\u2032 is from here" if number == run.chosen else "", number),
            Cell(f"{epoch.loss:.4g}", value=epoch.loss),
            share_cell(epoch.accuracy),
        )
        for number, epoch in enumerate(run.epochs, start=1)
    ]
    return table("Every epoch", columns, rows)


def _steps(curve: Curve, sets: Sequence[str], *, several: bool) -> Iterator[tuple[Cell, ...]]:
    order = Cell(curve.order if several else "")
    columns = [curve.success.get(key) for key in sets]
    for step, accuracy in enumerate(curve.accuracy):
        channel = curve.channels[step - 1] if step else None
        mean = curve.mean_activation[channel] if channel is not None else None
        yield (
            amount_cell(step),
            order,
            amount_cell(channel),
            Cell("") if mean is None else Cell(f"{mean:.4g}", value=mean),
            share_cell(accuracy),
            *(share_cell(shares[step] if shares else None) for shares in columns),
        )
