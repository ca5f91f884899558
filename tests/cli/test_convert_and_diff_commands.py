"""`goodnet convert` and `goodnet diff` as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import fails, said
from lab import Lab
from tiny import deepid_spec, plain_spec
from weights_samples import small_resnet, state_dict

from goodnet.cli.main import run
from goodnet.formats import load_network, read_spec
from goodnet.formats.format import save_spec
from goodnet.formats.spec import NetworkSpec
from goodnet.formats.torch import wrap
from goodnet.imagesets import load_images
from goodnet.runs import convert as job


def test_a_converted_file_answers_alike_and_is_the_same_function(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "net.keras"
    assert run(["convert", str(lab.model), str(out)]) == 0
    printed, notes = said(capsys)
    assert printed == f"{out}\n"
    assert "48 of 48 answers are equal on images made from seed 0" in notes
    assert run(["diff", str(lab.model), str(out)]) == 0
    printed, _ = said(capsys)
    assert printed.startswith("the same function\n")
    assert [path.name for path in tmp_path.iterdir()] == ["net.keras"]


def test_the_images_that_are_given_are_those_compared_on(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "net.keras"
    assert run(["convert", str(lab.model), str(out), "--clean", str(lab.valid)]) == 0
    assert "150 of 150 answers are equal on images of valid.h5" in said(capsys)[1]
    assert run(["diff", str(lab.model), str(out), "--clean", str(lab.valid), "--json"]) == 0
    found = json.loads(said(capsys)[0])
    assert (found["command"], found["same"]) == ("diff", True)
    assert found["outputs"]["equal"]["count"] == 150
    assert [found[key]["name"] for key in ("first", "second")] == ["net.h5", "net.keras"]


def test_weights_of_pytorch_become_a_keras_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(state_dict(small_resnet()), tmp_path / "net.pt")
    out = tmp_path / "net.keras"
    told = ["--architecture", "resnet18"]
    assert run(["convert", str(tmp_path / "net.pt"), str(out), *told]) == 0
    said(capsys)
    assert run(["diff", str(tmp_path / "net.pt"), str(out), *told]) == 0
    assert run(["diff", str(out), str(tmp_path / "net.pt"), *told]) == 0
    copy = tmp_path / "net.safetensors"
    assert run(["convert", str(tmp_path / "net.pt"), str(copy), *told]) == 0
    pixels = np.random.default_rng(0).random((5, 3, 32, 32), np.float32)
    files = (tmp_path / "net.pt", out, copy)
    answers = [load_network(path, size=(32, 32)).outputs(pixels) for path in files]
    for other in answers[1:]:
        torch.testing.assert_close(other, answers[0], rtol=1e-4, atol=1e-4)


def test_what_differs_is_shown_and_is_exit_code_1(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = read_spec(lab.model)
    weight = spec.arrays["conv_2/weight"].copy()
    weight[[0, 2]] *= -1
    save_spec(spec.with_arrays({"conv_2/weight": weight}), tmp_path / "other.h5")
    assert run(["diff", str(lab.model), str(tmp_path / "other.h5")]) == 1
    printed, _ = said(capsys)
    assert printed.startswith("not the same function: 1 of 13 layers have other numbers")
    (row,) = [line for line in printed.splitlines() if line.startswith("conv_2")]
    assert "2 of 4" in row
    assert run(["diff", str(lab.model), str(tmp_path / "other.h5"), "--json"]) == 1
    (layer,) = json.loads(said(capsys)[0])["changed"]
    assert (layer["first"], layer["changed_channels"]) == ("conv_2", 2)


def test_networks_of_other_architectures_are_laid_side_by_side(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_spec(plain_spec(), tmp_path / "plain.h5")
    assert run(["diff", str(lab.model), str(tmp_path / "plain.h5")]) == 1
    printed, _ = said(capsys)
    assert "built differently" in printed
    assert "only in A:" in printed
    assert "fc_1" in printed.partition("only in A:")[2]


def test_a_written_file_that_answers_differently_is_not_left_behind(
    lab: Lab, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoilt(spec: NetworkSpec, path: Path, *, force: bool) -> None:
        bias = spec.arrays["output/bias"] + np.array([0, 0, 50, 0, 0], np.float32)
        save_spec(spec.with_arrays({"output/bias": bias}), path, force=force)

    monkeypatch.setattr(job, "save_spec", spoilt)
    line = fails(capsys, 4, ["convert", lab.model, out.with_suffix(".keras")])
    assert "'run.keras' does not answer like the network and was removed: " in line
    assert "of 48 answers are equal" in line
    assert list(out.parent.iterdir()) == []


def test_what_cannot_be_converted_is_one_sentence(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here.keras"
    here.write_text("mine")
    convert: list[object] = ["convert", lab.model]
    assert "use --force" in fails(capsys, 2, [*convert, here])
    assert here.read_text() == "mine"
    assert "a model is written as .h5 or" in fails(capsys, 2, [*convert, tmp_path / "net.txt"])
    assert "the same file is given twice" in fails(capsys, 2, [*convert, lab.model, "--force"])
    assert "no such folder" in fails(capsys, 6, [*convert, tmp_path / "no" / "net.keras"])
    assert "got a folder" in fails(capsys, 6, [*convert, tmp_path])
    assert "there is no model" in fails(capsys, 6, ["convert", tmp_path / "x", tmp_path / "y.h5"])
    assert "expected" in fails(capsys, 4, ["convert", here, tmp_path / "net.h5"])
    assert "there is no" in fails(
        capsys, 6, [*convert, tmp_path / "net.h5", "--clean", tmp_path / "images.h5"]
    )
    line = fails(capsys, 2, [*convert, tmp_path / "net.h5", "--scale", "raw"])
    assert "--scale is of the pixels of --clean" in line
    assert {path.name for path in tmp_path.iterdir()} == {"here.keras"}


def test_a_full_disk_leaves_no_file(
    lab: Lab,
    out: Path,
    full_disk: Callable[[int], AbstractContextManager[None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with full_disk(2_000):
        line = fails(capsys, 6, ["convert", lab.model, out.with_suffix(".keras")])
    assert "no room to write" in line
    assert line.endswith("run.keras")
    assert ".goodnet-" not in line
    assert list(out.parent.iterdir()) == []


def test_what_cannot_be_compared_is_one_sentence(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diff: list[object] = ["diff", lab.model]
    assert "the same file is given twice" in fails(capsys, 2, [*diff, lab.model])
    assert "there is no model file" in fails(capsys, 6, [*diff, tmp_path / "net.h5"])
    assert "expected" in fails(capsys, 4, [*diff, tmp_path])
    save_spec(deepid_spec(classes=4), tmp_path / "four.h5")
    line = fails(capsys, 4, [*diff, tmp_path / "four.h5"])
    assert "and has 4 classes, expected (3, 8, 8) and 5" in line
    large = wrap(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(300, 5)), (3, 10, 10))
    large.save(tmp_path / "large.h5")
    line = fails(capsys, 4, [*diff, tmp_path / "large.h5"])
    assert "takes images (3, 10, 10)" in line
    assert "Missing argument" in fails(capsys, 2, ["diff", lab.model])


def test_the_same_in_python(lab: Lab, tmp_path: Path) -> None:
    import goodnet as gn

    images = load_images(lab.test)
    network = gn.load(lab.model).calibrated(images)
    network.save(tmp_path / "net.keras")
    other = gn.load(tmp_path / "net.keras").with_preprocessing(network.preprocessing)
    assert gn.diff(network, other, images).same
