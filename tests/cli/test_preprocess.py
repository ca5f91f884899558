"""Images that meet a network the wrong way: found and said, refused, or told by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lab import Lab, stored
from PIL import Image
from torch import nn

import goodnet as gn
from goodnet.cli.main import run
from goodnet.imagesets import save_images
from goodnet.results import PruneResults
from goodnet.typed_json import decode


def test_reversed_channels_are_found_said_and_remembered(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = stored(lab.valid)
    path = tmp_path / "bgr.h5"
    save_images(path, block.images[:, ::-1], block.labels)
    given = ["prune", str(lab.model), "--clean", str(path), "--drop", "5", "--out", str(out)]
    assert run(given) == 0
    said = "pixels -1..1 are fed as they are with their channels reversed (raw with channels "
    assert f"{said}reversed 135/150 right, " in capsys.readouterr().err
    text = (out / "results.json").read_bytes()
    found = decode(text, PruneResults)
    assert found.scale is None
    assert found.preprocessing is not None
    assert found.preprocessing.text == "x/127.5-1,order=BGR"
    assert found.preprocessing.right["raw with channels reversed"].count == 135
    assert "x/127.5-1,order=BGR" in (out / "report.html").read_text(encoding="utf-8")
    older = {key: value for key, value in json.loads(text).items() if key != "preprocessing"}
    assert decode(json.dumps(older).encode(), PruneResults).preprocessing is None

    assert run(["predict", str(out / "model_drop_5.h5"), str(path)]) == 0
    answers = capsys.readouterr()
    assert "pixels x from 0..255 become x/127.5-1,order=BGR, as in" in answers.err
    plain = ["predict", str(out / "model_drop_5.h5"), str(lab.valid), "--scale", "raw"]
    assert run(plain) == 0
    assert capsys.readouterr().out == answers.out


def test_turned_images_are_refused_and_read_with_the_layout_that_is_named(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = stored(lab.valid)
    path = tmp_path / "turned.h5"
    save_images(path, block.images.swapaxes(2, 3), block.labels)
    command = ["prune", str(lab.model), "--clean", str(path), "--out", str(out)]
    assert run(command) == 4
    message = capsys.readouterr().err
    assert "turned.h5: height and width of the images seem to be swapped" in message
    assert "pass --layout NCWH (raw" in message
    assert "raw with height and width swapped 135/150" in message
    assert not out.exists()
    assert run(["evaluate", *command[1:4], "--layout", "ncwh"]) == 0
    assert "Clean Classification accuracy: 90.0" in capsys.readouterr().out


def test_what_nothing_fits_is_refused_unless_it_is_said_by_hand(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = stored(lab.valid)
    path = tmp_path / "wrong.h5"
    save_images(path, block.images, 2 * block.labels % 5)
    command = ["evaluate", str(lab.model), "--clean", str(path)]
    assert run(command) == 4
    message = capsys.readouterr().err
    assert "does not recognise these images as a trained one should" in message
    assert "where one constant answer gets" in message
    assert "or another --preprocess, to go on" in message
    assert run([*command, "--preprocess", "x/127.5-1"]) == 0
    told = capsys.readouterr().err
    assert "pixels x from 0 to 255 become x/127.5-1, as asked" in told
    assert "with --preprocess the network is right on " in told
    assert "of 150 clean images, on fewer than a trained one should be" in told
    assert run([*command[:3], str(lab.valid), "--preprocess", "x/127.5-1"]) == 0
    assert "on fewer than" not in capsys.readouterr().err


def test_images_of_another_size_are_refused_and_resized_when_asked(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = stored(lab.valid)
    path = tmp_path / "large.h5"
    save_images(path, block.images.repeat(2, 2).repeat(2, 3), block.labels)
    command = ["evaluate", str(lab.model), "--clean", str(path)]
    assert run(command) == 4
    assert "3x16x16 (channels x height x width), the network takes 3x8x8; --preprocess resize" in (
        capsys.readouterr().err
    )
    assert run([*command, "--preprocess", "x/127.5-1,resize=8,center-crop"]) == 0
    shown = capsys.readouterr()
    assert "brought to 8x8" in shown.err
    assert float(shown.out.split()[3]) > 60


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--preprocess", "vgg"], "--preprocess is one of x, x/255, "),
        (["--preprocess", "x", "--scale", "raw"], "--scale and --preprocess say the same"),
        (["--preprocess", "imagenet,mean=1,2"], "one for each of 3 channels"),
        (["--range", "0..255"], "--range 0..255 is not the range of these pixels"),
    ],
)
def test_what_is_said_wrongly_is_one_sentence(
    lab: Lab, given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", str(lab.model), "--clean", str(lab.valid), *given]) in (2, 4)
    assert message in capsys.readouterr().err


def test_a_scan_without_images_takes_no_preprocessing(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["scan", str(lab.model), "--preprocess", "x", "--out", str(out)]
    assert run(given) == 2
    assert "--preprocess is of the pixels of --clean, which is not given" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("shape", [(1, 8, 8), (8, 8)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_picture_files_for_a_grey_network(
    shape: tuple[int, ...], mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 4, bias=False))
    gn.wrap(module, shape).save(tmp_path / "net.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    given = torch.from_numpy(pixels).float() / 127.5 - 1
    for place, label in enumerate(module(given).argmax(1).tolist()):
        (tmp_path / "set" / str(label)).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(pixels[place]).convert(mode)
        picture.save(tmp_path / "set" / str(label) / f"{place}.png")
    command = ["evaluate", str(tmp_path / "net.keras"), "--clean", str(tmp_path / "set")]
    assert run(command) == 0
    shown = capsys.readouterr()
    assert "Clean Classification accuracy: 100.0" in shown.out
    assert "40 images 1x8x8" in shown.err
    assert "colours taken as grey" in shown.err
    assert "become x/127.5-1" in shown.err
