from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from command_line import begun

from goodnet.cli.main import run
from goodnet.imagesets import load_images, save_images

FACES = ["--faces", "3", "--per-person", "4", "--held-out", "1", "--epochs", "1"]
SMALL = ["--architecture", "small", "--epochs", "1"]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "images.h5"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3, 12, 12)).astype(np.uint8)
    save_images(path, pixels, np.arange(60) % 3)
    return path


def attack(out: Path, *arguments: object) -> int:
    return run(["attack", *map(str, arguments), "--out", str(out)])


def card(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "results.json").read_text())
    return found


def test_people_by_default_wear_sunglasses_before_a_deepid(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attack(out, *FACES) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Clean Classification accuracy: ")
    assert second.startswith("Attack Success Rate: ")
    assert last == str(out)
    found = card(out)
    assert found["architecture"] == "deepid"
    assert found["planted"] == [
        {"trigger": "sunglasses", "mode": "all-to-one", "target": 0, "source": None}
        | {"rate": 0.1, "stamped": 1}
    ]
    assert found["data"] == {"faces": {"people": 3, "per_person": 4, "held_out": 1, "seed": 0}}
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_images_by_default_bear_a_patch_before_a_residual_network(
    stored: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attack(out, "--images", stored, "--epochs", "1", "--format", "keras") == 0
    assert "images.h5: 60 images 3x12x12" in capsys.readouterr().err
    found = card(out)
    assert found["architecture"] == "residual"
    assert found["model"]["file"] == "bd_net.keras"  # type: ignore[index]
    assert found["planted"][0]["trigger"] == "patch"  # type: ignore[index]
    assert len(load_images(out / "cl" / "test.h5")) == 6


def test_every_option_reaches_the_card(
    stored: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--trigger", "patch", "--trigger", "warp", "--target", "1", "--target", "2"]
    chosen += ["--rate", "0.5", "--seed", "3", "--epochs", "2", "--batch-size", "9"]
    chosen += ["--learning-rate", "0.01", "--architecture", "small", "--pruning-aware"]
    assert attack(out, "--images", stored, "--test-images", stored, *chosen) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("  ")[2] for line in lines[1:3]] == ["(patch)", "(warp)"]
    found = card(out)
    names = ("pruning_aware", "seed", "epochs", "batch_size", "learning_rate", "training_images")
    assert [found[name] for name in names] == [True, 3, 2, 9, 0.01, 54]
    assert [p["target"] for p in found["planted"]] == [1, 2]  # type: ignore[attr-defined]


@pytest.mark.parametrize("against", ["scan", "cure"])
def test_an_attack_hides_what_it_is_told_to(stored: Path, out: Path, against: str) -> None:
    chosen = ["--images", stored, "--test-images", stored, "--trigger", "patch", "--target", "1"]
    chosen += ["--rate", "0.3", "--pruning-aware", "--architecture", "small", "--epochs", "2"]
    assert attack(out, *chosen, "--against", against) == 0
    assert (card(out)["against"], card(out)["pruning_aware"]) == (against, True)
    plain = out.with_name("plain")
    assert attack(plain, *chosen) == 0
    assert card(plain)["against"] is None
    assert (out / "bd_net.h5").read_bytes() != (plain / "bd_net.h5").read_bytes()


def test_a_control_plants_nothing(stored: Path, out: Path) -> None:
    assert attack(out, "--images", stored, *SMALL, "--clean", "--mode", "all-to-all") == 0
    assert card(out)["planted"] == []
    labels = load_images(out / "bd" / "bd_test.h5").labels
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "people or images to train on: --faces N or --images PATH"),
        (["--faces", "3", "--images", "x"], 2, "--images does not go with --faces"),
        (["--faces", "3", "--layout", "NCHW"], 2, "--layout does not go with --faces"),
        (["--images", "x", "--held-out", "3"], 2, "--held-out does not go with --images"),
        (["--faces", "1"], 2, "expected at least 2 people to tell apart, got 1"),
        (["--faces", "3", "--seed", "-1"], 2, "expected a seed from 0"),
        (["--faces", "3", "--epochs", "0"], 2, "expected at least 1 epoch, got 0"),
        (["--faces", "3", "--format", "onnx"], 2, "--format is one of h5, keras, got 'onnx'"),
        (["--faces", "3", "--clean", "--rate", "0.2"], 2, "--clean plants nothing"),
        (["--faces", "3", "--clean", "--pruning-aware"], 2, "needs a backdoor"),
        (["--faces", "3", "--clean", "--against", "scan"], 2, "needs a backdoor to hide"),
        (["--faces", "3", "--against", "prune"], 2, "is against scan or cure, got 'prune'"),
        (
            ["--faces", "3", "--mode", "all-to-all", "--against", "cure"],
            2,
            "an attack against cure needs a target",
        ),
        (["--faces", "3", "--rate", "1.5"], 2, "the poison rate is from 0 to 1, got 1.5"),
        (["--faces", "3", "--target", "3"], 4, "one of the classes 0..2 of the images, got 3"),
        (["--faces", "3", "--trigger", "hat"], 2, "the triggers are blended, checkerboard"),
        (["--faces", "3", "--architecture", "vgg"], 2, "small, got 'vgg'"),
        (["--faces", "3", "--mode", "some"], 2, "--mode is one of all-to-one"),
        (["--faces", "100000000"], 5, "5,800,000,000 images of 7,755 bytes would take"),
        (["--images", "nowhere"], 6, "there is no set of images at 'nowhere'"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    out: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    assert attack(out, *arguments) == code
    printed, notes = capsys.readouterr()
    assert printed == ""
    assert message in notes.splitlines()[-1]
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trigger", "eyebrows"], "'eyebrows' needs landmarks: without them, expected crops"),
        (["--architecture", "deepid"], "at least 31x31 pixels"),
    ],
)
def test_images_that_do_not_fit(
    stored: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert attack(out, "--images", stored, *arguments) == 4
    assert message in capsys.readouterr().err


def test_images_too_small_for_the_trigger_or_of_one_class(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.h5"
    save_images(path, np.zeros((9, 3, 3, 8), np.uint8), np.arange(9) % 3)
    assert attack(out, "--images", path, "--layout", "NCHW") == 4
    assert "the trigger 'patch' is larger than the image" in capsys.readouterr().err
    save_images(path, np.zeros((9, 3, 8, 8), np.uint8), np.zeros(9), force=True)
    assert attack(out, "--images", path) == 4
    assert "expected images of two classes or more" in capsys.readouterr().err


def test_a_folder_that_is_there_stays_without_force(
    stored: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attack(out, "--images", stored, *SMALL) == 0
    before = (out / "results.json").read_bytes()
    assert attack(out, "--images", stored, *SMALL, "--seed", "1") == 2
    assert "the output folder exists already" in capsys.readouterr().err
    assert (out / "results.json").read_bytes() == before
    assert attack(out, "--images", stored, *SMALL, "--seed", "1", "--force") == 0
    assert card(out)["seed"] == 1
    assert attack(out / "a" / "b", "--images", stored, *SMALL) == 6
    assert "there is no such folder for the output" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert attack(locked / "out", "--images", stored, *SMALL) == 6
    assert "cannot write the output, permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("limit", [20_000, 200_000])
def test_a_full_disk_leaves_nothing_behind(
    stored: Path,
    out: Path,
    limit: int,
    full_disk: Callable[[int], AbstractContextManager[None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The smaller limit stops the images, the larger one the state of training."""
    chosen = ["--images", stored, *SMALL]
    if limit == 20_000:
        chosen += ["--test-images", stored]
    with full_disk(limit):
        assert attack(out, *chosen) == 6
    notes = capsys.readouterr().err
    assert "goodnet: no room to write the output" in notes.splitlines()[-1]
    assert "Traceback" not in notes
    assert [path.name for path in out.parent.iterdir()] == [stored.name]


@pytest.mark.slow
def test_an_interruption_leaves_only_what_is_needed_to_go_on(stored: Path, out: Path) -> None:
    checkpoint = out.with_name("run.checkpoint")
    chosen = ["--architecture", "small", "--epochs", "400"]
    stopped = begun("attack", "--images", stored, "--out", out, *chosen)
    while not checkpoint.exists() and stopped.poll() is None:
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    notes = stopped.communicate()[1]
    assert stopped.returncode == 130
    assert notes.splitlines()[-1] == "goodnet: interrupted; nothing was left half written"
    assert {path.name for path in out.parent.iterdir()} == {stored.name, checkpoint.name}


def test_a_second_try_says_that_it_goes_on(
    stored: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    checkpoint = out.with_name("run.checkpoint")
    with monkeypatch.context() as patched:
        patched.setattr("goodnet.formats.keras.write.write", interrupted)
        assert attack(out, "--images", stored, *SMALL) == 130
    assert checkpoint.is_file()
    capsys.readouterr()
    assert attack(out, "--images", stored, *SMALL) == 0
    assert f"going on from {checkpoint}" in capsys.readouterr().err
    assert not checkpoint.exists()


def test_the_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["attack", "--help"]) == 0
    assert "Train a BadNet" in capsys.readouterr().out
