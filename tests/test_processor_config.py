"""What the configuration of an image processor says, as `--preprocess` takes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from lab import Lab

from goodnet.cli.main import run
from goodnet.errors import GoodnetError, InvalidInput
from goodnet.imagesets import Sizing
from goodnet.preprocessing import IDENTITY, PRESETS, Preprocessing
from goodnet.processor_config import processor_config_beside, read_processor_config

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
SQUARE = {"height": 224, "width": 224}


def written(folder: Path, content: object, name: str = "preprocessor_config.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "sizing", "wants"),
    [
        pytest.param(
            {"do_resize": True, "size": 224, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
            Sizing(),
            HALF,
            id="an older vision transformer",
        ),
        pytest.param(
            {"do_resize": True, "size": SQUARE, "do_normalize": False},
            Sizing(),
            IDENTITY,
            id="unit",
        ),
        pytest.param(
            {
                "do_resize": True,
                "size": {"shortest_edge": 256},
                "do_center_crop": True,
                "crop_size": SQUARE,
                **IMAGENET,
            },
            Sizing(crop=True, side=256),
            PRESETS["imagenet"],
            id="resized, then cut",
        ),
        pytest.param(
            {"do_resize": True, "size": {"shortest_edge": 224}, "crop_pct": 0.875, **IMAGENET},
            Sizing(crop=True, side=256),
            PRESETS["imagenet"],
            id="ConvNeXT",
        ),
        pytest.param(
            {"do_resize": True, "size": {"shortest_edge": 384}, "crop_pct": 0.875},
            Sizing(crop=True, side=384),
            IDENTITY,
            id="a large ConvNeXT",
        ),
        pytest.param(
            {"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False},
            None,
            PRESETS["x/127.5-1"],
            id="with an offset",
        ),
        pytest.param(
            {"do_flip_channel_order": True, "do_center_crop": True, "do_normalize": False},
            Sizing(crop=True),
            Preprocessing(order="BGR"),
            id="MobileViT",
        ),
        pytest.param(
            {"do_rescale": False, "do_normalize": False}, None, PRESETS["x"], id="not rescaled"
        ),
        pytest.param(
            {
                "architecture": "resnet18",
                "pretrained_cfg": {
                    "input_size": [3, 224, 224],
                    "crop_pct": 0.875,
                    "mean": IMAGENET["image_mean"],
                    "std": IMAGENET["image_std"],
                },
            },
            Sizing(crop=True, side=256),
            PRESETS["imagenet"],
            id="timm",
        ),
    ],
)
def test_what_configurations_say(
    tmp_path: Path, content: dict[str, Any], sizing: Sizing | None, wants: Preprocessing
) -> None:
    found, pixels = Sizing.split(read_processor_config(written(tmp_path, content)))
    assert found == sizing
    assert Preprocessing.parse(pixels).ends == pytest.approx(wants.ends)
    assert Preprocessing.parse(pixels).order == wants.order


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "expected a preprocessor_config.json, got something else"),
        ("{", "got something else (it is not JSON in UTF-8)"),
        ({"image_mean": "grey"}, "got something else (image_mean: expected"),
        ({"model_type": "vit"}, "says nothing of how images are preprocessed"),
        ({"image_std": [0, 1, 1]}, "no preprocessing is like that (expected the std of pixels"),
        ({"rescale_factor": 0}, "no preprocessing is like that"),
        ({"rescale_factor": 1e-300}, "no preprocessing is like that"),
        ({"pretrained_cfg": {"input_size": [3, 8, 8], "crop_pct": 1e-320}}, "(cannot convert"),
        ({"do_resize": True, "size": 10**6, "do_center_crop": True}, "no preprocessing is like"),
    ],
)
def test_what_is_no_configuration_is_said(tmp_path: Path, content: object, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InvalidInput) as caught:
        read_processor_config(path)
    assert said in str(caught.value)
    assert path.name in str(caught.value)
    assert processor_config_beside(tmp_path / "model.h5") is None


def test_a_missing_configuration_is_said(tmp_path: Path) -> None:
    with pytest.raises(GoodnetError, match=r"there is no preprocessor config at"):
        read_processor_config(tmp_path / "preprocessor_config.json")


def test_a_configuration_beside_the_model_counts_first_and_is_checked(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copy(lab.model, tmp_path))
    config = written(tmp_path, {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    command = ["evaluate", str(model), "--clean", str(lab.valid)]
    assert run(command) == 0
    told = capsys.readouterr()
    text = "x/255,mean=0.5,0.5,0.5,std=0.5,0.5,0.5"
    assert f"{config.name} beside the model says {text}; pixels -1..1 become {text}" in told.err
    assert "Clean Classification accuracy: 90.0" in told.out

    assert run(["predict", str(model), str(lab.valid)]) == 0
    predicted = capsys.readouterr()
    assert f"{config.name} beside the model says {text}" in predicted.err
    assert run(["predict", str(lab.model), str(lab.valid), "--preprocess", str(config)]) == 0
    assert capsys.readouterr().out == predicted.out

    written(tmp_path, {"rescale_factor": 4.0, "do_normalize": False})
    assert run(command) == 0
    assert "pixels -1..1 are fed as they are (raw 135/150 right" in capsys.readouterr().err
    assert run(["evaluate", str(lab.model), *command[2:], "--preprocess", str(config)]) == 0
    assert "pixels x from 0 to 255 become x*4, as asked" in capsys.readouterr().err
