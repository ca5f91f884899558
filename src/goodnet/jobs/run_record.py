"""What differs from run to run: the command as typed, its cost, when, and by which versions."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import goodnet
from goodnet import files
from goodnet.process import peak_memory

__all__ = ["RECORD", "Began", "RepairCost", "write_record"]

RECORD = "run.json"

_SCHEMA = 1
_LIBRARIES = ("torch", "numpy", "scipy", "h5py", "pillow", "matplotlib")


@dataclass(frozen=True)
class Began:
    """The beginning of a command.

    Attributes:
        line: The command as typed; "" where it was called from a program.
        clock: What `time.perf_counter` said.
    """

    line: str = ""
    clock: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class RepairCost:
    """What one repair took by itself, without measuring and writing.

    Attributes:
        model: The name of the network.
        method: What the repair is called.
        seconds: How long it took.
        peak_memory: The most memory held while it ran, bytes; None where not known.
    """

    model: str
    method: str
    seconds: float
    peak_memory: int | None


def write_record(folder: Path, began: Began, repairs: Sequence[RepairCost] = ()) -> None:
    """Write `run.json`, when all that counts is done.

    Args:
        folder: The run folder.
        began: When the command began.
        repairs: What each repair took, where there are any.

    Raises:
        OSError: If the file cannot be written.
    """
    # A comparison has the system forget the peak before each repair.
    peaks = [peak_memory(), *(cost.peak_memory for cost in repairs)]
    record: dict[str, Any] = {
        "schema": _SCHEMA,
        "command_line": began.line,
        "seconds": time.perf_counter() - began.clock,
        "peak_memory": max(filter(None, peaks), default=None),
        "finished": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "versions": {
            "goodnet": goodnet.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
    }
    if repairs:
        record["rows"] = [asdict(cost) for cost in repairs]
    files.write_json(folder / RECORD, record)
