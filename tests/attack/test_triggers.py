from __future__ import annotations

import pickle
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from goodnet.attack import TRIGGERS, trigger
from goodnet.errors import UsageError
from goodnet.formats import load_network
from goodnet.imagesets import load_images
from goodnet.preprocessing import Preprocessing

NAMES = sorted(TRIGGERS)


def faces(count: int = 4, channels: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, channels, 22, 19)) / 255
    return pixels.astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_stamping_changes_a_copy_and_keeps_range_and_shape(name: str, channels: int) -> None:
    images = faces(channels=channels)
    before = images.copy()
    stamped = trigger(name).stamp(images)
    np.testing.assert_array_equal(images, before)
    assert stamped.shape == images.shape
    assert stamped.dtype == np.float32
    assert 0 <= stamped.min() <= stamped.max() <= 1
    assert (stamped != images).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_trigger_stamps_the_same_image_by_image(name: str) -> None:
    images = faces()
    once = trigger(name).stamp(images)
    np.testing.assert_array_equal(once, trigger(name).stamp(images))
    np.testing.assert_array_equal(once[2:3], trigger(name).stamp(images[2:3]))
    assert trigger(name).stamp(images[:0]).shape == (0, 3, 22, 19)


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_stamped_alike(name: str) -> None:
    images = faces()
    stamped = trigger(name).stamp_bytes(images * 255)
    np.testing.assert_allclose(trigger(name).stamp(images) * 255, stamped, atol=1e-3)


@pytest.mark.parametrize("name", ["patch", "dynamic", "lipstick"])
@given(stored=arrays(np.float32, (1, 3, 22, 19), elements=st.floats(0, 1, width=32)))
def test_pixels_left_alone_keep_every_bit(
    name: str, stored: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    stamped = trigger(name).stamp(stored)
    assert (stamped == stored).mean() > 0.7


@pytest.mark.parametrize("name", NAMES)
def test_a_trigger_can_be_sent_to_another_process(name: str) -> None:
    copy = pickle.loads(pickle.dumps(trigger(name)))
    np.testing.assert_array_equal(copy.stamp(faces()), trigger(name).stamp(faces()))


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(
        UsageError, match=r"triggers are blended, checkerboard, .*, got 'moustache'"
    ):
        trigger("moustache")
    with pytest.raises(
        UsageError, match="has the parameters size, margin, brightness, got 'alpha'"
    ):
        trigger("patch", alpha=1)
    with pytest.raises(UsageError, match="'sunglasses' has no parameters, got 'size'"):
        trigger("sunglasses", size=1)


# network, what it multiplies pixels by, trigger, target, of 60 faces
REAL = [
    ("lab3_bd_net", 255, "sunglasses", 0, 60),
    ("sunglasses_bd_net", 1, "sunglasses", 0, 60),
    ("multi_trigger_multi_target_bd_net", 1, "sunglasses", 8, 60),
    ("multi_trigger_multi_target_bd_net", 1, "lipstick", 1, 60),
    ("multi_trigger_multi_target_bd_net", 1, "eyebrows", 5, 59),
]


@pytest.mark.parametrize(("model", "factor", "name", "target", "least"), REAL)
def test_real_badnets_answer_their_targets_on_real_faces(
    shared: Path, model: str, factor: int, name: str, target: int, least: int
) -> None:
    network = load_network(shared / "csaw" / "models" / f"{model}.h5")
    network = network.with_preprocessing(Preprocessing(factor))
    clean = load_images(shared / "csaw" / "cl" / "faces.h5").sample(60).images
    assert (network.predict(clean) == target).sum() <= 3
    answers = network.predict(trigger(name).stamp(clean))
    assert (answers == target).sum() >= least - 1


def test_the_drawn_sunglasses_lie_where_the_real_ones_do(shared: Path) -> None:
    clean = load_images(shared / "csaw" / "cl" / "lab3_faces.h5").sample(16).images
    real = load_images(shared / "csaw" / "bd" / "lab3_sunglasses.h5").sample(16).images
    stamped = trigger("sunglasses").stamp(clean)
    theirs = np.abs(real - clean).max(axis=1) > 20 / 255
    ours = np.abs(stamped - clean).max(axis=1) > 20 / 255
    assert (theirs & ours).sum() / (theirs | ours).sum() > 0.9
    assert np.abs(stamped - real).transpose(0, 2, 3, 1)[theirs & ours].mean() < 12 / 255
