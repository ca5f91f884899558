from __future__ import annotations

import numpy as np
import pytest

from goodnet.errors import UsageError
from goodnet.imagesets import RAW, Scale


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("raw", "raw"),
        ("1", "raw"),
        ("255/255", "raw"),
        ("1/255", "1/255"),
        ("255", "255"),
        ("0.5", "1/2"),
        ("2.5/10", "1/4"),
    ],
)
def test_scales_are_read_as_fractions(text: str, shown: str) -> None:
    assert str(Scale.parse(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "0", "0.0", "-1", "1/0", "x", "nan", "inf", "1e999999999", "1/255/2", "1/-3", "٣"]
)
def test_what_is_no_scale_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--scale is raw, a fraction such as 1/255, .* got "):
        Scale.parse(text)


def test_dividing_by_255_equals_what_users_write() -> None:
    integers = np.arange(256, dtype=np.uint8)
    floats = np.linspace(0, 255, 10_001, dtype=np.float32)
    scale = Scale.parse("1/255")
    np.testing.assert_array_equal(scale.apply(floats), floats / 255)
    np.testing.assert_array_equal(
        scale.apply(integers.astype(np.float32)), (integers / 255).astype(np.float32)
    )


def test_scaling_copies_only_where_it_must() -> None:
    pixels = np.array([0, 51, 255], np.float32)
    assert RAW.apply(pixels) is pixels
    scaled = Scale.parse("2/3").apply(pixels)
    np.testing.assert_allclose(scaled, [0, 34, 170])
    assert pixels.tolist() == [0, 51, 255]
    assert Scale.parse("2/3").apply(pixels, out=pixels) is pixels
    np.testing.assert_array_equal(pixels, scaled)
