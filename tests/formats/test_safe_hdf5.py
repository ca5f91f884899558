from __future__ import annotations

import contextlib
import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5pl, h5s, h5t
from hypothesis import given, settings
from hypothesis import strategies as st

from goodnet.errors import FileError, GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets, safe_hdf5
from goodnet.formats.safe_hdf5 import dataset as dataset_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = b"the token of another file"


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


class TestOpen:
    def test_path_file_and_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "a.h5"
        path.write_bytes(made(numbers))
        with path.open("rb") as file:
            for source in (path, str(path), file, path.read_bytes()):
                with safe_hdf5.open_hdf5(source) as h5:
                    assert sorted(h5) == ["a", "c"]
            assert not file.closed

    def test_missing_path(self, tmp_path: Path) -> None:
        with (
            pytest.raises(FileError, match="no data file at"),
            safe_hdf5.open_hdf5(tmp_path / "a", what="data file"),
        ):
            pass

    @pytest.mark.parametrize("data", [b"PK\x03\x04abc", b"\x80\x04.", b"{}", b"\x93NUMPY"])
    def test_other_content(self, data: bytes) -> None:
        with (
            pytest.raises(InvalidInput, match="expected an HDF5 file, got something else"),
            safe_hdf5.open_hdf5(data),
        ):
            pass

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 0.99])
    def test_truncated(self, share: float) -> None:
        data = made(numbers)
        with pytest.raises(InvalidInput, match="ends early"):
            read_all(data[: max(1, int(share * len(data)))])

    def test_user_block_in_front(self) -> None:
        data = made(numbers, userblock_size=512)
        with pytest.raises(InvalidInput, match="got something else"):
            read_all(b"PK\x03\x04" + data[4:])

    def test_zip_archive_at_the_end(self) -> None:
        memory = io.BytesIO(made(numbers))
        with zipfile.ZipFile(memory, "a") as archive:
            archive.writestr("config.json", "{}")
            archive.comment = b"hidden"
        with pytest.raises(UnsafeInput, match="HDF5 file and a zip archive at once"):
            read_all(memory.getvalue())

    def test_end_of_a_zip_among_numbers_is_fine(self) -> None:
        tail = np.frombuffer(b"PK\x05\x06" + bytes(200), np.uint8)
        assert "x" in read_all(made(lambda file: file.create_dataset("x", data=tail)))

    def test_own_errors_and_others_pass(self) -> None:
        with pytest.raises(ZeroDivisionError), safe_hdf5.open_hdf5(made(numbers)):
            1 / 0  # noqa: B018
        with pytest.raises(OSError, match="disk full"), safe_hdf5.open_hdf5(made(numbers)):
            raise OSError("disk full")

    def test_errors_of_hdf5_inside_are_turned(self) -> None:
        with pytest.raises(InvalidInput, match="damaged"), safe_hdf5.open_hdf5(made(numbers)) as h5:
            h5["nothing"]

    def test_no_plugins_inside(self) -> None:
        before = [h5pl.get(index) for index in range(h5pl.size())]
        assert before
        with safe_hdf5.open_hdf5(made(numbers)):
            assert h5pl.size() == 0
            with pytest.raises(InvalidInput), safe_hdf5.open_hdf5(b"x"):
                pass
            with safe_hdf5.open_hdf5(made(numbers)):
                pass
            assert h5pl.size() == 0
        assert [h5pl.get(index) for index in range(h5pl.size())] == before

    @settings(max_examples=150)
    @given(st.data())
    def test_changed_bytes_never_crash(self, data: st.DataObject) -> None:
        original = bytearray(made(numbers))
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(original) - 1))
            original[place] = data.draw(st.integers(0, 255))
        with contextlib.suppress(GoodnetError):
            read_all(bytes(original))


class TestWalk:
    def test_names_in_order(self) -> None:
        assert list(read_all(made(numbers))) == ["a/b", "c"]

    def test_cycle_of_hard_links(self) -> None:
        def fill(file: h5py.File) -> None:
            numbers(file)
            file["a/top"] = file["/"]
            file["a/again"] = file["a"]

        assert list(read_all(made(fill))) == ["a/b", "c"]

    def test_deep_groups(self) -> None:
        assert list(read_all(made(lambda file: file.create_group("g/" * 3000)))) == []

    @pytest.mark.parametrize("target", ["/c", "/nowhere"])
    def test_soft_link(self, target: str) -> None:
        def fill(file: h5py.File) -> None:
            numbers(file)
            file["a/soft"] = h5py.SoftLink(target)

        with pytest.raises(UnsafeInput, match="'a/soft' is a soft link"):
            read_all(made(fill))

    @pytest.mark.parametrize("target", ["secret.h5", "../secret.h5", "/dev/zero", "{folder}"])
    def test_external_link(self, target: str, tmp_path: Path) -> None:
        (tmp_path / "secret.h5").write_bytes(made(lambda file: file.create_dataset("x", data=1)))
        target = target.format(folder=tmp_path / "secret.h5")

        def fill(file: h5py.File) -> None:
            file["out"] = h5py.ExternalLink(target, "/x")

        (tmp_path / "a.h5").write_bytes(made(fill))
        with (
            pytest.raises(UnsafeInput, match="'out' is a link to another file"),
            safe_hdf5.open_hdf5(tmp_path / "a.h5") as file,
        ):
            safe_hdf5.datasets(file)

    def test_external_storage(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(SECRET)

        def fill(file: h5py.File) -> None:
            file.create_dataset("x", (len(SECRET),), "u1", external=[(str(secret), 0, len(SECRET))])

        with pytest.raises(UnsafeInput, match="'x' keeps its numbers in another file"):
            read_all(made(fill))

    @pytest.mark.parametrize("foreign", [".", "other.h5"])
    def test_virtual_dataset(self, foreign: str) -> None:
        def fill(file: h5py.File) -> None:
            numbers(file)
            layout = h5py.VirtualLayout((3,), "i2")
            layout[:] = h5py.VirtualSource(foreign, "c", (3,))
            file.create_virtual_dataset("v", layout)

        with pytest.raises(UnsafeInput, match="'v' is a virtual data set"):
            read_all(made(fill))

    def test_too_many_objects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(budgets, "MAX_LINKS", 4)
        with pytest.raises(OverBudget, match="at most 4 objects"):
            read_all(made(lambda file: [file.create_group(str(i)) for i in range(5)]))

    def test_name_that_is_not_text(self) -> None:
        data = made(lambda file: file.create_group("not-utf-8"))
        with pytest.raises(InvalidInput, match="name in the HDF5 file is not text in UTF-8"):
            read_all(data.replace(b"not-utf-8", b"not-utf-\xff"))

    def test_long_name(self) -> None:
        with pytest.raises(InvalidInput, match="name in the HDF5 file is too long"):
            read_all(made(lambda file: file.create_group("n" * 2000)))


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

    def test_chunk_that_unpacks_to_more_than_it_should(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dataset_module, "_PROBED_CHUNK_BYTES", 1000)

        def fill(file: h5py.File) -> None:
            file.create_dataset("x", (1000,), "f4", chunks=(1000,), compression="gzip")
            file["x"].id.write_direct_chunk((0,), zlib.compress(bytes(10**7), 9))

        with pytest.raises(OverBudget, match=r"unpacks to more than the 3.9 KiB it declares"):
            read_all(made(fill))

    def test_large_sound_chunks_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dataset_module, "_PROBED_CHUNK_BYTES", 1000)
        values = np.random.default_rng(0).normal(size=5000)
        options = {"chunks": (2500,), "compression": "gzip", "fletcher32": True}
        data = made(lambda file: file.create_dataset("x", data=values, **options))
        np.testing.assert_array_equal(read_all(data)["x"], values)

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


def names_of(data: bytes, name: str, **options: Any) -> list[str] | None:
    with safe_hdf5.open_hdf5(data) as file:
        return safe_hdf5.names(file, name, file=io.BytesIO(data), **options)


def text_of(data: bytes, name: str) -> str | None:
    with safe_hdf5.open_hdf5(data) as file:
        return safe_hdf5.text(file, name, file=io.BytesIO(data))


LIBRARIES: list[dict[str, Any]] = [{}, {"libver": "latest"}, {"libver": ("v108", "v108")}]


class TestAttributes:
    @pytest.mark.parametrize("options", LIBRARIES, ids=str)
    @pytest.mark.parametrize("value", ["text", np.bytes_(b"text"), np.array(["text"], "S")])
    def test_text(self, value: Any, options: dict[str, Any]) -> None:
        data = made(lambda file: file.attrs.create("a", value), **options)
        assert text_of(data, "a") == "text"
        assert text_of(data, "b") is None

    @pytest.mark.parametrize("options", LIBRARIES, ids=str)
    def test_many_attributes_in_a_header_of_several_parts(self, options: dict[str, Any]) -> None:
        def fill(file: h5py.File) -> None:
            for index in range(7):
                file.attrs[f"a{index}"] = f"text {index}" * 500
                file.attrs[f"number {index}"] = np.zeros(500)
                del file.attrs[f"number {index}"]
            file["group"] = np.zeros(9)

        data = made(fill, track_order=True, **options)
        assert [text_of(data, f"a{i}") for i in range(7)] == [f"text {i}" * 500 for i in range(7)]

    @pytest.mark.parametrize("value", [1, np.zeros(3), ["a", "b"], np.zeros(3, "V4"), []], ids=str)
    def test_not_text(self, value: Any) -> None:
        data = made(lambda file: file.attrs.create("a", value))
        with pytest.raises((InvalidInput, OverBudget), match="the attribute 'a'"):
            text_of(data, "a")

    @pytest.mark.parametrize("value", [b"\xff\xfe", np.bytes_(b"\xff")])
    def test_not_utf8(self, value: Any) -> None:
        data = made(lambda file: file.attrs.create("a", value))
        with pytest.raises(InvalidInput, match="the attribute 'a' is not text in UTF-8"):
            text_of(data, "a")

    def test_long_text(self) -> None:
        data = made(lambda file: file.attrs.create("a", "x" * (17 * 2**20)))
        with pytest.raises(OverBudget, match=r"the attribute 'a' may take at most 16\.0 MiB"):
            text_of(data, "a")

    @pytest.mark.parametrize("options", LIBRARIES, ids=str)
    def test_names(self, options: dict[str, Any]) -> None:
        def fill(file: h5py.File) -> None:
            file.attrs["fixed"] = np.array([b"a", b"bb"])
            file.attrs.create("variable", ["a", "bb"], dtype=h5py.string_dtype())
            file.attrs["empty"] = []
            file.attrs["parts0"] = np.array([b"a"])
            file.attrs["parts1"] = np.array([b"bb", b""])

        data = made(fill, **options)
        assert names_of(data, "fixed") == ["a", "bb"]
        assert names_of(data, "variable") == ["a", "bb"]
        assert names_of(data, "parts") == ["a", "bb", ""]
        assert names_of(data, "empty") == []
        assert names_of(data, "nothing") is None

    def test_too_many_names(self) -> None:
        data = made(lambda file: file.attrs.create("a", np.array([b"x"] * 9)))
        with pytest.raises(OverBudget, match="at most 8 texts, got 9"):
            names_of(data, "a", count=8)

    def test_numbers_for_names(self) -> None:
        with pytest.raises(InvalidInput, match="expected text in the attribute 'a'"):
            names_of(made(lambda file: file.attrs.create("a", [1, 2])), "a")

    def test_many_names_that_share_one_long_text(self) -> None:
        """The list is refused before it unfolds to 3 GiB."""
        text = "x" * (3 * 2**20)

        def fill(file: h5py.File) -> None:
            file.attrs.create("a", [text, *[""] * 999], dtype=h5py.string_dtype())

        data = bytearray(made(fill))
        start = data.index(len(text).to_bytes(4, "little"))
        data[start : start + 16000] = bytes(data[start : start + 16]) * 1000
        with pytest.raises(OverBudget, match=r"may take at most 16\.0 MiB, got 2\.9 GiB"):
            names_of(bytes(data), "a")

    @pytest.mark.parametrize(("shift", "size"), [(0, 4), (4, 8), (12, 4)])
    @pytest.mark.parametrize("value", [1, 2**31, 2**63])
    def test_references_that_lead_nowhere(self, shift: int, size: int, value: int) -> None:
        """HDF5 itself would set aside 2 GiB before it finds that the length is wrong."""
        data = bytearray(made(lambda file: file.attrs.create("a", "text" * 50)))
        reference = data.index((200).to_bytes(4, "little"))
        changed = (value % 2 ** (8 * size)).to_bytes(size, "little")
        if data[reference + shift : reference + shift + size] == changed or not any(changed):
            return
        data[reference + shift : reference + shift + size] = changed
        with pytest.raises((InvalidInput, OverBudget), match="not where it should be|at most 16"):  # noqa: RUF043
            text_of(bytes(data), "a")

    def test_free_space_of_no_size_does_not_hang(self) -> None:
        """HDF5 2.0 itself never comes back from this one."""
        data = bytearray(made(lambda file: file.attrs.create("a", "text")))
        heap = data.index(b"GCOL")
        free = data.index((0).to_bytes(8, "little"), heap + 32)
        data[free : free + 16] = bytes(16)
        with pytest.raises(InvalidInput, match="list of texts in the HDF5 file is damaged"):
            text_of(bytes(data), "a")

    def test_lists_of_texts_that_overlap(self) -> None:
        data = bytearray(made(lambda file: file.attrs.create("a", "GCOL" + "x" * 60)))
        inner = data.index(b"GCOLx")
        data[inner : inner + 16] = b"GCOL\x01\0\0\0" + (32).to_bytes(8, "little")
        with pytest.raises(InvalidInput, match="two lists of texts in the HDF5 file overlap"):
            text_of(bytes(data), "a")

    def test_too_many_texts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(budgets, "MAX_STRINGS", 5)
        data = made(lambda file: file.attrs.create("a", [*"abcdefgh"], dtype=h5py.string_dtype()))
        with pytest.raises(OverBudget, match="an HDF5 file may hold at most 5 texts"):
            names_of(data, "a")

    def test_attributes_stored_apart(self) -> None:
        def fill(file: h5py.File) -> None:
            for index in range(20):
                file.attrs[f"a{index}"] = "text"

        with pytest.raises(InvalidInput, match="attribute 'a3' is stored in an unusual way"):
            text_of(made(fill, libver="latest"), "a3")
