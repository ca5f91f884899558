from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from lab import Lab

from goodnet.cli.main import app, run


def recorded(folder: Path) -> str:
    line: str = json.loads((folder / "run.json").read_text())["command_line"]
    return line


@pytest.mark.parametrize(
    "command",
    [
        ["prune", "--drop", "5"],
        ["repair", "fine-tune", "--epochs", "1"],
        ["compare", "--methods", "prune", "--drop", "5"],
    ],
)
def test_the_record_holds_the_command_as_typed(lab: Lab, out: Path, command: list[str]) -> None:
    place = next(i for i, word in enumerate(command) if word.startswith("--"))
    name, options = command[:place], command[place:]
    poisoned = f"it's $HOME; a\n\u202eset={lab.poisoned}"
    given = [*name, lab.model, "--clean", lab.valid, "--test", lab.test, "--backdoor", poisoned]
    words = [*map(str, given), *options, "--out", str(out)]
    assert run(words) == 0
    assert shlex.split(recorded(out)) == ["goodnet", *words]
    for path in out.rglob("run.json"):
        assert recorded(path.parent) == recorded(out)


def test_a_command_within_a_command_records_its_own_words(lab: Lab, out: Path) -> None:
    words = ["prune", str(lab.model), "--clean", str(lab.valid), "--drop", "5", "--out", str(out)]
    app(words, standalone_mode=False)
    assert shlex.split(recorded(out)) == ["goodnet", *words]


def test_bytes_that_are_no_text_are_recorded_as_question_marks(lab: Lab, out: Path) -> None:
    out = out.with_name("run\udcff")
    words = ["prune", str(lab.model), "--clean", str(lab.valid), "--drop", "5", "--out", str(out)]
    assert run(words) == 0
    assert recorded(out).endswith("run?'")
