"""Write a copy of a Keras file in which only some numbers differ.

Everything else stays bit for bit, so that whatever read the original reads the copy.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Mapping

import h5py
import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats import budgets, safe_hdf5, safe_zip
from goodnet.formats.safe_file import open_regular
from goodnet.formats.spec import Array, Origin, SourceFile
from goodnet.ops.layouts import array_shape, to_file

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


_WEIGHTS = "model.weights.h5"


def patched(source: SourceFile, changed: Mapping[str, Array]) -> bytes:
    """A copy of the file a network came from, with other numbers in some arrays.

    Args:
        source: The file, as its reader described it.
        changed: New arrays by their key in the spec, laid out as there; same shapes as before.
            Numbers that do not change keep their bits.

    Raises:
        InvalidInput: If the source is not the file any more that was read, an array is not stored
            in it, has another shape or number type, or shares its place with one that differs.
        FileError: If the system refuses to read.
    """
    for key in changed:
        if key not in source.origins:
            raise InvalidInput(
                f"the array {key!r} is not stored as numbers of its own in {source.path}; it holds "
                f"{', '.join(source.origins)}"
            )
    content = _read(source)
    if source.format == "keras-h5":
        return _patch(content, source.origins, changed)
    file = io.BytesIO(content)
    weights = safe_zip.read_member(file, safe_zip.list_members(file)[_WEIGHTS])
    new = _patch(weights, source.origins, changed)
    return content if new == weights else replace_member(content, _WEIGHTS, new)


def _read(source: SourceFile) -> bytes:
    with open_regular(source.path, what="model file", limit=budgets.MODEL_BYTES) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise InvalidInput(
            f"the model file has changed since it was read, open it again: {source.path}"
        )
    return content


def _patch(content: bytes, origins: Mapping[str, Origin], changed: Mapping[str, Array]) -> bytes:
    """The bytes of an HDF5 file with other numbers in it."""
    before = _arrays(content, origins)
    after: dict[str, Array] = {}
    for key, origin in origins.items():
        old = before[origin.path]
        new = _changed(key, old, changed[key], layout=origin.layout) if key in changed else old
        if not np.array_equal(after.setdefault(origin.path, new), new):
            raise _shared(origin.path)
    differing = {path: x for path, x in after.items() if not np.array_equal(x, before[path])}
    copy = _write_arrays(content, differing)
    for path, array in _arrays(copy, origins).items():
        if not np.array_equal(array, after[path]):
            raise _shared(path)
    return copy


def _arrays(content: bytes, origins: Mapping[str, Origin]) -> dict[str, Array]:
    """All arrays as the file lays them out, by path."""
    with safe_hdf5.open_hdf5(content, what="model file") as file:
        return {
            origin.path: safe_hdf5.read_dataset(file[origin.path], name=origin.path)
            for origin in origins.values()
        }


def _changed(key: str, old: Array, new: Array, *, layout: str) -> Array:
    """The new numbers in the file's layout and type; equal ones keep the file's precision."""
    expected = array_shape(old.shape, layout)
    if new.shape != expected:
        raise InvalidInput(f"the array {key!r} has the shape {expected}, got {new.shape}")
    wanted = to_file(new, layout, old.shape)
    with np.errstate(over="ignore"):
        same = wanted == old.astype(wanted.dtype)
        found = np.where(same, old, wanted.astype(old.dtype))
    if not np.isfinite(found).all():
        raise InvalidInput(
            f"the array {key!r} is stored as {old.dtype}, which cannot hold its numbers"
        )
    return found


def _shared(path: str) -> InvalidInput:
    return InvalidInput(
        f"the numbers at {path!r} are used by more than one layer of the network, so they cannot "
        "change for one of them alone; choose another layer"
    )


def _write_arrays(content: bytes, arrays: Mapping[str, Array]) -> bytes:
    copy = bytearray(content)
    packed = {}
    with safe_hdf5.open_hdf5(content, what="model file") as file:
        for path, array in arrays.items():
            dataset = file[path]
            start = None if dataset.chunks else dataset.id.get_offset()
            if start is None:
                packed[path] = array
            else:
                data = array.astype(dataset.dtype).tobytes()
                copy[start : start + len(data)] = data
    return _write_packed(bytes(copy), packed) if packed else bytes(copy)


def _write_packed(content: bytes, arrays: Mapping[str, Array]) -> bytes:
    """Write arrays that do not lie in the file as they are: chunked, packed or very small."""
    memory = io.BytesIO(content)
    try:
        with h5py.File(memory, "r+") as file:
            for path, array in arrays.items():
                dataset = file[path]
                for part in dataset.iter_chunks() if dataset.chunks else [...]:
                    if not np.array_equal(dataset[part], array[part]):
                        dataset[part] = array[part]
    except (OSError, RuntimeError) as error:
        raise InvalidInput(f"the model file cannot be changed in place: {error}") from error
    return memory.getvalue()
