"""The files of a run folder, which may come from anyone: nothing outside it is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from goodnet.formats import budgets
from goodnet.formats.safe_file import open_regular
from goodnet.typed_json import Unreadable, decode

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

_PLAIN = re.compile(r"[^/\\\0:]+")


def read_object(folder: Path, name: str, kind: type[T]) -> T:
    """Decode a JSON file of the folder.

    Raises:
        Unreadable: If it is not of that kind.
        GoodnetError: If it cannot be read.
    """
    try:
        text = read_bytes(folder, name, limit=budgets.JSON_BYTES)
        budgets.check_json(text, f"the file {name}")
        return decode(text, kind)
    except Unreadable as error:
        raise Unreadable(f"in {name}, {error}") from error


def read_bytes(folder: Path, name: str, *, limit: int) -> bytes:
    """Content of a file of the folder; `name` may name one in a folder within.

    Raises:
        Unreadable: If the name leads out of the folder, be it by a symbolic link.
        GoodnetError: If it is not a regular file, longer than `limit`, or cannot be read.
    """
    with open_regular(path_within(folder, name), what="file of the run", limit=limit) as file:
        return file.read()


def path_within(folder: Path, name: str) -> Path:
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
