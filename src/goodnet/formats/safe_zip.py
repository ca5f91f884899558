"""Read members of a zip archive that all zip programs would read alike.

Only the plainest archives pass: one directory, at the very end; members one after another without
gap or overlap; every local header equal to its directory entry. Nothing is extracted to disk.
PyTorch writes its members as streams, with their sizes behind them, and the end record twice: where
that is said to be so, both must agree.
"""

from __future__ import annotations

import re
import stat
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.safe_file import size

SIGNATURE = b"PK\x03\x04"

_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _STREAMED, _UTF8 = 0x0001, 0x0008, 0x0800
_ZIP64 = 0xFFFFFFFF
# Version 4.5 of the format, ten times: the first with ZIP64, as large as a plain archive asks for.
_NEWEST = 45
_ENTRY_SIGNATURE, _END_SIGNATURE = b"PK\x01\x02", b"PK\x05\x06"
# Fields as in PKWARE's APPNOTE, sections 4.3.7, 4.3.12 and 4.3.16.
_LOCAL = struct.Struct("<4s5H3I2H")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
# Sections 4.3.9, 4.3.14 and 4.3.15: behind a member written as a stream, and before the end record.
_BEHIND = struct.Struct("<4s3I")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_BEHIND_SIGNATURE, _END64_SIGNATURE = b"PK\x07\x08", b"PK\x06\x06"
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside an archive.

    Attributes:
        name: Its path, relative and without "..".
        offset: Where its local header starts.
        packed: Bytes it takes in the archive.
        size: Bytes it declares to unpack to.
        crc: Checksum of the unpacked bytes.
        deflated: Whether it is packed at all.
    """

    name: str
    offset: int
    packed: int
    size: int
    crc: int
    deflated: bool


def list_members(
    file: BinaryIO, *, streams: bool = False, most: int = budgets.MAX_MEMBERS
) -> dict[str, Member]:
    """Check the archive's whole structure and list its members by name.

    Args:
        file: The open archive.
        streams: Whether members may be written as streams, as PyTorch does.
        most: Members it may hold.

    Raises:
        InvalidInput: If it is truncated, encrypted, packed in an unusual way, or not a zip.
        UnsafeInput: If two programs could read two different things from it, or a name leads
            out of the archive.
        OverBudget: If it holds more than `most` members.
    """
    length = size(file)
    count, start, end = _read_end(file, length, most=most, streams=streams)
    file.seek(start)
    entries = list(_entries(file.read(end - start), count, streams=streams))
    members = {member.name: member for member, _ in entries}
    _check_unique([member.name for member, _ in entries])
    position = 0
    for member, fields in sorted(entries, key=lambda entry: entry[0].offset):
        if member.offset != position:
            raise UnsafeInput(
                f"the zip archive has a gap or overlap before {member.name!r}, so two programs "
                "could read two different things; save it again"
            )
        position = _check_local(file, member, fields)
    if position != start:
        raise UnsafeInput("the zip archive holds bytes that belong to no member; save it again")
    return members


def read_member(file: BinaryIO, member: Member, *, limit: int = budgets.MODEL_BYTES) -> bytes:
    """Unpack one member into memory, never more than it declares.

    Args:
        file: The open archive `member` was listed from.
        member: One of `list_members`.
        limit: Most bytes it may unpack to.

    Raises:
        InvalidInput: If its bytes do not match its size or checksum.
        OverBudget: If it unpacks to more than `limit`, or 100 times what is stored.
    """
    what = f"{member.name!r} in the zip archive"
    budgets.check(member.size, limit, what)
    if member.size > max(budgets.FLOOR_BYTES, budgets.ZIP_EXPANSION * member.packed):
        raise OverBudget(
            f"{what} unpacks {budgets.readable(member.packed)} to {budgets.readable(member.size)}; "
            f"more than {budgets.ZIP_EXPANSION} times is refused"
        )
    file.seek(_data_start(file, member))
    data = file.read(member.packed)
    if member.deflated:
        data = _inflate(data, member, what)
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        raise InvalidInput(f"{what} is damaged: its size or checksum is wrong")
    return data


def _read_end(file: BinaryIO, length: int, *, most: int, streams: bool) -> tuple[int, int, int]:
    """Number of entries, start and end of the directory."""
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise InvalidInput("expected a zip archive that starts with its first member")
    file.seek(max(0, length - _END.size))
    tail = file.read()
    if len(tail) < _END.size or not tail.startswith(_END_SIGNATURE):
        raise InvalidInput(
            "the zip archive ends early, or something follows its directory; copy it again"
        )
    _, disk, first_disk, on_disk, count, size_, start, comment = _END.unpack(tail)
    if (disk, first_disk, comment) != (0, 0, 0) or on_disk != count or start == _ZIP64:
        raise UnsafeInput("the zip archive's end record is unusual; save it again")
    if count > most:
        raise OverBudget(f"a zip archive may hold at most {most} members: {count}")
    end = length - _END.size
    if streams:
        end = _before_second_end(file, end, (count, size_, start))
    if start + size_ != end:
        raise UnsafeInput(
            "the zip archive's directory does not end where the file does, so two programs could "
            "read two different things; save it again"
        )
    return count, start, end


def _before_second_end(file: BinaryIO, end: int, told: tuple[int, int, int]) -> int:
    """Where the end record begins, or the ZIP64 one before it, which must tell the same."""
    size_ = _END64.size + _LOCATOR.size
    file.seek(max(0, end - size_))
    raw = file.read(size_)
    if len(raw) < size_ or not raw.startswith(_END64_SIGNATURE):
        return end
    record = _END64.unpack(raw[: _END64.size])
    locator = _LOCATOR.unpack(raw[_END64.size :])
    count, size_of_directory, start = told
    same = record[1] == _END64.size - 12 and record[4:] == (0, 0, count, *told)
    if not same or locator != (_LOCATOR_SIGNATURE, 0, start + size_of_directory, 1):
        raise UnsafeInput(
            "the zip archive has two ends that differ, so two programs could read two different "
            "things; save it again"
        )
    return end - size_


def _entries(
    directory: bytes, count: int, *, streams: bool
) -> Iterator[tuple[Member, tuple[int, ...]]]:
    """Each member with the fields its local header must repeat."""
    position = 0
    for _ in range(count):
        raw = directory[position : position + _ENTRY.size]
        if len(raw) < _ENTRY.size or not raw.startswith(_ENTRY_SIGNATURE):
            raise InvalidInput("the zip archive's directory is damaged; copy the file again")
        fields = _ENTRY.unpack(raw)
        flags, method, crc, packed, unpacked, name_length, extra, comment = (
            *fields[3:5],
            *fields[7:13],
        )
        external, offset = fields[15:17]
        position += _ENTRY.size
        name = _decode(directory[position : position + name_length], flags)
        position += name_length + extra + comment
        _check_entry(name, flags=flags, method=method, mode=external >> 16, streams=streams)
        if fields[2] > _NEWEST:
            raise InvalidInput(f"{name!r} needs a newer kind of zip than is read; save it again")
        if _ZIP64 in (packed, unpacked, offset):
            raise InvalidInput(f"{name!r} is stored as ZIP64, which is not read; save it again")
        member = Member(name, offset, packed, unpacked, crc, deflated=method == _DEFLATED)
        yield member, (flags, method, crc, packed, unpacked, name_length)
    if position != len(directory):
        raise UnsafeInput("the zip archive's directory lists another number of members than it has")


def _decode(raw: bytes, flags: int) -> str:
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the zip archive has an unreadable member name: {raw!r}") from error
    if not _is_safe_name(name):
        raise UnsafeInput(f"the zip archive has a member with an unsafe name: {name!r}")
    return name


def _is_safe_name(name: str) -> bool:
    parts = name.removesuffix("/").split("/")
    inside = not any(part in ("", ".", "..") for part in parts) and name[1:2] != ":"
    return inside and "\\" not in name and not _CONTROL.search(name)


def _check_entry(name: str, *, flags: int, method: int, mode: int, streams: bool) -> None:
    if stat.S_ISLNK(mode):
        raise UnsafeInput(f"{name!r} in the zip archive is a symbolic link; links are not followed")
    if flags & _ENCRYPTED:
        raise InvalidInput(f"{name!r} in the zip archive is encrypted; save it without a password")
    if flags & _STREAMED and not streams:
        raise InvalidInput(
            f"{name!r} in the zip archive was written as a stream, without its size in front; "
            "save it again"
        )
    if method not in (_STORED, _DEFLATED):
        raise InvalidInput(
            f"{name!r} in the zip archive is packed with method {method}; stored and deflated "
            "members are read"
        )


def _check_unique(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            raise UnsafeInput(
                f"the zip archive holds {name!r} twice, so two programs could read two "
                "different things"
            )
        seen.add(key)


def _check_local(file: BinaryIO, member: Member, expected: tuple[int, ...]) -> int:
    """Compare a local header with the directory; where the member's bytes end."""
    file.seek(member.offset)
    raw = file.read(_LOCAL.size)
    if len(raw) < _LOCAL.size or not raw.startswith(SIGNATURE):
        raise InvalidInput(f"{member.name!r} in the zip archive is damaged; copy the file again")
    fields = _LOCAL.unpack(raw)
    name = _decode(file.read(fields[9]), fields[2])
    end = _data_start(file, member) + member.packed
    told = (*fields[2:4], *fields[6:10])
    if fields[2] & _STREAMED:
        file.seek(end)
        raw = file.read(_BEHIND.size)
        signature, *behind = _BEHIND.unpack(raw.ljust(_BEHIND.size, b"\0"))
        if signature == _BEHIND_SIGNATURE and told[2:5] in ((0, 0, 0), tuple(behind)):
            told = (*told[:2], *behind, told[5])
        end += _BEHIND.size
    if told != expected or name != member.name:
        raise UnsafeInput(
            f"the zip archive describes {member.name!r} in two different ways, so two programs "
            "could read two different things; save it again"
        )
    return end


def _data_start(file: BinaryIO, member: Member) -> int:
    file.seek(member.offset)
    fields = _LOCAL.unpack(file.read(_LOCAL.size))
    return member.offset + _LOCAL.size + int(fields[9]) + int(fields[10])


def _inflate(packed: bytes, member: Member, what: str) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = unpacker.decompress(packed, member.size + 1)
    except zlib.error as error:
        raise InvalidInput(f"{what} is damaged: {error}") from error
    if len(data) > member.size:
        raise OverBudget(
            f"{what} unpacks to more than the {budgets.readable(member.size)} it declares"
        )
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidInput(f"{what} is damaged: its packed bytes end early or too late")
    return data
