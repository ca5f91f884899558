"""Unpack the chunks of a data set here, and require each to be exactly as large as it should.

HDF5 2.0 copies a whole chunk out of whatever a filter gave, so that of a short one the memory
behind it becomes numbers. So HDF5 hands out the packed bytes only. Filters: HDF5 File Format
Specification 3.0, section IV.A.2.l.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
from h5py import h5z
from numpy.typing import NDArray

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets

Array = NDArray[Any]

_CHECKSUM_BYTES = 4
_LITERAL = 32  # LZF: smaller control bytes are lengths of what follows as it is
_LONG = 7


def reader_of_rows(
    dataset: h5py.Dataset, dtype: np.dtype[Any], *, name: str
) -> Callable[[int, int], Array]:
    """What reads rows of a data set that was checked, from one to before another.

    It raises `InvalidInput` if a chunk is damaged or holds more or less than it should, and
    `OverBudget` if it unpacks to more than it should.
    """
    if dataset.chunks is None:
        return lambda first, stop: np.asarray(dataset[first:stop])
    return _Chunks(dataset, dtype, name).rows


class _Chunks:
    """The chunks of a data set."""

    def __init__(self, dataset: h5py.Dataset, dtype: np.dtype[Any], name: str) -> None:
        self._dataset, self._dtype, self._name = dataset, dtype, name
        self._shape: tuple[int, ...] = dataset.chunks
        self._bytes = math.prod(self._shape) * dtype.itemsize
        plan = dataset.id.get_create_plist()
        self._filters = [plan.get_filter(index) for index in range(plan.get_nfilters())]
        self._stored = self._find()

    def rows(self, first: int, stop: int) -> Array:
        """Rows `first` to `stop`."""
        lows, highs = (first, *[0] * (len(self._shape) - 1)), (stop, *self._dataset.shape[1:])
        bounds = list(zip(lows, highs, strict=True))
        rows = np.empty([high - low for low, high in bounds], self._dtype)
        starts = [
            range(low // length * length, high, length)
            for (low, high), length in zip(bounds, self._shape, strict=True)
        ]
        for place in itertools.product(*starts):
            parts = [
                (start, max(start, low), min(start + length, high), low)
                for start, length, (low, high) in zip(place, self._shape, bounds, strict=True)
            ]
            there = tuple(slice(begin - start, end - start) for start, begin, end, _ in parts)
            here = tuple(slice(begin - low, end - low) for _, begin, end, low in parts)
            rows[here] = self._numbers(place)[there]
        return rows

    def _find(self) -> Mapping[tuple[int, ...], tuple[int, int]]:
        """By the place of each chunk that is stored: its length in bytes, and filters skipped."""
        found = {}

        def keep(info: Any) -> None:
            found[tuple(info.chunk_offset)] = (info.size, info.filter_mask)

        if self._dataset.id.get_num_chunks():
            self._dataset.id.chunk_iter(keep)
        return found

    def _numbers(self, place: tuple[int, ...]) -> Array:
        if place not in self._stored:
            return np.full(self._shape, self._dataset.fillvalue, self._dtype)
        length, skipped = self._stored[place]
        most = 2 * self._bytes + budgets.MIB
        budgets.check(length, most, f"one stored chunk of {self._name!r}")
        if length > self._dataset.file.id.get_filesize():
            raise self._damaged("a chunk is longer than the file")
        data = self._dataset.id.read_direct_chunk(place)[1]
        if len(data) != length:  # without filters HDF5 gives as many as there should be
            raise self._damaged(f"a chunk of {self._bytes:,} bytes has {length:,}")
        try:
            for index in reversed(range(len(self._filters))):
                if not skipped >> index & 1:
                    data = self._undone(index, data)
        except (zlib.error, IndexError) as error:
            raise self._damaged(str(error)) from error
        if len(data) != self._bytes:
            raise self._damaged(f"a chunk of {self._bytes:,} bytes unpacks to {len(data):,}")
        return np.frombuffer(data, self._dtype).reshape(self._shape)

    def _undone(self, index: int, data: bytes) -> bytes:
        """What the filter at a place of the pipeline was given."""
        code, _, options, _ = self._filters[index]
        checksums = sum(each[0] == h5z.FILTER_FLETCHER32 for each in self._filters[:index])
        most = self._bytes + _CHECKSUM_BYTES * checksums
        if code == h5z.FILTER_DEFLATE:
            return self._bounded(_inflated, data, most)
        if code == h5z.FILTER_LZF:
            return self._bounded(_lzf, data, most)
        if code == h5z.FILTER_SHUFFLE:
            return _unshuffled(data, options[0] if options else self._dtype.itemsize)
        body, said = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
        if len(data) <= _CHECKSUM_BYTES or _fletcher32(body) != _halves(said):
            raise self._damaged("a chunk does not have the checksum it should have")
        return body

    def _bounded(
        self, unpack: Callable[[bytes, int], bytes | None], data: bytes, most: int
    ) -> bytes:
        unpacked = unpack(data, most)
        if unpacked is None:
            raise OverBudget(
                f"a chunk of data set {self._name!r} unpacks to more than the "
                f"{budgets.readable(self._bytes)} it declares"
            )
        return unpacked

    def _damaged(self, reason: str) -> InvalidInput:
        return InvalidInput(f"data set {self._name!r} is damaged: {reason}")


def _inflated(data: bytes, most: int) -> bytes | None:
    """None where there is more."""
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(data, most + 1)
    return None if len(unpacked) > most else unpacked


def _lzf(data: bytes, most: int) -> bytes | None:
    """Marc Lehmann's LZF: runs as they are, and copies of earlier bytes, up to 8 KiB back."""
    unpacked = bytearray()
    at = 0
    while at < len(data) and len(unpacked) <= most:
        control = data[at]
        at += 1
        if control < _LITERAL:
            unpacked += data[at : at + control + 1]
            at += control + 1
            continue
        length = control >> 5
        if length == _LONG:
            length += data[at]
            at += 1
        length += 2
        start = len(unpacked) - ((control & 31) << 8) - data[at] - 1
        at += 1
        if start < 0:
            raise IndexError("it copies what comes before its start")
        piece = unpacked[start : start + length]
        # A copy may reach into itself.
        unpacked += (piece * (length // len(piece) + 1))[:length]
    if at > len(data):
        raise IndexError("it ends early")
    return None if len(unpacked) > most else bytes(unpacked)


def _unshuffled(data: bytes, size: int) -> bytes:
    """Numbers whose first bytes were stored first, then their second bytes, and so on."""
    if size < 2:
        return data
    count = len(data) // size
    numbers = np.frombuffer(data, np.uint8, count * size).reshape(size, count).T
    return bytes(numbers.tobytes()) + data[count * size :]


def _fletcher32(data: bytes) -> tuple[int, int]:
    """The two sums, each modulo 65535, of 16-bit numbers with the most significant byte first."""
    words = np.frombuffer(data + bytes(len(data) % 2), ">u2").astype(np.uint64)
    total = int(words.sum())
    # the sum of all partial sums; parts small enough for 64 bits
    weighted = 0
    for start in range(0, len(words), 2**16):
        part = words[start : start + 2**16]
        left = len(words) - start - np.arange(len(part), dtype=np.uint64)
        weighted += int((part * (left % 65535)).sum())
    return total % 65535, weighted % 65535


def _halves(stored: bytes) -> tuple[int, int]:
    number = int.from_bytes(stored, "little")
    return (number & 0xFFFF) % 65535, (number >> 16) % 65535
