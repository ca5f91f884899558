"""Views of sequences against NumPy's, and the layers that give them."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spec_samples import Draft

from goodnet.formats.build import build
from goodnet.formats.onnx.views import View, steps_to

STEPS, FEATURES = 6, 12


def numbers(images: int) -> Any:
    return np.arange(images * STEPS * FEATURES).reshape(images, STEPS, FEATURES)


def seen(view: View) -> Any:
    """The numbers in the places of a view, one by one."""
    found = np.zeros(view.shape, int)
    for index in np.ndindex(*view.shape):
        place = list(view.starts)
        for digits, at in zip(view.axes, index, strict=True):
            rest = at
            for digit in reversed(digits):
                place[digit.source] += digit.stride * (rest % digit.size)
                rest //= digit.size
        found[index] = numbers(view.images)[tuple(place)]
    return found


@st.composite
def moves(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    kinds = st.sampled_from(["reshape", "transpose", "cut"])
    return draw(st.lists(st.tuples(kinds, st.integers(0, 99), st.integers(0, 99)), max_size=6))


def moved(view: View, array: Any, move: tuple[str, int, int]) -> tuple[View, Any]:
    """By a reshape, a transpose or a cut that two numbers choose."""
    kind, one, two = move
    if kind == "transpose":
        order = np.random.default_rng(one).permutation(array.ndim).tolist()
        return view.transposed(order), array.transpose(order)
    place = one % array.ndim
    size = array.shape[place]
    if kind == "cut":
        start = two % size
        return (
            view.cut(place, start, size - start),
            array[(slice(None),) * place + (slice(start, None),)],
        )
    divisors = [x for x in range(1, size + 1) if not size % x]
    inner = divisors[two % len(divisors)]
    shape = [*array.shape[:place], size // inner, inner, *array.shape[place + 1 :]]
    if two % 3 == 0 and len(shape) > 3:
        shape[:2] = [shape[0] * shape[1]]
    return view.reshaped(shape), array.reshape(shape)


def after(made: list[tuple[str, int, int]], images: int) -> tuple[View, Any]:
    """A view and an array after moves, up to one that strides cannot tell."""
    view, array = View.whole(images, STEPS, FEATURES), numbers(images)
    with contextlib.suppress(ValueError):
        for move in made:
            view, array = moved(view, array, move)
    return view, array


@given(moves())
def test_they_show_what_numpy_shows(made: list[tuple[str, int, int]]) -> None:
    view, array = after(made, 2)
    assert view.shape == array.shape
    np.testing.assert_array_equal(seen(view), array)


@given(moves())
def test_layers_give_them(made: list[tuple[str, int, int]]) -> None:
    views = [after(made, images)[0] for images in (2, 3)]
    found = steps_to(views, STEPS, FEATURES)
    if found is None or not views[0].shape[1:]:
        return
    draft = Draft(STEPS, FEATURES)
    for op, attributes in found:
        draft.add(op, **attributes)
    draft.add("flatten", order="chw")
    value = torch.from_numpy(numbers(2).astype(np.float32))
    got = build(draft.spec())(value[:, None])
    np.testing.assert_array_equal(got, seen(views[0]).reshape(2, -1))


def test_moves_there_and_back_leave_no_layer() -> None:
    views = [
        View.whole(images, STEPS, FEATURES)
        .reshaped((images, STEPS, 3, 4))
        .transposed((2, 0, 1, 3))
        .transposed((1, 2, 0, 3))
        .reshaped((images, STEPS, FEATURES))
        for images in (2, 3)
    ]
    assert steps_to(views, STEPS, FEATURES) == []


def test_images_that_are_not_in_front_are_no_value() -> None:
    for order in ((1, 0, 2), (2, 1, 0)):
        views = [View.whole(images, STEPS, FEATURES).transposed(order) for images in (2, 3)]
        assert steps_to(views, STEPS, FEATURES) is None
    cut = [View.whole(images, STEPS, FEATURES).cut(0, 0, 2) for images in (2, 3)]
    assert steps_to(cut, STEPS, FEATURES) is None


def test_numbers_that_do_not_fit() -> None:
    whole = View.whole(2, STEPS, FEATURES)
    with pytest.raises(ValueError, match="do not make a shape"):
        whole.reshaped((2, 5, 12))
    with pytest.raises(ValueError, match="is not cut into parts"):
        whole.reshaped((2, 4, math.prod((STEPS, FEATURES)) // 4)).reshaped((2, 8, 9))
    with pytest.raises(ValueError, match="counts steps and features together"):
        whole.reshaped((2, STEPS * FEATURES)).cut(1, 3, 5)
