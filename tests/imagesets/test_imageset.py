from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets import ImageSet, images_from_arrays

PIXELS = np.random.default_rng(0).integers(0, 256, (23, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(23) % 4


def make() -> ImageSet:
    return images_from_arrays(PIXELS, LABELS, source_labels=LABELS[::-1].copy(), name="toy")


@given(st.integers(1, 40))
def test_the_size_of_a_block_never_changes_what_is_streamed(size: int) -> None:
    blocks = list(make().blocks(size))
    expected = PIXELS.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(np.concatenate([b.images for b in blocks]), expected)
    np.testing.assert_array_equal(np.concatenate([b.labels for b in blocks]), LABELS)
    sources = [b.source_labels for b in blocks if b.source_labels is not None]
    np.testing.assert_array_equal(np.concatenate(sources), LABELS[::-1])
    assert [b.start for b in blocks] == list(range(0, 23, size))
    assert all(b.images.flags.c_contiguous for b in blocks)


@given(st.lists(st.integers(0, 22), min_size=1, max_size=30))
def test_images_are_taken_in_the_order_asked_for(indices: list[int]) -> None:
    block = make().take(indices)
    np.testing.assert_array_equal(255 * block.images, PIXELS[indices].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(block.labels, LABELS[indices])
    assert block.start == indices[0]


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 30))
def test_a_sample_in_blocks_is_the_sample(count: int, size: int) -> None:
    whole = make().sample(count)
    parts = list(make().sample_blocks(count, size))
    np.testing.assert_array_equal(np.concatenate([b.images for b in parts]), whole.images)
    np.testing.assert_array_equal(np.concatenate([b.labels for b in parts]), whole.labels)
    assert len(whole.images) == min(count, 23)


def test_a_set_describes_itself_and_does_not_change() -> None:
    images = make()
    assert images.describe() == (
        "toy: 23 images 3x6x5, labels 0..3, pixels 0..255 (uint8), layout NHWC"
    )
    assert (len(images), images.shape, images.labelled) == (23, (3, 6, 5), True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        images.name = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        images.labels[0] = 1


@pytest.mark.parametrize(
    ("stored", "values", "unit"),
    [
        ("0..255", [0, 51, 255], [0, 0.2, 1]),
        ("0..1", [0, 0.2, 1.001], [0, 0.2, 1.001]),
        ("-1..1", [-1, 0, 1], [0, 0.5, 1]),
    ],
)
def test_images_are_0_to_1_whatever_is_stored(
    stored: str, values: list[float], unit: list[float]
) -> None:
    pixels = np.array(values, np.float32).reshape(1, 3, 1, 1)
    images = images_from_arrays(pixels, [0], layout="NCHW", range=stored)
    wanted = np.array(unit, np.float32).reshape(1, 3, 1, 1)
    for block in (*images.blocks(1), images.sample(1), images.take([0])):
        np.testing.assert_array_equal(block.images, wanted)
    (block,) = images.blocks(1, stored=True)
    np.testing.assert_array_equal(block.images, pixels)


def test_bytes_come_back_to_the_last_bit() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    unit = images_from_arrays(pixels, [0]).sample(1).images
    np.testing.assert_array_equal(unit, (pixels / 255).astype(np.float32))
    np.testing.assert_array_equal(unit * np.float32(255), pixels)


@pytest.mark.parametrize("size", [0, -1])
def test_an_empty_block_cannot_be_asked_for(size: int) -> None:
    with pytest.raises(UsageError, match="the size of a block is at least 1"):
        make().blocks(size)
    with pytest.raises(UsageError, match="the size of a sample is at least 1"):
        make().sample(size)


@pytest.mark.parametrize(("indices", "asked"), [([0, 23], "23"), ([-1], "-1"), ([], "none")])
def test_places_outside_the_set_are_refused(indices: list[int], asked: str) -> None:
    with pytest.raises(UsageError, match=f"toy holds the images 0..22, asked for {asked}"):
        make().take(indices)


def test_a_pixel_that_is_not_finite_is_found_in_the_block_it_comes_in() -> None:
    pixels = np.ones((200, 1, 2, 2), np.float32)
    pixels[150, 0, 1, 0] = np.nan
    blocks = images_from_arrays(pixels, np.zeros(200), range="0..1", name="toy").blocks(64)
    assert [next(blocks).start, next(blocks).start] == [0, 64]
    with pytest.raises(InvalidInput, match=r"toy: every pixel must be .* in image 150"):
        next(blocks)
    with pytest.raises(InvalidInput, match="image 150"):
        images_from_arrays(pixels, np.zeros(200), range="0..1").take([3, 150])
