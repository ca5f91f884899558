"""The benchmarks run, on tiny sizes and without any real data; what they time is not tested."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from goodnet import load_images, prune_curve, trace_backdoor

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
QUICK = ("--quick", "--threads", "1")

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a script as it is run by hand, but in this process, and gives what it printed."""

    def run(script: str, *options: str) -> str:
        path = str(BENCHMARKS / script)
        threads = torch.get_num_threads()
        with monkeypatch.context() as patched:
            patched.syspath_prepend(BENCHMARKS)
            patched.setenv("GOODNET_SHARED_DATA", str(BENCHMARKS / "none"))
            patched.setattr(sys, "argv", [path, *QUICK, *options])
            runpy.run_path(path, run_name="__main__")
        torch.set_num_threads(threads)
        return capsys.readouterr().out

    return run


def run_apart(script: str) -> str:
    """In a process of its own: its memory, or a browser beside that of other tests."""
    environment = {**os.environ, "GOODNET_SHARED_DATA": str(BENCHMARKS / "none")}
    command = [sys.executable, str(BENCHMARKS / script), *QUICK]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_pruning_curve_is_timed_against_a_plain_pass(run: Run) -> None:
    shown = run("prune_curve.py", "--no-peer")
    assert "deepid.h5: 60 channels of pool_3 on 256 clean and 256 poisoned images" in shown
    assert "GoodNet, all 60 steps" in shown
    assert "curve / pass" in shown
    assert "at most 3" in shown


@pytest.mark.slow
def test_a_network_of_keras_applications_is_compared_with_keras(run: Run) -> None:
    shown = run("keras_applications.py", "--only", "MobileNetV3Small")
    assert "MobileNetV3Small   64x64   1,540,218" in shown
    assert "at most 0.0001: met" in shown


@pytest.mark.slow
def test_onnx_files_are_compared_with_onnxruntime(run: Run) -> None:
    pytest.importorskip("onnxscript", reason="no onnxscript for the newer exporter")
    shown = run("onnx_files.py")
    assert "NHWC, as of tf2onnx" in shown
    assert "at most 0.0001: met" in shown


@pytest.mark.slow
def test_ordinary_networks_are_looked_at_for_oddities(run: Run) -> None:
    shown = run("oddities.py", "--only", "MobileNetV3Small")
    assert re.search(r"^MobileNetV3Small +\d+ +0 +\d+ ", shown, re.M)
    assert "false warnings at most 0: met" in shown


def test_folders_of_hugging_face_are_compared_where_transformers_is(run: Run) -> None:
    there = importlib.util.find_spec("transformers") is not None
    wanted = "at most 0.0001: met" if there else "transformers is not installed"
    assert wanted in run("hugging_face.py")


@pytest.mark.slow
def test_the_goodnet_is_timed_against_its_network(run: Run) -> None:
    assert "at most 1.25" in run("guard.py")


@pytest.mark.slow
def test_a_step_of_training_is_timed_against_a_plain_loop(run: Run) -> None:
    assert run("train_step.py").count("at most 1.15") == 2


@pytest.mark.slow
def test_the_memory_of_the_whole_command_is_measured() -> None:
    assert "uint8: last / first" in run_apart("memory.py")


@pytest.mark.slow
def test_the_report_is_timed_and_weighed() -> None:
    shown = run_apart("report.py")
    assert "60 channels, 5 poisoned sets" in shown
    assert "seconds to make at most 3" in shown
    assert "MB at most 6: met" in shown


@pytest.mark.slow
def test_hostile_files_of_every_kind_are_opened() -> None:
    shown = run_apart("hostile.py")
    for kind in (
        "HDF5: links",
        "Keras: code",
        "zip: ",
        "ONNX: damaged",
        "PyTorch: pickles that run",
    ):
        assert f"\n{kind}" in shown
    assert "BROKEN" not in shown


@pytest.mark.long
def test_commands_are_killed_and_no_run_suffers() -> None:
    shown = run_apart("kills.py")
    assert [line.split()[-1] for line in shown.splitlines()[-6:]] == ["0"] * 6


def test_no_two_hostile_cases_share_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import hostile

    names = [(case.kind, case.name) for case in hostile.all_cases()]
    assert len(set(names)) == len(names)


def test_what_is_said_to_run_code_does_where_python_unpickles_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _hostile_case
    import _hostile_torch

    attacks = _hostile_torch.attacks(tmp_path)
    marker = tmp_path / _hostile_case.MARKER
    for name in ("REDUCE", "GLOBAL", "INST", "OBJ", "STACK_GLOBAL", "eval", "exec"):
        with contextlib.suppress(TypeError):  # what system returns is no object
            pickle.loads(attacks[name])
        assert marker.exists(), name
        marker.unlink()


@pytest.mark.slow
def test_every_repair_of_a_badnet_is_measured(run: Run) -> None:
    shown = run("repair_faces.py")
    for method in ("prune-10", "fine-tune", "fine-prune-10", "sparsify", "unlearn", "erase"):
        assert f"\n{method}: ASR" in shown
    assert "points given up at most 1" in shown


@pytest.mark.slow
def test_a_scan_is_timed_against_the_number_of_classes(run: Run) -> None:
    shown = run("scan_classes.py")
    assert [line.split()[0] for line in shown.splitlines()[-2:]] == ["10", "40"]


@pytest.mark.slow
def test_the_zoo_is_planted_scanned_and_told(run: Run, tmp_path: Path) -> None:
    options = ["--out", str(tmp_path), "--methods", "last-layer", "htell"]
    shown = run("scan_zoo.py", *options)
    assert "last-layer: " in shown
    assert "false alarms: " in shown
    rows = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert len(rows) == 4
    again = run("scan_zoo.py", *options, "--networks", "0")
    assert again.splitlines()[1:] == shown.splitlines()[1:]
    assert (tmp_path / "rows.jsonl").read_text().splitlines() == rows


@pytest.mark.long
def test_clean_networks_are_cured_and_told(run: Run, tmp_path: Path) -> None:
    options = ["--out", str(tmp_path)]
    shown = run("cure_clean.py", *options)
    assert "small, 8 classes  " in shown
    assert "at most 0.5 points lost: " in shown
    again = run("cure_clean.py", *options, "--networks", "0")
    assert again.splitlines()[1:] == shown.splitlines()[1:]


def test_no_network_of_the_zoo_is_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _zoo

    parts = {part: _zoo.zoo(part) for part in _zoo.PARTS}
    recipes = [recipe for part in parts.values() for recipe in part]
    assert len({recipe.seed for recipe in recipes}) == len(recipes)
    assert len({recipe.name for recipe in recipes}) == len(recipes)
    for clean in (True, False):
        assert sum(recipe.clean == clean for recipe in parts["report"]) >= 60


def test_the_keras_loop_answers_as_goodnet_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _faces
    import _keras_loop
    import _lab

    monkeypatch.setenv("GOODNET_SHARED_DATA", str(tmp_path / "none"))
    lab = _lab.find_lab(tmp_path)
    paths = tmp_path / "clean.h5", tmp_path / "poisoned.h5"
    for seed, (path, faces) in enumerate(zip(paths, (lab.clean, lab.poisoned), strict=True)):
        _faces.write_faces(path, faces, 40, seed=seed)
    network = lab.network
    clean, poisoned = map(load_images, paths)
    curve = prune_curve(network, clean, layer="pool_3")
    trace = trace_backdoor(curve, network, poisoned)

    loop = _keras_loop.Loop(lab.model, *paths, layer="conv_3", batch=16)
    steps = [1, 40, 50, 60]
    found = loop.run(curve.silenced(60), steps)

    np.testing.assert_array_equal(found["clean"], curve.correct[steps])
    np.testing.assert_array_equal(found["poisoned"], trace.correct[steps])
    assert len(set(found["clean"])) > 1
    assert len(curve.dead_channels) >= 30
