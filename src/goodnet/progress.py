"""How long work is followed by whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

__all__ = ["Advance", "Stage", "unseen"]

# Told how much more is done.
Advance = Callable[[int], None]
# Given how much there is to do and what it is called: a context that is told of progress.
Stage = Callable[[int, str], AbstractContextManager[Advance]]


@contextmanager
def unseen(_work: int, _label: str) -> Iterator[Advance]:
    """A stage that nobody looks at."""
    yield lambda _done: None
