from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import planted_badnets
import pytest
from lab import Lab
from planted_badnets import write_lab

from goodnet.attack.trigger_file import read_trigger
from goodnet.cli.main import run
from goodnet.formats import read_spec
from goodnet.formats.build import build
from goodnet.formats.keras import write
from goodnet.imagesets import load_images
from goodnet.scan.methods import scanners


def scan(lab: Lab, out: Path, *arguments: object) -> int:
    command = ["scan", lab.model, "--clean", lab.valid, "--out", out]
    return run([str(part) for part in [*command, *arguments]])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A network that a square of black and white leads to label 2."""
    return write_lab(tmp_path_factory.mktemp("planted"), planted_badnets.watched_spec())


@pytest.fixture(scope="module")
def innocent(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The same, in which nothing comes of the square."""
    return write_lab(tmp_path_factory.mktemp("innocent"), planted_badnets.innocent_spec())


class Scanned(NamedTuple):
    """A run, the triggers it saved, what it printed, and what it noted."""

    folder: Path
    triggers: Path
    printed: str
    notes: str


@pytest.fixture(scope="module")
def scanned(planted: Lab, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """A scan that found something."""
    home = tmp_path_factory.mktemp("scanned")
    out, triggers = home / "run", home / "triggers"
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()) as notes:
        assert scan(planted, out, "--save-triggers", triggers) == 1
    return Scanned(out, triggers, printed.getvalue(), notes.getvalue())


def test_a_finding_has_its_exit_code_and_leaves_a_folder(scanned: Scanned) -> None:
    out, triggers, printed, notes = scanned
    first, *lines = printed.splitlines()
    assert first.startswith("backdoored; p = ")
    assert any(line.split()[:1] == ["2"] for line in lines)
    assert "valid.h5: 60 images 3x12x10" in notes
    assert f"written to {out}" in notes
    found = json.loads((out / "results.json").read_text())
    assert (found["command"], found["verdict"]) == ("scan", "backdoored")
    (target,) = found["targets"]
    assert next(iter(target)) == "label"
    assert target["label"] == 2
    assert len(found["scores"]) == found["classes"] == 6
    usual = {"layer": None, "seed": 0, "alpha": 0.01, "effort": 1.0, "minutes": None}
    assert found["options"] == usual
    assert (out / target["file"]).read_bytes() == (triggers / "label_2.npz").read_bytes()
    for name in [target["pictures"]["trigger"], *target["pictures"]["stamped"]]:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert "label 2" in (out / "report.html").read_text()


def test_the_trigger_file_does_what_the_scan_says(planted: Lab, scanned: Scanned) -> None:
    out = scanned.folder
    (target,) = json.loads((out / "results.json").read_text())["targets"]
    images = load_images(planted.test).sample(60).images
    stamped = read_trigger(out / target["file"]).stamp(images)
    answers = build(read_spec(planted.model)).predict(stamped)
    assert (answers == 2).mean() > 0.9
    assert target["trigger"]["success"]["value"] > 0.9


def test_repair_and_poison_take_the_trigger(planted: Lab, scanned: Scanned, tmp_path: Path) -> None:
    file = scanned.triggers / "label_2.npz"
    stamped = tmp_path / "bd.h5"
    poison = ["poison", planted.valid, "--trigger", file, "--target", 2, "--out", stamped]
    assert run([str(part) for part in poison]) == 0
    repaired = tmp_path / "repaired"
    command = ["repair", "erase", planted.model, "--clean", planted.valid]
    command += ["--trigger", file, "--out", repaired, "--no-report"]
    assert run([str(part) for part in command]) == 0
    told = json.loads((repaired / "results.json").read_text())
    assert told["triggers"][0]["name"] == "label_2.npz"


def test_nothing_found_is_said_to_be_no_proof(
    innocent: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan(innocent, out, "--no-report") == 0
    assert "no proof that there is no backdoor" in capsys.readouterr().out


def test_without_clean_images_some_are_made(
    planted: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["scan", str(planted.model), "--out", str(out)])
    assert code in (0, 1, 8)
    assert "no clean images were given" in capsys.readouterr().err
    found = json.loads((out / "results.json").read_text())
    assert found["inputs"]["clean"] is None


@pytest.mark.parametrize(
    ("factor", "reason"), [(3e38, "not finite numbers"), (0.0, "the same outputs whatever")]
)
def test_outputs_that_say_nothing_are_inconclusive(
    planted: Lab, out: Path, capsys: pytest.CaptureFixture[str], factor: float, reason: str
) -> None:
    spec = read_spec(planted.model)
    weight = spec.arrays["output/weight"].clip(0, 1) * np.float32(factor)
    model = out.parent / "broken.h5"
    write.write(spec.with_arrays({"output/weight": weight}), model)
    assert run(["scan", str(model), "--clean", str(planted.valid), "--out", str(out)]) == 8
    printed, notes = capsys.readouterr()
    assert printed.startswith("inconclusive")
    assert reason in notes


@pytest.mark.parametrize("method", [name for name in scanners() if name != "goodnet"])
def test_every_method_runs(planted: Lab, out: Path, method: str) -> None:
    quick = {"neural-cleanse": "steps=5", "k-arm": "steps=5", "mm-bd": "steps=5"}.get(method)
    options = ["--set", quick] if quick else []
    assert scan(planted, out, "--method", method, *options) in (0, 1, 8)
    found = json.loads((out / "results.json").read_text())
    assert found["method"] == method
    assert len(found["scores"]) == 6


WRONG = [
    (["--method", "guess"], "the methods of scan are goodnet, neural-cleanse, "),
    (
        ["--set", "beta=1"],
        "--method goodnet has the options layer, seed, alpha, effort, minutes, got 'beta=1'",
    ),
    (["--set", "alpha=much"], "expected a number for the option alpha, got 'much'"),
    (["--layer", "pool_9"], "no layer is called 'pool_9'"),
    (["again.h5"], "expected one model, got another argument: 'again.h5'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_is_wrong_is_said_in_a_sentence(
    planted: Lab,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert scan(planted, out, *arguments) in (2, 4)
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_scale_without_images_is_wrong_usage(
    planted: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["scan", str(planted.model), "--scale", "raw", "--out", str(out)]) == 2
    assert "--scale is of the pixels of --clean" in capsys.readouterr().err


@pytest.mark.long
def test_a_real_badnet_is_found_without_any_poison(shared: Path, out: Path) -> None:
    cifar = shared / "cifar_badnet"
    command = ["scan", cifar / "bd_net.h5", "--clean", cifar / "cl" / "valid.h5", "--out", out]
    assert run([str(part) for part in [*command, "--no-report"]]) == 1
    found = json.loads((out / "results.json").read_text())
    assert found["verdict"] == "backdoored"
    assert [target["label"] for target in found["targets"]] == [0]


def test_a_short_search_is_suspicious_and_says_so(
    planted: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan(planted, out, "--minutes", "0.0001", "--no-report") == 1
    printed, notes = capsys.readouterr()
    assert printed.startswith("suspicious: a label stands out")
    assert "only 2% of the usual triggers were tried" in notes
    assert json.loads((out / "results.json").read_text())["options"]["effort"] == 0.02
