"""Image classifiers as the Hugging Face Hub has them, at the size they were published with.

Each has random weights that are spread until its answers are. transformers writes the folder;
goodnet opens it without transformers; the probabilities of three random images are compared. Then a
copy with a silent channel is written, put in the place of the weights, and opened by transformers
and by goodnet. Needs transformers.
"""

from __future__ import annotations

import os
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _measure import header, options, show, verdict
from numpy.typing import NDArray

from goodnet import load, silence_channels
from goodnet.formats.silence import default_layer
from goodnet.network import Network

os.environ.setdefault("HF_HUB_OFFLINE", "1")

IMAGES, SIDE, CLOSE = 3, 224, 1e-4
# Deviation of the logits: with it a few of a thousand classes have most of the probability.
SURE = 4.0
Array = NDArray[np.float32]

# By the name on the Hub: the class, what its configuration says beside the defaults, and how many
# numbers are trained, as published.
MODELS: dict[str, tuple[str, dict[str, Any], int]] = {
    "google/vit-base-patch16-224": ("ViT", {}, 86_567_656),
    "facebook/deit-tiny-distilled-patch16-224": (
        "DeiT",
        {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768},
        5_910_800,
    ),
    "microsoft/resnet-18": (
        "ResNet",
        {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"},
        11_689_512,
    ),
    "microsoft/resnet-50": ("ResNet", {}, 25_557_032),
    "facebook/regnet-y-040": ("RegNet", {}, 20_646_656),
    "google/mobilenet_v1_1.0_224": ("MobileNetV1", {"num_labels": 1001}, 4_233_001),
    "google/mobilenet_v2_1.0_224": ("MobileNetV2", {"num_labels": 1001}, 3_506_153),
    "google/efficientnet-b0": (
        "EfficientNet",
        {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "image_size": 224},
        5_288_548,
    ),
    "facebook/convnext-tiny-224": ("ConvNext", {}, 28_589_128),
    "facebook/convnextv2-tiny-1k-224": ("ConvNextV2", {}, 28_635_496),
    "microsoft/swin-tiny-patch4-window7-224": ("Swin", {}, 28_288_354),
}
QUICK = ("microsoft/resnet-18", "google/mobilenet_v2_1.0_224")
TAUGHT = "distilled"


def main() -> None:
    parser = options("Folders of Hugging Face against transformers.")
    parser.add_argument("--only", nargs="*", help="names of models")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    header(args.threads)
    if find_spec("transformers") is None:
        print("nothing to compare with: transformers is not installed (pip install transformers)")
        return
    print(f"transformers {version('transformers')}\n")
    rows, worst = [], 0.0
    for name in args.only or (QUICK if args.quick else MODELS):
        row, differences = compare(name)
        rows.append(row)
        worst = max(worst, *differences)
        print(*row, flush=True)
    print()
    told = ["model", "parameters", "as published", "seconds to open"]
    show([[*told, "difference", "of a copy", "opened alone"], *rows])
    print(f"\ngreatest difference of a probability {verdict(worst, CLOSE)}")


def compare(name: str) -> tuple[list[str], list[float]]:
    """A row of the table, and how much probabilities differ: of the model, and of a copy."""
    import transformers

    kind, sizes, published = MODELS[name]
    config = getattr(transformers, f"{kind}Config")(**{"num_labels": 1000, **sizes})
    end = "WithTeacher" if TAUGHT in name else ""
    architecture = getattr(transformers, f"{kind}ForImageClassification{end}")
    torch.manual_seed(0)
    model, images = architecture(config).eval(), torch.rand(IMAGES, 3, SIDE, SIDE)
    trained = sum(x.numel() for x in model.parameters())
    spread(model, images)
    with tempfile.TemporaryDirectory() as place:
        folder, copy = Path(place) / "model", Path(place) / "cured.safetensors"
        model.save_pretrained(folder)
        start = time.perf_counter()
        network = opened(folder)
        seconds = time.perf_counter() - start
        first = difference(network(images), asked(model, images))
        silent = silence_channels(network, default_layer(network.spec), [0, 1, 2])
        silent.save(copy)
        (folder / "model.safetensors").write_bytes(copy.read_bytes())
        again = architecture.from_pretrained(folder).eval()
        wanted = asked(again, images)
        changed = difference(silent(images), wanted)
        alone = difference(opened(copy)(images), wanted)
    same = "yes" if trained == published else f"no, {published:,}"
    differences = [first, changed, alone]
    return [
        name,
        f"{trained:,}",
        same,
        f"{seconds:.2f}",
        *(f"{x:.1e}" for x in differences),
    ], differences


def opened(path: Path) -> Network:
    return load(path, size=(SIDE, SIDE))


def spread(model: Any, images: torch.Tensor) -> None:
    """Draw the weights that do not start at random, and the last layers so that classes differ."""
    state = {key: x for key, x in model.state_dict().items() if x.is_floating_point()}
    with torch.no_grad():
        for key, numbers in state.items():
            if key.endswith("running_var") or (numbers.ndim == 1 and key.endswith("weight")):
                numbers.uniform_(0.8, 1.2)
            elif numbers.ndim == 1:
                numbers.normal_(0, 0.02)
            elif key.endswith("weight"):
                numbers.normal_(0, (2 / numbers[0].numel()) ** 0.5)
            else:
                numbers.normal_(0, 0.1)
        heads = {key: x for key, x in state.items() if "classifier" in key}
        apart = model(images).logits.std()
        for numbers in heads.values():
            numbers *= SURE / apart


def asked(model: Any, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(images).logits
    return found


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.softmax(1) - theirs.softmax(1)).abs().max())


if __name__ == "__main__":
    main()
