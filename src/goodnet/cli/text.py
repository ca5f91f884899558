"""Tables, numbers and progress for a terminal or a pipe."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goodnet.types import Proportion

_LONGEST_NAME, _LONGEST = 300, 1200  # letters of a message
# What was given: quoted with all its spaces, or a word. No apostrophe begins it.
_NAME = re.compile(r"(?<!\w)'[^']*'|\S+")


def note(*sentences: str) -> None:
    """Say something beside the result."""
    for sentence in sentences:
        print(brief(plain(sentence)), file=sys.stderr)


def brief(message: str) -> str:
    """A message in which nothing that was given is so long that it hides what is said of it."""
    shorter = _NAME.sub(lambda name: _without_middle(name[0], _LONGEST_NAME), message)
    return _without_middle(shorter, _LONGEST)


def _without_middle(text: str, most: int) -> str:
    kept = (most - 3) // 2
    return text if len(text) <= most else f"{text[:kept]}...{text[-kept:]}"


def plain(text: str) -> str:
    """Text with nothing in it that could steer a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def percent(share: Proportion | None) -> str:
    """A share in percent with its interval; "-" where it is not known."""
    return "-" if share is None else str(share)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    """Columns aligned with spaces: the first to the left, others to the right unless of words."""
    lines = [[plain(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = [
        "  ".join(
            cell.ljust(width) if words or i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


@contextmanager
def progress_bar(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, shown only where stderr is a terminal; yields its `advance`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)
