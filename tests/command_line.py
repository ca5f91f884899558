"""Commands that run in the tests' own process, or in one of their own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from goodnet.cli.main import run


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


def fails(capsys: pytest.CaptureFixture[str], code: int, arguments: list[object]) -> str:
    """Run a command that must end with one line on stderr and this exit code."""
    assert run([str(argument) for argument in arguments]) == code
    out, err = said(capsys)
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("goodnet: ")
    assert "Traceback" not in err
    return last


def begun(*arguments: object) -> subprocess.Popen[str]:
    """A command as a process that ignores no signal, wherever the tests themselves run."""
    return subprocess.Popen(
        [sys.executable, "-m", "goodnet", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
    )


def heed_signals() -> None:
    """Let signals do what they usually do, also where the one who started this ignores them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
