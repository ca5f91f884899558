"""A table as plain data: a template lays it out, a script sorts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.report.views import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.types import Proportion

__all__ = ["Cell", "Column", "Table", "amount_cell", "name_cell", "share_cell", "table"]


@dataclass(frozen=True)
class Cell:
    """What stands in a cell.

    Attributes:
        text: The value; "" for nothing.
        small: Its interval, or a word more.
        value: What to sort by; None comes last.
    """

    text: str
    small: str = ""
    value: float | None = None


@dataclass(frozen=True)
class Column:
    """What a column is called, and whether it holds numbers."""

    label: str
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of cells, one for each column; the first cell names the row."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Table:
    """A table without the columns in which nothing stands."""
    kept = [i for i in range(len(columns)) if i == 0 or any(row[i].text for row in rows)]
    return Table(
        caption,
        tuple(columns[i] for i in kept),
        tuple(tuple(row[i] for i in kept) for row in rows),
    )


def name_cell(text: str, small: str = "") -> Cell:
    """A name from outside."""
    return Cell(words.name(text) if text else "", small)


def share_cell(share: Proportion | None) -> Cell:
    """A share with its interval; an empty cell where it is not known."""
    if share is None or share.value is None:
        return Cell("")
    return Cell(words.percent(share), words.interval(share), 100 * share.value)


def amount_cell(number: int | None) -> Cell:
    """A whole number."""
    return Cell("") if number is None else Cell(words.amount(number), value=float(number))
