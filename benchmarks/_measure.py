"""Time jobs against each other and show what came out as a small table."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from statistics import median

__all__ = ["header", "in_turn", "options", "ratios", "seconds", "show", "spread", "verdict"]

Job = Callable[[], float]


def options(description: str) -> argparse.ArgumentParser:
    """A parser with the options all benchmarks share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="threads of each side"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only shows that it runs")
    return parser


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(
    jobs: Mapping[str, Job], repeats: int, *, progress: bool = False
) -> dict[str, list[float]]:
    """Run jobs one after the other, the whole row `repeats` times; the seconds each returned.

    On a busy machine all sides of a comparison so meet the same weather.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats):
        for name, job in jobs.items():
            times[name].append(job())
            if progress:
                print(f"  {turn + 1}/{repeats} {name}: {times[name][-1]:.3f} s", file=sys.stderr)
    return times


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratio within each turn."""
    return [a / b for a, b in zip(above, below, strict=True)]


def spread(values: Sequence[float], pattern: str = "{:.2f}") -> str:
    """Median, then lowest and highest: "1.93 (1.90 to 2.20)"."""
    middle, low, high = (pattern.format(v) for v in (median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def verdict(value: float, target: float, *, at_least: bool = False) -> str:
    """How a figure stands to its target, in words."""
    met = value >= target if at_least else value <= target
    return f"{'at least' if at_least else 'at most'} {target:g}: {'met' if met else 'MISSED'}"


def show(rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first row is its head, all columns but the first are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        first, *others = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def header(threads: int) -> None:
    """Print the command and the machine."""
    count = f"{threads} thread{'s' * (threads != 1)}"
    print("$ python " + shlex.join(sys.argv))
    parts = [f"goodnet {version('goodnet')}", f"torch {version('torch')}"]
    parts += [f"Python {platform.python_version()}", platform.machine()]
    print(f"{', '.join(parts)}, {os.cpu_count()} cores, {count} each side\n")
