"""Read labels of any usual kind as class indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput, OverBudget
from goodnet.imagesets.tables import Array, Table, all_rows, rows_at_once

if TYPE_CHECKING:
    from goodnet.types import Integers

# Labels are held in memory, unlike pixels.
MAX_IMAGES = 2**25
_LARGEST = 2**31


def read_labels(table: Table, *, name: str) -> Integers:
    """Read a whole table of labels.

    Args:
        table: Shape (N,) or (N, 1): one number per image, an integer in any type. Shape (N, K):
            one-hot rows, a single 1 among zeros.
        name: Of the labels, for messages.

    Returns:
        Class indices, shape (N,).

    Raises:
        InvalidInput: Naming the first row that is not a class index or not one-hot.
        OverBudget: If there are more than 33 million.
    """
    if len(table.shape) not in (1, 2) or table.dtype.kind not in "biuf":
        raise InvalidInput(
            f"{name}: expected one number per image or one-hot rows, got {table.dtype} values of "
            f"the shape {table.shape}"
        )
    if table.shape[0] > MAX_IMAGES:
        raise OverBudget(f"{name}: at most {MAX_IMAGES:,} labels are read, got {table.shape[0]:,}")
    labels = np.empty(table.shape[0], dtype=np.int64)
    start = 0
    for run in table.read(all_rows(table), rows_at_once(table, MAX_IMAGES)):
        labels[start : start + len(run)] = _class_indices(run, start, name)
        start += len(run)
    return labels


def _class_indices(run: Array, start: int, name: str) -> Integers:
    if run.ndim == 2 and run.shape[1] != 1:
        return _from_one_hot(run, start, name)
    values = run.reshape(-1)
    whole = (values >= 0) & (values < _LARGEST)  # False for NaN
    whole &= np.where(whole, values, 0) % 1 == 0
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        raise InvalidInput(
            f"{name}: expected labels 0, 1, 2, ...; row {start + row} holds {values[row]}"
        )
    return np.asarray(values, dtype=np.int64)


def _from_one_hot(run: Array, start: int, name: str) -> Integers:
    one_hot = ((run == 0) | (run == 1)).all(axis=1) & ((run == 1).sum(axis=1) == 1)
    if not one_hot.all():
        row = start + int(np.flatnonzero(~one_hot)[0])
        raise InvalidInput(
            f"{name}: expected one-hot rows, a single 1 among zeros; not so in row {row}"
        )
    return np.asarray(run.argmax(axis=1), dtype=np.int64)
