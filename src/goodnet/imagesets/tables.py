"""Stored arrays read a few rows at a time, and the row arithmetic that goes with it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Array = NDArray[Any]
Span = tuple[int, int]  # first row, one after the last

# What one read may bring into memory, however many rows are asked for.
READ_BYTES = 64 * 2**20


class Table(Protocol):
    """An array in a file, a folder or memory; its first axis counts images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its numbers as stored."""
        ...

    @property
    def chunk_rows(self) -> int:
        """How many rows are packed together: reading one costs as much as reading all."""
        ...

    def read(self, spans: Sequence[Span], rows: int) -> Iterator[Array]:
        """Yield the rows of ascending, disjoint spans in order, about `rows` at a time.

        Every array yielded is the receiver's to change.
        """
        ...


def all_rows(table: Table) -> list[Span]:
    """The one span that covers a table."""
    return [(0, table.shape[0])]


def rows_at_once(table: Table, wanted: int) -> int:
    """At most `wanted` rows, at least one, and no more than fit in `READ_BYTES`."""
    row_bytes = math.prod(table.shape[1:]) * table.dtype.itemsize
    return max(1, min(wanted, READ_BYTES // max(1, row_bytes)))


def cut(spans: Iterable[Span], step: int) -> Iterator[Span]:
    """Cut spans wherever they cross a multiple of `step`.

    Example:
        >>> list(cut([(3, 9)], 4))
        [(3, 4), (4, 8), (8, 9)]
    """
    for start, stop in spans:
        first = start
        while first < stop:
            last = min(stop, (first // step + 1) * step)
            yield first, last
            first = last


def regroup(runs: Iterable[Array], size: int) -> Iterator[list[Array]]:
    """Gather runs of any length into groups of exactly `size` rows; the last may be shorter."""
    group: list[Array] = []
    room = size
    for run in runs:
        taken = 0
        while taken < len(run):
            piece = run[taken : taken + room]
            group.append(piece)
            taken += len(piece)
            room -= len(piece)
            if room == 0:
                yield group
                group, room = [], size
    if group:
        yield group


def rows_of(spans: Iterable[Span]) -> NDArray[np.int64]:
    """The row numbers in spans, in order."""
    return np.concatenate([np.arange(start, stop, dtype=np.int64) for start, stop in spans])


def spans_of(indices: NDArray[np.int64]) -> list[Span]:
    """Ascending, distinct row numbers as spans of neighbours.

    Example:
        >>> spans_of(np.array([2, 3, 4, 9]))
        [(2, 5), (9, 10)]
    """
    runs = np.split(indices, np.flatnonzero(np.diff(indices) != 1) + 1)
    return [(int(run[0]), int(run[-1]) + 1) for run in runs if run.size]


def spread(table: Table, count: int, *, places: int = 32) -> list[Span]:
    """`count` rows spread evenly over a table.

    Where rows are packed together they are taken in short runs from about `places` places.
    """
    total = table.shape[0]
    if count >= total:
        return all_rows(table)
    run = min(table.chunk_rows, max(1, count // places))
    runs = math.ceil(count / run)
    before = [number * count // runs for number in range(runs + 1)]  # rows in earlier runs
    starts = [rows * total // count for rows in before]
    return [
        (start, start + after - rows)
        for start, rows, after in zip(starts, before, before[1:], strict=False)
    ]
