"""Write files and folders so that they appear whole or not at all.

Everything is built under a hidden temporary name beside its destination, synced to the disk, and
then renamed: whatever interrupts the writing, the old state stays.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodnet.errors import FileError, GoodnetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = "results.json"

_FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
_BLOCK = 1 << 20
_PREFIX, _LITTER, _ASIDE = ".goodnet-", ".tmp", ".old"
_AT_WORKING_DIRECTORY, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@dataclass(frozen=True)
class _Made:
    """What results have that are ours."""

    schema: int | None = None
    command: str | None = None


@contextmanager
def atomic_path(destination: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `destination`, renamed to it when the block ends well.

    After any exception the temporary file is gone and the destination is as it was.

    Args:
        destination: Where the file goes; its folder must exist.
        force: Replace a file that is already there.

    Yields:
        The path to write to: an empty file in the same folder.

    Raises:
        UsageError: If the destination exists and `force` is not given, or is a symbolic link.
        FileError: If the system refuses: no such folder, no permission, disk full.
    """
    with _clear_errors(destination):
        _check_file(destination, force)
        with hidden_folder(destination) as folder:
            temporary = folder / destination.name
            temporary.touch()
            with _known_as(temporary, destination):
                yield temporary
            _sync(temporary)
            _check_file(destination, force)
            temporary.replace(destination)
        _sync(destination.parent)


@contextmanager
def run_folder(destination: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a hidden folder beside `destination`, renamed to it when the block ends well.

    After any exception the hidden folder is gone and the destination is as it was.

    Args:
        destination: Where the folder goes; its parent must exist.
        force: Replace what is there if it is a run folder (holds a `results.json` as this
            package writes it) or empty. No other folder is ever removed.

    Yields:
        The folder to fill: empty, on the same disk.

    Raises:
        UsageError: If the destination exists and may not be replaced.
        FileError: If the system refuses: no such parent, no permission, disk full.
    """
    with _clear_errors(destination):
        _clear_up(destination.parent)  # an old run may come back
        _check_folder(destination, force)
        with hidden_folder(destination) as temporary, _known_as(temporary, destination):
            yield temporary
            _sync_tree(temporary)
            _check_folder(destination, force)
            _put_in_place(temporary, destination)
        _sync(destination.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if they are not there.

    Raises:
        FileError: If there is something else, or the system refuses.
    """
    with _clear_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def remove_folder(path: Path) -> None:
    """Remove a folder, if it is there, at once: who is killed meanwhile leaves no part of it."""
    hidden = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_LITTER}")
    with suppress(OSError):
        path.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def write_json(path: Path, data: Any) -> None:
    """Write plain data as indented JSON, keys in their order, with a newline at the end.

    Raises:
        ValueError: If a number is not finite; JSON has no NaN.
    """
    text = json.dumps(data, indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def sha256(path: Path) -> str:
    """Hash of a file's content, in hexadecimal.

    Raises:
        FileError: If the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise FileError(f"cannot read the file, {_reason(error)}: {path}") from error
    return digest.hexdigest()


@contextmanager
def hidden_folder(destination: Path) -> Iterator[Path]:
    """A new folder beside `destination`, which is removed in the end.

    It is locked as long as it is at work, so that what a killed process left is told from what is
    still written; that is removed, too.
    """
    _clear_up(destination.parent)
    path, lock = _new_hidden(destination)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        _unlock(lock)


def _new_hidden(destination: Path) -> tuple[Path, int | None]:
    """The folder, and its lock."""
    while True:
        path = destination.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_LITTER}")
        path.mkdir()
        # Until it is locked, others may take it for litter.
        with suppress(BlockingIOError, FileNotFoundError):
            lock = _lock(path)
            if path.exists():
                return path, lock
            _unlock(lock)


def _clear_up(folder: Path) -> None:
    """Remove what processes that were killed have left in a folder; runs put aside come back."""
    for path in (*folder.glob(f"{_PREFIX}*{_LITTER}"), *folder.glob(f"{_PREFIX}*{_ASIDE}")):
        with suppress(OSError):
            lock = _lock(path)
            if lock is None:
                return  # nobody can tell what is still at work
            place = path.with_name(path.name[len(_PREFIX) : -len(_ASIDE)])
            if path.name.endswith(_ASIDE) and not place.exists():
                path.rename(place)
            else:
                shutil.rmtree(path, ignore_errors=True)
            _unlock(lock)


def _lock(folder: Path) -> int | None:
    """What holds the lock of a folder, whatever it is called; None if the system has no such locks.

    Raises:
        BlockingIOError: If another process holds it.
        FileNotFoundError: If the folder is gone.
    """
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _check_file(destination: Path, force: bool) -> None:
    _check_name(destination)
    if destination.is_symlink():
        raise UsageError(
            f"the output is a symbolic link, give the path it points to: {destination}"
        )
    if not destination.exists():
        return
    if not destination.is_file():
        raise FileError(
            f"expected a file name for the output, got a folder or device: {destination}"
        )
    if not force:
        raise UsageError(f"the output exists already, use --force to replace it: {destination}")


def _check_folder(destination: Path, force: bool) -> None:
    _check_name(destination)
    if destination.is_symlink():
        raise UsageError(
            f"the output folder is a symbolic link, give the folder it points to: {destination}"
        )
    if not destination.exists():
        return
    if not destination.is_dir():
        raise UsageError(
            f"expected a folder for the output, got a file; name another: {destination}"
        )
    if not force:
        raise UsageError(
            f"the output folder exists already, use --force to replace it: {destination}"
        )
    if not _is_replaceable(destination):
        raise UsageError(
            "--force replaces only an empty folder or a run folder (one with a results.json of "
            f"ours); remove this one yourself or name another: {destination}"
        )


def _check_name(destination: Path) -> None:
    if destination.name in ("", ".."):
        raise UsageError(f"the output needs a name of its own, got: {destination}")
    if not destination.parent.is_dir():
        raise FileError(
            f"there is no such folder for the output, create it first: {destination.parent}"
        )


def _is_replaceable(folder: Path) -> bool:
    """Whether the folder is empty or holds results of this package."""
    if not any(folder.iterdir()):
        return True
    from goodnet.run_folder import read_object
    from goodnet.typed_json import Unreadable

    try:
        made = read_object(folder, RESULTS, _Made)
    except (Unreadable, GoodnetError):
        return False
    return made.schema is not None and made.command is not None


def _put_in_place(new: Path, destination: Path) -> None:
    """Rename `new` to `destination`; an old folder there is then called `new`, or is gone."""
    if not destination.exists():
        new.rename(destination)
        return
    if _exchanged(new, destination):
        return
    aside = destination.with_name(f"{_PREFIX}{destination.name}{_ASIDE}")
    lock = _lock(destination)  # so that nobody brings it back meanwhile
    try:
        destination.rename(aside)
        new.rename(destination)
        shutil.rmtree(aside, ignore_errors=True)
    except BaseException:
        if aside.exists() and not destination.exists():
            aside.rename(destination)
        raise
    finally:
        _unlock(lock)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange the names of two folders at once; False where the system cannot."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here = _AT_WORKING_DIRECTORY
    paths = os.fsencode(one), os.fsencode(other)
    return bool(rename(here, paths[0], here, paths[1], _RENAME_EXCHANGE) == 0)


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    """Have the system bring a file, or a folder's list of names, to the disk."""
    if path.is_symlink():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _known_as(temporary: Path, destination: Path) -> Iterator[None]:
    """Errors tell the name of the output, though what is written inside knows the hidden one."""
    try:
        yield
    except FileError as error:
        raise FileError(str(error).replace(str(temporary), str(destination))) from error


@contextmanager
def _clear_errors(destination: Path) -> Iterator[None]:
    """Turn what the system says into one sentence about the output."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise FileError(
                "no room to write the output (disk full, quota or file size limit); what was there "
                f"before is unchanged, free some space and run again: {destination}"
            ) from error
        raise FileError(f"cannot write the output, {_reason(error)}: {destination}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
