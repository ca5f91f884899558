"""What the documentation says is so."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from lab import Lab

import goodnet
from goodnet import plugins
from goodnet.cli.main import run
from goodnet.repair import repairs
from goodnet.runs.methods import all_methods, markdown

ROOT = Path(__file__).parents[1]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The method of `docs/add-a-method.md`, as a package would bring it."""
    text = (ROOT / "docs" / "add-a-method.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S)
    named = re.search(r'"goodnet\.methods"\]\n(\w+) = "(\w+:\w+)"', text)
    assert code
    assert named
    module = ModuleType("my_package")
    monkeypatch.setitem(sys.modules, "my_package", module)
    exec(compile(code[1], "my_package", "exec"), module.__dict__)
    point = EntryPoint(named[1], named[2], plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    repairs.cache_clear()
    yield
    repairs.cache_clear()


def test_the_method_of_the_page_is_a_command(
    toy: None, lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["repair", "--help"]) == 0
    assert re.search(r"coarsen +Round all weights; write B' and G", capsys.readouterr().out)
    assert run(["methods"]) == 0
    assert "repair coarsen" in capsys.readouterr().out
    assert run(["repair", "coarsen", "--help"]) == 0
    assert "From nothing to the largest weight of a layer" in capsys.readouterr().out
    given = [str(lab.model), "--clean", str(lab.valid), "--scale", "raw"]
    out = tmp_path / "run"
    assert run(["repair", "coarsen", *given, "--steps", "9", "--out", str(out)]) == 0
    found = json.loads((out / "results.json").read_text())
    assert (found["method"], found["options"]) == ("coarsen", {"steps": 9})
    assert "coarsen" in (out / "report.html").read_text(encoding="utf-8")
    several = ["--test", str(lab.test), "--backdoor", f"toy={lab.poisoned}", "--no-report"]
    several += ["--methods", "coarsen", "--out", str(tmp_path / "compared")]
    assert run(["compare", *given, *several]) == 0
    assert "coarsen" in capsys.readouterr().out


def test_the_table_of_the_readme_is_that_of_the_methods() -> None:
    assert markdown() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_of_the_readme_is_the_file_that_is_run() -> None:
    code = (ROOT / "examples" / "prune_and_guard.py").read_text(encoding="utf-8")
    assert code[code.index("from pathlib") :] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_public_name_is_there() -> None:
    for name in dir(goodnet):
        assert getattr(goodnet, name) is not None


def test_every_method_names_its_own_file() -> None:
    for each in all_methods():
        assert (ROOT / "src" / "goodnet" / each.file).is_file()
