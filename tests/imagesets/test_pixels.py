from __future__ import annotations

import numpy as np
import pytest

from goodnet.errors import InvalidInput, OverBudget, UsageError
from goodnet.imagesets.pixels import (
    assemble,
    check_finite,
    find_layout,
    find_range,
    image_shape,
    parse_layout,
    parse_range,
)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((9, 3, 55, 47), "NCHW"),
        ((9, 1, 28, 28), "NCHW"),
        ((9, 55, 47, 3), "NHWC"),
        ((9, 32, 32, 4), "NHWC"),
        ((9, 28, 28), "NHW"),
    ],
)
def test_the_layout_follows_from_the_axis_of_channels(shape: tuple[int, ...], layout: str) -> None:
    assert find_layout(shape, None, name="x") == layout


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((9, 3, 32, 3), r"both the second and the last axis .* --layout NCHW or --layout NHWC"),
        ((9, 3, 3, 3), "both the second and the last axis"),
        ((9, 32, 32, 7), r"neither the second nor the last axis .* \(9, 32, 32, 7\)"),
        ((9, 784), r"expected images with the axes N,C,H,W .* got the shape \(9, 784\)"),
        ((9, 1, 3, 8, 8), "expected images with the axes"),
    ],
)
def test_an_unclear_layout_names_the_flag(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        find_layout(shape, None, name="x")


def test_a_layout_given_is_used() -> None:
    assert find_layout((9, 3, 32, 3), parse_layout("nhwc"), name="x") == "NHWC"
    with pytest.raises(InvalidInput, match=r"--layout NCHW needs an array with 4 axes"):
        find_layout((9, 28, 28), "NCHW", name="x")


def test_unknown_flags_list_the_known_ones() -> None:
    with pytest.raises(UsageError, match="--layout is one of NCHW, NHWC, NHW, got 'CHW'"):
        parse_layout("CHW")
    with pytest.raises(UsageError, match=r"--range is one of 0\.\.255, 0\.\.1, -1\.\.1, got '1'"):
        parse_range("1")


def test_the_shape_of_an_image_is_channels_first() -> None:
    assert image_shape((9, 55, 47, 3), "NHWC", name="x") == (3, 55, 47)
    assert image_shape((9, 28, 30), "NHW", name="x") == (1, 28, 30)


def test_images_without_pixels_or_with_too_many_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected images with pixels"):
        image_shape((9, 3, 0, 5), "NCHW", name="x")
    with pytest.raises(OverBudget, match="at most 16,000,000 pixels, got 5000 x 5000"):
        image_shape((9, 3, 5000, 5000), "NCHW", name="x")


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 255], "f4", "0..255"),
        ([0.0, 17.5], "f8", "0..255"),
        ([0, 200], "i8", "0..255"),
        ([0, 1], "f2", "0..1"),
        ([0.0, 1.001], "f4", "0..1"),
        ([-1, 1], "f4", "-1..1"),
        ([-0.5, 0.25], "f8", "-1..1"),
    ],
)
def test_the_range_follows_from_the_values(values: list[float], dtype: str, expected: str) -> None:
    assert find_range(np.array(values, dtype), name="x") == expected


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 2], "f4"),
        ([0, 0], "f4"),
        ([0, 1], "i4"),
    ],
)
def test_an_unclear_range_names_the_flag(values: list[float], dtype: str) -> None:
    with pytest.raises(InvalidInput, match=r"pass --range 0\.\.255, --range 0\.\.1 or --range"):
        find_range(np.array(values, dtype), name="x")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 1000], "f4"), ([-2.1, 2.6], "f4"), ([-128, 127], "i1"), ([0, 65535], "u2")],
)
def test_images_that_no_range_holds_are_refused(values: list[float], dtype: str) -> None:
    message = rf"x: expected images in \[0, 1\] or 0\.\.255, got .* from {values[0]:g} to .*mean"
    with pytest.raises(InvalidInput, match=message):
        find_range(np.array(values, dtype), name="x")


@pytest.mark.parametrize("dtype", ["u1", "f2", ">f4", "f8", "i4", "?"])
def test_blocks_are_float32_channels_first(dtype: str) -> None:
    stored = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3).astype(dtype)
    expected = stored.transpose(0, 3, 1, 2).astype(np.float32)
    joined = assemble([stored[:1], stored[1:]], "NHWC", (3, 4, 5))
    alone = assemble([np.ascontiguousarray(expected.astype(dtype))], "NCHW", (3, 4, 5))
    for block in (joined, alone):
        assert block.dtype == np.float32
        assert block.flags.c_contiguous
        np.testing.assert_array_equal(block, expected)


def test_a_run_that_fits_already_is_not_copied() -> None:
    run = np.zeros((2, 3, 4, 5), np.float32)
    assert assemble([run], "NCHW", (3, 4, 5)) is run or np.shares_memory(
        assemble([run], "NCHW", (3, 4, 5)), run
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_image_that_is_not_finite_is_named(bad: float) -> None:
    images = np.zeros((4, 1, 2, 2), np.float32)
    images[2, 0, 1, 1] = images[3, 0, 0, 0] = bad
    with pytest.raises(InvalidInput, match=r"x: every pixel must be .* in image 7$"):
        check_finite(images, np.array([5, 6, 7, 8]), name="x")


def test_numbers_too_large_for_float32_are_refused_without_a_warning() -> None:
    images = assemble([np.full((1, 1, 2, 2), 1e300)], "NCHW", (1, 2, 2))
    with pytest.raises(InvalidInput, match="image 0"):
        check_finite(images, np.array([0]), name="x")
