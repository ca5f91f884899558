from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from goodnet.imagesets import tables
from goodnet.imagesets.memory import ArrayTable
from goodnet.imagesets.tables import cut, regroup, rows_at_once, rows_of, spans_of, spread

if TYPE_CHECKING:
    import pytest

LENGTHS = st.lists(st.integers(1, 9), max_size=12)


@given(st.sets(st.integers(0, 200)), st.integers(1, 30))
def test_cutting_keeps_every_row_and_crosses_no_multiple(rows: set[int], step: int) -> None:
    wanted = np.array(sorted(rows), dtype=np.int64)
    parts = list(cut(spans_of(wanted), step))
    assert [row for start, stop in parts for row in range(start, stop)] == wanted.tolist()
    assert all(start // step == (stop - 1) // step for start, stop in parts)


@given(LENGTHS, st.integers(1, 9))
def test_regrouping_keeps_the_order_and_fills_every_group(lengths: list[int], size: int) -> None:
    rows = np.arange(sum(lengths))
    runs = np.split(rows, np.cumsum(lengths)[:-1]) if lengths else []
    groups = [np.concatenate(group) for group in regroup(runs, size)]
    assert [row for group in groups for row in group] == rows.tolist()
    assert all(len(group) == size for group in groups[:-1])


@given(st.integers(1, 300), st.integers(1, 320), st.integers(1, 50), st.integers(1, 40))
def test_a_sample_has_as_many_distinct_rows_as_asked(
    total: int, count: int, chunk_rows: int, places: int
) -> None:
    table = ArrayTable(np.zeros(total), chunk_rows=chunk_rows)
    rows = rows_of(spread(table, count, places=places))
    assert len(rows) == min(count, total)
    assert (np.diff(rows) > 0).all()
    assert rows[-1] < total


def test_a_sample_is_spread_over_the_whole_table() -> None:
    rows = rows_of(spread(ArrayTable(np.zeros(1000)), 10))
    assert rows.tolist() == list(range(0, 1000, 100))


def test_a_sample_of_packed_rows_comes_in_runs() -> None:
    table = ArrayTable(np.zeros(1000), chunk_rows=64)
    assert spread(table, 8, places=2) == [(0, 4), (500, 504)]


def test_one_read_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "READ_BYTES", 100)
    assert rows_at_once(ArrayTable(np.zeros((9, 10), np.uint8)), 50) == 10
    assert rows_at_once(ArrayTable(np.zeros((9, 1000), np.uint8)), 50) == 1
