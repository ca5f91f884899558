from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodnet.errors import GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.safe_zip import list_members, read_member

CONTENT = {"config.json": b"{}", "model.weights.h5": b"weights" * 100}
# Where fields lie in a local header and in a directory entry.
LOCAL = {
    "version": 4,
    "flags": 6,
    "method": 8,
    "crc": 14,
    "packed": 18,
    "size": 22,
    "name": 26,
    "extra": 28,
}
ENTRY = {
    "version": 6,
    "flags": 8,
    "method": 10,
    "crc": 16,
    "packed": 20,
    "size": 24,
    "name": 28,
    "offset": 42,
}


def made(content: dict[str, bytes] | None = None, packing: int = zipfile.ZIP_STORED) -> bytearray:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", packing) as archive:
        for name, data in (CONTENT if content is None else content).items():
            archive.writestr(name, data)
    return bytearray(memory.getvalue())


def read_all(data: bytes | bytearray) -> dict[str, bytes]:
    file = io.BytesIO(data)
    return {name: read_member(file, member) for name, member in list_members(file).items()}


def patch(data: bytearray, field: str, value: int, *, size: int, local: bool, entry: bool) -> None:
    """Change a field of the first member, in its local header, its directory entry, or both."""
    if local:
        data[LOCAL[field] : LOCAL[field] + size] = value.to_bytes(size, "little")
    if entry:
        start = data.index(b"PK\x01\x02") + ENTRY[field]
        data[start : start + size] = value.to_bytes(size, "little")


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read(packing: int) -> None:
    content = {**CONTENT, "assets/": b"", "assets/\N{SNOWMAN}.txt": b"x", "empty": b""}
    assert read_all(made(content, packing)) == content


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_truncated(share: float) -> None:
    data = made()
    with pytest.raises(InvalidInput, match=r"the zip archive ends early|starts with its first"):
        read_all(data[: int(share * len(data))])


def test_not_a_zip_or_nothing_in_it() -> None:
    for data in (b"", b"PK", b"hello", made({})):
        with pytest.raises(InvalidInput, match="expected a zip archive"):
            list_members(io.BytesIO(data))


def test_bytes_in_front() -> None:
    with pytest.raises(InvalidInput, match="starts with its first member"):
        read_all(b"#!/bin/sh\n" + made())
    with pytest.raises(UnsafeInput, match="directory does not end where the file does"):
        read_all(b"PK\x03\x04" + made())


@pytest.mark.parametrize("end", [b"x", b"\0" * 100, b"comment"])
def test_bytes_behind(end: bytes) -> None:
    with pytest.raises(InvalidInput, match="something follows its directory"):
        read_all(made() + end)


def test_comment() -> None:
    data = made()
    data[-2:] = (5).to_bytes(2, "little")
    with pytest.raises(InvalidInput, match="something follows its directory"):
        read_all(data + b"hello")
    with pytest.raises(UnsafeInput, match="end record is unusual"):
        read_all(data)


def test_bytes_between_members_and_directory() -> None:
    data = made()
    start = data.index(b"PK\x01\x02")
    data[start:start] = b"hidden"
    data[-6:-2] = (start + 6).to_bytes(4, "little")
    with pytest.raises(UnsafeInput, match="bytes that belong to no member"):
        read_all(data)


def test_gap_and_overlap() -> None:
    for shift in (-10, 10):
        data = made()
        second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4) + ENTRY["offset"]
        offset = int.from_bytes(data[second : second + 4], "little") + shift
        data[second : second + 4] = offset.to_bytes(4, "little")
        with pytest.raises(UnsafeInput, match=r"gap or overlap before 'model\.weights\.h5'"):
            read_all(data)


def test_quoted_overlap() -> None:
    """Both directory entries name one local header, the way overlapping zip bombs are built."""
    data = made()
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4) + ENTRY["offset"]
    data[second : second + 4] = bytes(4)
    with pytest.raises(UnsafeInput, match="gap or overlap"):
        read_all(data)


@pytest.mark.parametrize(
    ("field", "value", "size"),
    [("crc", 1, 4), ("packed", 3, 4), ("size", 9, 4), ("method", 8, 2), ("flags", 2048, 2)],
)
@pytest.mark.parametrize("local", [True, False])
def test_header_against_directory(field: str, value: int, size: int, local: bool) -> None:
    data = made()
    patch(data, field, value, size=size, local=local, entry=not local)
    with pytest.raises(UnsafeInput, match=r"in two different ways|gap or overlap"):
        read_all(data)


def test_names_that_differ() -> None:
    data = made()
    data[30:41] = b"CONFIG.JSON"
    with pytest.raises(UnsafeInput, match=r"describes 'config\.json' in two different ways"):
        read_all(data)


@pytest.mark.parametrize("second", ["config.json", "CONFIG.JSON"])
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_two_members_of_one_name(second: str) -> None:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("config.json", b"{}")
        archive.writestr(second, b"{}")
    with pytest.raises(UnsafeInput, match="twice, so two programs"):
        read_all(memory.getvalue())


def test_names_equal_to_some_systems() -> None:
    with pytest.raises(UnsafeInput, match="twice, so two programs"):
        read_all(made({"caf\u00e9": b"", "cafe\u0301": b""}))


@pytest.mark.parametrize(
    "name", ["../a", "a/../b", "/a", "C:a", "a\\b", "a//b", "./a", "a\nb", "..", "a/.", "a\x1b[2J"]
)
def test_unsafe_names(name: str) -> None:
    with pytest.raises(UnsafeInput, match="member with an unsafe name"):
        read_all(made({name: b"x"}))


def test_name_with_nul() -> None:
    data = made()
    for start in (30, data.index(b"PK\x01\x02") + 46):
        data[start + 6] = 0
    with pytest.raises(UnsafeInput, match="member with an unsafe name"):
        read_all(data)


def test_name_of_unknown_encoding() -> None:
    data = made()
    for start in (30, data.index(b"PK\x01\x02") + 46):
        data[start] = 0xE9
    with pytest.raises(InvalidInput, match="unreadable member name"):
        read_all(data)


def test_symbolic_link() -> None:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        link = zipfile.ZipInfo("config.json")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UnsafeInput, match=r"'config\.json' in the zip archive is a symbolic link"):
        read_all(memory.getvalue())


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("flags", 1, "is encrypted"),
        ("flags", 8, "as a stream"),
        ("method", 12, "with method 12"),
        ("version", 99, "newer kind of zip"),
    ],
)
def test_what_is_not_read(field: str, value: int, match: str) -> None:
    data = made()
    patch(data, field, value, size=2, local=True, entry=True)
    with pytest.raises(InvalidInput, match=match):
        read_all(data)


def test_zip64() -> None:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(b"x")
    with pytest.raises((InvalidInput, UnsafeInput), match=r"ZIP64|in two different ways"):
        read_all(memory.getvalue())
    data = made()
    patch(data, "size", 0xFFFFFFFF, size=4, local=True, entry=True)
    with pytest.raises(InvalidInput, match="stored as ZIP64"):
        read_all(data)


@pytest.mark.parametrize("count", [1, 3])
def test_wrong_number_of_members(count: int) -> None:
    data = made()
    for start in (-14, -12):
        data[start % len(data) : start % len(data) + 2] = count.to_bytes(2, "little")
    with pytest.raises((UnsafeInput, InvalidInput), match=r"directory lists another|is damaged"):
        read_all(data)


def test_too_many_members() -> None:
    with pytest.raises(OverBudget, match="at most 1024 members: 1025"):
        read_all(made({str(index): b"" for index in range(1025)}))


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_wrong_checksum(packing: int) -> None:
    data = made(packing=packing)
    patch(data, "crc", 1, size=4, local=True, entry=True)
    with pytest.raises(InvalidInput, match="its size or checksum is wrong"):
        read_all(data)


def test_member_that_is_no_deflate_stream() -> None:
    data = made()
    patch(data, "method", 8, size=2, local=True, entry=True)
    with pytest.raises(InvalidInput, match=r"'config\.json' in the zip archive is damaged"):
        read_all(data)


def test_deflate_stream_that_does_not_fit_its_size() -> None:
    packed = zlib.compressobj(wbits=-15)
    stream = packed.compress(b"ab") + packed.flush()
    for extra, declared in ((b"junk", 2), (b"", 3)):
        data = made({"a": stream + extra})
        patch(data, "method", 8, size=2, local=True, entry=True)
        patch(data, "size", declared, size=4, local=True, entry=True)
        patch(data, "crc", zlib.crc32(b"ab"), size=4, local=True, entry=True)
        with pytest.raises(InvalidInput, match="is damaged"):
            read_all(data)


def bomb(size: int, *, declared: int) -> bytearray:
    data = made({"a": bytes(size)}, zipfile.ZIP_DEFLATED)
    patch(data, "size", declared, size=4, local=True, entry=True)
    return data


def test_size_over_the_limit() -> None:
    file = io.BytesIO(made())
    member = list_members(file)["model.weights.h5"]
    with pytest.raises(OverBudget, match="may take at most 10 bytes, got 700 bytes"):
        read_member(file, member, limit=10)


def test_bomb_that_declares_its_size() -> None:
    with pytest.raises(OverBudget, match="more than 100 times is refused"):
        read_all(bomb(2**20, declared=2**30))


def test_bomb_that_lies_about_its_size() -> None:
    with pytest.raises(OverBudget, match=r"unpacks to more than the 1\.0 KiB it declares"):
        read_all(bomb(10 * 2**20, declared=2**10))


def test_high_but_honest_packing_below_the_floor() -> None:
    assert len(read_all(made({"a": bytes(2**20)}, zipfile.ZIP_DEFLATED))["a"]) == 2**20
    assert budgets.FLOOR_BYTES > 2**20


@settings(max_examples=200)
@given(st.data())
def test_changed_bytes_never_crash(data: st.DataObject) -> None:
    original = made(packing=zipfile.ZIP_DEFLATED)
    for _ in range(data.draw(st.integers(1, 4))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(GoodnetError):
        found: Any = read_all(original)
        assert set(found) == set(zipfile.ZipFile(io.BytesIO(original)).namelist())


def test_header_layout_of_these_tests() -> None:
    data = made()
    assert struct.unpack_from("<H", data, LOCAL["name"])[0] == len("config.json")
