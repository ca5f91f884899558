"""Spread blocks of images over the cores: one block per thread, each thread on one core.

On small networks this beats splitting every single operation over the cores, and by far so on a
machine that does other work too: there, threads that share an operation wait for the slowest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch

Block = TypeVar("Block")
Result = TypeVar("Result")


class Run(Protocol):
    """Applies a function to each of some jobs; the results in order."""

    def __call__(
        self, function: Callable[[Block], Result], jobs: Iterable[Block], /
    ) -> Iterator[Result]:
        """Start all jobs at once."""
        ...


@contextmanager
def single_thread() -> Iterator[None]:
    """Let PyTorch use one thread for each operation: for batches too small to be shared out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def map_blocks(
    function: Callable[[Block], Result], blocks: Iterable[Block], device: torch.device
) -> Iterator[Result]:
    """Apply a function to each block; results come in order, few blocks are held at a time.

    Uses as many threads as PyTorch is set to on the CPU, and none on another device.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        yield from map(function, blocks)
        return
    waiting: deque[Future[Result]] = deque()
    with _pool(threads) as pool:
        for block in blocks:
            waiting.append(pool.submit(function, block))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def workers(device: torch.device) -> Iterator[Run]:
    """Threads to be used many times over, one core each; none but this one on another device."""
    threads = torch.get_num_threads()
    with single_thread():
        if device.type != "cpu" or threads == 1:
            yield map
            return
        with _pool(threads) as pool:
            yield pool.map


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        # What a worker sets holds for threads that start later, too: put it back.
        torch.set_num_threads(before)
