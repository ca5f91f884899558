"""Every network of `keras.applications`: read from a file, does it answer as in Keras?

Networks are as small as Keras makes them, for 10 classes, with random weights that are spread until
the answers are: the probabilities of three random images are compared, of the `.h5` and of the
`.keras` file. Needs Keras, on its torch backend.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _measure import header, options, show, verdict
from numpy.typing import NDArray

from goodnet import load

os.environ.setdefault("KERAS_BACKEND", "torch")

CLASSES, IMAGES = 10, 3
QUICK = ("ConvNeXtTiny", "EfficientNetV2B0", "MobileNetV2", "MobileNetV3Small")
SMALLEST = {"Inception": 75, "Xception": 71, "MobileNetV3": 64, "Dense": 32}
CLOSE = 1e-4
SMALLEST_SEEN = np.float32(1e-30)


Array = NDArray[np.float32]


def main() -> None:
    parser = options("Networks of keras.applications against Keras.")
    parser.add_argument("--only", nargs="*", help="names of networks")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    header(args.threads)
    rows, worst = [], 0.0
    for name in args.only or (QUICK if args.quick else names()):
        size, parameters, differences = compare(name)
        shown = [f"{x:.1e}" for x in differences]
        rows.append([name, f"{size}x{size}", f"{parameters:,}", *shown])
        worst = max(worst, *differences)
        print(*rows[-1], flush=True)
    print()
    show([["network", "images", "parameters", "difference in .h5", "in .keras"], *rows])
    print(f"\ngreatest difference of a probability {verdict(worst, CLOSE)}")


def names() -> list[str]:
    """All networks there are."""
    import keras

    return sorted(x for x in dir(keras.applications) if x[0].isupper())


def nasnet_mobile(**options: Any) -> Any:
    """Keras refuses to make it under its own name on this backend, but not these numbers."""
    from keras.src.applications.nasnet import NASNet

    return NASNet(
        penultimate_filters=1056,
        num_blocks=4,
        stem_block_filters=32,
        skip_reduction=False,
        filter_multiplier=2,
        default_size=224,
        **options,
    )


MADE = {"NASNetMobile": nasnet_mobile}


def made(name: str) -> tuple[Any, int]:
    """A network as small as Keras makes it, and the size of its images."""
    import keras

    size = next((x for start, x in SMALLEST.items() if name.startswith(start)), 32)
    maker = MADE.get(name, getattr(keras.applications, name))
    return maker(weights=None, input_shape=(size, size, 3), classes=CLASSES), size


def compare(name: str) -> tuple[int, int, list[float]]:
    """The size of the images, parameters, and the greatest difference in both formats."""
    model, size = made(name)
    images = np.random.default_rng(1).uniform(0, 255, (IMAGES, size, size, 3)).astype(np.float32)
    wanted = spread(model, images)
    found = [float(np.abs(answers(path, images) - wanted).max()) for path in saved(model)]
    return size, model.count_params(), found


def spread(model: Any, images: Array) -> Array:
    """Draw the weights that do not start at random, and the last layer so that classes differ."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        kind = weight.path.rpartition("/")[2]
        if kind == "gamma":
            # Not larger: rounding alone would grow with every block, in EfficientNetV2L to whole
            # per cents, as Keras' own answers do where pixels change by a ten-millionth.
            weight.assign(random.uniform(0.6, 0.8, weight.shape))
        elif kind in ("moving_variance", "variable"):
            weight.assign(random.uniform(0.9, 1.1, weight.shape))
        elif kind in ("beta", "bias", "moving_mean"):
            weight.assign(random.normal(0, 0.02, weight.shape))
    last = next(x for x in reversed(model.layers) if x.weights)
    while True:
        wanted: Array = model.predict(images, verbose=0)
        logits = np.log(np.maximum(wanted, SMALLEST_SEEN))
        apart = float((logits - logits.mean(axis=1, keepdims=True)).std())
        if 0.5 < apart < 2:
            return wanted
        # Where a probability is 0, how far classes are apart is not seen at once.
        for weight in last.weights:
            weight.assign(weight.value / apart)


def saved(model: Any) -> Generator[Path, None, None]:
    """The model in both formats, one file at a time."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".h5", ".keras"):
            path = Path(folder) / f"model{suffix}"
            with contextlib.redirect_stdout(io.StringIO()):
                model.save(path)
            yield path
            path.unlink()


def answers(path: Path, images: Array) -> Array:
    network = load(path)
    found: Array = network(torch.from_numpy(np.moveaxis(images, -1, 1).copy())).numpy()
    return found


if __name__ == "__main__":
    main()
