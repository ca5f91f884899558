"""Global heap collections, where HDF5 keeps strings of variable length, read without HDF5.

HDF5 2.0 loops for ever in a broken collection, and sets aside as much memory as a reference claims
before it looks at the string. Format: HDF5 File Format Specification 3.0, section III.E.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from goodnet.errors import InvalidInput

# Length of the string, address of its collection, number of the object in it.
REFERENCE = struct.Struct("<IQI")

_SIGNATURE = b"GCOL\x01"
_HEADER = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")


def heap_texts(file: BinaryIO, references: Iterable[tuple[int, int, int]]) -> list[bytes]:
    """The strings that references stand for; every collection is walked once.

    Raises:
        InvalidInput: If a reference leads to no such string, or a collection is broken.
    """
    collections: dict[int, dict[int, tuple[int, int]]] = {}
    found = []
    for wanted, address, number in references:
        if wanted and address not in collections:
            collections[address] = {x: (place, size) for x, place, size in _objects(file, address)}
        place, size = collections[address].get(number, (0, 0)) if wanted else (0, 0)
        if size != wanted:
            raise _misplaced()
        file.seek(place)
        found.append(file.read(size))
    return found


def _objects(file: BinaryIO, address: int) -> Iterator[tuple[int, int, int]]:
    """Number, place and size of each object of a collection."""
    length = file.seek(0, os.SEEK_END)
    if address + _HEADER.size > length:
        raise _misplaced()
    file.seek(address)
    signature, version, size = _HEADER.unpack(file.read(_HEADER.size))
    end, place = address + size, address + _HEADER.size
    if signature + bytes([version]) != _SIGNATURE or end > length:
        raise _misplaced()
    while place + _OBJECT.size <= end:
        file.seek(place)
        number, _, size = _OBJECT.unpack(file.read(_OBJECT.size))
        yield number, place + _OBJECT.size, size
        # Number 0 is the free space, whose size counts its own header.
        step = _OBJECT.size + -(-size // 8) * 8 if number else size
        if step < _OBJECT.size or place + step > end:
            raise InvalidInput("a list of texts in the HDF5 file is damaged; copy the file again")
        place += step


def _misplaced() -> InvalidInput:
    return InvalidInput("a text in the HDF5 file is not where it should be: the file is damaged")
