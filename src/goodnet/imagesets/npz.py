"""Arrays of an npz file as tables, unpacked as they are read and never unpickled.

`numpy.load` would bring a whole array into memory, as large as its header claims. Here the header
is checked against the archive first, and rows are taken from the unpacking stream.
"""

from __future__ import annotations

import math
import struct
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from goodnet.errors import GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.imagesets.tables import cut, rows_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from goodnet.imagesets.stored import StoredFile
    from goodnet.imagesets.tables import Array, Span

_SUFFIX = ".npy"
_TYPES = frozenset({"b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"})
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_ENCRYPTED = 1
_SHOWN = 80  # letters of what the file says of itself
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class NpzTable:
    """One array of an npz file; see `Table`.

    Attributes:
        file: The archive.
        member: Name of the array's member.
        shape: As its header says.
        dtype: Likewise.
        fortran: Whether it is stored column by column.
        start: Bytes of its header.
        size: Bytes the archive declares for it, header included.
        packed: Bytes it takes in the archive.
    """

    file: StoredFile
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int
    size: int
    packed: int
    chunk_rows: int = 1

    def read(self, spans: Sequence[Span], rows: int) -> Iterator[Array]:
        """Yield the rows of `spans`, at most `rows` at a time, unpacking the member once."""
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        with _archive(self.file) as archive, archive.open(self.member) as stream:
            # Read, not sought: from Python 3.13 on a seek ahead ends the check of the member's CRC.
            stream.read(self.start)
            for first, last in cut(spans, rows_at_once(self, rows)):
                place = self.start + first * row_bytes
                if stream.tell() != place:
                    stream.seek(place)
                yield self._rows(stream, last - first)

    def _rows(self, stream: IO[bytes], count: int) -> Array:
        shape = (count, *self.shape[1:])
        packed = np.empty(math.prod(shape) * self.dtype.itemsize, dtype=np.uint8)
        if stream.readinto(packed.data) != packed.size:  # type: ignore[attr-defined]
            raise InvalidInput(f"{self.member!r} in the npz file ends early; save it again")
        return packed.view(self.dtype).reshape(shape)


@dataclass(frozen=True)
class NpzContents:
    """What an npz file holds: by name of each array, its table, not yet checked."""

    tables: dict[str, NpzTable]

    @classmethod
    def find(cls, file: StoredFile) -> NpzContents:
        """Read the headers of all arrays.

        Raises:
            InvalidInput: If the archive is damaged, encrypted or packed in an unusual way.
            UnsafeInput: If a name comes twice.
            OverBudget: If there are more than 1,024 members.
        """
        with _archive(file) as archive:
            members = archive.infolist()
            _check_members(members)
            arrays = [member for member in members if member.filename.endswith(_SUFFIX)]
            found = (_read_header(archive, member, file) for member in arrays)
            return cls({table.member.removesuffix(_SUFFIX): table for table in found})

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array by its name, as declared."""
        return {name: table.shape for name, table in self.tables.items()}

    def table(self, name: str) -> NpzTable:
        """One array, checked.

        Raises:
            InvalidInput: If it does not hold plain numbers, row by row, as many as it declares.
            OverBudget: If it declares too much, or 100 times what is stored.
        """
        table = self.tables[name]
        what = f"array {name!r} in the npz file"
        if table.dtype.str[1:] not in _TYPES:
            shown = str(table.dtype)[:_SHOWN]
            raise InvalidInput(f"{what}: expected integers or floats, got the type {shown}")
        if len(table.shape) > budgets.MAX_RANK or not all(
            0 <= length <= budgets.MAX_DIMENSION for length in table.shape
        ):
            raise InvalidInput(f"{what} has an impossible shape: {str(table.shape)[:_SHOWN]}")
        if table.fortran and len(table.shape) > 1:
            raise InvalidInput(
                f"{what} is stored column by column and cannot be streamed; "
                "save numpy.ascontiguousarray of it"
            )
        budgets.check(table.size, budgets.DATA_BYTES, what)
        _check_size(table, what)
        return table


@contextmanager
def _archive(file: StoredFile) -> Iterator[zipfile.ZipFile]:
    with file.open() as handle:
        try:
            with zipfile.ZipFile(handle) as archive:
                yield archive
        except GoodnetError:
            raise
        except _BROKEN as error:
            # It may quote the file at any length.
            reason = str(error)[:_SHOWN]
            raise InvalidInput(
                f"the npz file ends early or is damaged ({reason}): {str(file.path)!r}"
            ) from error


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > budgets.MAX_MEMBERS:
        raise OverBudget(
            f"an npz file may hold at most {budgets.MAX_MEMBERS} arrays, got {len(members)}"
        )
    names = [member.filename for member in members]
    for member in members:
        if names.count(member.filename) > 1:
            raise UnsafeInput(
                f"the npz file holds {member.filename!r} twice, so two programs could read two "
                "different things; save it again"
            )
        if member.flag_bits & _ENCRYPTED or member.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise InvalidInput(
                f"{member.filename!r} in the npz file is encrypted or packed in an unusual way; "
                "save it with numpy.savez or numpy.savez_compressed"
            )


def _read_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: StoredFile) -> NpzTable:
    with archive.open(member) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a header written by Python 2
        try:
            version = npy.read_magic(stream)
            shape, fortran, dtype = _HEADERS[version](stream)
            np.array(shape, np.int64)
        except Exception as error:  # the header is Python text, which may be wrong in any way
            raise InvalidInput(
                f"{member.filename!r} in the npz file has no readable header; save it again"
            ) from error
        return NpzTable(
            file=file,
            member=member.filename,
            shape=shape,
            dtype=dtype,
            fortran=fortran,
            start=stream.tell(),
            size=member.file_size,
            packed=member.compress_size,
        )


def _check_size(table: NpzTable, what: str) -> None:
    declared = table.start + math.prod(table.shape) * table.dtype.itemsize
    if declared != table.size:
        raise InvalidInput(
            f"{what} declares the shape {table.shape} of {table.dtype}, {declared:,} bytes, but "
            f"holds {table.size:,}; save it again"
        )
    if table.size > max(budgets.FLOOR_BYTES, budgets.ZIP_EXPANSION * table.packed):
        raise OverBudget(
            f"{what} unpacks {budgets.readable(table.packed)} to {budgets.readable(table.size)}; "
            f"more than {budgets.ZIP_EXPANSION} times is refused"
        )
