"""Find every data set of a file, and check one before a byte of it is read.

No link that leaves the file is followed; what is checked is where a data set is stored, its type
and its size.
"""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5t, h5z
from numpy.typing import NDArray

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.safe_hdf5.chunks import reader_of_rows

_LINKS = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "a link to another file"}
_MAX_NAME_BYTES = 1024
_FILTERS = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32, h5z.FILTER_LZF}
_PACKERS = {h5z.FILTER_DEFLATE, h5z.FILTER_LZF}
_TYPES = frozenset({"b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"})
_CHUNK_BYTES = budgets.GIB


def datasets(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """All data sets below a group, by path relative to it, in alphabetical order.

    Only hard links are followed, each group once. No numbers are read: call `check_dataset` or
    `read_dataset` before using one.

    Args:
        group: An open file or a group of it.

    Returns:
        Path, such as "conv_1/kernel:0", to data set.

    Raises:
        UnsafeInput: At a soft or external link, or a data set that is virtual, stored in another
            file, or packed with a filter other than deflate, shuffle, fletcher32 or lzf.
        OverBudget: If there are more than 30,000 links.
        InvalidInput: If a name is too long or not text in UTF-8.
    """
    found: dict[str, h5py.Dataset] = {}
    seen = {_address(group)}
    waiting = [("", group)]
    links = 0
    while waiting:
        prefix, parent = waiting.pop()
        links += len(parent)
        if links > budgets.MAX_LINKS:
            raise OverBudget(f"an HDF5 file may hold at most {budgets.MAX_LINKS} objects, got more")
        for name in parent:
            path = prefix + _checked(name)
            child = _open(parent, name, path)
            if isinstance(child, h5py.Dataset):
                check_storage(child, name=path)
                found[path] = child
            elif isinstance(child, h5py.Group) and _address(child) not in seen:
                seen.add(_address(child))
                waiting.append((path + "/", child))
    return dict(sorted(found.items()))


def dataset_at(group: h5py.Group, path: str) -> h5py.Dataset:
    """The data set at a path that `datasets` has given; the rest of the file is not looked at.

    Raises:
        GoodnetError: As `datasets`.
    """
    parent: object = group
    for name in path.split("/"):
        if not isinstance(parent, h5py.Group) or name not in parent:
            raise InvalidInput(f"there is no data set {path!r} in the HDF5 file")
        parent = _open(parent, name, path)
    if not isinstance(parent, h5py.Dataset):
        raise InvalidInput(f"{path!r} in the HDF5 file is not a data set")
    check_storage(parent, name=path)
    return parent


def check_storage(dataset: h5py.Dataset, *, name: str) -> None:
    """Refuse a data set whose numbers lie outside the file or need foreign code to unpack.

    Raises:
        UnsafeInput: Naming the data set and what it asks for.
    """
    plan = dataset.id.get_create_plist()
    if plan.get_layout() == h5d.VIRTUAL:
        raise UnsafeInput(f"{name!r} is a virtual data set, which reads other files; not followed")
    if plan.get_external_count():
        raise UnsafeInput(f"{name!r} keeps its numbers in another file; external storage not read")
    codes = _filters(dataset)
    for code in codes:
        if code not in _FILTERS:
            raise UnsafeInput(
                f"{name!r} is packed with the HDF5 filter {code}; only deflate, shuffle, "
                "fletcher32 and lzf are unpacked, as others may load native code"
            )
    if sum(code in _PACKERS for code in codes) > 1:
        raise UnsafeInput(f"{name!r} is packed twice, as only files made to explode are")


def check_dataset(
    dataset: h5py.Dataset, *, name: str, limit: int = budgets.DATA_BYTES
) -> np.dtype[Any]:
    """Make sure a data set can be read, whole or in slices, without surprise.

    Args:
        dataset: As found by `datasets`.
        name: What to call it in messages.
        limit: Most bytes it may declare.

    Returns:
        The type of its numbers as stored (perhaps big-endian).

    Raises:
        UnsafeInput: If it is virtual, external, or packed with an unknown filter.
        InvalidInput: If it does not hold plain numbers, has too many axes, or stores less than it
            declares.
        OverBudget: If it declares more than `limit`, or 1000 times what is stored.
    """
    check_storage(dataset, name=name)
    dtype = _number_type(dataset, name)
    shape = _shape(dataset, name)
    declared = math.prod(shape) * dtype.itemsize
    budgets.check(declared, limit, f"data set {name!r}")
    stored = min(dataset.id.get_storage_size(), dataset.file.id.get_filesize())
    if declared > max(budgets.FLOOR_BYTES, budgets.HDF5_EXPANSION * stored):
        raise OverBudget(
            f"data set {name!r} declares {budgets.readable(declared)} but stores only "
            f"{budgets.readable(stored)}; a file that grows so much on reading is refused"
        )
    if dataset.chunks:
        _check_chunks(dataset, name, declared=declared, itemsize=dtype.itemsize)
    elif declared > stored:
        raise InvalidInput(
            f"data set {name!r} declares {budgets.readable(declared)} but stores only "
            f"{budgets.readable(stored)}: the file ends early or is damaged"
        )
    return dtype


def declared_bytes(dataset: h5py.Dataset, *, name: str) -> int:
    """Bytes a data set would take in memory, as it declares; nothing is read.

    Raises:
        InvalidInput: If it does not hold plain numbers or has too many axes.
    """
    return math.prod(_shape(dataset, name)) * _number_type(dataset, name).itemsize


def read_dataset(
    dataset: h5py.Dataset, *, name: str, limit: int = budgets.MODEL_BYTES
) -> NDArray[Any]:
    """Read a whole data set after `check_dataset`, in this machine's byte order.

    Raises:
        GoodnetError: As `check_dataset`.
    """
    dtype = check_dataset(dataset, name=name, limit=limit)
    if dataset.shape and dataset.chunks:
        array = reader_of_rows(dataset, dtype, name=name)(0, dataset.shape[0])
    else:
        array = dataset[()]
    return np.asarray(array, dtype=dtype.newbyteorder("="))


def _filters(dataset: h5py.Dataset) -> list[int]:
    plan = dataset.id.get_create_plist()
    return [int(plan.get_filter(index)[0]) for index in range(plan.get_nfilters())]


def _number_type(dataset: h5py.Dataset, name: str) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = dataset.dtype
    except TypeError as error:
        raise InvalidInput(f"data set {name!r} does not hold plain numbers: {error}") from error
    enumeration = h5py.check_enum_dtype(dtype) is not None
    if enumeration or dtype.str[1:] not in _TYPES or dtype.subdtype:
        kind = "an enumeration" if enumeration else str(dtype)
        raise InvalidInput(
            f"expected plain integers or floats in data set {name!r}, got the type {kind}"
        )
    if dataset.id.get_type() != h5t.py_create(dtype):
        raise InvalidInput(
            f"the numbers in data set {name!r} are stored in an unusual form of {dtype}"
        )
    return dtype


def _shape(dataset: h5py.Dataset, name: str) -> tuple[int, ...]:
    shape = dataset.shape
    if shape is None:
        raise InvalidInput(f"data set {name!r} holds no numbers at all (a null data space)")
    if len(shape) > budgets.MAX_RANK:
        raise InvalidInput(
            f"data set {name!r} may have at most {budgets.MAX_RANK} axes, got {len(shape)}"
        )
    return tuple(int(length) for length in shape)


def _check_chunks(dataset: h5py.Dataset, name: str, *, declared: int, itemsize: int) -> None:
    chunk = math.prod(dataset.chunks) * itemsize
    limit = min(_CHUNK_BYTES, max(budgets.FLOOR_BYTES, declared))
    budgets.check(chunk, limit, f"one chunk of data set {name!r}")


def _checked(name: str | bytes) -> str:
    """The name, if it is one; h5py gives those that are not text in UTF-8 as bytes."""
    if not isinstance(name, str):
        raise InvalidInput(f"a name in the HDF5 file is not text in UTF-8: {name[:80]!r}")
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise InvalidInput(f"a name in the HDF5 file is too long: {name[:80]!r}...")
    return name


def _open(parent: h5py.Group, name: str, path: str) -> object:
    link = parent.id.links.get_info(name.encode()).type
    if link != h5py.h5l.TYPE_HARD:
        kind = _LINKS.get(link, "a link of an unknown kind")
        raise UnsafeInput(
            f"{path!r} is {kind}, which could pull in other data; only files that hold "
            "all of their data themselves are read"
        )
    return parent[name]


def _address(group: h5py.Group) -> int:
    return int(h5py.h5o.get_info(group.id).addr)
