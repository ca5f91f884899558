"""What a command refuses, each in one sentence and with its exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import fails, said
from lab import Lab

from goodnet.cli.main import run
from goodnet.formats import read_spec
from goodnet.formats.format import save_spec

MODEL_ERRORS = {
    "missing": (6, "there is no model file"),
    "directory": (4, "expected"),
    "empty": (4, "empty"),
    "text": (4, "expected a model, .h5"),
}


@pytest.mark.parametrize("case", MODEL_ERRORS)
@pytest.mark.parametrize("command", ["inspect", "prune", "evaluate", "predict", "convert", "diff"])
def test_a_bad_model_is_one_sentence(
    lab: Lab, tmp_path: Path, case: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.h5"
    if case == "directory":
        model.mkdir()
    elif case != "missing":
        model.write_text("" if case == "empty" else "these are words, not weights")
    extra: dict[str, list[object]] = {
        "inspect": [],
        "prune": ["--clean", lab.valid, "--out", tmp_path / "run"],
        "evaluate": ["--clean", lab.valid],
        "predict": [lab.test],
        "convert": [tmp_path / "run"],
        "diff": [lab.model],
    }
    code, words = MODEL_ERRORS[case]
    assert words in fails(capsys, code, [command, model, *extra[command]])
    assert not (tmp_path / "run").exists()


def test_usage_errors_are_one_line(lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base: list[object] = ["prune", lab.model, "--clean", lab.valid, "--out", out]
    for drop, words in (("0", "above 0 and below 100"), ("100", "above 0"), ("two", "'two'")):
        assert words in fails(capsys, 2, [*base, "--drop", drop])
    assert "nan" in fails(capsys, 2, [*base, "--drop", "nan"])
    assert "ascending or descending" in fails(capsys, 2, [*base, "--order", "up"])
    assert "--scale" in fails(capsys, 2, [*base, "--scale", "much"])
    for device in ("abacus", "meta", "x" * 5000):
        line = fails(capsys, 2, [*base, "--device", device])
        assert "cannot compute on the device" in line
        assert len(line) < 1000
    assert "No such option" in fails(capsys, 2, [*base, "--frobnicate"])
    assert "--clean" in fails(capsys, 2, ["prune", lab.model, "--out", out])
    assert "expected one model" in fails(capsys, 2, [*base, "another.h5"])
    assert "two backdoor sets" in fails(
        capsys, 2, [*base, "--backdoor", lab.poisoned, "--backdoor", lab.poisoned]
    )


def test_a_layer_that_is_not_there_lists_those_that_are(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base: list[object] = ["prune", lab.model, "--clean", lab.valid, "--out", out]
    line = fails(capsys, 4, [*base, "--layer", "pool_9"])
    assert "'pool_9'" in line
    assert "conv_1, pool_1, conv_2" in line
    assert "has the channels 0..5, got 17" in fails(capsys, 4, [*base, "--channels", "0,17"])
    assert "listed twice" in fails(capsys, 4, [*base, "--channels", "0,1,0"])


CHANNELS = {
    "words": "one,two",
    "a word in a list": '["one"]',
    "nothing in a list": "[null]",
    "a fraction": "[1.5]",
    "a truth": "[true]",
    "below 0": "-1",
    "too large": "9" * 60,
    "far too large": "9" * 5000,
    "far too large in a list": f"[{'9' * 5000}]",
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("in_file", [False, True], ids=["given", "in a file"])
@pytest.mark.parametrize("case", CHANNELS)
def test_channels_that_are_none_are_one_line(
    case: str, in_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = CHANNELS[case]
    if in_file:
        (tmp_path / "channels").write_text(given)
        given = str(tmp_path / "channels")
    line = fails(capsys, 2, ["prune", "m", "--clean", "c", "--out", "o", "--channels", given])
    assert "expected --channels as numbers with commas between, or a file of them, got " in line
    assert len(line) < 200


def test_a_file_that_holds_no_text_holds_no_channels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "bytes", tmp_path / "pipe", tmp_path):
        command = ["prune", "m", "--clean", "c", "--out", "o", "--channels", path]
        assert "expected --channels as numbers" in fails(capsys, 2, command)


@pytest.mark.parametrize(
    "command",
    [
        ["inspect", "LONG"],
        ["inspect", "MODEL", "--architecture", "LONG"],
        ["inspect", "MODEL", "--sarif", "LONG"],
        ["convert", "MODEL", "LONG"],
        ["diff", "MODEL", "LONG"],
        ["evaluate", "MODEL", "--clean", "LONG"],
        ["evaluate", "MODEL", "--clean", "IMAGES", "--classes", "LONG"],
        ["evaluate", "MODEL", "--clean", "IMAGES", "--backdoor", "LONG"],
        ["evaluate", "MODEL", "--clean", "IMAGES", "--preprocess", "LONG.json"],
        ["predict", "MODEL", "LONG", "--scale", "raw"],
        ["prune", "MODEL", "--clean", "IMAGES", "--out", "LONG"],
        ["compare", "MODEL", "--clean", "IMAGES", "--test", "IMAGES", "x=IMAGES", "--out", "LONG"],
        ["report", "LONG"],
    ],
    ids=" ".join,
)
def test_a_path_that_is_too_long_is_one_short_sentence(
    lab: Lab, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    known: dict[str, object] = {"MODEL": lab.model, "IMAGES": lab.valid, "LONG": "a" * 5000}
    known |= {"LONG.json": f"{known['LONG']}.json", "x=IMAGES": f"x={lab.poisoned}"}
    line = fails(capsys, 6, [known.get(word, word) for word in command])
    assert "too long" in line
    assert len(line) < 1000


def test_an_empty_argument_is_no_folder(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert "after 'inspect', got an empty text" in fails(capsys, 2, ["inspect", ""])
    line = fails(capsys, 2, ["evaluate", lab.model, "--clean", ""])
    assert "expected a value after '--clean', got an empty text" in line
    line = fails(capsys, 2, ["evaluate", lab.model, "--clean="])
    assert "expected a value after '--clean=', got an empty text" in line


def test_data_errors_are_one_line(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (30, 3, 8, 8)).astype(np.float32)
    labels = np.arange(30.0) % 5

    def refused(code: int = 4, **datasets: np.ndarray) -> str:
        path = tmp_path / "bad.h5"
        with h5py.File(path, "w") as file:
            for name, array in datasets.items():
                file[name] = array
        return fails(capsys, code, ["prune", lab.model, "--clean", path, "--out", out])

    assert "'people' (30,), 'pixels'" in refused(pixels=images, people=labels)
    assert "30" in refused(data=images, label=labels[:20])
    assert "0..4" in refused(data=images, label=labels + 10)
    assert "1.5" in refused(data=images, label=labels + 0.5 + 1)
    assert "3x8x8" in refused(data=np.tile(images, (1, 1, 2, 2)), label=labels)
    spoilt = images.copy()
    spoilt[7, 1, 2, 3] = np.nan
    assert "image 7" in refused(data=spoilt, label=labels)
    assert "at least one image" in refused(data=images[:0], label=labels[:0])
    assert "too few images" in refused(data=images[:1], label=labels[:1])
    assert "does not recognise these images" in refused(data=images, label=labels)


def test_the_output_folder_is_never_trampled(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base: list[object] = ["prune", lab.model, "--clean", lab.valid, "--drop", "30"]
    base += ["--no-report", "--out"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert "exists already" in fails(capsys, 2, [*base, mine])
    assert "remove this one yourself" in fails(capsys, 2, [*base, mine, "--force"])
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert "got a file" in fails(capsys, 2, [*base, mine / "thesis.txt"])
    assert "no such folder" in fails(capsys, 6, [*base, tmp_path / "a" / "b"])
    run_folder = tmp_path / "run"
    assert run([str(part) for part in [*base, run_folder]]) == 0
    said(capsys)
    assert "exists already" in fails(capsys, 2, [*base, run_folder])
    assert run([str(part) for part in [*base, run_folder, "--force"]]) == 0


def test_a_full_disk_leaves_nothing_behind(
    lab: Lab,
    out: Path,
    full_disk: Callable[[int], AbstractContextManager[None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with full_disk(20_000):
        command = ["prune", lab.model, "--clean", lab.valid, "--drop", "30", "--out", out]
        assert "no room to write" in fails(capsys, 6, command)
    assert list(out.parent.iterdir()) == []


def test_a_pipe_is_refused_and_not_waited_for(lab: Lab, tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.h5"
    os.mkfifo(fifo)
    found = subprocess.run(
        [sys.executable, "-m", "goodnet", "inspect", str(fifo)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 4
    assert "Traceback" not in found.stderr


@pytest.fixture
def overflowing(lab: Lab, tmp_path: Path) -> Path:
    """The network of the lab with weights that are finite and answers that are not."""
    spec, path = read_spec(lab.model), tmp_path / "overflowing.h5"
    huge = {key: np.full_like(array, 3e38) for key, array in spec.arrays.items()}
    save_spec(spec.with_arrays(huge), path)
    return path


@pytest.mark.parametrize("scale", [[], ["--scale", "1/255"]])
def test_a_network_that_answers_nan_is_not_judged(
    lab: Lab, overflowing: Path, out: Path, scale: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[object] = [overflowing, "--clean", lab.valid, *scale]
    said_so = r"NaN or infinity on \d+ of \d+ images"
    for command in (["evaluate", *given], ["prune", *given, "--out", out]):
        assert re.search(said_so, fails(capsys, 4, command))
    assert not out.exists()
    if scale:
        assert re.search(said_so, fails(capsys, 4, ["predict", overflowing, lab.test, *scale]))
    for name in ("cure", "scan"):
        assert run([str(part) for part in (name, *given, "--out", out)]) == 8
        printed = "".join(said(capsys))
        assert "inconclusive" in printed
        assert re.search(f"{said_so}|not finite numbers", printed)


def test_weights_with_which_answers_overflow_are_a_red_flag(
    overflowing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(overflowing)]) == 0
    assert "as large as 3e+38, with which answers may be infinite or NaN" in said(capsys)[0]


def test_memory_that_runs_out_within_pytorch_is_one_sentence(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("alloc_cpu.cpp:127: DefaultCPUAllocator: can't allocate memory\n#0")

    monkeypatch.setattr("goodnet.runs.inspect.findings_in", full)
    assert "goodnet: out of memory; close" in fails(capsys, 5, ["inspect", lab.model])
