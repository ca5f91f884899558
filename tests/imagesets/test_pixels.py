from __future__ import annotations

import numpy as np
import pytest

from goodnet.errors import InvalidInput, OverBudget, UsageError
from goodnet.imagesets.pixels import (
    Layout,
    PixelRange,
    assemble,
    check_asked_range,
    check_finite,
    check_unit,
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
    with pytest.raises(UsageError, match=r"--layout is one of NCHW, NHWC, NHW, .*NWH, got 'CHW'"):
        parse_layout("CHW")
    with pytest.raises(
        UsageError, match=r"--range is one of 0\.\.255, 0\.\.1, -1\.\.1, .*, got '1'"
    ):
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
        ([-0.5, 0.49], "f4", "-0.5..0.5"),
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
    ("values", "dtype", "advice"),
    [
        ([0, 1000], "f4", "10-bit pixels, divide them by 4"),
        ([0, 4080], "u2", "12-bit pixels, divide them by 16"),
        ([0.5, 1000], "f4", r"convert them to 0\.\.255 or 0\.\.1"),
        ([0, 1e6], "f4", "no pixels, convert them"),
        ([-2.1, 2.6], "f4", "leave mean and .* preprocessing"),
        ([-0.5, 2.6], "f4", "leave mean and .* preprocessing"),
        ([-128, 127], "i1", "add 128"),
        ([0, 65535], "u2", "16-bit pixels, divide them by 257"),
    ],
)
def test_images_that_no_range_holds_are_refused_with_what_to_do(
    values: list[float], dtype: str, advice: str
) -> None:
    message = (
        rf"x: expected images in \[0, 1\] or 0\.\.255, got .* from {values[0]:g} to .*{advice}"
    )
    with pytest.raises(InvalidInput, match=message):
        find_range(np.array(values, dtype), name="x")


@pytest.mark.parametrize(
    ("values", "dtype", "asked", "advice"),
    [
        ([4369, 61680], "u2", "0..255", "divide them by 257"),
        ([-2.6, 5], "f4", "-1..1", "leave mean and"),
        ([-1, 1], "f4", "0..1", "$"),
        ([-1, 1], "f4", "0..255", "$"),
        ([0, 255], "u1", "0..1", "$"),
    ],
)
def test_a_range_given_is_checked(
    values: list[float], dtype: str, asked: PixelRange, advice: str
) -> None:
    message = (
        rf"x: --range {asked} is not the range of these pixels, .* from {values[0]:g} .*{advice}"
    )
    with pytest.raises(InvalidInput, match=message):
        check_asked_range(np.array(values, dtype), asked, name="x")
    sharpened = np.array([-0.05, 1.05])
    check_asked_range(sharpened, "0..1", name="x")


def test_the_first_image_far_outside_the_range_is_named() -> None:
    images = np.zeros((4, 1, 2, 2), np.float32)
    images[1] = 1.05
    check_unit(images, np.arange(4), "-1..1", name="x")
    images[2, 0, 0, 0] = 3
    message = r"x: the pixels of this set go from -1\.\.1, those of image 7 from -1 to 5; convert"
    with pytest.raises(InvalidInput, match=message):
        check_unit(images, np.arange(5, 9), "-1..1", name="x")


@pytest.mark.parametrize(
    ("layout", "axes"), [("NCWH", (0, 1, 3, 2)), ("NWHC", (0, 3, 2, 1)), ("NWH", (0, 2, 1))]
)
def test_pictures_stored_width_first_are_turned(layout: Layout, axes: tuple[int, ...]) -> None:
    stored = np.random.default_rng(0).random((2, 4, 5, 3)[: len(layout)]).astype(np.float32)
    channels, height, width = shape = image_shape(stored.shape, layout, name="x")
    assert parse_layout(layout.lower()) == layout
    wanted = stored.transpose(axes).reshape(2, channels, height, width)
    np.testing.assert_array_equal(assemble([stored[:1], stored[1:]], layout, shape), wanted)
    np.testing.assert_array_equal(assemble([stored], layout, shape), wanted)


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
