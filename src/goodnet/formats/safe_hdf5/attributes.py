"""Read the few attributes that matter, bounded: an attribute can be far larger than it looks.

The raw bytes are found in the header of the object, without HDF5 unfolding them. Format: HDF5 File
Format Specification 3.0, sections IV.A.1 (headers) and IV.A.2.m (attributes).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import BinaryIO

import h5py
import numpy as np

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets
from goodnet.formats.safe_hdf5.heap import REFERENCE, heap_texts

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


def text(
    item: h5py.Group, name: str, *, file: BinaryIO, limit: int = budgets.JSON_BYTES
) -> str | None:
    """One attribute as text, or None where there is no such attribute.

    Args:
        item: The group that carries the attribute.
        name: Of the attribute.
        file: The file from which `item` was opened.
        limit: Most bytes of the text.

    Raises:
        InvalidInput: If it is not one string in UTF-8.
        OverBudget: If it is longer than `limit`.
    """
    if name not in item.attrs:
        return None
    if (length := _length(h5py.h5a.open(item.id, name.encode()))) != 1:
        raise InvalidInput(
            f"expected one text in the attribute {name!r}, got {length or 'none'}; save the file "
            "again with Keras"
        )
    return _strings(item, name, file=file, count=1, limit=limit)[0]


def names(
    item: h5py.Group, name: str, *, file: BinaryIO, count: int = budgets.MAX_LINKS
) -> list[str] | None:
    """A list of strings, which Keras splits into `name0`, `name1`, ... where it is long.

    Args:
        item: The group that carries the attribute.
        name: Of the attribute, without a number.
        file: The file from which `item` was opened.
        count: Most strings in the list.

    Returns:
        The strings in order; None where there is neither `name` nor `name0`.

    Raises:
        InvalidInput: If an attribute does not hold strings in UTF-8.
        OverBudget: If there are more than `count`, or they are longer than 8 MiB together.
    """
    if name in item.attrs:
        return _strings(item, name, file=file, count=count)
    if f"{name}0" not in item.attrs:
        return None
    found: list[str] = []
    part = 0
    while f"{name}{part}" in item.attrs:
        found += _strings(item, f"{name}{part}", file=file, count=count - len(found))
        part += 1
    return found


def _strings(
    item: h5py.Group, name: str, *, file: BinaryIO, count: int, limit: int = budgets.JSON_BYTES
) -> list[str]:
    attribute = h5py.h5a.open(item.id, name.encode())
    kind, length = attribute.get_type(), _length(attribute)
    if length > count:
        raise OverBudget(f"the attribute {name!r} may hold at most {count} texts, got {length}")
    if not length:
        return []
    if not isinstance(kind, h5py.h5t.TypeStringID):
        raise InvalidInput(f"expected text in the attribute {name!r}, got another type")
    if kind.is_variable_str():
        found = _variable(item, name, file=file, length=length, limit=limit)
    else:
        budgets.check(length * kind.get_size(), limit, f"the attribute {name!r}")
        found = [bytes(value) for value in np.asarray(item.attrs[name]).reshape(-1)]
    return [_decode(value, name) for value in found]


def _length(attribute: h5py.h5a.AttrID) -> int:
    """How many values an attribute has: none in a null data space, which has no shape."""
    space = attribute.get_space()
    if space.get_simple_extent_type() == h5py.h5s.NULL:
        return 0
    return math.prod(space.get_simple_extent_dims())


def _variable(
    item: h5py.Group, name: str, *, file: BinaryIO, length: int, limit: int
) -> list[bytes]:
    address = h5py.h5o.get_info(item.id).addr
    raw = attribute_bytes(file, address, name, length=length * REFERENCE.size)
    references = list(REFERENCE.iter_unpack(raw))
    total = sum(size for size, _, _ in references)
    budgets.check(total, limit, f"the attribute {name!r}")
    return [text.partition(b"\0")[0] for text in heap_texts(file, references)]


def _decode(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the attribute {name!r} is not text in UTF-8") from error
