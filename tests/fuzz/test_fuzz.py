"""The fuzzer itself, and a few seconds of it for each parser; hours of it are run by hand."""

from __future__ import annotations

import os
import re
import signal
import warnings
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from fuzzer import Done, fuzz, main
from mutations import scratched
from targets import TARGETS, Target

from goodnet.errors import InvalidInput
from goodnet.quarantine import limits

LETTERS = b"abcdefgh" * 8


@pytest.mark.parametrize("name", TARGETS)
def test_few_mutants(name: str) -> None:
    done = fuzz(TARGETS[name], range(10), seed="0", seconds=600)
    assert not done.findings
    assert done.mutants == 10


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_many_mutants(name: str) -> None:
    done = fuzz(TARGETS[name], count(1000), seed="make check", seconds=4)
    assert not done.findings
    # A damaged checkpoint is no error: training begins anew.
    assert done.refused or name == "checkpoints"


def fuzzed(parse: Callable[[Path], object], *, mutants: int = 40) -> Done:
    """What comes of fuzzing a parser that reads letters."""
    return fuzz(
        Target(lambda _: [LETTERS], scratched, parse), range(mutants), seed="0", seconds=600
    )


def test_a_parser_that_refuses_has_no_findings() -> None:
    def parse(path: Path) -> None:
        if len(path.read_bytes()) != len(LETTERS):
            raise InvalidInput("expected 64 letters")

    done = fuzzed(parse)
    assert not done.findings
    assert 0 < done.refused < done.mutants == 40


def test_an_error_of_another_kind_is_found_once_and_made_small() -> None:
    def parse(path: Path) -> None:
        if not path.read_bytes().isalpha():
            raise KeyError("a letter")

    (finding,) = fuzzed(parse).findings
    assert finding.what == "KeyError in no code of ours: 'a letter'"
    assert len(finding.data) <= 1


def test_a_crash_is_found_and_the_rest_is_tried() -> None:
    def parse(path: Path) -> None:
        if len(path.read_bytes()) < len(LETTERS):
            os.kill(os.getpid(), signal.SIGSEGV)

    done = fuzzed(parse)
    assert [x.what for x in done.findings] == ["signal 11: a crash"]
    assert done.mutants == 40


def forever() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("work", "what"),
    [
        (forever, "signal 27: over the time that is allowed"),
        (lambda: bytes(2 * limits.MEMORY_BYTES), "MemoryError in "),
        (lambda: warnings.warn("strange", stacklevel=1), "UserWarning in "),
    ],
    ids=["time", "memory", "a warning"],
)
def test_what_is_over_the_limits_is_found(
    work: Callable[[], object], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.1)
    (finding,) = fuzzed(lambda path: path.read_bytes() == LETTERS or work(), mutants=3).findings
    assert finding.what.startswith(what)


def test_a_good_file_that_is_not_read_is_an_error() -> None:
    def parse(path: Path) -> None:
        raise InvalidInput("no")

    with pytest.raises(ValueError, match="a good file is not read"):
        fuzzed(parse)


def test_a_mutant_depends_on_the_seed_and_its_number_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(path: Path) -> None:
        data = path.read_bytes()
        if data != LETTERS:
            raise KeyError(data[:20])

    monkeypatch.setitem(TARGETS, "letters", Target(lambda _: [LETTERS], scratched, parse))
    told = []
    for start, keep in (("7", "a"), ("7", "b"), ("8", "c")):
        given = ["--only", "^letters$", "--start", start, "--count", "1", "--seconds", "600"]
        assert main([*given, "--keep", str(tmp_path / keep)]) == 1
        told.append(re.sub(r"--start \d+", "", capsys.readouterr().out))
    assert told[0] == told[1] != told[2]
    (kept,) = (tmp_path / "a").iterdir()
    assert kept.name == "letters-7"
