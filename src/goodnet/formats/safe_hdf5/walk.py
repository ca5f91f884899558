"""Find every data set of a file without following a link that leaves it."""

from __future__ import annotations

import h5py

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.safe_hdf5.dataset import check_storage

__all__ = ["datasets"]

_LINKS = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "a link to another file"}
_MAX_NAME_BYTES = 1024


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
        OverBudget: If there are more than 100,000 links.
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
