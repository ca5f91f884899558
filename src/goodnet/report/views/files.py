"""Files that went in and came out, with links a browser follows nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from goodnet.report.views import words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from goodnet.report.facts import FileFact

__all__ = ["FileRow", "file_rows"]


@dataclass(frozen=True)
class FileRow:
    """A file: what it is for, its name, where it is, its images and its hash."""

    role: str
    name: str
    link: str
    images: str
    sha256: str


def file_rows(facts: Iterable[FileFact], folder: str | None = None) -> tuple[FileRow, ...]:
    """Rows of a table of files.

    Args:
        facts: The files.
        folder: The way from the page to them, "" for beside it; None for no links.
    """
    return tuple(
        FileRow(
            words.network(words.name(fact.role)),
            words.name(fact.name, 120),
            "" if folder is None else f"./{quote(folder)}{quote(fact.name)}",
            words.amount(fact.images) if fact.images is not None else "",
            words.name(fact.sha256, 64),
        )
        for fact in facts
    )
