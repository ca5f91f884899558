"""What this process holds in memory, as the system counts it."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from pathlib import Path

_PROCESS = Path("/proc/self")


def peak_memory() -> int | None:
    """The most memory this process ever held in bytes; None where the system does not say."""
    with suppress(OSError, StopIteration):
        # What getrusage says may be the size of the process this one was started from.
        lines = (_PROCESS / "status").read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_peak() -> None:
    """Have the system count the peak of memory from here on; only Linux can."""
    gc.collect()
    with suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
