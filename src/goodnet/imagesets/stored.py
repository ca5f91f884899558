"""The file a set of images comes from: opened anew for every pass, and the same each time."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from goodnet.errors import InvalidInput
from goodnet.formats import safe_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class StoredFile:
    """A file by path, with what the system said about it when it was first opened.

    Nothing stays open between passes, so a set can be copied or sent to another process.

    Attributes:
        path: As given.
        what: What it is to the user, for messages.
        fingerprint: Device, inode, length and time of the last change.
    """

    path: Path
    what: str
    fingerprint: tuple[int, ...]

    @classmethod
    def find(cls, path: Path, *, what: str = "set of images") -> StoredFile:
        """Look a file up.

        Raises:
            FileError: If it is missing or may not be read.
            InvalidInput: If it is not a regular file or is empty.
        """
        with safe_file.open_regular(path, what=what) as file:
            return cls(path, what, _fingerprint(file))

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file for reading.

        Raises:
            InvalidInput: If it changed since it was found.
        """
        with safe_file.open_regular(self.path, what=self.what) as file:
            if _fingerprint(file) != self.fingerprint:
                raise InvalidInput(
                    "the images changed while they were being used; run again on a file that "
                    f"nothing writes to: {str(self.path)!r}"
                )
            yield file

    @cached_property
    def sha256(self) -> str:
        """Hash of the file's bytes, computed when first asked for."""
        with self.open() as file:
            return safe_file.sha256(file)


def _fingerprint(file: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
