from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import begun
from lab import Lab, stored

from goodnet.attack.trigger_file import write_trigger
from goodnet.cli.main import run
from goodnet.formats import load_network
from goodnet.imagesets import save_images
from goodnet.repair import repairs


def repair(lab: Lab, out: Path, method: object, *arguments: object, report: bool = False) -> int:
    command = ["repair", method, lab.model, "--clean", lab.valid, "--scale", "raw", "--out", out]
    command += [] if report else ["--no-report"]
    return run([str(part) for part in [*command, *arguments]])


def test_repair_writes_a_run_folder_and_prints_a_table(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = ["--test", lab.test, "--backdoor", f"toy={lab.poisoned}", f"again={lab.poisoned}"]
    assert repair(lab, out, "fine-tune", *measured, "--epochs", "2", report=True) == 0
    printed, notes = capsys.readouterr()
    first, *lines = printed.splitlines()
    assert first.startswith("fine-tune, epoch ")
    assert "accuracy on 30 clean images held back" in first
    assert [line.split()[0] for line in lines if line.startswith(("B", "G"))] == ["B", "B'", "G"]
    assert sum(" again " in line for line in lines) == 3
    assert "s, peak memory" in lines[-1]
    assert "valid.h5: 150 images 3x8x8" in notes
    assert f"written to {out}" in notes
    found = json.loads((out / "results.json").read_text())
    assert found["measured"]["baseline"]["test"]["count"] == 135
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_every_option_reaches_the_method(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--sparsity", "0.6", "--layer", "fc_1", "--layer", "fc_2", "--epochs", "2"]
    chosen += ["--batch-size", "20", "--lr", "0.01", "--held-back", "0.4", "--seed", "5"]
    chosen += ["--tolerance", "1.5"]
    assert repair(lab, out, "sparsify", *chosen) == 0
    assert "sparsity: fc_1 0.5997, fc_2 0.6004" in capsys.readouterr().out
    found = json.loads((out / "results.json").read_text())
    own = [0.6, None, ["fc_1", "fc_2"]]
    assert list(found["options"].values()) == [*own, 2, 0.01, 20, 0.4, 1.5, 5]
    good = ["erase", "--trigger", "patch", "--rank", "1", "--layer", "activation_1"]
    assert repair(lab, out, *good, "--force") == 0
    assert json.loads((out / "results.json").read_text())["details"]["rank"] in (0, 1)
    assert repair(lab, out, "fine-prune", "--drop", "20", "--epochs", "2", "--force") == 0
    assert "drop: 20" in capsys.readouterr().out


def test_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["repair", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in repairs())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["magic"],
            2,
            "the methods are prune, cure, fine-tune, fine-prune, sparsify, unlearn, erase, got",
        ),
        (["fine-tune", "--epochs", "0"], 2, "expected at least 1 epoch, got 0"),
        (["sparsify", "--sparsity", "1.2"], 2, "a sparsity from 0 to 1, got 1.2"),
        (["unlearn"], 2, "unlearn needs at least one --trigger"),
        (["erase"], 2, "erase needs at least one --trigger"),
        (["unlearn", "--trigger", "hat"], 2, "the triggers are blended, checkerboard"),
        (["unlearn", "--trigger", "no.npz"], 6, "no.npz"),
        (["fine-tune", "--drop", "3"], 2, "--drop"),
        (["fine-prune", "--drop", "100"], 2, "100"),
        (["fine-prune", "--layer", "pool_9"], 4, "pool_9"),
        (["fine-tune", "--device", "abacus"], 2, "device"),
        (["fine-tune", "--backdoor", "x=nowhere"], 6, "nowhere"),
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
    assert repair(lab, out, *arguments) == code
    printed, notes = capsys.readouterr()
    assert printed == ""
    assert message in notes.splitlines()[-1]
    assert list(out.parent.iterdir()) == []


def test_a_trigger_file_of_another_size(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trigger(tmp_path / "t.npz", np.ones((4, 4)), np.zeros((3, 4, 4)))
    assert repair(lab, out, "unlearn", "--trigger", tmp_path / "t.npz") == 4
    last = capsys.readouterr().err.splitlines()[-1]
    assert "3x4x4" in last
    assert "3x8x8" in last
    assert not out.exists()


def test_a_clean_set_that_disagrees_is_refused_with_what_was_measured(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = stored(lab.valid)
    save_images(tmp_path / "mixed.h5", block.images, (block.labels + 2) % 5)
    wrong = ["--clean", tmp_path / "mixed.h5"]
    assert repair(lab, out, "fine-tune", *wrong) == 4
    last = capsys.readouterr().err.splitlines()[-1]
    right = int((load_network(lab.model).predict(block.images) == (block.labels + 2) % 5).sum())
    assert f"the network answers only {right} of 150 clean images as they are labelled" in last
    assert not out.exists()


def test_a_clean_set_at_the_wrong_scale_is_refused(
    shared: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cifar = shared / "cifar_badnet"
    command = [
        "repair",
        "fine-tune",
        cifar / "bd_net.h5",
        "--clean",
        cifar / "cl" / "valid.h5",
        "--out",
        out,
    ]
    command += ["--scale", "1/255"]
    assert run([str(part) for part in command]) == 4
    last = capsys.readouterr().err.splitlines()[-1]
    assert "of 2500 clean images as they are labelled; they are mislabelled, at the wrong" in last
    assert not out.exists()


def test_classes_without_clean_images_are_a_warning(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = stored(lab.valid)
    kept = np.isin(block.labels, np.bincount(block.labels).argsort()[-2:])
    save_images(tmp_path / "two.h5", block.images[kept], block.labels[kept])
    wrong = ["--clean", tmp_path / "two.h5", "--epochs", "1"]
    assert repair(lab, out, "fine-tune", *wrong) == 0
    assert "3 of 5 classes have no clean image to train on" in capsys.readouterr().err


def test_a_folder_that_is_there_stays_without_force(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.mkdir()
    assert repair(lab, out, "fine-tune", "--epochs", "1") == 2
    assert "the output folder exists already" in capsys.readouterr().err
    assert repair(lab, out, "fine-tune", "--epochs", "1", "--force") == 0


@pytest.mark.slow
def test_an_interruption_leaves_only_what_is_needed_to_go_on(lab: Lab, out: Path) -> None:
    checkpoint = out.with_name("run.checkpoint")
    given = [lab.model, "--clean", lab.valid, "--scale", "raw", "--out", out]
    # No epoch of the first half may be kept, so that training does not stop of itself.
    process = begun("repair", "sparsify", *given, "--epochs", "2000")
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    notes = process.communicate()[1]
    assert process.returncode == 130
    assert notes.splitlines()[-1] == "goodnet: interrupted; nothing was left half written"
    assert [path.name for path in out.parent.iterdir()] == [checkpoint.name]


def test_a_second_try_says_that_it_goes_on(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    checkpoint = out.with_name("run.checkpoint")
    with monkeypatch.context() as patched:
        patched.setattr("goodnet.runs.predictions.save_spec", interrupted)
        assert repair(lab, out, "fine-tune", "--epochs", "2") == 130
    assert checkpoint.is_file()
    capsys.readouterr()
    assert repair(lab, out, "fine-tune", "--epochs", "2") == 0
    assert f"going on from {checkpoint}" in capsys.readouterr().err
    assert not checkpoint.exists()


def test_images_with_landmarks_pass_them_on(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = stored(lab.valid)
    path = tmp_path / "faces.h5"
    save_images(path, block.images, block.labels)
    with h5py.File(path, "a") as file:
        file["landmarks"] = np.zeros((150, 2, 2), np.float32)
    given = ["--clean", path, "--trigger", "eyebrows"]
    assert repair(lab, out, "unlearn", *given) == 4
    assert "landmarks of the shape" in capsys.readouterr().err.splitlines()[-1]
