"""Open an HDF5 file by its bytes, and say in one sentence what is wrong with a broken one.

HDF5 is kept from loading native code because a file names a filter it does not know.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import h5py
from h5py import h5pl

from goodnet.errors import GoodnetError, InvalidInput, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.safe_file import open_regular, size

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


SIGNATURE = b"\x89HDF\r\n\x1a\n"

_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22
_ZIP_COMMENT_BYTES = 2**16


@contextmanager
def open_hdf5(
    source: Path | str | BinaryIO | bytes, *, what: str = "file", limit: int = budgets.DATA_BYTES
) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, for the length of a `with` block.

    Errors of HDF5 inside the block are turned into `InvalidInput`; all other errors pass.

    Args:
        source: A path, an open binary file (which stays open), or the bytes of the file.
        what: What the file is to the user, for messages: "model file".
        limit: Most bytes the file may have.

    Yields:
        The open file. Use `datasets`, `check_dataset`, `names` and `text` on it, never `[...]` on
        a name that came from the file.

    Raises:
        FileError: If the path is missing or may not be read.
        InvalidInput: If it is not a regular file, empty, not HDF5, or damaged.
        OverBudget: If it is longer than `limit`.
        UnsafeInput: If it is two files in one (a user block, or a zip archive at its end).
    """
    with ExitStack() as stack:
        if isinstance(source, Path | str):
            file: BinaryIO = stack.enter_context(open_regular(source, what=what, limit=limit))
        else:
            file = io.BytesIO(source) if isinstance(source, bytes) else source
        _check_one_file(file, what)
        stack.enter_context(plugins_off())
        try:
            yield stack.enter_context(h5py.File(file, "r"))
        except GoodnetError:
            raise
        except Exception as error:
            if not _raised_by_h5py(error.__traceback__):
                raise
            raise InvalidInput(_damaged(what, error)) from error


def _check_one_file(file: BinaryIO, what: str) -> None:
    """Make sure that the file is HDF5 and nothing else."""
    length = size(file)
    head = file.read(len(SIGNATURE))
    if head != SIGNATURE[: len(head)] or not head:
        raise InvalidInput(
            f"expected an HDF5 {what}, got something else: its first bytes are {head.hex(' ')}"
        )
    file.seek(max(0, length - _ZIP_END_BYTES - _ZIP_COMMENT_BYTES))
    if _ends_as_zip(file.read()):
        raise UnsafeInput(
            f"the {what} is an HDF5 file and a zip archive at once, so two programs would read two "
            "different things; unpack it first"
        )
    file.seek(0)


def _ends_as_zip(tail: bytes) -> bool:
    """Whether a zip directory closes the file; its last field is the length of a comment."""
    start = tail.find(_ZIP_END)
    while start >= 0:
        length = int.from_bytes(tail[start + 20 : start + 22], "little")
        if start + _ZIP_END_BYTES + length == len(tail):
            return True
        start = tail.find(_ZIP_END, start + 1)
    return False


def _raised_by_h5py(traceback: TracebackType | None) -> bool:
    name = ""
    while traceback:
        name = str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next
    return name.partition(".")[0] == "h5py"


def _damaged(what: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    if "truncated file" in reason or "eof" in reason.lower():
        return f"the {what} ends early: copy or download it again ({reason})"
    return f"the {what} ends early or is damaged: copy or download it again ({reason})"
