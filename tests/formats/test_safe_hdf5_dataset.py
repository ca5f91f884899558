"""Reading the numbers of one data set of an HDF5 file."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t
from hdf5_samples import made, numbers, read_all

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import safe_hdf5

if TYPE_CHECKING:
    from collections.abc import Callable


def with_filter(code: int, flags: int = h5py.h5z.FLAG_OPTIONAL) -> Callable[[h5py.File], object]:
    def fill(file: h5py.File) -> None:
        plan = h5p.create(h5p.DATASET_CREATE)
        plan.set_chunk((10,))
        plan.set_filter(code, flags)
        h5d.create(file.id, b"x", h5t.NATIVE_FLOAT, h5s.create_simple((10,)), plan)

    return fill


class TestDataset:
    @pytest.mark.parametrize("packed", [{}, {"compression": "gzip"}, {"compression": "lzf"}])
    @pytest.mark.parametrize("extra", [{}, {"shuffle": True, "fletcher32": True}])
    def test_plain_packing_is_read(self, packed: dict[str, Any], extra: dict[str, Any]) -> None:
        values = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)
        data = made(lambda file: file.create_dataset("x", data=values, **packed, **extra))
        np.testing.assert_array_equal(read_all(data)["x"], values)

    def test_byte_order_becomes_native(self) -> None:
        found = read_all(made(numbers))["c"]
        assert found.dtype == np.dtype("=i2")
        assert found.tolist() == [0, 1, 2]

    def test_empty_dataset(self) -> None:
        found = read_all(made(lambda file: file.create_dataset("x", (0, 3), "f4")))
        assert found["x"].shape == (0, 3)

    @pytest.mark.parametrize("code", [305, 307, 32015, 65535])
    def test_unknown_filter(self, code: int) -> None:
        with pytest.raises(UnsafeInput, match=f"packed with the HDF5 filter {code}"):
            read_all(made(with_filter(code)))

    @pytest.mark.parametrize("code", [h5py.h5z.FILTER_NBIT, h5py.h5z.FILTER_SCALEOFFSET])
    def test_filters_that_are_not_needed(self, code: int) -> None:
        with pytest.raises(UnsafeInput, match=f"packed with the HDF5 filter {code}"):
            read_all(made(with_filter(code)))

    def test_packed_twice(self) -> None:
        def fill(file: h5py.File) -> None:
            plan = h5p.create(h5p.DATASET_CREATE)
            plan.set_chunk((10,))
            plan.set_deflate(9)
            plan.set_filter(h5py.h5z.FILTER_LZF, h5py.h5z.FLAG_OPTIONAL)
            h5d.create(file.id, b"x", h5t.NATIVE_FLOAT, h5s.create_simple((10,)), plan)

        with pytest.raises(UnsafeInput, match="'x' is packed twice"):
            read_all(made(fill))

    @pytest.mark.parametrize(
        ("value", "dtype"),
        [
            ("text", None),
            (["a", "b"], None),
            (np.array([b"ab"]), None),
            (np.zeros(3, [("a", "f4"), ("b", "i4")]), None),
            (np.zeros(3, "V7"), None),
            (np.zeros(3, "c8"), None),
            (np.zeros((2, 3)), h5py.opaque_dtype(np.dtype("M8[s]"))),
            (1, h5py.enum_dtype({"A": 1})),
            (np.zeros(2, h5py.ref_dtype), h5py.ref_dtype),
            (np.zeros(2, object), h5py.vlen_dtype(np.dtype("f4"))),
        ],
        ids=str,
    )
    def test_other_types(self, value: Any, dtype: Any) -> None:
        def fill(file: h5py.File) -> None:
            shape = np.shape(value)
            file.create_dataset("x", shape, dtype or np.asarray(value).dtype.str.replace("U", "S"))

        def fill_text(file: h5py.File) -> None:
            file["x"] = value

        kind = fill_text if dtype is None else fill
        with pytest.raises(InvalidInput, match="plain integers or floats in data set 'x', got"):
            read_all(made(kind))

    def test_null_space(self) -> None:
        with pytest.raises(InvalidInput, match="holds no numbers at all"):
            read_all(made(lambda file: file.create_dataset("x", data=h5py.Empty("f4"))))

    def test_numbers_in_an_unusual_form(self) -> None:
        kind = h5t.STD_I32LE.copy()
        kind.set_precision(20)

        def fill(file: h5py.File) -> None:
            x = h5d.create(file.id, b"x", kind, h5s.create_simple((3,)))
            x.write(h5s.ALL, h5s.ALL, np.arange(3, dtype=np.int32))

        with pytest.raises(InvalidInput, match="stored in an unusual form of int32"):
            read_all(made(fill))

    def test_too_many_axes(self) -> None:
        with pytest.raises(InvalidInput, match="at most 8 axes, got 9"):
            read_all(made(lambda file: file.create_dataset("x", (1,) * 9, "f4")))

    @pytest.mark.parametrize("length", [800 * 2**20, 2**50])
    def test_shape_bomb(self, length: int) -> None:
        def fill(file: h5py.File) -> None:
            file.create_dataset("x", (length,), "f4", chunks=(2**16,), compression="gzip")

        with pytest.raises(OverBudget, match="data set 'x'"):
            read_all(made(fill))

    def test_filter_bomb(self) -> None:
        """80 MiB of zeros in a file of a few kilobytes: within the ratio deflate can reach."""

        def fill(file: h5py.File) -> None:
            file.create_dataset(
                "x", (80 * 2**20,), "u1", chunks=(2**20,), compression="gzip", compression_opts=9
            )
            packed = zlib.compress(bytes(2**20), 9)
            for index in range(60):
                file["x"].id.write_direct_chunk((index * 2**20,), packed)

        with pytest.raises(OverBudget, match=r"declares 80.0 MiB but stores only 6\d\.\d KiB"):
            read_all(made(fill))

    def test_chunk_that_unpacks_to_more_than_it_should(self) -> None:
        def fill(file: h5py.File) -> None:
            file.create_dataset("x", (1000,), "f4", chunks=(1000,), compression="gzip")
            file["x"].id.write_direct_chunk((0,), zlib.compress(bytes(10**7), 9))

        with pytest.raises(OverBudget, match=r"unpacks to more than the 3.9 KiB it declares"):
            read_all(made(fill))

    def test_chunk_far_larger_than_the_dataset(self) -> None:
        def fill(file: h5py.File) -> None:
            file.create_dataset("x", (10,), "f4", maxshape=(None,), chunks=(2**28,))

        with pytest.raises(
            OverBudget, match=r"one chunk of data set 'x' may take at most 64.0 MiB"
        ):
            read_all(made(fill))

    def test_declared_more_than_the_limit(self) -> None:
        with safe_hdf5.open_hdf5(made(numbers)) as file:
            item = safe_hdf5.datasets(file)["a/b"]
            assert safe_hdf5.declared_bytes(item, name="a/b") == 24
            with pytest.raises(OverBudget, match="'a/b' may take at most 10 bytes, got 24 bytes"):
                safe_hdf5.check_dataset(item, name="a/b", limit=10)

    def test_contiguous_numbers_that_were_never_written(self) -> None:
        with pytest.raises(InvalidInput, match=r"declares 4.0 MiB but stores only 0 bytes"):
            read_all(made(lambda file: file.create_dataset("x", (2**20,), "f4")))
