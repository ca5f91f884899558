"""Run a goodnet command as the command line does; say last how much memory it held at most."""

from __future__ import annotations

import sys
from pathlib import Path

from goodnet.cli.main import run

__all__ = ["main"]

_STATUS = Path("/proc/self/status")


def main() -> None:
    code = run(sys.argv[1:])
    print(_highest())
    sys.exit(code)


def _highest() -> int:
    """The highest resident set of this process in bytes."""
    if _STATUS.exists():
        # What getrusage says begins with the size of the process this one was started from.
        (line,) = (x for x in _STATUS.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
