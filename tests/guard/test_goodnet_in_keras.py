"""A saved GoodNet is an ordinary Keras file: no custom object, safe mode on, the same answers."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import SPECS, pictures

from goodnet.evaluation import agree, predict_set
from goodnet.formats import load_network, read_spec, silence
from goodnet.formats.build import build
from goodnet.formats.keras import write
from goodnet.formats.spec import NetworkSpec
from goodnet.guard.form import guard_spec, reject_class_of
from goodnet.imagesets import ImageSet, load_images

SUFFIXES = (".keras", ".h5")


def keras_answers(path: Path, images: NDArray[np.float32]) -> NDArray[np.int64]:
    model = keras.models.load_model(path, compile=False, safe_mode=True)
    outputs = model.predict(images.transpose(0, 2, 3, 1), verbose=0)
    found: NDArray[np.int64] = np.argmax(outputs, axis=1)
    return found


def goodnet_of(spec: NetworkSpec, layer: str, channels: list[int]) -> NetworkSpec:
    return guard_spec(spec, spec.with_arrays(silence.silence(spec, layer, channels)))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", SPECS)
def test_keras_gives_the_answers_of_goodnet(name: str, suffix: str, tmp_path: Path) -> None:
    spec = SPECS[name]()
    layer = silence.default_layer(spec)
    good = goodnet_of(spec, layer, [0, 2])
    path = tmp_path / f"good{suffix}"
    write.write(good, path)
    images = pictures(200)
    ours = build(good).predict(images)
    assert keras_answers(path, images).tolist() == ours.tolist()
    assert set(ours) > {5}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_goodnet_is_read_back(suffix: str, tmp_path: Path) -> None:
    good = goodnet_of(SPECS["deepid"](), "pool_1", [0, 2])
    path = tmp_path / f"good{suffix}"
    build(good).save(path)
    images = pictures(100)
    assert reject_class_of(read_spec(path)) == 5
    assert load_network(path).predict(images).tolist() == build(good).predict(images).tolist()


@pytest.fixture(scope="module")
def cifar(shared: Path) -> tuple[NetworkSpec, list[tuple[ImageSet, NDArray[np.int64]]]]:
    """A GoodNet, and the answers of its two networks together on every test image."""
    lab = shared / "cifar_badnet"
    spec = read_spec(lab / "bd_net.h5")
    channels = [6, 7, 11, 0, 41, 57, 22, 1, 55, 3, 38, 15, 24, 50, 51, 4, 49, 13, 21, 8, 23, 53]
    repaired = spec.with_arrays(silence.silence(spec, "pool_3", channels))
    answers = []
    for name in ("cl/test.h5", "bd/bd_test.h5"):
        images = load_images(lab / name)
        first, second = (predict_set(build(s), images) for s in (spec, repaired))
        answers.append((images, agree(first, second, num_classes=10)))
    return guard_spec(spec, repaired), answers


def test_cifar_badnet_on_every_test_image(
    cifar: tuple[NetworkSpec, list[tuple[ImageSet, NDArray[np.int64]]]], tmp_path: Path
) -> None:
    """Keras is asked of every image in one format, and of each tenth in the other."""
    good, answers = cifar
    for suffix, step in ((".keras", 1), (".h5", 10)):
        path = tmp_path / f"good{suffix}"
        write.write(good, path)
        for images, expected in answers:
            assert predict_set(load_network(path), images).tolist() == expected.tolist()
            pixels = images.sample(len(images)).images[::step]
            assert keras_answers(path, pixels).tolist() == expected[::step].tolist()
            assert (expected[::step] == 10).any()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_lab3_on_every_face(suffix: str, shared: Path, tmp_path: Path) -> None:
    csaw = shared / "csaw"
    first = read_spec(csaw / "models" / "lab3_bd_net.h5")
    second = read_spec(csaw / "students" / "pruned_drop_10.h5")
    path = tmp_path / f"good{suffix}"
    write.write(guard_spec(first, second), path)
    for name in ("cl/faces.h5", "bd/sunglasses.h5"):
        images = load_images(csaw / name)
        expected = agree(
            predict_set(build(first), images), predict_set(build(second), images), num_classes=1283
        )
        pixels = images.sample(len(images)).images
        assert predict_set(load_network(path), images).tolist() == expected.tolist()
        assert keras_answers(path, pixels).tolist() == expected.tolist()
        assert (expected == 1283).any()
