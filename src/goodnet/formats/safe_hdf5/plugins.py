"""Keep HDF5 from loading native code because a file names a filter it does not know."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from h5py import h5pl

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["plugins_off"]

_lock = threading.Lock()
_users = 0
_paths: list[bytes] = []


@contextmanager
def plugins_off() -> Iterator[None]:
    """While at least one user is inside, HDF5 has no folder to look for plugins in.

    The folders are those of the process and come back when the last user leaves. Filters that the
    program has already loaded itself are not touched.
    """
    global _users
    with _lock:
        if _users == 0:
            _take_paths()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _give_paths_back()


def _take_paths() -> None:
    while h5pl.size():
        _paths.append(h5pl.get(0))
        h5pl.remove(0)


def _give_paths_back() -> None:
    while _paths:
        h5pl.append(_paths.pop(0))
