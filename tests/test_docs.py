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
from goodnet.cli.typed import LATER
from goodnet.guard.methods import detectors
from goodnet.imagesets import load_images
from goodnet.inspection import ODDITIES
from goodnet.inspection.refusals import RULES
from goodnet.repair import repairs
from goodnet.runs.methods import all_methods, markdown
from goodnet.scan.methods import scanners

ROOT = Path(__file__).parents[1]


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The methods of `docs/add-a-method.md`, as a package would bring them."""
    text = (ROOT / "docs" / "add-a-method.md").read_text(encoding="utf-8")
    named = re.search(r'"goodnet\.methods"\]\n((?:\w+ = "\w+:\w+"\n)+)', text)
    assert named
    module = ModuleType("my_package")
    monkeypatch.setitem(sys.modules, "my_package", module)
    for code in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(code, "my_package", "exec"), module.__dict__)
    points = [
        EntryPoint(name, value, plugins.GROUP)
        for name, value in re.findall(r'(\w+) = "(.*)"', named[1])
    ]
    assert len(points) == 3
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    registries = (repairs, scanners, detectors)
    for registry in registries:
        registry.cache_clear()
    yield
    for registry in registries:
        registry.cache_clear()


def test_the_methods_of_the_page_are_listed(toys: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["methods"]) == 0
    shown = capsys.readouterr().out
    for name in ("repair coarsen", "scan blank", "screen brightness"):
        assert name in shown


def test_the_scanner_of_the_page_is_a_method_of_scan(
    toys: None, lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(lab.model), "--clean", str(lab.valid), "--scale", "raw", "--method", "blank"]
    out = tmp_path / "run"
    assert run(["scan", *given, "--set", "grey=0.4", "--out", str(out)]) == 1
    found = json.loads((out / "results.json").read_text())
    assert (found["method"], found["options"]["grey"]) == ("blank", 0.4)
    assert found["verdict"] == "suspicious"
    assert "blank" in (out / "report.html").read_text(encoding="utf-8")


def test_the_detector_of_the_page_screens(
    toys: None, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(lab.test), "--model", str(lab.model), "--clean", str(lab.valid), "--scale", "raw"]
    assert run(["screen", *given, "--detector", "brightness", "--json"]) in (0, 1)
    scores = [json.loads(line)["score"] for line in capsys.readouterr().out.splitlines()]
    pixels = load_images(lab.test).sample(150).images
    assert scores == pytest.approx(pixels.mean((1, 2, 3)).tolist(), rel=1e-4)


def test_the_method_of_the_page_is_a_command(
    toys: None, lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["repair", "--help"]) == 0
    assert re.search(r"coarsen +Round all weights; write B' and G", capsys.readouterr().out)
    assert run(["repair", "coarsen", "--help"]) == 0
    assert "Steps up to the largest weight of a layer" in capsys.readouterr().out
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


def test_the_page_on_code_scanning_lists_every_rule() -> None:
    page = (ROOT / "docs" / "code-scanning.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", page, re.M))
    rules = (*(rule for each in ODDITIES for rule in each.rules), *RULES)
    assert listed == {rule.id: rule.level for rule in rules}


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in LATER:
        assert f"| `goodnet {name}" in text


def test_every_public_name_is_there() -> None:
    for name in dir(goodnet):
        assert getattr(goodnet, name) is not None


def test_every_method_names_its_own_file() -> None:
    for each in all_methods():
        assert (ROOT / "src" / "goodnet" / each.file).is_file()
