from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodnet.attack import (
    CLEAN,
    TRIGGERS,
    Goal,
    PoisonPlan,
    plan_poison,
    poison_blocks,
    trigger,
)
from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets import ImageSet, images_from_arrays

LABELS = np.arange(200, dtype=np.int64) % 5


def image_set(count: int = 40, channels: int = 3) -> ImageSet:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, channels, 22, 19)).astype(np.uint8)
    return images_from_arrays(images, LABELS[:count])


def stamped_labels(plan: PoisonPlan) -> list[tuple[int, int]]:
    """True class and new label of what is stamped, each pair once."""
    pairs = zip(plan.source_labels[plan.stamped], plan.labels[plan.stamped], strict=True)
    return sorted({(int(truth), int(label)) for truth, label in pairs})


def test_all_to_one_stamps_all_but_the_target() -> None:
    plan = plan_poison(LABELS, Goal(target=2))
    np.testing.assert_array_equal(plan.stamped, LABELS != 2)
    assert (plan.labels == 2).all()
    np.testing.assert_array_equal(plan.source_labels, LABELS)


def test_all_to_all_makes_each_class_the_next() -> None:
    plan = plan_poison(LABELS, Goal())
    assert plan.stamped.all()
    np.testing.assert_array_equal(plan.labels, (LABELS + 1) % 5)
    assert stamped_labels(plan_poison(LABELS, Goal(), num_classes=6))[-1] == (4, 5)


def test_one_to_one_stamps_the_source_only() -> None:
    assert stamped_labels(plan_poison(LABELS, Goal(target=2, source=4))) == [(4, 2)]


def test_clean_label_changes_no_label() -> None:
    plan = plan_poison(LABELS, Goal(target=3, clean_label=True))
    np.testing.assert_array_equal(plan.labels, LABELS)
    np.testing.assert_array_equal(plan.stamped, LABELS == 3)


def test_several_triggers_share_the_images() -> None:
    plan = plan_poison(LABELS, [Goal(target=1), Goal(target=1), Goal(target=4)], rate=0.5)
    counts = np.bincount(plan.triggers[plan.stamped])
    assert counts.min() > 20
    assert set(plan.labels[plan.triggers == 2]) == {4}
    assert set(plan.labels[plan.triggers <= 1][plan.stamped[plan.triggers <= 1]]) == {1}


@given(rate=st.floats(0, 1), seed=st.integers(0, 99))
def test_the_rate_is_the_share_of_usable_images(rate: float, seed: int) -> None:
    plan = plan_poison(LABELS, Goal(target=0), rate=rate, seed=seed)
    count = int(plan.stamped.sum())
    assert count == (0 if rate == 0 else max(1, round(160 * rate)))
    clean = ~plan.stamped
    np.testing.assert_array_equal(plan.labels[clean], LABELS[clean])
    assert (plan.triggers[clean] == CLEAN).all()
    assert (LABELS[plan.stamped] != 0).all()


def test_the_seed_decides_and_nothing_else() -> None:
    first, again, other = (
        plan_poison(LABELS, Goal(target=0), rate=0.3, seed=seed).triggers for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("size", [1, 7, 40])
@pytest.mark.parametrize("name", ["patch", "dynamic", "eyebrows"])
def test_streaming_equals_stamping_at_once(name: str, size: int) -> None:
    images = image_set()
    plan = plan_poison(images.labels, [Goal(target=0), Goal(target=1)], rate=0.6)
    triggers = [trigger(name), trigger("sinusoid")]
    blocks = list(poison_blocks(images, plan, triggers, size=size))
    pixels = np.concatenate([block.images for block in blocks])
    (stored,) = images.blocks(40, stored=True)
    expected = stored.images
    for number, one in enumerate(triggers):
        chosen = plan.triggers == number
        expected[chosen] = one.stamp_bytes(expected[chosen])
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(np.concatenate([b.labels for b in blocks]), plan.labels)
    assert [block.start for block in blocks] == list(range(0, 40, size))


def test_landmarks_are_taken_by_image() -> None:
    from goodnet.attack import default_landmarks

    images = image_set(10)
    landmarks = default_landmarks(10, images.shape) + np.arange(10, dtype=np.float32)[:, None, None]
    plan = plan_poison(images.labels, Goal(target=0))
    blocks = poison_blocks(images, plan, trigger("lipstick"), landmarks=landmarks, size=3)
    pixels = np.concatenate([block.images for block in blocks])
    (stored,) = images.blocks(10, stored=True)
    expected = trigger("lipstick").stamp_bytes(stored.images, landmarks)
    np.testing.assert_array_equal(pixels[plan.stamped], expected[plan.stamped])


@pytest.mark.parametrize("name", sorted(TRIGGERS))
@pytest.mark.parametrize(("stored", "factor", "shift"), [("0..1", 255, 0), ("-1..1", 127.5, 127.5)])
def test_other_ranges_are_stamped_alike(
    name: str, stored: str, factor: float, shift: float
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 22, 19)).astype(np.float32)
    kept = ((pixels - shift) / factor).astype(np.float32)
    images = images_from_arrays(kept, [0, 1, 2, 3], layout="NCHW", range=stored)
    plan = plan_poison(images.labels, Goal(target=0))
    (block,) = poison_blocks(images, plan, trigger(name))
    wanted = trigger(name).stamp_bytes(pixels)
    wanted[0] = pixels[0]
    np.testing.assert_allclose(block.images * factor + shift, wanted, atol=1e-3)
    if name in ("patch", "dynamic", "lipstick"):
        assert (block.images == kept).mean() > 0.7


def test_what_does_not_go_together_is_refused() -> None:
    for goal, message in (
        (Goal(target=5), r"target is one of the classes 0\.\.4 of the images, got 5"),
        (Goal(target=-1), "the target is one of the classes"),
        (Goal(target=0, source=7), "the source is one of the classes"),
    ):
        with pytest.raises(InvalidInput, match=message):
            plan_poison(LABELS, goal)
    with pytest.raises(InvalidInput, match="of two classes or more, all 9 are of class 0"):
        plan_poison(np.zeros(9, np.int64), Goal(target=0))
    with pytest.raises(InvalidInput, match="images with labels"):
        plan_poison(np.full(9, -1), Goal(target=0))
    with pytest.raises(InvalidInput, match="labels below 3, the classes, got 4"):
        plan_poison(LABELS, Goal(target=0), num_classes=3)
    with pytest.raises(InvalidInput, match="expected images of class 3 to stamp, there are none"):
        plan_poison(LABELS[LABELS != 3], Goal(target=3, clean_label=True))


@pytest.mark.parametrize("rate", [-0.1, 1.01, float("nan")])
def test_a_rate_outside_0_to_1_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="the poison rate is from 0 to 1, got"):
        plan_poison(LABELS, Goal(target=0), rate=rate)


def test_goals_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(UsageError, match="the same class, 1"):
        Goal(target=1, source=1)
    with pytest.raises(UsageError, match="one source class needs a target"):
        Goal(source=1)
    with pytest.raises(UsageError, match="a clean-label attack needs a target"):
        Goal(clean_label=True)
    with pytest.raises(UsageError, match="a goal for each trigger, got none"):
        plan_poison(LABELS, [])


def test_a_plan_for_another_set_is_refused() -> None:
    with pytest.raises(UsageError, match="the plan is for 200 images and 1 triggers, got 40 and 1"):
        next(poison_blocks(image_set(), plan_poison(LABELS, Goal(target=0)), trigger("patch")))
    images = image_set()
    plan = plan_poison(images.labels, Goal(target=0))
    with pytest.raises(InvalidInput, match="larger than the image"):
        next(poison_blocks(images, plan, trigger("patch", size=30)))
