"""Folders of small image classifiers as transformers writes them, and what it answers to them.

The numbers are the same on every machine. Where transformers is installed, `python
tests/hugging_face_samples.py` asks it again and renews the answers that are stored.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from goodnet.formats.hugging_face import read_config

ANSWERS = Path(__file__).with_name("hugging_face_answers.json")
CLASSES = 5

Config = dict[str, Any]


def _config(model_type: str, architecture: str, **sizes: Any) -> Config:
    names = {str(place): f"class {place}" for place in range(CLASSES)}
    named = f"{architecture}ForImageClassification"
    return {"model_type": model_type, "architectures": [named], "id2label": names, **sizes}


_VIT: Config = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "image_size": 32,
    "patch_size": 8,
}
_EFFICIENT: Config = {
    "width_coefficient": 0.25,
    "depth_coefficient": 1.0,
    "hidden_dim": 320,
    "in_channels": [32, 16, 24, 40],
    "out_channels": [16, 24, 40, 80],
    "kernel_sizes": [3, 3, 5, 5],
    "strides": [1, 2, 2, 1],
    "num_block_repeats": [1, 2, 2, 1],
    "expand_ratios": [1, 6, 6, 4],
}
CONFIGS: dict[str, Config] = {
    "ViT": _config("vit", "ViT", **_VIT),
    "ViT, other settings": _config(
        "vit",
        "ViT",
        **{**_VIT, "image_size": [32, 48], "patch_size": [8, 12], "num_channels": 1},
        hidden_act="gelu_pytorch_tanh",
        layer_norm_eps=1e-3,
        qkv_bias=False,
    ),
    "DeiT": _config("deit", "DeiT", **_VIT),
    "DeiT, taught": {
        **_config("deit", "DeiT", **_VIT),
        "architectures": ["DeiTForImageClassificationWithTeacher"],
    },
    "ResNet": _config("resnet", "ResNet", embedding_size=8, hidden_sizes=[16, 24], depths=[2, 1]),
    "ResNet, basic": _config(
        "resnet",
        "ResNet",
        embedding_size=8,
        hidden_sizes=[8, 12],
        depths=[1, 2],
        layer_type="basic",
        hidden_act="silu",
        downsample_in_first_stage=True,
    ),
    "ResNet, stride first": _config(
        "resnet",
        "ResNet",
        embedding_size=8,
        hidden_sizes=[16, 24],
        depths=[1, 2],
        downsample_in_bottleneck=True,
    ),
    "RegNet": _config(
        "regnet",
        "RegNet",
        embedding_size=8,
        hidden_sizes=[16, 24],
        depths=[2, 1],
        groups_width=8,
    ),
    "RegNet, X": _config(
        "regnet",
        "RegNet",
        embedding_size=8,
        hidden_sizes=[16, 24],
        depths=[1, 2],
        groups_width=4,
        layer_type="x",
    ),
    "MobileNetV1": _config("mobilenet_v1", "MobileNetV1", depth_multiplier=0.1, image_size=65),
    "MobileNetV1, padded alike": _config(
        "mobilenet_v1", "MobileNetV1", depth_multiplier=0.1, image_size=64, tf_padding=False
    ),
    "MobileNetV2": _config(
        "mobilenet_v2", "MobileNetV2", depth_multiplier=0.1, min_depth=4, image_size=65
    ),
    "MobileNetV2, dilated": _config(
        "mobilenet_v2",
        "MobileNetV2",
        depth_multiplier=0.2,
        image_size=64,
        output_stride=8,
        first_layer_is_expansion=False,
        finegrained_output=False,
        expand_ratio=3.0,
    ),
    "EfficientNet": _config(
        "efficientnet", "EfficientNet", **_EFFICIENT, image_size=65, depthwise_padding=[1]
    ),
    "EfficientNet, deeper": _config(
        "efficientnet", "EfficientNet", **{**_EFFICIENT, "depth_coefficient": 1.4}, image_size=64
    ),
    "ConvNeXT": _config(
        "convnext",
        "ConvNext",
        hidden_sizes=[8, 12],
        depths=[1, 2],
        num_stages=2,
        image_size=32,
        layer_scale_init_value=0.5,
    ),
    "ConvNeXT, unscaled": _config(
        "convnext",
        "ConvNext",
        hidden_sizes=[8, 12],
        depths=[2, 1],
        num_stages=2,
        image_size=32,
        patch_size=2,
        layer_scale_init_value=0.0,
    ),
    "ConvNeXT V2": _config(
        "convnextv2",
        "ConvNextV2",
        hidden_sizes=[8, 12],
        depths=[1, 2],
        num_stages=2,
        image_size=32,
    ),
    "Swin": _config(
        "swin",
        "Swin",
        embed_dim=12,
        depths=[2, 2],
        num_heads=[2, 3],
        window_size=4,
        image_size=32,
        patch_size=2,
    ),
    "Swin, cut at the border": _config(
        "swin",
        "Swin",
        embed_dim=12,
        depths=[2, 2],
        num_heads=[2, 4],
        window_size=3,
        image_size=[27, 30],
        patch_size=2,
        mlp_ratio=2.5,
        qkv_bias=False,
    ),
}


def noise(key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers from -1 to 1 that look like chance (splitmix64)."""
    mixed = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(zlib.crc32(key.encode()) << 24)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    found: NDArray[np.float64] = (mixed.astype(np.float64) / 2**63 - 1).reshape(shape)
    return found


def numbers(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """What an array holds, of a size with which values keep theirs."""
    found = noise(key, shape)
    if key.endswith("running_var") or (len(shape) == 1 and key.endswith("weight")):
        found = 1 + found / 2
    elif len(shape) > 1 and key.endswith("weight"):
        found *= math.sqrt(6 / math.prod(shape[1:]))
    else:
        found /= 4
    return found.astype(np.float32)


def arrays(config: Config) -> dict[str, NDArray[np.float32]]:
    """Of the network of a configuration, by key."""
    drawing = read_config(config).drawing
    assert drawing is not None
    return {place.key: numbers(place.key, place.shape) for place in drawing.places.values()}


def written(folder: Path, config: Config) -> Path:
    """A folder with a configuration and its weights."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(arrays(config), folder / "model.safetensors", {"format": "pt"})
    return folder


def images(config: Config) -> NDArray[np.float32]:
    """Two images, normalised, of the size that a network is for."""
    side = config.get("image_size", 64)
    size = (side, side) if isinstance(side, int) else tuple(side)
    shape = (2, config.get("num_channels", 3), *size)
    found = 3 * noise("images", shape)
    found[1] = np.linspace(-3, 3, size[1])  # and one that is smooth
    return found.astype(np.float32)


def asked(folder: Path, config: Config) -> NDArray[np.float32]:
    """What transformers answers, shape (2, classes)."""
    import torch
    import transformers

    architecture = getattr(transformers, config["architectures"][0])
    model, told = architecture.from_pretrained(folder, output_loading_info=True)
    unread = {key for kind in ("missing_keys", "unexpected_keys") for key in told[kind]}
    assert not {key for key in unread if "num_batches" not in key and "_index" not in key}, unread
    with torch.no_grad():
        found: NDArray[np.float32] = model.eval()(torch.from_numpy(images(config))).logits.numpy()
    return found


def _renew() -> None:
    import tempfile

    import transformers

    found: dict[str, Any] = {"transformers": transformers.__version__}
    for name, config in CONFIGS.items():
        with tempfile.TemporaryDirectory() as folder:
            answers = asked(written(Path(folder), config), config)
        found[name] = [[float(f"{x:.6g}") for x in row] for row in answers.tolist()]
    lines = [f"{json.dumps(name)}: {json.dumps(each)}" for name, each in found.items()]
    ANSWERS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    _renew()
