"""Opening an HDF5 file and walking through what it holds."""

from __future__ import annotations

import contextlib
import io
import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from h5py import h5pl
from hdf5_samples import made, numbers, read_all
from hypothesis import given, settings
from hypothesis import strategies as st

from goodnet.errors import FileError, GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets, safe_hdf5

if TYPE_CHECKING:
    from pathlib import Path

SECRET = b"the token of another file"


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
