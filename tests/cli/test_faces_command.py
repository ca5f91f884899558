from __future__ import annotations

from pathlib import Path

import pytest

from goodnet.cli.main import run
from goodnet.imagesets import load_images


def faces(out: Path, *options: str, people: str = "3") -> int:
    return run(["faces", "--people", people, "--per-person", "2", "--out", str(out), *options])


def test_faces_writes_a_file_that_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "faces.h5"
    assert faces(path, "--size", "20x16", "--first-shot", "4") == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(path)
    assert "6 faces of 3 people, shots 4..5, 20x16 pixels" in err
    assert load_images(path).shape == (3, 20, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "55"], "expected a size as height x width, for example 55x47, got '55'"),
        (["--size", "-5x47"], "expected a size as height x width"),
        (["--size", "8x8"], "expected faces of 16 to 2048 pixels each way, got 8x8"),
        (["--size", "9" * 5000 + "x47"], "expected a size of a few digits"),
        (["--seed", "-1"], "expected a seed from 0"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert faces(tmp_path / "faces.h5", *options) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_no_people_and_an_output_that_exists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faces.h5"
    assert faces(path, people="0") == 2
    assert "expected at least 1 person, got 0" in capsys.readouterr().err
    path.touch()
    assert faces(path) == 2
    assert "the output exists already" in capsys.readouterr().err
    assert faces(tmp_path / "nowhere" / "faces.h5") == 6
