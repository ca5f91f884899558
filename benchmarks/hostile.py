"""Hostile files, each opened by the command line: none may run code, crash, or take much.

Every file is made here, in a temporary folder. A case is one command in a process of its own, and
must end with an exit code that says what is wrong with the file: no signal, no trace, no code of
the file run, no other file read, at most 2 s of CPU and 400 MB more than the same command takes on
good files. Needs Linux.
"""

from __future__ import annotations

import re
import shutil
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import _hostile_archives
import _hostile_chunks
import _hostile_configs
import _hostile_folders
import _hostile_hdf5
import _hostile_networks
import _hostile_onnx
import _hostile_pictures
import _hostile_runs
import _hostile_torch
from _hostile_case import SECRET, Case, Done, broken, run
from _hostile_good import PLAIN, good_files
from _measure import header, options, show

__all__ = ["all_cases", "main"]

_MAKERS = (
    *(_hostile_chunks, _hostile_hdf5, _hostile_configs, _hostile_archives, _hostile_pictures),
    *(_hostile_onnx, _hostile_torch, _hostile_folders, _hostile_runs, _hostile_networks),
)
# The command that takes least.
_CHEAP = "inspect"


@dataclass(frozen=True)
class Row:
    """A case, how it ended, what the command takes on good files, and the rules that it broke."""

    case: Case
    done: Done
    plain: Done
    broken: list[str]

    @property
    def cpu(self) -> float:
        """Seconds more than on good files."""
        return self.done.cpu - self.plain.cpu

    @property
    def peak(self) -> float:
        """MB more."""
        return self.done.peak - self.plain.peak


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    with nullcontext(given.keep) if given.keep else TemporaryDirectory() as folder:
        rows = list(_rows(_chosen(given), Path(folder).resolve(), given))
    kinds = dict.fromkeys(row.case.kind for row in rows)
    table = [_line(kind, [row for row in rows if row.case.kind == kind]) for kind in kinds]
    head = ["kind", "cases", "exit codes", "CPU s more", "MB more", ""]
    show([head, *table, _line("all", rows)])
    if bad := [row for row in rows if row.broken]:
        print(f"\n{len(bad)} of {len(rows)} broke a rule:")
        for row in bad:
            print(f"- {row.case.kind}: {row.case.name}: {', '.join(row.broken)}")
        raise SystemExit(1)


def all_cases() -> list[Case]:
    """Of every kind, in the order of the table."""
    return list(chain.from_iterable(maker.cases() for maker in _MAKERS))


def _chosen(given: Namespace) -> list[Case]:
    cases = all_cases()
    if given.quick:
        firsts = {case.kind: case for case in reversed(cases) if case.command.startswith(_CHEAP)}
        cases = [case for case in cases if case is firsts.get(case.kind)]
    wanted = re.compile(given.only, re.IGNORECASE)
    return [case for case in cases if wanted.search(f"{case.kind}: {case.name}")]


def _rows(cases: Sequence[Case], home: Path, given: Namespace) -> Iterator[Row]:
    (home / "good").mkdir(parents=True)
    (home / "secret.txt").write_text(SECRET)
    good_files(home / "good")
    plain: dict[str, Done] = {}
    for number, case in enumerate(cases):
        _take_plain(case.plain, plain, home / "good", given)
        folder = home / f"{number:03}"
        folder.mkdir()
        if case.make:
            case.make(folder)
        done = run(case, folder, timeout=given.timeout, threads=given.threads)
        usual = plain[case.plain]
        row = Row(case, done, usual, broken(case, done, usual, folder, slack=given.slack))
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{number + 1}/{len(cases)} {_told(row)}", file=sys.stderr)
        yield row


def _take_plain(name: str, plain: dict[str, Done], good: Path, given: Namespace) -> None:
    """Measure a command on good files, unless it is known: twice, since the first compiles."""
    needed = ("prune", name) if name == "report" else (name,)
    for each in needed:
        for _ in range(0 if each in plain else 2):
            case = Case("good files", each, PLAIN[each])
            plain[each] = run(case, good, timeout=given.timeout, threads=given.threads)
            if plain[each].code:
                raise SystemExit(f"{PLAIN[each]} failed on good files: {plain[each].err}")


def _told(row: Row) -> str:
    text = f"{row.case.kind}: {row.case.name}: exit {row.done.code}, {row.cpu:+.1f} s"
    said = (row.done.err.strip() or row.done.out.strip()).splitlines()[:1]
    return f"{text}, {row.peak:+.0f} MB{''.join(f', {x.upper()}' for x in row.broken)} {said}"


def _line(kind: str, rows: Sequence[Row]) -> list[str]:
    codes = Counter(
        f"{row.done.code}" if row.done.in_time else "none in time" for row in rows
    ).most_common()
    counts = ", ".join(f"{code} ({count})" for code, count in codes)
    bad = sum(bool(row.broken) for row in rows)
    cpu, peak = max(row.cpu for row in rows), max(row.peak for row in rows)
    worst = [f"{max(cpu, 0):.1f}", f"{max(peak, 0):.0f}"]
    return [kind, str(len(rows)), counts, *worst, f"{bad} BROKEN" if bad else "met"]


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.set_defaults(threads=1)
    parser.add_argument("--only", default="", metavar="REGEX", help="of kind: name")
    parser.add_argument("--slack", type=float, default=1.0, help="times the 2 s of CPU")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds a command may take")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="a new folder that keeps all files"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
