"""Give every parser damaged files until the time is over; all it may do is refuse them.

    python tests/fuzz/fuzzer.py --seconds 3600 --seed 1 --only 'keras|onnx'

A parser may return a value or raise a `GoodnetError`, in the memory and time that the quarantine
allows. What else happens is a finding: its file is made as small as it goes, and printed with the
command that makes it again. Mutants are numbered, and each depends on the seed and its number only,
so that `--start` goes on where another run ended.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import json
import os
import re
import resource
import signal
import sys
import time
import traceback
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from targets import TARGETS, Target

from goodnet.errors import GoodnetError
from goodnet.quarantine import child, limits

__all__ = ["Finding", "fuzz", "main"]

_IN_MEMORY = next(filter(os.path.isdir, ("/dev/shm",)), None)
_CODE = str(Path(limits.__file__).parent.parent)  # of ours
_TRIES = 100  # to make a finding smaller
_MOST_FINDINGS = 20
_PRINTED = 1200  # bytes of a finding that are printed


@dataclass(frozen=True)
class Finding:
    """A mutant that was not refused as it should be.

    Attributes:
        number: Of the mutant.
        what: The error and its place, or the signal.
        data: The file.
    """

    number: int
    what: str
    data: bytes


@dataclass(frozen=True)
class Done:
    """What came of fuzzing one parser.

    Attributes:
        mutants: How many were tried.
        refused: How many of them were.
        findings: One of each kind.
    """

    mutants: int
    refused: int
    findings: Sequence[Finding]


def fuzz(target: Target, numbers: Iterable[int], *, seed: str, seconds: float) -> Done:
    """Try mutants until the time, or their numbers, are at an end."""
    with _without_quarantine(), TemporaryDirectory(dir=_IN_MEMORY) as folder:
        made = _Mutants(target, Path(folder), seed)
        findings: dict[str, Finding] = {}
        refused = tried = 0
        end = time.monotonic() + seconds
        waiting = iter(numbers)
        for number, what in _outcomes(made, waiting, end):
            tried += 1
            refused += what == _REFUSED
            if what and what != _REFUSED and what not in findings:
                findings[what] = Finding(number, what, made(number))
            if len(findings) == _MOST_FINDINGS:
                break
        return Done(tried, refused, [_smaller(made, x) for x in findings.values()])


_REFUSED = "refused"


@contextmanager
def _without_quarantine() -> Iterator[None]:
    """Files are parsed where they are asked for; what is forked for each of them costs the most."""
    needed, child.needed = child.needed, lambda: False
    try:
        yield
    finally:
        child.needed = needed


@dataclass
class _Mutants:
    """The mutants of a target, by number, and the parser that they are given to."""

    target: Target
    folder: Path
    seed: str

    def __post_init__(self) -> None:
        self.corpus = self.target.corpus(self.folder)
        self.path = self.folder / (self.target.name or "mutant")
        for data in self.corpus:  # which also imports what the processes to come need
            if what := self.outcome(data):
                raise ValueError(f"a good file is not read: {what}")

    def __call__(self, number: int) -> bytes:
        chance = Random(f"{self.seed} {number}")
        return self.target.mutation(chance, chance.choice(self.corpus))

    def outcome(self, data: bytes) -> str:
        """ "" for a value, or what happened instead."""
        self.path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.target.parse(self.folder if self.target.name else self.path)
        except GoodnetError:
            return _REFUSED
        except BaseException as error:
            return f"{type(error).__name__} in {_place(error)}: {error}"[:300]
        return ""


def _place(error: BaseException) -> str:
    """The last line of ours that an error came through."""
    frames = [x for x in traceback.extract_tb(error.__traceback__) if _CODE in x.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "no code of ours"


def _outcomes(made: _Mutants, numbers: Iterator[int], end: float) -> Iterator[tuple[int, str]]:
    """What happened with each mutant; a process that one of them ends is started anew."""
    while batch := list(itertools.islice(numbers, 500)):
        done = 0
        while done < len(batch):
            if time.monotonic() > end:
                return
            said, signal_number = _in_child(
                lambda rest=batch[done:]: _each(made, rest, end)  # type: ignore[misc]
            )
            yield from zip(batch[done:], said, strict=False)
            done += len(said)
            if not signal_number:
                break
            yield batch[done], f"signal {signal_number}: {_told(signal_number)}"
            done += 1
        if time.monotonic() > end:
            return


def _told(number: int) -> str:
    return "over the time that is allowed" if number == signal.SIGPROF else "a crash"


def _each(made: _Mutants, numbers: Sequence[int], end: float) -> Iterator[str]:
    _limit(made)
    for number in numbers:
        if time.monotonic() > end:
            return
        data = made(number)
        signal.setitimer(signal.ITIMER_PROF, limits.SECONDS + len(data) / limits.BYTES_A_SECOND)
        yield made.outcome(data)


def _limit(made: _Mutants) -> None:
    """As much memory as a file of this size is given in a quarantine."""
    largest = max(map(len, made.corpus))
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        before = int(file.read().split()[0]) * resource.getpagesize()
    most = before + limits.MEMORY_BYTES + limits.MEMORY_GROWTH * largest
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _in_child(work: Callable[[], Iterator[str]]) -> tuple[list[str], int]:
    """What work says in a process of its own until it ends, and the signal that ended it, or 0."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        faulthandler.disable()
        try:
            with os.fdopen(theirs, "wb", buffering=0) as pipe:
                for text in work():
                    pipe.write(json.dumps(text).encode() + b"\n")
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = [json.loads(line) for line in pipe if line.endswith(b"\n")]
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("the harness itself failed")
    return said, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _smaller(made: _Mutants, finding: Finding) -> Finding:
    """The same finding with as few bytes as some tries give."""
    kind, data, size = _kind(finding.what), finding.data, len(finding.data) // 2
    tries = 0
    while size and tries < _TRIES:
        for start in range(0, len(data), size):
            tries += 1
            shorter = data[:start] + data[start + size :]
            if tries < _TRIES and _kind(_alone(made, shorter)) == kind:
                data = shorter
                break
        else:
            size //= 2
    return replace(finding, data=data)


def _alone(made: _Mutants, data: bytes) -> str:
    def work() -> Iterator[str]:
        _limit(made)
        signal.setitimer(signal.ITIMER_PROF, limits.SECONDS + len(data) / limits.BYTES_A_SECOND)
        yield made.outcome(data)

    said, number = _in_child(work)
    return f"signal {number}" if number else said[0]


def _kind(what: str) -> str:
    return what.partition(":")[0] if what.startswith("signal") else what[: what.find(": ")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz the parsers one after another; the exit code is 1 if anything was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for all parsers together")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--start", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--count", type=int, help="mutants of each parser; all that time allows")
    parser.add_argument("--only", default="", metavar="REGEX", help="of the names of parsers")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write what is found there")
    given = parser.parse_args(arguments)
    chosen = {name: x for name, x in TARGETS.items() if re.search(given.only, name)}
    found = 0
    for name, target in chosen.items():
        stop = sys.maxsize if given.count is None else given.start + given.count
        numbers = range(given.start, stop)
        done = fuzz(target, numbers, seed=given.seed, seconds=given.seconds / len(chosen))
        print(
            f"{name}: {done.mutants:,} mutants, {done.refused:,} refused, "
            f"{len(done.findings)} findings",
            flush=True,
        )
        for finding in done.findings:
            _tell(name, finding, given)
        found += len(done.findings)
    return bool(found)


def _tell(name: str, finding: Finding, given: argparse.Namespace) -> None:
    print(f"- {finding.what}")
    print(f"  fuzzer.py --only '^{name}$' --seed {given.seed} --start {finding.number} --count 1")
    print(f"  {len(finding.data):,} bytes: {b64encode(finding.data[:_PRINTED]).decode()}")
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
        (given.keep / f"{name}-{finding.number}").write_bytes(finding.data)


if __name__ == "__main__":
    sys.exit(main())
