"""Open a path once, as a regular file, so that what is hashed is what is read."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from goodnet.errors import FileError, GoodnetError, InvalidInput, OverBudget, UsageError
from goodnet.formats import budgets
from goodnet.quarantine import allow_for

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# Without O_NONBLOCK, opening a named pipe waits for a writer for ever.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

# Whoever opens it says so, with more words.
_MISSING = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))


def open_regular(
    path: Path | str, *, what: str = "file", limit: int = budgets.DATA_BYTES
) -> BinaryIO:
    """Open a regular, non-empty file for reading; the caller closes it.

    Args:
        path: A local path; symbolic links are followed.
        what: What the file is to the user, for the message: "model file".
        limit: Most bytes it may have.

    Returns:
        The open file at its start.

    Raises:
        FileError: If there is no such path or it may not be read.
        InvalidInput: If it is a directory, pipe, socket or device, or empty.
        OverBudget: If it is longer than `limit`, or long and nearly all holes.
        UsageError: If it is a URL.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise _cannot_open(path, what, error) from error
    try:
        status = os.fstat(descriptor)
        _check_regular(status, path, what=what, limit=limit)
        stored = _stored(descriptor, status.st_size)
        if stored < status.st_size > budgets.FLOOR_BYTES:
            raise OverBudget(
                f"the {what} {str(path)!r} is {budgets.readable(status.st_size)} long, but only "
                f"{budgets.readable(stored)} of it are stored, the rest is holes (a sparse file), "
                "as where copying has not ended; copy or download it again"
            )
        allow_for(stored)
    except GoodnetError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def as_path(given: object, *, what: str = "file or folder") -> Path:
    """What a user gives as a path, whether something is there or not.

    Raises:
        FileError: If the system refuses to look: a name that is too long, no permission.
        UsageError: If it is none.
    """
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"expected the path of a file or folder, got {type(given).__name__}")
    path = Path(given)
    try:
        path.stat()
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) not in _MISSING:
            raise _cannot_open(path, what, error) from error
    return path


def sha256(file: BinaryIO) -> str:
    """Hash of the whole file, in hexadecimal; the position is back at the start."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(budgets.MIB):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


def size(file: BinaryIO) -> int:
    """Length of the file in bytes; the position is back at the start."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    return length


def _check_regular(status: os.stat_result, path: Path | str, *, what: str, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "something else")
        raise InvalidInput(f"expected a {what}, got {kind}: {str(path)!r}")
    if status.st_size == 0:
        raise InvalidInput(f"the {what} is empty: {str(path)!r}")
    budgets.check(status.st_size, limit, f"the {what} {str(path)!r}")


def _stored(descriptor: int, length: int) -> int:
    """The length of a file; of one that is nearly all holes, how much of it is not.

    A length costs nothing to claim, and every byte of a hole is read as if it were there.
    """
    if not hasattr(os, "SEEK_DATA"):
        return length
    stored = at = 0
    try:
        while stored * budgets.SPARSE_EXPANSION < length:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
            at = os.lseek(descriptor, start, os.SEEK_HOLE)
            stored += at - start
    except OSError as error:  # there is no more behind, or the system does not tell
        return stored if error.errno == errno.ENXIO else length
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return length


def _cannot_open(path: Path | str, what: str, error: OSError | ValueError) -> GoodnetError:
    shown = repr(str(path))
    code = error.errno if isinstance(error, OSError) else None
    if "://" in str(path) or str(path).startswith(("http:/", "https:/", "s3:/")):
        return UsageError(f"only local files are read, got the address {shown}; download it first")
    if code == errno.ENOENT:
        return FileError(f"there is no {what} at {shown}")
    if code == errno.ENXIO:
        return InvalidInput(f"expected a {what}, got a socket: {shown}")
    if code == errno.ELOOP:
        return InvalidInput(f"the path of the {what} is a loop of symbolic links: {shown}")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return FileError(f"the {what} {shown} cannot be opened: {reason}")
