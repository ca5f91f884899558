"""How long work is followed by whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

# Told how much more is done.
ProgressCallback = Callable[[int], None]
# Given how much there is to do and what it is called: a context that is told of progress.
Stage = Callable[[int, str], AbstractContextManager[ProgressCallback]]


@contextmanager
def no_progress(_work: int, _label: str) -> Iterator[ProgressCallback]:
    """A stage that nobody looks at."""
    yield lambda _done: None
