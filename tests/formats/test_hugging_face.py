"""What `config.json` says of a classifier is what transformers makes of it, or it is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
import torch
from hugging_face_samples import ANSWERS, CLASSES, CONFIGS, Config, arrays, asked, images, written
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import goodnet as gn
from goodnet.errors import InvalidInput, UnsafeInput, UsageError
from goodnet.formats import load_network, read_spec
from goodnet.formats.build import build, extract
from goodnet.formats.format import goodnet_suffix, save_spec
from goodnet.formats.hugging_face import read_config
from goodnet.guard.form import guard_spec
from goodnet.network import Network
from goodnet.runs.inspect import inspect_file

STORED: dict[str, Any] = json.loads(ANSWERS.read_text(encoding="utf-8"))


def answers(network: Network, config: Config) -> NDArray[np.float32]:
    with torch.inference_mode():
        found: NDArray[np.float32] = network(torch.from_numpy(images(config))).numpy()
    return found


def opened(path: Path, config: Config) -> Network:
    height, width = images(config).shape[2:]
    return load_network(path, size=(height, width))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_network_answers_as_in_transformers(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    network = opened(written(tmp_path / "model", config), config)
    assert network.num_classes == CLASSES
    np.testing.assert_allclose(answers(network, config), STORED[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_answers_that_are_stored_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed: its answers are")
    config = CONFIGS[name]
    found = asked(written(tmp_path / "model", config), config)
    np.testing.assert_allclose(found, STORED[name], rtol=1e-4, atol=1e-4)


# What is trained in networks as they were published, with all that is left out at its default.
PUBLISHED: dict[str, tuple[Config, int]] = {
    "ViTForImageClassification": ({"model_type": "vit"}, 86_567_656),
    "DeiTForImageClassificationWithTeacher": ({"model_type": "deit"}, 87_338_192),
    "ResNetForImageClassification": ({"model_type": "resnet"}, 25_557_032),
    "RegNetForImageClassification": ({"model_type": "regnet"}, 20_646_656),
    "MobileNetV2ForImageClassification": ({"model_type": "mobilenet_v2"}, 3_504_872),
    "EfficientNetForImageClassification": ({"model_type": "efficientnet"}, 66_347_960),
    "ConvNextForImageClassification": ({"model_type": "convnext"}, 28_589_128),
    "ConvNextV2ForImageClassification": ({"model_type": "convnextv2"}, 28_635_496),
    "SwinForImageClassification": ({"model_type": "swin"}, 28_288_354),
}


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_what_a_configuration_leaves_out_is_as_it_was_published(architecture: str) -> None:
    config, trained = PUBLISHED[architecture]
    told = read_config({**config, "architectures": [architecture], "num_labels": 1000})
    assert told.drawing is not None
    places = told.drawing.places
    shapes = [x.shape for key, x in places.items() if not key.endswith(("/mean", "/variance"))]
    assert sum(map(math.prod, shapes)) == trained
    assert all(math.prod(x.shape) == math.prod(x.laid_out) for x in places.values())


def test_without_a_class_the_plain_one_of_the_kind_is_taken_with_two_classes() -> None:
    told = read_config({"model_type": "deit"})
    assert (told.name, told.classes, told.class_names) == ("DeiTForImageClassification", 2, ())


def test_classes_have_the_names_that_the_model_gives_them(tmp_path: Path) -> None:
    names = {"0": "zebra", "1": "ape", "2": "gnu", "3": "eel", "4": "fox"}
    spec = read_spec(written(tmp_path / "model", {**CONFIGS["ResNet"], "id2label": names}))
    assert spec.file is not None
    assert spec.file.class_names == ("zebra", "ape", "gnu", "eel", "fox")
    unnamed = {str(place): f"LABEL_{place}" for place in range(5)}
    assert read_config({**CONFIGS["ResNet"], "id2label": unnamed}).class_names == ()


@pytest.mark.parametrize("name", ["ViT", "ConvNeXT V2", "Swin", "MobileNetV2"])
def test_a_copy_has_the_same_keys_and_can_be_put_in_the_folder_or_read_alone(
    name: str, tmp_path: Path
) -> None:
    config, out = CONFIGS[name], tmp_path / "cured.safetensors"
    folder = written(tmp_path / "model", config)
    network = opened(folder, config)
    layer = network.spec.layers[1].name
    silent = gn.silence_channels(network, layer, [1])
    silent.save(out)
    before, after = arrays(config), load_file(out)
    assert set(after) == set(before)
    changed = {key for key in before if not np.array_equal(before[key], after[key])}
    assert changed
    assert all(key.startswith(layer.removesuffix(".convolution")) for key in changed)
    wanted = answers(silent, config)
    alone = opened(out, config)
    np.testing.assert_allclose(answers(alone, config), wanted, rtol=1e-5, atol=1e-6)
    (folder / "model.safetensors").write_bytes(out.read_bytes())
    again = opened(folder, config)
    np.testing.assert_allclose(answers(again, config), wanted, rtol=1e-5, atol=1e-6)
    assert alone.spec.file is not None
    alone.save(tmp_path / "twice.safetensors")
    assert (tmp_path / "twice.safetensors").read_bytes() == out.read_bytes()


@pytest.mark.parametrize("name", ["ViT", "RegNet", "ConvNeXT V2", "Swin"])
def test_a_goodnet_of_a_folder_is_written_as_onnx(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    network = opened(written(tmp_path / "model", config), config)
    spec = network.spec
    assert spec.file is not None
    assert goodnet_suffix(spec.file) == ".onnx"
    silent = gn.silence_channels(network, spec.layers[1].name, [1])
    good = guard_spec(spec, extract(silent))
    save_spec(good, tmp_path / "good.onnx")
    found = answers(opened(tmp_path / "good.onnx", config), config)
    np.testing.assert_allclose(found, answers(build(good), config), rtol=1e-4, atol=1e-4)


def test_the_file_of_the_weights_is_read_with_the_configuration_beside_it_or_told(
    tmp_path: Path,
) -> None:
    config = CONFIGS["ConvNeXT"]
    folder = written(tmp_path / "model", config)
    beside = read_spec(folder / "model.safetensors")
    assert beside.name == "ConvNextForImageClassification"
    (tmp_path / "elsewhere").mkdir()
    alone = (folder / "model.safetensors").rename(tmp_path / "elsewhere" / "model.safetensors")
    with pytest.raises(InvalidInput, match="expected arrays of an architecture that is known"):
        read_spec(alone)
    for told in (folder, folder / "config.json"):
        assert read_spec(alone, architecture=told).layers == beside.layers
    (folder / "config.json").write_text('{"do_resize": true}', encoding="utf-8")
    with pytest.raises(UsageError, match=r"--architecture takes a name.*or the config\.json"):
        read_spec(alone, architecture=folder)


@pytest.mark.parametrize("prefix", ["", "timm_model."])
def test_a_model_of_timm_is_the_architecture_that_its_configuration_names(
    prefix: str, tmp_path: Path
) -> None:
    shapes = published.resnet((2, 2, 2, 2), deep=False, classes=3)
    save_file(
        {f"{prefix}{key}": np.ones(shape, np.float32) for key, shape in shapes.items()},
        tmp_path / "model.safetensors",
    )
    config: Config = {"architecture": "resnet18.a1_in1k", "num_classes": 3}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    spec = read_spec(tmp_path)
    assert spec.name == "resnet18"
    assert spec.file is not None
    assert "described as resnet18 by its config.json" in spec.file.notes
    config |= {"model_type": "timm_wrapper", "label_names": ["a", "b", "c"], "num_classes": 3}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    again = read_spec(tmp_path)
    assert again.file is not None
    assert again.file.class_names == ("a", "b", "c")


REFUSED: dict[str, tuple[Config, str]] = {
    "another kind": ({"model_type": "beit"}, "model_type 'beit', which is not read; known are vit"),
    "no kind": ({"hidden_size": 3}, "model_type 'none', which is not read"),
    "no classifier": (
        {"model_type": "vit", "architectures": ["ViTModel"]},
        r"expected an image classifier \(ViTForImageClassification\), got 'ViTModel'",
    ),
    "of timm": ({"architecture": "nfnet_l0"}, "timm's 'nfnet_l0', which is not read; known are"),
    "of timm, changed": (
        {"architecture": "resnet18", "model_args": {"act_layer": "gelu"}},
        "changes timm's resnet18 by model_args",
    ),
    "of timm, pooled otherwise": (
        {"architecture": "resnet18", "global_pool": "max"},
        "global_pool: invalid enum value 'max'",
    ),
    "several classes": (
        {"model_type": "vit", "problem_type": "multi_label_classification"},
        "one that names several",
    ),
    "pruned": ({"model_type": "vit", "pruned_heads": {"0": [1]}}, "has a pruned_heads"),
    "quantised": (
        {"model_type": "vit", "quantization_config": {"bits": 8}},
        "has a quantization_config",
    ),
    "names with gaps": (
        {"model_type": "vit", "id2label": {"0": "a", "2": "b"}},
        "expected id2label to name the classes 0, 1, 2",
    ),
    "a function": (
        {"model_type": "vit", "hidden_act": "quick_gelu"},
        "expected hidden_act to be one of gelu, .*, got 'quick_gelu'",
    ),
    "a function of another type": (
        {"model_type": "vit", "hidden_act": ["relu"]},
        "hidden_act: expected `str`, got `array`",
    ),
    "below zero": (
        {"model_type": "vit", "hidden_size": -3},
        "hidden_size: expected `int` >= 1",
    ),
    "no number": (
        {"model_type": "vit", "hidden_size": "many"},
        "hidden_size: expected `int`, got `str`",
    ),
    "true": ({"model_type": "vit", "hidden_size": True}, "hidden_size: expected `int`, got `bool`"),
    "too many layers": (
        {"model_type": "vit", "num_hidden_layers": 10**9},
        "num_hidden_layers: expected `int` <= 512",
    ),
    "too large images": (
        {"model_type": "vit", "image_size": 10**15},
        "expected image_size from 1 to 8192, got 1000000000000000",
    ),
    "images below zero": (
        {"model_type": "swin", "image_size": [224, -1]},
        "expected image_size from 1 to 8192",
    ),
    "no whole heads": (
        {"model_type": "vit", "num_attention_heads": 7},
        "a hidden_size of 768 does not make 7 equal heads",
    ),
    "patches larger than images": (
        {"model_type": "vit", "patch_size": 300},
        "patches of 300 x 300 are larger than images of 224 x 224",
    ),
    "lists of other lengths": (
        {"model_type": "resnet", "depths": [1, 2]},
        "one entry for each stage, but hidden_sizes has 4, depths has 2",
    ),
    "a kind of layers": (
        {"model_type": "resnet", "layer_type": "dense"},
        "layer_type: invalid enum value 'dense'",
    ),
    "no whole groups": (
        {"model_type": "regnet", "groups_width": 100},
        "groups, which do not divide",
    ),
    "what is told in two ways": (
        {"model_type": "regnet", "downsample_in_first_stage": False},
        "downsample_in_first_stage: ",
    ),
    "another pool": (
        {"model_type": "efficientnet", "pooling_type": "max"},
        "pooling_type: invalid enum value 'max'",
    ),
    "another width at the end": (
        {"model_type": "efficientnet", "hidden_dim": 100},
        "the hidden_dim is 2560, got 100",
    ),
    "stages that do not meet": (
        {"model_type": "efficientnet", "in_channels": [32, 16, 24, 40, 80, 112, 100]},
        "reads 200 channels by in_channels, but the one before it gives 384",
    ),
    "windows larger than pictures": (
        {"model_type": "swin", "window_size": 20},
        "do not make 12 heads with windows of 20",
    ),
    "embeddings of places": (
        {"model_type": "swin", "use_absolute_embeddings": True},
        "use_absolute_embeddings: invalid",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_refused_and_never_passed_over(case: str, tmp_path: Path) -> None:
    config, said = REFUSED[case]
    folder = written(tmp_path / "model", CONFIGS["ResNet"])
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InvalidInput, match=said):
        read_spec(folder)
    found = inspect_file(folder)
    assert (found.name, found.classes) == ("unknown", None)


def test_code_is_never_run_and_that_is_said(tmp_path: Path) -> None:
    code = {"auto_map": {"AutoModelForImageClassification": "modeling.Net"}}
    folder = written(tmp_path / "model", {**CONFIGS["ViT"], **code})
    (folder / "modeling.py").write_text("raise SystemExit('run')", encoding="utf-8")
    spec = read_spec(folder)
    assert spec.file is not None
    notes = " ".join(spec.file.notes)
    assert "names Python code to run instead of the library's (auto_map), which was not" in notes
    assert "code in the folder, not run or read: modeling.py" in notes
    own = {"model_type": "mine", "architectures": ["Mine"], **code}
    (folder / "config.json").write_text(json.dumps(own), encoding="utf-8")
    with pytest.raises(UnsafeInput, match=r"Python code that config\.json names"):
        read_spec(folder)


def test_arrays_are_those_that_the_configuration_tells_of(tmp_path: Path) -> None:
    config = CONFIGS["ViT"]
    folder = written(tmp_path / "model", config)

    def told(**fields: Any) -> None:
        text = json.dumps({**config, **fields})
        (folder / "config.json").write_text(text, encoding="utf-8")

    told(intermediate_size=48)
    with pytest.raises(
        InvalidInput, match=r"'vit.encoder.*\(48, 24\), but in the file.*\(40, 24\)"
    ):
        read_spec(folder)
    told(num_hidden_layers=3)
    with pytest.raises(InvalidInput, match=r"16 of 56 are missing: vit\.encoder\.layer\.2"):
        read_spec(folder)
    told(id2label={"0": "a", "1": "b"})
    with pytest.raises(InvalidInput, match=r"'classifier\.weight' has the shape"):
        read_spec(folder)
    told(num_hidden_layers=1)
    spec = read_spec(folder)
    assert spec.file is not None
    assert any("16 arrays are not of the network, and not used" in x for x in spec.file.notes)
