"""The one shape of a command that leaves a run folder.

The folder is filled under a hidden name and appears whole or not at all. In it are the results,
which two runs on the same inputs have in common, a record of what differs, and the report.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import goodnet
from goodnet import files
from goodnet.errors import InvalidInput, NoNumbers
from goodnet.process import peak_memory
from goodnet.results import MethodCost, Results, RunRecord
from goodnet.runs.options import Place
from goodnet.typed_json import plain

RECORD = "run.json"

_LIBRARIES = ("torch", "numpy", "scipy", "h5py", "pillow", "matplotlib")

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunFolder:
    """A run folder that is being filled.

    Attributes:
        path: Where to write, under a hidden name.
        checkpoint: Where training keeps its state until the folder is safe.
        line: The command as typed.
        began: What `time.perf_counter` said when the command began.
    """

    path: Path
    checkpoint: Path
    line: str = ""
    began: float = field(default_factory=time.perf_counter)

    def write(self, results: Results, costs: Sequence[MethodCost] = ()) -> None:
        """Write `results.json` and, now that all that counts is done, `run.json`.

        Args:
            results: What was found.
            costs: What each repair took, where there are any.

        Raises:
            NoNumbers: If a number in the results is NaN or infinite.
            OSError: If a file cannot be written.
        """
        told = plain(results)
        if (place := _not_finite(told)) is not None:
            raise NoNumbers(
                f"{place.lstrip('.')} is NaN or infinite: what the network computes is beyond the "
                "numbers there are; it cannot be judged"
            )
        files.write_json(self.path / files.RESULTS, told)
        # A comparison has the system forget the peak before each repair.
        peaks = [peak_memory(), *(cost.peak_memory for cost in costs)]
        record = RunRecord(
            seconds=time.perf_counter() - self.began,
            peak_memory=max(filter(None, peaks), default=None),
            command_line=self.line,
            finished=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            versions={
                "goodnet": goodnet.__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in _LIBRARIES},
            },
            rows=tuple(costs),
        )
        files.write_json(self.path / RECORD, plain(record))


@contextmanager
def run_folder(
    place: Place, *, say: Say = lambda _text: None, resumes: bool = False
) -> Iterator[RunFolder]:
    """Yield a folder to fill; when the block ends well it gets its report and its name.

    Args:
        place: Where.
        say: Takes sentences for the user.
        resumes: Whether the command goes on from a checkpoint that an interrupted one left.

    Raises:
        UsageError: If the folder exists and may not be replaced.
        FileError: If the system refuses.
    """
    with files.run_folder(place.out, force=place.force) as path:
        checkpoint = checkpoint_of(place.out)
        if resumes and checkpoint.exists():
            say(f"going on from {checkpoint}, if the same command left it")
        yield RunFolder(path, checkpoint, place.line)
        if place.report:
            _add_report(path, place.out, say)
    if resumes:
        checkpoint.unlink(missing_ok=True)


def checkpoint_of(out: Path) -> Path:
    """Where training keeps its state, beside the folder that is to be made."""
    return out.with_name(f"{out.name}.checkpoint")


def _not_finite(told: object, place: str = "") -> str | None:
    """Where in plain data the first number that is NaN or infinite stands, "drops[0].rate"."""
    if isinstance(told, float):
        return None if math.isfinite(told) else place
    parts: Iterable[tuple[str, object]] = ()
    if isinstance(told, dict):
        parts = ((f"{place}.{key}", each) for key, each in told.items())
    elif isinstance(told, list | tuple):
        parts = ((f"{place}[{index}]", each) for index, each in enumerate(told))
    return next((x for where, each in parts if (x := _not_finite(each, where)) is not None), None)


def _add_report(path: Path, out: Path, say: Say) -> None:
    """A page that cannot be made is no reason to lose the run: it is said and left out."""
    from goodnet.runs.report import write_report

    try:
        page = write_report([path], name=out.resolve().name)
    except InvalidInput as error:
        say(f"there is no report.html: {error}")
    else:
        say(f"to look at: {out / page.name}")
