"""The files of a run folder, opened with care: nothing outside it is read."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, TypeVar

from goodnet import files
from goodnet.errors import GoodnetError
from goodnet.formats.safe_file import open_regular
from goodnet.report.facts import FileFact
from goodnet.typed_json import Unreadable, decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["list_outputs", "read_bytes", "read_object", "within"]

T = TypeVar("T")

MIB = 1 << 20

_JSON_BYTES = 64 * MIB
_PLAIN = re.compile(r"[^/\\\0:]+")
_MOST_FILES = 1000
_OURS = frozenset({"report.html"})
_ROLES = {
    "results.json": "everything measured",
    "run.json": "cost and versions",
    "curve.csv": "the curve, step by step",
    "comparison.csv": "the comparison as a table",
}
_STEMS = {
    "model": "B'",
    "goodnet": "G",
    "compact": "B' with the silent channels removed",
    "curve": "picture",
    "comparison": "picture",
    "channels": "picture",
    "epochs": "picture",
    "scores": "picture",
    "label": "trigger and direction",
}


def read_object(folder: Path, name: str, kind: type[T]) -> T:
    """Decode a JSON file of the folder.

    Raises:
        Unreadable: If it is not of that kind.
        GoodnetError: If it cannot be read.
    """
    try:
        return decode(read_bytes(folder, name, limit=_JSON_BYTES), kind)
    except Unreadable as error:
        raise Unreadable(f"in {name}, {error}") from error


def read_bytes(folder: Path, name: str, *, limit: int) -> bytes:
    """Content of a file of the folder; `name` may name one in a folder within.

    Raises:
        Unreadable: If the name leads out of the folder, be it by a symbolic link.
        GoodnetError: If it is not a regular file, longer than `limit`, or cannot be read.
    """
    with open_regular(within(folder, name), what="file of the run", limit=limit) as file:
        return file.read()


def within(folder: Path, name: str) -> Path:
    """The path of a file of the folder, whether it is there or not.

    Raises:
        Unreadable: If the name leads out of the folder, be it by a symbolic link.
    """
    path = folder
    for part in name.split("/"):
        if not _PLAIN.fullmatch(part) or part in (".", ".."):
            raise Unreadable(f"the file name {name[:60]!r} leads out of the folder")
        path = path / part
        if path.is_symlink():
            raise Unreadable(f"{name[:60]!r} is a symbolic link")
    return path


def list_outputs(folder: Path) -> tuple[FileFact, ...]:
    """The regular files of the folder and of those in it, with their hashes; no report, no link."""
    return tuple(_facts(folder, folder))[:_MOST_FILES]


def _facts(folder: Path, root: Path) -> Iterator[FileFact]:
    for path in sorted(folder.iterdir(), key=lambda path: (_is_folder(path), path.name)):
        name = path.relative_to(root).as_posix()
        if path.name.startswith(".") or name in _OURS or name == "pictures":
            continue
        if _is_folder(path):
            if folder == root:
                yield from _facts(path, root)
        elif stat.S_ISREG(os.lstat(path).st_mode):
            yield FileFact(_role(path), name, _hash(path))


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _role(path: Path) -> str:
    return _ROLES.get(path.name) or _STEMS.get(path.stem.partition("_")[0], "")


def _hash(path: Path) -> str:
    try:
        return files.sha256(path)
    except GoodnetError:
        return ""
