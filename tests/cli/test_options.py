from __future__ import annotations

from pathlib import Path

import pytest
from lab import Lab

from goodnet.cli.main import run
from goodnet.cli.options import named_files
from goodnet.errors import UsageError


def test_a_set_has_the_name_it_is_given_or_that_of_its_file() -> None:
    assert named_files(["glasses=a.h5", "b/hat.h5"]) == {
        "glasses": Path("a.h5"),
        "hat": Path("b/hat.h5"),
    }


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert list(named_files(["\udcff=a.h5"])) == ["\ufffd"]


def test_no_poisoned_set_is_called_like_the_clean_one() -> None:
    with pytest.raises(UsageError, match="cannot be called 'clean'"):
        named_files(["clean=a.h5"])


def test_percentage_points_are_no_shares(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1% of a point would be a hundredth of what is meant."""
    given = ["repair", "prune", str(lab.model), "--clean", str(lab.valid), "--scale", "raw"]
    assert run([*given, "--drop", "1%", "--out", str(out)]) == 2
    assert "expected a number for --drop, got '1%'" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("out", [".", "/"])
def test_a_run_folder_needs_a_name(lab: Lab, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["repair", "prune", str(lab.model), "--clean", str(lab.valid), "--scale", "raw"]
    assert run([*given, "--out", out]) == 2
    assert "a name of its own" in capsys.readouterr().err
