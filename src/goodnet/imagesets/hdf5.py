"""Data sets of an HDF5 file as tables, where every packed part is unpacked once per pass."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from goodnet.formats.safe_hdf5 import (
    check_dataset,
    dataset_at,
    datasets,
    open_hdf5,
    reader_of_rows,
)
from goodnet.imagesets.tables import cut, rows_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import h5py
    import numpy as np

    from goodnet.imagesets.stored import StoredFile
    from goodnet.imagesets.tables import Array, Span

# Rows that are packed together are unpacked together, up to this; beyond it in several passes.
_BAND_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Hdf5Contents:
    """What an HDF5 file holds.

    Attributes:
        file: The file.
        shapes: By path of each data set: its shape.
    """

    file: StoredFile
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def find(cls, file: StoredFile) -> Hdf5Contents:
        """List the data sets of a file.

        Raises:
            GoodnetError: As `open_hdf5` and `datasets` do.
        """
        with file.open() as handle, open_hdf5(handle, what=file.what) as root:
            return cls(file, {path: data.shape or () for path, data in datasets(root).items()})

    def table(self, path: str) -> Hdf5Table:
        """One data set, checked.

        Raises:
            GoodnetError: As `check_dataset` does.
        """
        with _dataset(self.file, path) as (data, dtype):
            chunk_rows = data.chunks[0] if data.chunks else 1
            row_bytes = max(1, math.prod(data.shape[1:]) * dtype.itemsize)
            chunk_rows = min(chunk_rows, max(1, _BAND_BYTES // row_bytes))
            return Hdf5Table(self.file, path, data.shape, dtype, chunk_rows)


@dataclass(frozen=True)
class Hdf5Table:
    """One data set of an HDF5 file; see `Table`."""

    file: StoredFile
    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk_rows: int

    def read(self, spans: Sequence[Span], rows: int) -> Iterator[Array]:
        """Yield the rows of `spans`: `rows` at a time, rounded to whole chunks."""
        packed = self.chunk_rows
        step = max(packed, rows_at_once(self, rows) // packed * packed)
        with _dataset(self.file, self.path) as (data, dtype):
            read = reader_of_rows(data, dtype, name=self.path)
            for _, group in groupby(cut(spans, step), lambda s: s[0] // step if packed > 1 else s):
                parts = list(group)
                first = parts[0][0]
                run = read(first, parts[-1][1])
                for start, stop in parts:
                    part = run[start - first : stop - first]
                    # a view of a few rows would keep all others in memory
                    yield part if len(parts) == 1 else part.copy()


@contextmanager
def _dataset(file: StoredFile, path: str) -> Iterator[tuple[h5py.Dataset, np.dtype[Any]]]:
    with file.open() as handle, open_hdf5(handle, what=file.what) as root:
        data = dataset_at(root, path)
        yield data, check_dataset(data, name=path)
