"""Start a command and say, as one line of JSON, how it ended and what it took.

A process begins with the peak of the one that starts it, so the command is started from here: this
script imports nothing large.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time

__all__ = ["main"]

# A command that runs away must not take the machine with it. This is the limit that a process may
# raise again: one that it may not would be in the way of those that `goodnet` sets itself.
_ROOM = 12 * 2**30
_WAIT = 0.005


def main() -> None:
    """First [seconds it may take, [[seconds, signal], ...]] as JSON, then the command."""
    limit, stops = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (_ROOM, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A shell may have told what it runs in the background to ignore these, and that is inherited.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)
    child = _started(sys.argv[2:])
    status, usage, in_time = _waited(child.pid, limit, stops)
    found = {
        "code": os.waitstatus_to_exitcode(status),
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss / 1024,
        "in_time": in_time,
    }
    print(json.dumps(found))


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    """In a group of its own, so that all of it can be ended; what it says goes to two files."""
    with open("said.out", "wb") as out, open("said.err", "wb") as err:  # noqa: PTH123
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )


def _waited(
    pid: int, limit: float, stops: list[tuple[float, int]]
) -> tuple[int, resource.struct_rusage, bool]:
    """The status, what it and all that it waited for took, and whether it ended by itself."""
    began, in_time = time.monotonic(), True
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage, in_time
        passed = time.monotonic() - began
        while stops and passed >= stops[0][0]:
            os.kill(pid, stops.pop(0)[1])
        if passed > limit and in_time:
            in_time = False
            os.killpg(pid, signal.SIGKILL)
        time.sleep(_WAIT)


if __name__ == "__main__":
    main()
