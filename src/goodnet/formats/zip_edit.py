"""Replace one member of a zip archive and leave every other byte as it is."""

from __future__ import annotations

import io
import struct
import zlib

from goodnet.formats import safe_zip

__all__ = ["replace_member"]

# Where fields lie: PKWARE's APPNOTE, sections 4.3.7, 4.3.12 and 4.3.16.
_LOCAL_SIZE, _ENTRY_SIZE, _END_SIZE = 30, 46, 22
_LOCAL_SUMS, _LOCAL_LENGTHS = 14, 26
_ENTRY_SUMS, _ENTRY_LENGTHS, _ENTRY_OFFSET = 16, 28, 42
_END_START = 16


def replace_member(archive: bytes, name: str, content: bytes) -> bytes:
    """A copy of an archive with another content of one member, packed as the old one was.

    Args:
        archive: An archive that `safe_zip` takes.
        name: One of its members.
        content: What the member is to hold.

    Raises:
        GoodnetError: As `safe_zip.list_members`.
    """
    member = safe_zip.list_members(io.BytesIO(archive))[name]
    packed = _deflate(content) if member.deflated else content
    sums = struct.pack("<3I", zlib.crc32(content), len(packed), len(content))
    start = (
        member.offset + _LOCAL_SIZE + sum(_unpack("<2H", archive, member.offset + _LOCAL_LENGTHS))
    )
    local = bytearray(archive[:start])
    _write(local, member.offset + _LOCAL_SUMS, sums)
    (directory,) = _unpack("<I", archive, len(archive) - _END_SIZE + _END_START)
    between = archive[start + member.packed : directory]
    grown = len(packed) - member.packed
    ending = _shifted(archive[directory:], at=member.offset, sums=sums, grown=grown)
    return bytes(local) + packed + between + ending


def _shifted(ending: bytes, *, at: int, sums: bytes, grown: int) -> bytes:
    """The directory with the new sums of the member at offset `at`, later members moved."""
    changed = bytearray(ending)
    end = len(ending) - _END_SIZE
    position = 0
    while position < end:
        (offset,) = _unpack("<I", ending, position + _ENTRY_OFFSET)
        if offset == at:
            _write(changed, position + _ENTRY_SUMS, sums)
        elif offset > at:
            _write(changed, position + _ENTRY_OFFSET, struct.pack("<I", offset + grown))
        position += _ENTRY_SIZE + sum(_unpack("<3H", ending, position + _ENTRY_LENGTHS))
    (start,) = _unpack("<I", ending, end + _END_START)
    _write(changed, end + _END_START, struct.pack("<I", start + grown))
    return bytes(changed)


def _unpack(layout: str, data: bytes, offset: int) -> tuple[int, ...]:
    return struct.unpack_from(layout, data, offset)


def _write(data: bytearray, offset: int, field: bytes) -> None:
    data[offset : offset + len(field)] = field


def _deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()
