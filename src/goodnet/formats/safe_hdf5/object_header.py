"""Find the raw bytes of an attribute in the header of its object, without HDF5 unfolding them.

Format: HDF5 File Format Specification 3.0, sections IV.A.1 (headers) and IV.A.2.m (attributes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from goodnet.errors import InvalidInput
from goodnet.formats import budgets

__all__ = ["attribute_bytes"]

_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_MAX_BLOCKS = 1000
# Version 1: version, messages, references, bytes of the first block; then type, size, flags.
_OLD_PREFIX = struct.Struct("<BxHII4x")
_OLD_MESSAGE = struct.Struct("<HHB3x")
_NEW_SIGNATURES = (b"OHDR", b"OCHK")
_CHECKSUM_BYTES = 4


def attribute_bytes(file: BinaryIO, address: int, name: str, *, length: int) -> bytes:
    """The value of an attribute as it lies in the file.

    Args:
        file: The open file.
        address: Of the header of the object that carries the attribute.
        name: Of the attribute.
        length: Bytes the value takes.

    Raises:
        InvalidInput: If the attribute is not in the header itself, or the header is damaged.
    """
    wanted = name.encode()
    try:
        for message in _attributes(file, address):
            found, value = _split(message)
            if found == wanted and len(value) >= length:
                return value[:length]
    except (struct.error, IndexError) as error:
        raise InvalidInput("a header in the HDF5 file is damaged; copy the file again") from error
    raise InvalidInput(
        f"the attribute {name!r} is stored in an unusual way, which is not read; save the file "
        "again with Keras"
    )


def _attributes(file: BinaryIO, address: int) -> Iterator[bytes]:
    prefix = _read(file, address, 64)
    if prefix.startswith(_NEW_SIGNATURES[0]):
        flags = prefix[5]
        start = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        size = int.from_bytes(prefix[start : start + width], "little")
        yield from _new_messages(file, address + start + width, size, ordered=bool(flags & 4))
    else:
        _, _, _, size = _OLD_PREFIX.unpack_from(prefix)
        yield from _old_messages(file, address + _OLD_PREFIX.size, size)


def _old_messages(file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    blocks = [(start, size)]
    for start, size in blocks:
        block, at = _read(file, start, size), 0
        while at + _OLD_MESSAGE.size <= len(block):
            kind, length, _ = _OLD_MESSAGE.unpack_from(block, at)
            at += _OLD_MESSAGE.size
            if kind == _ATTRIBUTE:
                yield block[at : at + length]
            elif kind == _CONTINUATION:
                _append(blocks, block[at : at + length])
            at += length


def _new_messages(file: BinaryIO, start: int, size: int, *, ordered: bool) -> Iterator[bytes]:
    header = 4 + 2 * ordered
    blocks = [(start, size)]
    for index, (start, size) in enumerate(blocks):
        block = _read(file, start, size)
        if index:
            block = block[len(_NEW_SIGNATURES[1]) : -_CHECKSUM_BYTES]
        at = 0
        while at + header <= len(block):
            kind, length = block[at], int.from_bytes(block[at + 1 : at + 3], "little")
            at += header
            if kind == _ATTRIBUTE:
                yield block[at : at + length]
            elif kind == _CONTINUATION:
                _append(blocks, block[at : at + length])
            at += length


def _append(blocks: list[tuple[int, int]], message: bytes) -> None:
    if len(blocks) > _MAX_BLOCKS:
        raise InvalidInput("a header in the HDF5 file has too many parts")
    blocks.append(struct.unpack_from("<QQ", message))


def _split(message: bytes) -> tuple[bytes, bytes]:
    """Name and value of an attribute message."""
    version = message[0]
    sizes = struct.unpack_from("<HHH", message, 2)
    start = 9 if version == 3 else 8
    # Version 1 pads each part to a multiple of eight.
    parts = [-(-size // 8) * 8 if version == 1 else size for size in sizes]
    return message[start : start + sizes[0]].rstrip(b"\0"), message[start + sum(parts) :]


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    if size > budgets.FLOOR_BYTES or start >= 2**63:
        raise InvalidInput("a header in the HDF5 file is damaged; copy the file again")
    file.seek(start)
    return file.read(size)
