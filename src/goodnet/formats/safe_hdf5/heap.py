"""Global heap collections, where HDF5 keeps strings of variable length, read without HDF5.

HDF5 2.0 loops for ever in a broken collection, and sets aside as much memory as a reference claims
before it looks at the string. So collections are checked before HDF5 sees the file, and strings are
fetched here. Format: HDF5 File Format Specification 3.0, section III.E.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets

# Length of the string, address of its collection, number of the object in it.
REFERENCE = struct.Struct("<IQI")

_SIGNATURE = b"GCOL\x01"
_HEADER = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")
_BLOCK = 4 * budgets.MIB


def check_heaps(file: BinaryIO) -> None:
    """Walk every collection in the file as HDF5 would.

    Args:
        file: The open file; the position is back at the start.

    Raises:
        InvalidInput: If a collection is broken, or two overlap.
        OverBudget: If there are more than a million strings.
    """
    length = file.seek(0, os.SEEK_END)
    end = objects = 0
    for address in _addresses(file, length):
        size = _size(file, address)
        # What claims to go beyond the end is not a collection, and HDF5 refuses it.
        if address + size > length:
            continue
        if address < end:
            raise InvalidInput("two lists of texts in the HDF5 file overlap: it is damaged")
        end = address + size
        for _ in _objects(file, address):
            objects += 1
            if objects > budgets.MAX_STRINGS:
                raise OverBudget(f"an HDF5 file may hold at most {budgets.MAX_STRINGS} texts")
    file.seek(0)


def heap_text(file: BinaryIO, reference: tuple[int, int, int]) -> bytes:
    """The string a reference stands for.

    Raises:
        InvalidInput: If the reference leads to no such string.
    """
    wanted, address, number = reference
    if not wanted:
        return b""
    length = file.seek(0, os.SEEK_END)
    if address + _HEADER.size <= length and address + _size(file, address) <= length:
        for index, place, size in _objects(file, address):
            if index == number and size == wanted:
                file.seek(place)
                return file.read(size)
    raise InvalidInput("a text in the HDF5 file is not where it should be: the file is damaged")


def _addresses(file: BinaryIO, length: int) -> Iterator[int]:
    for start in range(0, length, _BLOCK):
        file.seek(start)
        block = file.read(_BLOCK + len(_SIGNATURE) - 1)
        at = block.find(_SIGNATURE)
        while at >= 0:
            if start + at + _HEADER.size <= length:
                yield start + at
            at = block.find(_SIGNATURE, at + 1)


def _size(file: BinaryIO, address: int) -> int:
    file.seek(address)
    return int(_HEADER.unpack(file.read(_HEADER.size))[2])


def _objects(file: BinaryIO, address: int) -> Iterator[tuple[int, int, int]]:
    """Number, place and size of each object of a collection that lies within the file."""
    end = address + _size(file, address)
    place = address + _HEADER.size
    while place + _OBJECT.size <= end:
        file.seek(place)
        number, _, size = _OBJECT.unpack(file.read(_OBJECT.size))
        yield number, place + _OBJECT.size, size
        # Number 0 is the free space, whose size counts its own header.
        step = _OBJECT.size + -(-size // 8) * 8 if number else size
        if step < _OBJECT.size or place + step > end:
            raise InvalidInput("a list of texts in the HDF5 file is damaged; copy the file again")
        place += step
