"""What a child process may use, and how it gives up everything else.

Memory and time grow with the files that it opens, so a small file cannot ask for much.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import sys
import time

from goodnet.formats.budgets import GIB, MIB

# Above what the process has when it starts, and for each byte of the largest file it opens. A file
# is held as it is, unpacked, as numbers of four bytes, and once more in another order.
MEMORY_BYTES, MEMORY_GROWTH, MOST_MEMORY_BYTES = 256 * MIB, 8, 24 * GIB
# Seconds of CPU time, and bytes for another one: several times what networks of many layers take.
SECONDS, BYTES_A_SECOND = 1.5, 4 * MIB
_FILES = 64

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
# linux/landlock.h: system calls, rights over files by the version that knows them, and the rest.
_CREATE_RULESET, _RESTRICT_SELF, _ASK_VERSION = 444, 446, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
_CONNECT_AND_BIND, _SIGNALS_AND_SOCKETS = 0b11, 0b11

_before: int | None = None  # bytes of this process when it was confined; None in any other
_largest = 0
_allowed = 0.0  # seconds of CPU time that it may have used


def confine() -> None:
    """Give up all that reading does not need, for the rest of this process.

    Where the system knows them, Landlock's rules stand beside the limits: no file is written, made,
    removed or executed, nothing is connected, no other process is signalled or traced.
    """
    global _before
    import resource

    highest = max(open_files(), default=_FILES)
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, highest + _FILES),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))
    _before = _virtual_bytes()
    _limit_memory()
    renew_time()
    with contextlib.suppress(OSError, AttributeError):
        _confine_linux()


def inside() -> bool:
    """Whether this process is such a child."""
    return _before is not None


def allow_for(length: int) -> None:
    """Allow what a file of `length` bytes needs; without effect in any other process."""
    global _largest, _allowed
    if not inside():
        return
    _allowed += length / BYTES_A_SECOND
    _limit_time()
    if length > _largest:
        _largest = length
        _limit_memory()


def renew_time() -> None:
    """Start the time anew, as a part of the work is done; without effect in any other process."""
    global _allowed
    if inside():
        _allowed = time.process_time() + SECONDS + _largest / BYTES_A_SECOND
        _limit_time()


def _limit_time() -> None:
    """The system ends the process when it has used what it is allowed."""
    left = _allowed - time.process_time()
    signal.setitimer(signal.ITIMER_PROF, max(left, 0.001))


def _limit_memory() -> None:
    import resource

    if _before:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = _before + MOST_MEMORY_BYTES
        # A limit that was set before us cannot be raised, and asking for more would set none.
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        wanted = _before + MEMORY_BYTES + MEMORY_GROWTH * _largest
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (min(wanted, most), most))


def _virtual_bytes() -> int:
    """Memory of this process, as RLIMIT_AS counts it; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def open_files() -> list[int]:
    """The descriptors of this process that are open, as far as the system says it."""
    try:
        return [int(each) for each in os.listdir("/dev/fd")]  # noqa: PTH208
    except OSError:
        return []


def landlock_version() -> int:
    """The version of Landlock that the system has; 0 or less for none."""
    if sys.platform != "linux":
        return 0
    return int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, _ASK_VERSION))


def _confine_linux() -> None:
    if sys.platform != "linux":
        return
    version, system = landlock_version(), ctypes.CDLL(None)
    system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if version < 1 or system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return
    rights = (1 << max(count for since, count in _RIGHTS.items() if since <= version)) - 1
    rules = [rights & ~(_READ_FILE | _READ_DIR)]
    rules += [_CONNECT_AND_BIND] if version >= 4 else []
    rules += [_SIGNALS_AND_SOCKETS] if version >= 6 else []
    packed = struct.pack(f"={len(rules)}Q", *rules)
    ruleset = system.syscall(_CREATE_RULESET, packed, ctypes.c_size_t(len(packed)), 0)
    if ruleset >= 0:
        system.syscall(_RESTRICT_SELF, ruleset, 0)
        os.close(ruleset)
