"""The errors a caller can meet, each with the exit code the command line gives it.

Every message is one sentence or two: what was expected, what came, what to do.
"""

from __future__ import annotations


class GoodnetError(Exception):
    """Root of all errors raised on purpose by this package."""

    exit_code = 4


class UsageError(GoodnetError):
    """An option or argument is wrong in itself, whatever the files hold."""

    exit_code = 2


class UnsafeInput(GoodnetError):
    """The input asks for what is never done: run code, follow a link, read another file."""

    exit_code = 3


class InvalidInput(GoodnetError):
    """The input is broken, of an unknown kind, or does not fit the other inputs."""

    exit_code = 4


class NoNumbers(InvalidInput):
    """A network computes NaN or infinity, so that its answers say nothing."""


class NotFinite(InvalidInput):
    """A file holds weights that are NaN or infinite."""


class OverBudget(GoodnetError):
    """The input declares more bytes, layers or pixels than the budget allows."""

    exit_code = 5


class FileError(GoodnetError):
    """The system could not read or write a file: no such path, no permission, disk full."""

    exit_code = 6


def path_refused(error: OSError) -> FileError | None:
    """What the system says against a path, as an error of ours; None if it speaks of none."""
    if error.filename is None:
        return None
    return FileError(f"cannot use the path {error.filename!r}: {error.strerror}")


# PyTorch says so in its own words, and with errors of many kinds.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of Python or of PyTorch, says that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(x in str(error) for x in _OUT_OF_MEMORY)
