"""The command line as a user meets it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import fails, said
from lab import Lab
from typer.main import get_command

from goodnet.cli.main import app, run
from goodnet.formats.format import save_spec
from goodnet.formats.spec import Activation, Layer, NetworkSpec
from goodnet.imagesets import load_images, save_images
from goodnet.repair import repairs

SIGMOID = Activation("sigmoid")


def test_prune_writes_a_run_folder_and_prints_a_table(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prune", lab.model, "--clean", lab.valid, "--test", lab.test, "--out", out]
    command += ["--backdoor", f"toy={lab.poisoned}", "--drop", "5", "--drop", "20,99"]
    assert run([str(part) for part in command]) == 0
    printed, notes = said(capsys)
    assert "G detection rate" in printed
    assert "not reached" in printed
    assert "valid.h5: 150 images 3x8x8" in notes
    names = {path.name for path in out.iterdir()}
    expected = {"results.json", "run.json", "report.html", "pictures", "curve.csv"}
    expected |= {f"{name}.{kind}" for name in ("curve", "comparison") for kind in ("png", "svg")}
    expected |= {f"{kind}_drop_{drop}" for drop in (5, 20) for kind in ("model", "goodnet")}
    assert {name.replace(".h5", "").replace(".keras", "") for name in names} == expected


def test_evaluate_prints_the_lines_of_the_lab(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(lab.model), "--clean", str(lab.test)]) == 0
    lines = said(capsys)[0].splitlines()
    assert lines[0] == "Clean Classification accuracy: 90.0"
    both = [str(lab.poisoned), f"again={lab.poisoned}"]
    assert run(["evaluate", str(lab.model), "--clean", str(lab.test), "--backdoor", *both]) == 0
    lines = said(capsys)[0].splitlines()
    assert lines[1].startswith("Attack Success Rate: ")
    assert [line.rpartition("  ")[2] for line in lines[1:3]] == ["(bd)", "(again)"]


def test_evaluate_gives_json(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", lab.model, "--clean", lab.test, "--backdoor", lab.poisoned, "--json"]
    assert run([str(part) for part in command]) == 0
    (found,) = json.loads(said(capsys)[0])
    assert found["clean"]["correct"]["count"] == 135
    assert found["backdoor"]["bd"]["robust"]["total"] == 60


@pytest.mark.parametrize("words", [[], ["repair"]])
def test_without_a_command_the_help_is_shown_as_it_is(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].startswith("Usage: ")
    assert any(line.startswith("  cure ") for line in shown)


def test_guard_then_predict_then_evaluate(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prune", lab.model, "--clean", lab.valid, "--out", out, "--drop", "5", "--no-report"]
    assert run([str(part) for part in command]) == 0
    good, repaired = tmp_path / "good.keras", out / "model_drop_5.h5"
    assert run(["guard", str(lab.model), str(repaired), "--out", str(good)]) == 0
    assert "class 5 means backdoored" in said(capsys)[1]
    assert run(["predict", str(good), str(lab.test), "--scale", "raw"]) == 0
    from_file = said(capsys)[0].split()
    command = ["predict", lab.model, lab.test, "--scale", "raw", "--repaired", repaired]
    assert run([str(part) for part in command]) == 0
    assert said(capsys)[0].split() == from_file
    assert len(from_file) == 150
    assert "5" in from_file
    assert run(["evaluate", str(good), "--clean", str(lab.test)]) == 0
    assert f"{100 * from_file.count('5') / 150:.2f}" in said(capsys)[0]


def test_predict_takes_the_scale_from_the_run_folder(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prune", lab.model, "--clean", lab.valid, "--out", out, "--drop", "30"]
    assert run([str(part) for part in [*command, "--no-report"]]) == 0
    said(capsys)
    assert run(["predict", str(out / "goodnet_drop_30.keras"), str(lab.test)]) == 0
    printed, notes = said(capsys)
    assert "results.json" in notes
    assert len(printed.split()) == 150


def test_predict_refuses_to_guess_the_scale(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8)).astype(np.uint8)
    save_images(tmp_path / "x.h5", pixels, np.zeros(20))
    line = fails(capsys, 2, ["predict", lab.model, tmp_path / "x.h5"])
    assert "the answer depends on what the network takes (--scale raw: " in line
    assert "pass --scale raw or --scale 1/255, or --clean" in line


def test_the_scale_is_that_of_the_clean_images_whatever_others_are_stored_as(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = load_images(lab.test).sample(150)
    save_images(tmp_path / "bytes.h5", np.rint(255 * block.images).astype(np.uint8), block.labels)
    answers = []
    for images in (lab.test, tmp_path / "bytes.h5"):
        assert run(["predict", str(lab.model), str(images), "--clean", str(lab.valid)]) == 0
        answers.append(np.array(said(capsys)[0].split()))
    assert (answers[0] == answers[1]).mean() > 0.95


def test_inspect_shows_the_file_and_runs_nothing(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(lab.model)]) == 0
    printed = said(capsys)[0]
    assert "classes:           5" in printed
    assert run(["inspect", str(lab.model), "--json"]) == 0
    found = json.loads(said(capsys)[0])
    assert found["default_layer"] == "pool_1"
    assert found["layers"][1]["shape"] == [6, 8, 8]


@pytest.mark.parametrize(
    ("shape", "note"),
    [((20,), "takes values of shape 20, no images"), ((2, None, None), "takes images of any size")],
)
def test_inspect_says_what_a_network_takes(
    shape: tuple[int | None, ...], note: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = [Layer("image", "input", (), {"shape": shape})]
    if len(shape) > 1:
        layers.append(Layer("pool", "global_avg_pool2d", ("image",), {"keepdims": False}))
    layers.append(Layer("answer", "activation", (layers[-1].name,), {"activation": SIGMOID}))
    save_spec(NetworkSpec(tuple(layers), {}, "answer"), tmp_path / "net.h5")
    assert run(["inspect", str(tmp_path / "net.h5")]) == 0
    assert note in said(capsys)[0]


def test_show_draws_a_sheet(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    command = ["show", lab.test, "--model", lab.model, "--scale", "raw", "--out", sheet]
    assert run([str(part) for part in command]) == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert said(capsys)[0] == f"{sheet}\n"
    assert "use --force" in fails(capsys, 2, command)


COMMANDS = list(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    usage = next(line for line in said(capsys)[0].splitlines() if "Usage: " in line)
    assert command in usage
    assert not {"[]", "[]...", "{"} & set(usage.split())


def test_help_and_inspect_load_no_torch(lab: Lab) -> None:
    methods = [["repair", name, "--help"] for name in repairs()]
    lines = [["--help"], *([name, "--help"] for name in COMMANDS), *methods, ["inspect", lab.model]]
    code = (
        "import sys; from goodnet.cli.main import run\n"
        f"for line in {[[str(word) for word in line] for line in lines]!r}:\n"
        "    assert run(line) == 0, line\n"
        "    heavy = {'torch', 'keras', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "    heavy |= {'numpy', 'h5py'} & set(sys.modules) if line == ['--help'] else set()\n"
        "    assert not heavy, (line, heavy)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert found.returncode == 0, found.stderr


def test_control_characters_of_a_file_reach_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = fails(capsys, 6, ["inspect", tmp_path / "a\x1b[31m\nb.h5"])
    assert "\x1b" not in line


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert said(capsys)[0].startswith("goodnet 0.")
