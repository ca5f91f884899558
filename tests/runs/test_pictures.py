from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.network import RAW
from goodnet.runs.evaluate import both
from goodnet.runs.inputs import Inputs
from goodnet.runs.options import InputOptions
from goodnet.runs.pictures import PICTURES, picture_bytes, write_pictures
from goodnet.runs.predictions import PairPredictions, Predictions
from goodnet.typed_json import plain

CLASSES = 5
HOSTILE = ["../x", "/etc/passwd", "\u202eevil\U0001f600", "a\nb", "clean", ".."]


def colours(count: int, channels: int = 3) -> ImageSet:
    """Image k is of the colour k everywhere, its label k % 5, and it shows the next class."""
    shape = (count, channels, 2, 3)
    pixels = np.broadcast_to(np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1), shape)
    labels = np.arange(count) % CLASSES
    return images_from_arrays(pixels.copy(), labels, (labels + 1) % CLASSES, layout="NCHW")


def pair(clean: ImageSet, wrong: list[int], poisoned: dict[str, ImageSet]) -> PairPredictions:
    """B is always right, or gives the target; B' is not on the clean images named and on 3 of 4
    poisoned ones.
    """
    network = cast("Any", SimpleNamespace(num_classes=CLASSES))
    inputs = Inputs(network, clean, RAW, InputOptions(), backdoor=poisoned)
    after = clean.labels.copy()
    after[wrong] = (after[wrong] + 1) % CLASSES
    changed = {
        name: np.where(np.arange(len(images)) % 4 == 0, images.labels, images.labels + 1)
        for name, images in poisoned.items()
    }
    original = Predictions(clean.labels, {name: images.labels for name, images in poisoned.items()})
    repaired = Predictions(after, changed)
    good = both(original, repaired, num_classes=CLASSES)
    return PairPredictions(inputs, original, repaired, good)


def test_samples_are_spread_evenly_and_failures_are_added(tmp_path: Path) -> None:
    found = write_pictures(pair(colours(80), [3, 10, 41], {"toy": colours(64)}), tmp_path, drop=4.0)
    assert found.drop == 4.0
    shown = {
        (name, why): [i.index for i in found.items if (i.set, i.why) == (name, why)]
        for name, why in {(item.set, item.why) for item in found.items}
    }
    assert shown == {
        ("clean", "sample"): [0, 10, 20, 30, 40, 50, 60, 70],
        ("clean", "refused"): [3, 10, 41],
        ("toy", "sample"): [0, 8, 16, 24, 32, 40, 48, 56],
        ("toy", "passed"): [4, 12, 20, 28, 36, 44, 52, 60],
    }


def test_an_item_says_what_each_network_answers(tmp_path: Path) -> None:
    found = write_pictures(pair(colours(40), [7], {"toy": colours(8)}), tmp_path)
    refused = next(item for item in found.items if item.why == "refused")
    assert plain(refused) == {
        "file": "pictures/clean_7.png",
        "set": "clean",
        "index": 7,
        "label": 2,
        "source_label": 3,
        "answers": {"B": 2, "B'": 3, "G": CLASSES},
        "why": "refused",
    }
    poisoned = [item.answers["G"] for item in found.items if item.set == "toy"]
    assert poisoned[:4] == [0, CLASSES, CLASSES, CLASSES]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_files_hold_the_pixels_as_stored(tmp_path: Path, channels: int, mode: str) -> None:
    found = write_pictures(pair(colours(20, channels), [], {}), tmp_path)
    for item in found.items:
        with Image.open(tmp_path / item.file) as picture:
            assert (picture.mode, picture.size) == (mode, (3, 2))
            assert (np.asarray(picture) == item.index).all()


def test_images_that_are_no_pictures_are_left_out(tmp_path: Path) -> None:
    assert write_pictures(pair(colours(20, 2), [], {}), tmp_path).items == ()
    assert list(tmp_path.iterdir()) == []


def test_names_of_sets_reach_no_path(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    sets = {name: colours(9) for name in HOSTILE}
    found = write_pictures(pair(colours(9), [], sets), folder)
    assert {item.set for item in found.items} == {*HOSTILE, "clean"}
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {folder / item.file for item in found.items}
    assert {path.parent for path in written} == {folder / PICTURES}
    assert {path.name.rsplit("_", 1)[0] for path in written} == {
        *("clean", *(f"poisoned_{number}" for number in range(1, 1 + len(HOSTILE))))
    }


def test_a_set_of_one_image(tmp_path: Path) -> None:
    found = write_pictures(pair(colours(1), [0], {"toy": colours(1)}), tmp_path)
    assert [(item.set, item.why) for item in found.items] == [
        ("clean", "sample"),
        ("clean", "refused"),
        ("toy", "sample"),
        ("toy", "passed"),
    ]


@pytest.mark.parametrize(
    ("stored", "values"),
    [("0..255", [0, 127.6, 300]), ("0..1", [0, 128 / 255, 1.002]), ("-1..1", [-1, 0.004, 1.1])],
)
def test_every_range_becomes_bytes(stored: str, values: list[float]) -> None:
    pixels: NDArray[np.float32] = np.array(values, np.float32).reshape(1, 3, 1, 1)
    images = images_from_arrays(pixels, [0], layout="NCHW", range=stored)
    found = picture_bytes(images.sample(1).images)
    assert found.shape == (1, 1, 1, 3)
    assert found.dtype == np.uint8
    assert found.ravel().tolist() == [0, 128, 255]
