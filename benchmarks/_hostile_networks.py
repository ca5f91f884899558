"""Small files of networks that take the machine down when they run, or answer no numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _hostile_case import ANY, Case, Done
from _hostile_good import changed, image, layer, sequential, write_legacy

__all__ = ["cases"]

_WIDE = "networks that take gigabytes or hours to run"
_NAN = "networks that answer no numbers"

_THREE = "evaluate x.h5 --clean ../good/three.h5 --scale 1/255"


def cases() -> Iterator[Case]:
    for name, item in _LAYERS.items():
        yield Case(_WIDE, name, _THREE, partial(_wide, item=item), ANY, check=_inner)
    for name, change in (("a negative variance", _negative), ("weights of 3e38", _huge)):
        make = partial(changed, change=change)
        for command in (
            "inspect x.h5",
            "predict x.h5 ../good/one.png --scale 1/255",
            "evaluate x.h5 --clean ../good/clean.h5 --scale 1/255",
            "prune x.h5 --clean ../good/clean.h5 --scale 1/255 --out R",
        ):
            title = f"{name}, {command.split()[0]}"
            # What does not run the network need not know.
            check = None if command.startswith("inspect") else _said
            yield Case(_NAN, title, command, make, ANY, check=check)


_SAME: dict[str, Any] = {"strides": [1, 1], "padding": "same"}
_KERNEL: dict[str, Any] = {"filters": 3, "kernel_size": [3, 3], "use_bias": False}
_LAYERS: dict[str, dict[str, Any]] = {
    "an image made 1,150 times as wide": layer("UpSampling2D", "x", size=[1150, 1150]),
    "an image made 590 times as wide": layer("UpSampling2D", "x", size=[590, 590]),
    "9,400 rows of padding": layer("ZeroPadding2D", "x", padding=[[4700, 4700], [4700, 4700]]),
    "the largest of 10,000 x 10,000": layer("MaxPooling2D", "x", pool_size=[10_000] * 2, **_SAME),
    "the mean of 2,000 x 2,000": layer("AveragePooling2D", "x", pool_size=[2000] * 2, **_SAME),
    "the largest of 2^20 x 2^20": layer("MaxPooling2D", "x", pool_size=[2**20] * 2, **_SAME),
    "a convolution dilated by 10,000": layer(
        "Conv2D", "x", **_KERNEL, dilation_rate=[10_000] * 2, **_SAME
    ),
}


def _wide(folder: Path, *, item: dict[str, Any]) -> None:
    first = {"data_format": "channels_last"}
    item["config"].update(first)
    layers = [image(), item, layer("GlobalAveragePooling2D", "mean", **first)]
    kernel = {"x/kernel": np.zeros((3, 3, 3, 3), np.float32)}
    arrays = kernel if item["class_name"] == "Conv2D" else {}
    write_legacy(folder / "x.h5", sequential(layers), arrays)


def _inner(done: Done, _: Path) -> str:
    """What PyTorch says of itself is no message."""
    inner = re.search(r"aten|at::|c10|Exception raised|\.cpp", done.err)
    return "inner text of PyTorch" if inner else ""


def _negative(file: Any) -> None:
    file["model_weights/norm/norm/moving_variance:0"][...] = -1


def _huge(file: Any) -> None:
    for name in ("conv/conv/kernel:0", "answer/answer/kernel:0"):
        file[f"model_weights/{name}"][...] = 3e38


def _said(done: Done, _: Path) -> str:
    words = r"\bnan\b|not finite|no numbers|infinite|negative|not a number|overflow"
    return "" if re.search(words, done.out + done.err, re.IGNORECASE) else "nothing is said of it"
