"""A folder of Hugging Face on the command line: its processor and class names, and B' back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hugging_face_samples import CONFIGS, arrays, written
from PIL import Image
from safetensors.numpy import load_file, save_file

from goodnet.cli.main import run
from goodnet.formats import load_network
from goodnet.network import Network

CONFIG = CONFIGS["ResNet"]
# Not in the order of the alphabet.
NAMES = ("zebra", "ape", "gnu", "eel", "fox")
PIXELS = {"size": {"shortest_edge": 32}, "do_resize": True, "do_center_crop": True}
PIXELS |= {
    "crop_size": {"height": 32, "width": 32},
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network that tells colours apart, about equally many as each class."""
    names = {str(place): name for place, name in enumerate(NAMES)}
    folder = written(tmp_path / "model", {**CONFIG, "id2label": names})
    (folder / "preprocessor_config.json").write_text(json.dumps(PIXELS), encoding="utf-8")
    logits = opened(folder)(colours()).numpy()
    every = arrays(CONFIG)
    every["classifier.1.weight"] /= logits.std(0)[:, None]
    every["classifier.1.bias"] = (every["classifier.1.bias"] - logits.mean(0)) / logits.std(0)
    save_file(every, folder / "model.safetensors", {"format": "pt"})
    return folder


def opened(path: Path) -> Network:
    return load_network(path, size=(32, 32))


def colours() -> torch.Tensor:
    """Pictures as the network gets them."""
    found = torch.rand(60, 3, 1, 1, generator=torch.Generator().manual_seed(2)).expand(
        -1, 3, 32, 32
    )
    return (found * 255).round() / 127.5 - 1


@pytest.fixture
def pictures(model: Path, tmp_path: Path) -> Path:
    """The same in folders by what the network answers, twice as large."""
    images = colours()
    answers = opened(model)(images).argmax(1).tolist()
    assert len(set(answers)) == len(NAMES)
    for number, (image, answer) in enumerate(zip(images, answers, strict=True)):
        place = tmp_path / "pictures" / NAMES[answer]
        place.mkdir(parents=True, exist_ok=True)
        pixels = ((image + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).resize((64, 64)).save(place / f"{number}.png")
    return tmp_path / "pictures"


@pytest.mark.slow
def test_folders_are_the_classes_that_the_model_names_and_b_goes_back(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run(["prune", str(model), "--clean", str(pictures), "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert "classes of pictures: zebra = 0, ..., fox = 4 (5 folders)" in said
    assert "preprocessor_config.json beside the model says resize=32,center-crop" in said
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert tuple(found["class_names"]) == NAMES
    assert found["inputs"]["model"]["name"] == "model"
    cured = next(out.glob("model_drop_*.safetensors"))
    assert set(load_file(cured)) == set(arrays(CONFIG))
    alone = opened(cured)(colours())
    (model / "model.safetensors").write_bytes(cured.read_bytes())
    np.testing.assert_allclose(opened(model)(colours()), alone, rtol=1e-5, atol=1e-5)


def test_folders_of_other_names_are_in_their_own_order(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "fox").rename(pictures / "wolf")
    assert run(["evaluate", str(model), "--clean", str(pictures)]) == 4
    assert "right with the classes as they are (ape = 0, eel = 1" in capsys.readouterr().err


def test_a_picture_is_told_by_the_name_that_the_model_has_for_it(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = next((pictures / "gnu").iterdir())
    assert run(["predict", str(model), str(picture)]) == 0
    assert "gnu" in capsys.readouterr().out
