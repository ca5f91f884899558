"""Reading the texts in the attributes of an HDF5 file."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pytest
from hdf5_samples import made

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import safe_hdf5


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
        with pytest.raises(InvalidInput, match="the attribute 'a'"):
            text_of(data, "a")

    @pytest.mark.parametrize("kind", ["S10", h5py.string_dtype()], ids=["fixed", "variable"])
    def test_a_null_data_space_holds_no_text(self, kind: Any) -> None:
        data = made(lambda file: file.attrs.create("a", h5py.Empty(kind)))
        with pytest.raises(InvalidInput, match="expected one text in the attribute 'a', got none"):
            text_of(data, "a")
        assert names_of(data, "a") == []

    @pytest.mark.parametrize("value", [b"\xff\xfe", np.bytes_(b"\xff")])
    def test_not_utf8(self, value: Any) -> None:
        data = made(lambda file: file.attrs.create("a", value))
        with pytest.raises(InvalidInput, match="the attribute 'a' is not text in UTF-8"):
            text_of(data, "a")

    def test_long_text(self) -> None:
        data = made(lambda file: file.attrs.create("a", "x" * (17 * 2**20)))
        with pytest.raises(OverBudget, match=r"the attribute 'a' may take at most 8\.0 MiB"):
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
        with pytest.raises(OverBudget, match=r"may take at most 8\.0 MiB, got 2\.9 GiB"):
            names_of(bytes(data), "a")

    @pytest.mark.parametrize(
        ("shift", "size", "value"),
        [
            (0, 4, 1),
            (0, 4, 2**31),
            (0, 4, 2**32 - 1),
            (4, 8, 1),
            (4, 8, 2**31),
            (4, 8, 2**63),
            (12, 4, 0),
            (12, 4, 2),
            (12, 4, 2**31),
        ],
    )
    def test_references_that_lead_nowhere(self, shift: int, size: int, value: int) -> None:
        """Length, address and number of a text; HDF5 itself would set aside 2 GiB for a length."""
        data = bytearray(made(lambda file: file.attrs.create("a", "text" * 50)))
        reference = data.index((200).to_bytes(4, "little"))
        changed = value.to_bytes(size, "little")
        assert data[reference + shift : reference + shift + size] != changed
        data[reference + shift : reference + shift + size] = changed
        with pytest.raises((InvalidInput, OverBudget), match="not where it should be|at most 8"):  # noqa: RUF043
            text_of(bytes(data), "a")

    def test_free_space_of_no_size_does_not_hang(self) -> None:
        """HDF5 2.0 itself never comes back from this one."""
        data = bytearray(made(lambda file: file.attrs.create("a", "text")))
        heap = data.index(b"GCOL")
        free = data.index((0).to_bytes(8, "little"), heap + 32)
        data[free : free + 16] = bytes(16)
        with pytest.raises(InvalidInput, match="list of texts in the HDF5 file is damaged"):
            text_of(bytes(data), "a")

    def test_attributes_stored_apart(self) -> None:
        def fill(file: h5py.File) -> None:
            for index in range(20):
                file.attrs[f"a{index}"] = "text"

        with pytest.raises(InvalidInput, match="attribute 'a3' is stored in an unusual way"):
            text_of(made(fill, libver="latest"), "a3")
