"""How long the longest text of a file can be, found without asking HDF5 to read any.

A list of strings stores references to texts kept in "global heap collections". Many references may
share one long text, so a small file can unfold into gigabytes; HDF5 offers no way to ask first.
Format: HDF5 File Format Specification 3.0, section III.E.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from goodnet.formats import budgets

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["longest_text"]

# Signature, version 1, three reserved bytes; the size of the collection follows.
_COLLECTION = b"GCOL\x01\0\0\0"
_SIZE_BYTES = 8
_BLOCK = 4 * budgets.MIB


def longest_text(file: BinaryIO) -> int:
    """An upper bound, in bytes, for any one string of variable length in an HDF5 file.

    Args:
        file: The open file; the position is back at the start.

    Returns:
        The size of the largest global heap collection; 0 where there is none.
    """
    length = file.seek(0, os.SEEK_END)
    found = 0
    overlap = len(_COLLECTION) + _SIZE_BYTES
    for start in range(0, length, _BLOCK):
        file.seek(start)
        found = max(found, _largest(file.read(_BLOCK + overlap)))
    file.seek(0)
    return min(found, length)


def _largest(block: bytes) -> int:
    found = 0
    at = block.find(_COLLECTION)
    while at >= 0:
        size = block[at + len(_COLLECTION) : at + len(_COLLECTION) + _SIZE_BYTES]
        found = max(found, int.from_bytes(size, "little"))
        at = block.find(_COLLECTION, at + 1)
    return found
