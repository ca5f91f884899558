from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from planted import PATCH, TARGET, clean_images, planted

from goodnet.attack import Trigger, trigger
from goodnet.attack.landmarks import Landmarks, default_landmarks
from goodnet.errors import InvalidInput, UsageError
from goodnet.formats.build import build
from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.imagesets.pixels import Images
from goodnet.repair.clean import CleanImages, prepare
from goodnet.repair.stamped import (
    Stamped,
    check_triggers,
    effects,
    join,
    spread_rows,
    stamp_clean,
    target_notes,
)
from goodnet.training import Examples, TrainingConfig

TRAINING = TrainingConfig(held_back=0.3, seed=5)


def cleaned(images: ImageSet) -> CleanImages:
    return prepare(planted().network, images, TRAINING)


def stamp(
    images: ImageSet, *triggers: Trigger, landmarks: Landmarks | None = None
) -> tuple[Stamped, ...]:
    network = planted().network
    clean = cleaned(images)
    with patch("goodnet.repair.stamped.find_landmarks", return_value=landmarks):
        return stamp_clean(network, clean, images, triggers=triggers, training=TRAINING)


def test_copies_are_stamped_in_order_and_keep_their_labels() -> None:
    images = clean_images(40)
    (found,) = stamp(images, PATCH)
    clean, rows = cleaned(images), np.array([3, 0, 11])
    some = found.train(rows)
    np.testing.assert_array_equal(some.labels, clean.train.labels[rows])
    np.testing.assert_array_equal(some.images, PATCH.stamp(clean.train.images[rows]))
    np.testing.assert_array_equal(found.held_back.labels, clean.held_back.labels)
    np.testing.assert_array_equal(found.held_back.images, PATCH.stamp(clean.held_back.images))


@pytest.mark.parametrize(("range_", "factor"), [("0..255", 255), ("0..1", 1), ("-1..1", 2)])
def test_stamps_are_the_same_whatever_the_set_holds(range_: str, factor: int) -> None:
    whole = clean_images(40).sample(40)
    stored = whole.images * np.float32(factor) - np.float32(range_ == "-1..1")
    images = images_from_arrays(stored, whole.labels, layout="NCHW", range=range_)
    examples = Examples(images.sample(40).images, whole.labels)
    clean = CleanImages(examples, examples, cleaned(clean_images(40)).before, (), few=False)
    (found,) = stamp_clean(planted().network, clean, images, triggers=[PATCH], training=TRAINING)
    np.testing.assert_allclose(found.held_back.images, PATCH.stamp(whole.images), atol=1e-5)
    outside = np.ones((8, 8), np.bool_)
    outside[5:, 5:] = False
    same = found.held_back.images[..., outside] == examples.images[..., outside]
    assert same.all()


def test_the_label_a_trigger_leads_to_is_found() -> None:
    nothing = trigger("patch", size=1, brightness=110)
    found = stamp(clean_images(100), PATCH, nothing)
    assert [one.label for one in found] == [TARGET, None]


def test_each_image_is_stamped_at_its_own_landmarks() -> None:
    def paint(images: Images, landmarks: Landmarks) -> Images:
        return np.broadcast_to(landmarks[:, 0, 0, None, None, None], images.shape)

    images = clean_images(40)
    places = np.array(default_landmarks(40, (3, 10, 8)))
    places[:, 0, 0] = np.arange(40)
    (found,) = stamp(images, Trigger("number", paint_face=paint), landmarks=places)
    rows = np.arange(len(found.clean.train))
    halves = [(found.train(rows), found.clean.train), (found.held_back, found.clean.held_back)]
    everything = images.sample(40).images
    for marked, clean in halves:
        numbers = np.rint(255 * marked.images[:, 0, 0, 0]).astype(int)
        np.testing.assert_array_equal(everything[numbers], clean.images)


def test_effects_tell_each_share_with_its_total() -> None:
    network = planted().network
    (found,) = stamp(clean_images(100), PATCH)
    (told,) = effects(network, planted(backdoor=False).network, [found])
    others = int((found.held_back.labels != TARGET).sum())
    assert told["led_before"]["total"] == others < told["right_before"]["total"] == 30
    assert told["led_before"]["count"] == others
    assert told["led_after"]["count"] == 0
    assert told["right_after"]["count"] == 30


def test_labels_no_clean_image_is_of_are_told() -> None:
    network = planted().network
    others = [label for label in range(5) if label != TARGET]
    stamped = stamp(clean_images(60, classes=others), PATCH)
    (note,) = target_notes(network, network, stamped)
    assert f"triggers lead to class {TARGET}, of which no clean image was held back" in note


def test_a_class_a_trigger_leads_to_that_is_no_longer_recognised_is_told() -> None:
    network = planted().network
    assert network.spec is not None
    silenced = network.spec.arrays["output/bias"].copy()
    silenced[TARGET] = -1e3
    blind = build(network.spec.with_arrays({"output/bias": silenced}))
    stamped = stamp(clean_images(100), PATCH)
    (note,) = target_notes(network, blind, stamped)
    own = int((stamped[0].held_back.labels == TARGET).sum())
    assert f"of {own} clean images held back of class {TARGET}" in note
    assert note.endswith(f"B answers {own} right and B' 0")
    assert target_notes(network, network, stamped) == ()


def test_rows_are_evenly_spread() -> None:
    assert spread_rows(3, 10).tolist() == [0, 1, 2]
    assert spread_rows(10, 4).tolist() == [0, 2, 5, 7]


def test_sets_are_joined_in_order() -> None:
    part = Examples(np.ones((2, 3, 4, 4), np.float32), np.array([1, 2]))
    other = Examples(np.zeros((1, 3, 4, 4), np.float32), np.array([0]))
    joined = join([part, other])
    assert joined.labels.tolist() == [1, 2, 0]
    assert joined.images[:, 0, 0, 0].tolist() == [1, 1, 0]


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="at least one trigger"):
        check_triggers(())
    with pytest.raises(InvalidInput, match="larger than the image"):
        stamp(clean_images(40), trigger("patch", size=9))
