"""Attacks that cannot be made, which is said before the work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from attack_samples import CLASSES, EACH, SHAPE, coloured, options, pixels_of

from goodnet.attack import Goal, default_landmarks, trigger
from goodnet.errors import InvalidInput, OverBudget, UsageError
from goodnet.imagesets import Labelling, images_from_arrays, load_images, save_images
from goodnet.runs.attack import data as attack_data
from goodnet.runs.attack.plan import plan_attack
from goodnet.runs.attack.sources import face_source, image_source


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"goals": [Goal(3)]}, InvalidInput, r"the target is one of the classes 0\.\.2 .*, got 3"),
        ({"goals": [Goal(0, source=7)]}, InvalidInput, "the source is one of the classes"),
        ({"rate": -0.1}, UsageError, "the poison rate is from 0 to 1, got -0.1"),
        ({"rate": float("nan")}, UsageError, "the poison rate is from 0 to 1, got nan"),
        ({"architecture": "vgg"}, UsageError, "deepid, residual, small, got 'vgg'"),
        ({"architecture": "deepid"}, InvalidInput, "at least 31x31 pixels"),
        ({"device": "abacus"}, UsageError, "cannot compute on the device 'abacus'"),
        (
            {"architecture": "residual", "pruning_aware": True},
            InvalidInput,
            "'residual' cannot be made pruning-aware, take deepid or small",
        ),
        ({"rate": 0.0, "pruning_aware": True}, UsageError, "needs a backdoor"),
        (
            {"triggers": [trigger("patch")] * 2, "goals": [Goal(0)] * 2},
            UsageError,
            "expected each trigger once, got patch, patch",
        ),
    ],
)
def test_what_is_wrong_is_said_before_the_work(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plan_attack(image_source(coloured(), seed=0), options(**change))


def test_a_trigger_that_does_not_fit_the_images() -> None:
    tiny = image_source(coloured(shape=(3, 8, 8)), seed=0)
    large = options(triggers=[trigger("patch", size=9)])
    with pytest.raises(InvalidInput, match="'patch' is larger than the image"):
        plan_attack(tiny, large)
    with pytest.raises(InvalidInput, match="'lipstick' needs landmarks: without them, expected"):
        plan_attack(tiny, options("lipstick"))


def test_landmarks_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "faces.h5"
    save_images(path, pixels_of(coloured()), coloured().labels)
    with h5py.File(path, "a") as file:
        file["landmarks"] = default_landmarks(CLASSES * EACH, (3, 16, 13))[:, :5]
    source = image_source(load_images(path), seed=0)
    with pytest.raises(InvalidInput, match=r"landmarks of the shape \(1, 13, 2\), got \(1, 5, 2\)"):
        plan_attack(source, options("lipstick"))


def test_images_that_cannot_be_trained_on() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8)).astype(np.uint8)
    one = images_from_arrays(pixels, [4] * 9)
    with pytest.raises(InvalidInput, match="two classes or more, all 7 are of class 4"):
        plan_attack(image_source(one, seed=0), options())
    with pytest.raises(InvalidInput, match="expected 3 images of a class or more"):
        image_source(images_from_arrays(pixels, np.arange(9)), seed=0)
    with pytest.raises(InvalidInput, match="images is poisoned already"):
        image_source(images_from_arrays(pixels, [0] * 9, [1] * 9), seed=0)
    lonely = images_from_arrays(pixels, [0] * 7 + [1] * 2)
    with pytest.raises(InvalidInput, match=r"too few images to validate with: .* two classes"):
        plan_attack(image_source(lonely, seed=0), options())


def test_a_test_set_that_does_not_belong_to_the_training_set() -> None:
    images = coloured()
    smaller = images_from_arrays(np.zeros((5, 3, 8, 8), np.uint8), [0] * 5, name="other")
    with pytest.raises(InvalidInput, match="other holds images of 3x8x8 "):
        image_source(images, smaller, seed=0)
    further = images_from_arrays(np.zeros((5, *SHAPE), np.uint8), [5] * 5, name="other")
    with pytest.raises(InvalidInput, match="the labels of other go from 5 to 5"):
        image_source(images, further, seed=0)
    named = replace(images, known_labelling=Labelling.of_folders(["a", "b", "c"], ""))
    with pytest.raises(InvalidInput, match="expected the same classes in both sets"):
        image_source(images, named, seed=0)


@pytest.mark.parametrize(
    ("people", "per_person", "held_out", "message"),
    [
        (1, 5, 1, "expected at least 2 people to tell apart, got 1"),
        (2, 0, 1, "expected at least 1 picture of each person to train on, got 0"),
        (2, 5, 0, "expected at least 1 picture of each person to hold out, got 0"),
    ],
)
def test_too_few_people(people: int, per_person: int, held_out: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        face_source(people, per_person=per_person, held_out=held_out, seed=0)


def test_more_images_than_memory_are_refused_before_they_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = face_source(10**9, per_person=40, held_out=9, seed=0)
    with pytest.raises(OverBudget, match=r"58,000,000,000 images of 7,755 bytes would take"):
        plan_attack(many, options())
    source = image_source(coloured(), seed=0)
    monkeypatch.setattr(attack_data, "MEMORY_BYTES", source.count * source.image_bytes)
    plan_attack(source, options())
    with pytest.raises(OverBudget, match="60 images of 624 bytes"):
        plan_attack(source, options(pruning_aware=True))
