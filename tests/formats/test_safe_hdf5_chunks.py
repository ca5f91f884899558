"""Packed numbers against HDF5's own unpacking, and chunks that are not what they say."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodnet.errors import GoodnetError, InvalidInput, OverBudget
from goodnet.formats import safe_hdf5
from goodnet.formats.safe_hdf5 import reader_of_rows

ROWS = 12
SHAPE = (ROWS, 3, 7)


def made(array: Any, **options: Any) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("x", data=array, **options)
    return memory.getvalue()


def packed(content: bytes, *, skipped: int = 0, **options: Any) -> bytes:
    """A file with one chunk of 40 bytes, as it lies there."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        x = file.create_dataset("x", (10,), "<i4", chunks=(10,), **options)
        x.id.write_direct_chunk((0,), content, filter_mask=skipped)
    return memory.getvalue()


def read(data: bytes) -> Any:
    with safe_hdf5.open_hdf5(data) as file:
        return safe_hdf5.read_dataset(safe_hdf5.datasets(file)["x"], name="x")


@given(
    dtype=st.sampled_from(["u1", ">i2", "f4", "f8", "?"]),
    chunks=st.tuples(st.integers(1, ROWS), st.integers(1, 3), st.integers(1, 7)),
    compression=st.sampled_from([None, "gzip", "lzf"]),
    shuffle=st.booleans(),
    fletcher32=st.booleans(),
    smooth=st.booleans(),
    bounds=st.tuples(st.integers(0, ROWS - 1), st.integers(1, ROWS)).map(sorted),
)
def test_rows_are_those_that_hdf5_gives(
    dtype: str, smooth: bool, bounds: list[int], **options: Any
) -> None:
    random = np.random.default_rng(0).integers(0, 200, SHAPE)
    array = (np.arange(random.size).reshape(SHAPE) // 40 if smooth else random).astype(dtype)
    first, stop = bounds[0], max(bounds[1], bounds[0] + 1)
    with safe_hdf5.open_hdf5(made(array, **options)) as file:
        x = safe_hdf5.datasets(file)["x"]
        kind = safe_hdf5.check_dataset(x, name="x")
        found = reader_of_rows(x, kind, name="x")(first, stop)
        np.testing.assert_array_equal(found, x[first:stop])
        assert found.dtype == x.dtype


def test_chunks_that_were_never_written_hold_the_fill_value() -> None:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        x = file.create_dataset("x", (10, 4), "f4", chunks=(3, 4), fillvalue=7, compression="gzip")
        x[3:6] = 1
    expected = np.full((10, 4), 7, np.float32)
    expected[3:6] = 1
    np.testing.assert_array_equal(read(memory.getvalue()), expected)


GZIP: dict[str, Any] = {"compression": "gzip"}
LZF: dict[str, Any] = {"compression": "lzf"}
SUM: dict[str, Any] = {"fletcher32": True}


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (zlib.compress(bytes(8)), GZIP),
        (zlib.compress(bytes(39)), GZIP | {"shuffle": True}),
        (b"nonsense", GZIP),
        (zlib.compress(bytes(40))[:-6], GZIP),
        (b"\x00\x00", LZF),
        (b"\x05abc", LZF),
        (b"\x20\x00", LZF),
        (b"\x00a\x20", LZF),
        (b"\x00a\xe0", LZF),
        *((bytes(length), SUM) for length in range(1, 6)),
        (bytes(40) + b"\1\0\0\0", SUM),
    ],
)
def test_a_chunk_of_another_length_is_damaged(content: bytes, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="data set 'x' is damaged"):
        read(packed(content, **options))


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (zlib.compress(bytes(41)), GZIP),
        (zlib.compress(bytes(10**7), 9), GZIP),
        (b"\x00\x00" + b"\xe0\xff\x00" * 300_000, LZF),
    ],
)
def test_a_chunk_that_holds_more_is_refused(content: bytes, options: dict[str, Any]) -> None:
    with pytest.raises(OverBudget, match="unpacks to more than the 40 bytes it declares"):
        read(packed(content, **options))


def test_what_was_not_packed_is_taken_as_it_is() -> None:
    numbers = np.arange(10, dtype="<i4")
    np.testing.assert_array_equal(read(packed(numbers.tobytes(), skipped=1, **GZIP)), numbers)
    with pytest.raises(InvalidInput, match="damaged"):
        read(packed(bytes(30), skipped=1, **GZIP))


@given(st.binary(min_size=1, max_size=60))
def test_no_lzf_is_another_error(content: bytes) -> None:
    with suppress(GoodnetError):
        assert read(packed(content, **LZF)).shape == (10,)
