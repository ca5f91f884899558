"""HDF5 files in memory, and all their numbers as they are read, for tests."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from goodnet.formats import safe_hdf5

if TYPE_CHECKING:
    from collections.abc import Callable


def made(fill: Callable[[h5py.File], object], **options: Any) -> bytes:
    """The bytes of an HDF5 file."""
    memory = io.BytesIO()
    with h5py.File(memory, "w", **options) as file:
        fill(file)
    return memory.getvalue()


def numbers(file: h5py.File) -> None:
    file["a/b"] = np.arange(6, dtype=np.float32).reshape(2, 3)
    file["c"] = np.arange(3, dtype=">i2")


def read_all(data: bytes) -> dict[str, np.ndarray[Any, Any]]:
    with safe_hdf5.open_hdf5(data) as file:
        found = safe_hdf5.datasets(file)
        return {name: safe_hdf5.read_dataset(item, name=name) for name, item in found.items()}
