from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lab import Lab

from goodnet.cli.main import run
from goodnet.runs.compare import partial_of


def compare(lab: Lab, out: Path, *arguments: object, report: bool = False) -> int:
    command = ["compare", lab.model, "--clean", lab.valid, "--test", lab.test, "--scale", "raw"]
    command += [] if report else ["--no-report"]
    return run([str(part) for part in [*command, "--out", out, *arguments]])


def test_one_table_best_first_and_a_sentence_for_what_failed(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = ["--backdoor", f"toy={lab.poisoned}", f"again={lab.poisoned}"]
    chosen = ["--methods", "prune,fine-tune", "--drop", "5,99", "--epochs", "1"]
    assert compare(lab, out, *sets, *chosen, report=True) == 0
    printed, notes = capsys.readouterr()
    header, _, *lines = printed.splitlines()
    assert header.split("  ")[0] == "method"
    assert " DER " in header
    methods = [line.split()[0] for line in lines if " toy " in line]
    assert methods[0] == "none"
    assert set(methods) == {"none", "prune-5", "fine-tune"}
    assert sum(" again " in line for line in lines) == 3
    (failed,) = [line for line in lines if " failed" in line]
    assert failed.startswith("prune-99")
    assert any(line.startswith("prune-99: accuracy never falls") for line in lines)
    assert "net: valid.h5: 150 images" in notes
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_several_models_are_one_table_with_their_names(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b").mkdir()
    copy = tmp_path / "b" / "net.h5"
    shutil.copy(lab.model, copy)
    given = [copy, "--backdoor", lab.poisoned, "--methods", "prune", "--drop", "5"]
    assert compare(lab, out, *given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("model ")
    names = [f"{lab.folder.name}-net", "b-net"]
    assert [line.split()[:2] for line in lines[2:6]] == [
        [name, method] for name in names for method in ("none", "prune-5")
    ]
    assert {path.name for path in out.iterdir() if path.is_dir()} == set(names)


def test_an_interrupted_comparison_goes_on(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    given = ["--backdoor", lab.poisoned, "--methods", "prune", "--drop", "5"]
    with monkeypatch.context() as patched:
        patched.setattr("goodnet.runs.compare.write_comparison", interrupted)
        assert compare(lab, out, *given) == 130
    assert [path.name for path in out.parent.iterdir()] == [partial_of(out).name]
    capsys.readouterr()
    assert compare(lab, out, *given) == 0
    assert "are not done again" in capsys.readouterr().err
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--methods", "magic"], 2, "the methods are prune, cure, fine-tune, fine-prune, sparsify"),
        (["--methods", "unlearn"], 2, "needs at least one --trigger"),
        (["--drop", "two"], 2, "'two'"),
        (["--sparsity", "2"], 2, "expected a sparsity from 0 to 1, got 2"),
        (["--trigger", "hat"], 2, "the triggers are blended"),
        (["nowhere.h5"], 6, "nowhere.h5"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    lab: Lab,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    assert compare(lab, out, "--backdoor", lab.poisoned, *arguments) == code
    printed, notes = capsys.readouterr()
    assert printed == ""
    assert message in notes.splitlines()[-1]
    assert list(out.parent.iterdir()) == []


def test_there_must_be_poison_to_compare_by(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(lab, out) == 2
    assert "expected poisoned images to compare by" in capsys.readouterr().err
    out.mkdir()
    assert compare(lab, out, "--backdoor", lab.poisoned) == 2
    assert "the output folder exists already" in capsys.readouterr().err
