"""Write the data sets of an HDF5 file row by row.

HDF5 lays the file out, but the rows are written past it: when a disk fills up, HDF5 can neither go
on nor close its file, and says so where nobody can catch it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    from pathlib import Path

    import h5py


@dataclass(frozen=True)
class Column:
    """A data set to be.

    Attributes:
        shape: Of all its rows.
        dtype: As it is stored.
        names: Its attribute `names`, if any.
    """

    shape: tuple[int, ...]
    dtype: DTypeLike
    names: Sequence[str] = ()

    @property
    def nbytes(self) -> int:
        """What its rows take."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Place:
    """Where the rows of one data set are in the file."""

    offset: int
    dtype: np.dtype[Any]

    def write(self, file: BinaryIO, start: int, rows: NDArray[Any]) -> None:
        """Write rows, of which `start` come before."""
        stored = np.ascontiguousarray(rows, self.dtype)
        if len(stored):
            file.seek(self.offset + start * (stored.nbytes // len(stored)))
            file.write(stored.data)


def outline(path: Path, columns: Mapping[str, Column]) -> dict[str, Place]:
    """Make an HDF5 file with all its data sets, not yet filled; where each is.

    Raises:
        OSError: If the system refuses, or RuntimeError if HDF5 says so in its way.
    """
    import h5py

    path.touch()
    # A limit on the size of files shows here, where it is an ordinary error.
    os.truncate(path, sum(column.nbytes for column in columns.values()))
    with h5py.File(path, "w") as file:
        return {name: _reserve(file, name, column) for name, column in columns.items()}


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], *, names: Mapping[str, Sequence[str]] = {}
) -> None:
    """Write an HDF5 file with a data set for each array, in its type.

    Args:
        path: Where to.
        arrays: By the name of the data set.
        names: The attribute `names` of some of them.

    Raises:
        OSError: As `outline` does.
    """
    columns = {key: Column(a.shape, a.dtype, names.get(key, ())) for key, a in arrays.items()}
    places = outline(path, columns)
    with path.open("r+b") as file:
        for key, array in arrays.items():
            places[key].write(file, 0, array)


def _reserve(file: h5py.File, name: str, column: Column) -> Place:
    """A data set that has its place in the file from the start."""
    import h5py

    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    data = file.create_dataset(name, column.shape, column.dtype, dcpl=properties)
    if column.names:
        data.attrs["names"] = list(column.names)
    return Place(data.id.get_offset() or 0, data.dtype)
