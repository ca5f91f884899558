"""Commands that run in the tests' own process."""

from __future__ import annotations

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
