"""Kill prune, cure and compare at random moments, as `kill -9` does: no run may suffer.

Half of the moments are anywhere in a run, half in its last steps, once the report is there: then
the folder is synced and gets its name. After a kill the folder is not there, or it is the old run
or the new one, and whole; with --force it is always there. Repairs that a comparison had finished
are kept. The next command leaves nothing but its run. Every command is run by a fork of this
process, which has imported what it needs. Needs Linux.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import torch
from _hostile_good import good_files
from _measure import header, options, show

from goodnet.cli.main import run
from goodnet.errors import GoodnetError
from goodnet.files import RESULTS, sha256
from goodnet.formats import read_spec
from goodnet.report.read import read_run
from goodnet.runs.compare import partial_of

__all__ = ["main"]

_SETS = "model.h5 --clean clean.h5 --scale 1/255"
_COMPARED = "--test three.h5 --backdoor stamped.h5 --methods prune,fine-tune --drop 5 --epochs 1"
_COMMANDS = {
    "prune": f"prune {_SETS} --drop 5",
    "cure": f"cure {_SETS} --minutes 0.02",
    "compare": f"compare {_SETS} {_COMPARED}",
}
_EVERY = 5  # so often the next command is left to end
_PAUSE = 0.001

Files = Mapping[str, str]  # by name, the hash of each


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    torch.set_num_threads(given.threads)
    header(given.threads)
    rows = [["command", "kills", "ended before", "old run", "new run", "no run", "wrong"]]
    wrong: list[str] = []
    for name in given.only or _COMMANDS:
        for forced in (False, True):
            title = f"{name}{' --force' * forced}"
            with TemporaryDirectory() as folder:
                found = _Trial(Path(folder), name, forced=forced).kill(given)
            wrong += [f"{title}: {text}" for text in found.wrong]
            states = [found.states[state] for state in ("ended", "old", "new", "none")]
            rows.append([title, *map(str, (sum(states), *states, len(found.wrong)))])
            print(", ".join(rows[-1]), file=sys.stderr)
    show(rows)
    for text in wrong:
        print(f"- {text}")
    if wrong:
        raise SystemExit(1)


@dataclass
class _Found:
    """How the folder of a run was after the kills, and what was wrong."""

    states: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class _Trial:
    """One command, with or without a run that it replaces."""

    def __init__(self, home: Path, name: str, *, forced: bool) -> None:
        self.home, self.out, self.name, self.forced = home, home / "RUN", name, forced
        good_files(home)
        _write_stamped(home)
        words = _COMMANDS[name].split()
        files = [str(home / word) if word.endswith(".h5") else word for word in words]
        self.command = [*files, "--out", str(self.out)]
        self.seconds = self.last_steps = 0.0  # of the last run that was not killed
        self.inputs = {path.name for path in home.iterdir()}

    def kill(self, given: Namespace) -> _Found:
        chance = random.Random(f"{given.seed} {self.name} {self.forced}")
        found = _Found()
        self._run()
        for number in range(given.kills):
            if not self.forced:
                shutil.rmtree(self.out, ignore_errors=True)
            old, finished = _files(self.out), self._finished()
            late = bool(number % 2)
            usual = self.last_steps if late else self.seconds
            killed = self._run(after=chance.uniform(0, usual), late=late)
            new = _files(self.out)
            state = "none" if new is None else "old" if new == old else "new"
            found.states[state if killed else "ended"] += 1
            found.wrong += self._wrong(state, old)
            if lost := finished - self._finished() if state != "new" else set():
                found.wrong.append(f"{', '.join(lost)} of the finished repairs is lost")
            if number % _EVERY == _EVERY - 1:
                found.wrong += self._left()
            print(f"{self.name} {number + 1}/{given.kills}: {state}", file=sys.stderr)
        return found

    def _wrong(self, state: str, old: Files | None) -> list[str]:
        if state == "none":
            return [] if old is None else ["the old run is gone"]
        return [] if state == "old" else _broken(self.out)

    def _finished(self) -> set[str]:
        """The repairs of a comparison that is not at its end."""
        partial = partial_of(self.out)
        runs = [path for path in partial.glob("*") if path.is_dir() and path.name[0] != "."]
        return {path.name for path in runs if not _broken(path)}

    def _left(self) -> list[str]:
        """What the next command leaves beside its run."""
        self._run()
        left = {path.name for path in self.home.iterdir()} - self.inputs - {self.out.name}
        return [*(f"{name} is left behind" for name in sorted(left)), *_broken(self.out)]

    def _run(self, *, after: float | None = None, late: bool = False) -> bool:
        """Run the command; whether it was killed, so many seconds after it began, or reported."""
        force = ["--force"] if self.forced or self.out.exists() else []
        child = os.fork()
        if not child:
            nothing = os.open(os.devnull, os.O_RDWR)
            for standard in range(3):
                os.dup2(nothing, standard)
            os._exit(run([*self.command, *force]))
        began, reported = time.monotonic(), 0.0
        ended, status = os.waitpid(child, os.WNOHANG)
        while not ended:
            now = time.monotonic()
            if not reported and self._reported():
                reported = now
            since = reported if late else began
            if after is not None and since and now - since >= after:
                os.kill(child, signal.SIGKILL)
                after = None
            time.sleep(_PAUSE)
            ended, status = os.waitpid(child, os.WNOHANG)
        if os.WIFSIGNALED(status):
            return True
        if os.WEXITSTATUS(status) not in (0, 1, 8):
            raise SystemExit(f"{self.command} ended with {os.WEXITSTATUS(status)}")
        self.seconds, self.last_steps = time.monotonic() - began, time.monotonic() - reported
        return False

    def _reported(self) -> bool:
        """Whether the report of the run is made, and little is left to do."""
        return any(self.home.glob(".goodnet-*/report.html"))


def _write_stamped(home: Path) -> None:
    """Clean images with a white corner, of the class 0."""
    with h5py.File(home / "clean.h5") as file:
        images = file["data"][:]
    images[:, :3, :3] = 255
    with h5py.File(home / "stamped.h5", "w") as file:
        file["data"], file["label"] = images, np.zeros(len(images), np.uint8)


def _files(folder: Path) -> Files | None:
    if not folder.exists():
        return None
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): sha256(path) for path in paths}


def _broken(folder: Path) -> list[str]:
    """What is wrong with a run: something that is not there, or cannot be read."""
    try:
        read_run(folder)
        found = json.loads((folder / RESULTS).read_text())
        json.loads((folder / "run.json").read_text())
        for path in folder.rglob("*"):
            if path.suffix in (".h5", ".keras"):
                read_spec(path)
    except (GoodnetError, OSError, ValueError) as error:
        return [f"{folder.name} is broken: {error}"]
    named = [name for name in found.get("files", {}).values() if isinstance(name, str)]
    return [f"{name} is missing" for name in named if not (folder / name).exists()]


def _parse(arguments: Sequence[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.set_defaults(threads=1)
    parser.add_argument("--kills", type=int, default=34, help="of each of the six commands")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--only", nargs="+", choices=_COMMANDS, help="of the commands")
    given = parser.parse_args(arguments)
    if given.quick:
        given.kills = 2
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
