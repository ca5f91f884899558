"""One hostile input: what is made, the command that opens it, and the rules that must hold."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "ANY",
    "MARKER",
    "REFUSED",
    "SECRET",
    "UNSAFE",
    "Case",
    "Done",
    "Runs",
    "broken",
    "run",
    "touch",
]

REFUSED, UNSAFE = (2, 3, 4, 5, 6), (3,)
# What is strange and yet may be read.
ANY = (0, *REFUSED)
# Code in a file that is run makes this one in the folder of the case.
MARKER = "code-of-the-file-ran"
# The content of `../secret.txt`, which no case may show.
SECRET = "token-of-another-file"

CPU_SECONDS, PEAK_MB = 2.0, 400.0

_SPILLED = re.compile(
    r"Traceback|Exception ignored|terminate called|HDF5-DIAG|Aborted|core dumped|\w+Warning:"
)
# Of what a command says, so much is read; a line of a message has at most so many letters.
_MUCH, _LONGEST = 2_000_000, 1500
_START = Path(__file__).with_name("_hostile_start.py")


@dataclass(frozen=True)
class Done:
    """How a command ended.

    Attributes:
        code: Its exit code, or minus the signal that ended it.
        cpu: Seconds of it and of what it started.
        peak: The most memory one process of it held, in MiB.
        in_time: Whether it ended by itself.
        out: What it wrote to stdout.
        err: And to stderr.
    """

    code: int
    cpu: float
    peak: float
    in_time: bool
    out: str
    err: str


@dataclass(frozen=True)
class Case:
    """A hostile input and what is done with it.

    Attributes:
        kind: Of input: a line of the table.
        name: Of the case.
        command: What follows `goodnet`, run in the folder of the case; good files are in `../good`.
        make: Makes the input in the folder of the case.
        codes: The exit codes that are right.
        environment: More of it.
        stops: Signals to send, after so many seconds.
        check: Looks at the end and at the folder, and says what is wrong, if anything is.
    """

    kind: str
    name: str
    command: str
    make: Callable[[Path], object] | None = None
    codes: tuple[int, ...] = REFUSED
    environment: Mapping[str, str] = field(default_factory=dict)
    stops: tuple[tuple[float, int], ...] = ()
    check: Callable[[Done, Path], str] | None = None

    @property
    def plain(self) -> str:
        """The command by name, as what it takes on good files is kept."""
        words = self.command.split()
        return " ".join(words[: 2 if words[0] == "repair" else 1])


class Runs:
    """Calls a function when Python unpickles it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def touch(folder: Path) -> str:
    """A shell command that shows that it was run."""
    return f"touch {folder / MARKER}"


def run(case: Case, folder: Path, *, timeout: float, threads: int) -> Done:
    """Run the command of a case in its folder."""
    hidden = ("GOODNET", "HDF5", "OMP_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    environment |= {"OMP_NUM_THREADS": str(threads), **case.environment}
    command = [sys.executable, "-m", "goodnet", *shlex.split(case.command)]
    limits = json.dumps([timeout, case.stops])
    done = subprocess.run(
        [sys.executable, str(_START), limits, *command],
        stdout=subprocess.PIPE,
        cwd=folder,
        env=environment,
        check=True,
    )
    return Done(**json.loads(done.stdout), out=_said(folder, "out"), err=_said(folder, "err"))


def _said(folder: Path, where: str) -> str:
    with (folder / f"said.{where}").open("rb") as file:
        return file.read(_MUCH).decode("utf-8", "replace")


def broken(case: Case, done: Done, plain: Done, folder: Path, *, slack: float) -> list[str]:
    """The rules that were broken, in words."""
    found = [_ending(case, done)]
    if spilled := _SPILLED.search(done.err):
        found.append(f"{spilled.group()} in stderr")
    if max(map(len, done.err.splitlines()), default=0) > _LONGEST:
        found.append(f"a message of {len(done.err):,} letters")
    if (folder / MARKER).exists():
        found.append("code of the file ran")
    if SECRET in done.out + done.err:
        found.append("another file was read")
    if done.cpu > plain.cpu + CPU_SECONDS * slack:
        found.append(f"{done.cpu - plain.cpu:.1f} s more")
    if done.peak > plain.peak + PEAK_MB:
        found.append(f"{done.peak - plain.peak:.0f} MB more")
    if case.check and done.in_time:
        found.append(case.check(done, folder))
    return [each for each in found if each]


def _ending(case: Case, done: Done) -> str:
    if not done.in_time:
        return "not ended in time"
    if done.code in case.codes:
        return ""
    if done.code < 0:
        return f"signal {-done.code}"
    return f"exit {done.code}, expected {' or '.join(map(str, case.codes))}"
