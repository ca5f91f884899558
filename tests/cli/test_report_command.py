"""`goodnet report`, and the report that comes with a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import Lab

from goodnet.cli.main import run
from goodnet.errors import InvalidInput


@pytest.fixture(scope="module")
def pruned(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command") / "run"
    command = ["prune", lab.model, "--clean", lab.valid, "--out", folder, "--drop", "5"]
    assert run([str(part) for part in [*command, "--no-report"]]) == 0
    return folder


def test_without_a_report_there_is_none(pruned: Path) -> None:
    assert not (pruned / "report.html").exists()


def test_the_command_prints_the_page(pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(pruned)]) == 0
    assert capsys.readouterr().out == f"{pruned / 'report.html'}\n"
    assert run(["report", str(pruned)]) == 2
    assert run(["report", str(pruned), "--force"]) == 0


def test_export_prints_what_it_wrote(
    pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", str(pruned), "--export", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert str(tmp_path / "curve.svg") in printed
    command = ["report", str(pruned), "--export", str(tmp_path), "--out", "page.html"]
    assert run(command) == 2
    assert "--export takes one run" in capsys.readouterr().err


def test_what_is_no_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert run(["report", str(folder)]) == 4
        assert capsys.readouterr().err == (
            "goodnet: expected a run folder, made by goodnet prune, repair, cure, compare or scan; "
            f"there is no results.json in {folder}\n"
        )


def test_a_report_that_fails_does_not_cost_the_run(
    lab: Lab, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InvalidInput("something is odd")

    monkeypatch.setattr("goodnet.runs.report.write_report", fail)
    command = ["prune", lab.model, "--clean", lab.valid, "--out", out, "--drop", "5"]
    assert run([str(part) for part in command]) == 0
    assert "there is no report.html: something is odd" in capsys.readouterr().err
    assert (out / "results.json").is_file()
