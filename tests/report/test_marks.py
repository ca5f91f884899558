"""The signs of answers."""

from __future__ import annotations

from itertools import combinations
from typing import get_args

import numpy as np
import pytest

from goodnet.report.marks import COLOURS, WORDS, Mark, sign

MARKS: tuple[Mark, ...] = get_args(Mark)


def test_every_mark_has_a_word_and_a_colour() -> None:
    assert set(WORDS) == set(COLOURS) == set(MARKS)


@pytest.mark.parametrize("mark", MARKS)
def test_a_sign_has_the_size_asked_for_and_a_clear_ground(mark: Mark) -> None:
    image = sign(mark, 24)
    assert (image.size, image.mode) == ((24, 24), "RGBA")
    low, high = image.getchannel("A").getextrema()
    assert (low, high) == (0, 255) or mark == "wrong"


@pytest.mark.parametrize(("one", "other"), list(combinations(MARKS, 2)))
def test_signs_differ_without_their_colours(one: Mark, other: Mark) -> None:
    shapes = [np.asarray(sign(mark, 24).convert("LA"), dtype=float) for mark in (one, other)]
    bright = [shape[..., 0] > 200 for shape in shapes]
    assert (bright[0] != bright[1]).mean() > 0.05
