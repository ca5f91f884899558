from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from goodnet.errors import InvalidInput, OverBudget
from goodnet.imagesets import labels as module
from goodnet.imagesets.labels import read_labels
from goodnet.imagesets.memory import ArrayTable


@pytest.mark.parametrize(
    "values",
    [
        np.array([2, 0, 1]),
        np.array([2.0, 0.0, 1.0], np.float32),
        np.array([[2], [0], [1]], np.uint8),
        np.array([2, 0, 1], ">i2"),
        np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.float64),
        np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.bool_),
    ],
)
def test_labels_of_any_kind_become_class_indices(values: np.ndarray[Any, Any]) -> None:
    labels = read_labels(ArrayTable(values), name="label")
    assert labels.dtype == np.int64
    assert labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, -1], "row 2 holds -1"),
        ([0, 1.5, 2], "row 1 holds 1.5"),
        ([0, 1, np.nan], "row 2 holds nan"),
        ([np.inf, 1, 0], "row 0 holds inf"),
        ([0, 2.0**40], "row 1 holds 1099511627776"),
        ([[1, 0], [1, 1]], "one-hot rows, a single 1 among zeros; not so in row 1"),
        ([[0.2, 0.8], [0, 1]], "not so in row 0"),
        ([[0, 0], [0, 1]], "not so in row 0"),
        ([[np.nan, 1], [0, 1]], "not so in row 0"),
        (["cat", "dog"], r"expected one number per image or one-hot rows, got <U3"),
        ([[[1]]], r"got int64 values of the shape \(1, 1, 1\)"),
    ],
)
def test_what_is_not_a_class_is_named_by_its_row(values: list[Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_labels(ArrayTable(np.array(values)), name="label")


def test_rows_are_counted_across_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "rows_at_once", lambda _table, _wanted: 2)
    with pytest.raises(InvalidInput, match=re.escape("row 4 holds -3")):
        read_labels(ArrayTable(np.array([0, 1, 2, 3, -3])), name="label")
    assert read_labels(ArrayTable(np.arange(5)), name="label").tolist() == [0, 1, 2, 3, 4]


def test_more_labels_than_memory_is_meant_for_are_refused() -> None:
    table = ArrayTable(np.broadcast_to(np.uint8(0), (module.MAX_IMAGES + 1,)))
    with pytest.raises(OverBudget, match="at most 33,554,432 labels"):
        read_labels(table, name="label")
