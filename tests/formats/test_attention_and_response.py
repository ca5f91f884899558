"""Attention within windows and the normalization by response, each against a slow and plain one."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from goodnet.errors import InvalidInput
from goodnet.formats.shapes import infer
from goodnet.formats.spec import Layer
from goodnet.ops import OPS


class Own:
    """The arrays of a layer."""

    def __init__(self, **arrays: Tensor) -> None:
        self.__dict__ |= arrays


def window_attention(
    query: Tensor, value: Tensor, key: Tensor, bias: Tensor, *, window: int, shift: int, heads: int
) -> Tensor:
    """Pixel by pixel: who is in the same window, and met without going round the picture."""
    _, channels, height, width = query.shape
    width_of_head = channels // heads
    found = torch.zeros_like(query)

    def at(row: int, column: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The window of a pixel and its place there, and in which part of the picture it is."""
        shifted = (row - shift) % height, (column - shift) % width
        parts = tuple(
            int(x >= size - window) + int(x >= size - shift) if shift else 0
            for x, size in zip(shifted, (height, width), strict=True)
        )
        return (shifted[0] // window, shifted[1] // window, *parts), shifted

    for head, row, column in product(range(heads), range(height), range(width)):
        features = slice(head * width_of_head, (head + 1) * width_of_head)
        place, own = at(row, column)
        near = [x for x in product(range(height), range(width)) if at(*x)[0] == place]
        scores = []
        for other in near:
            down, right = (a - b + window - 1 for a, b in zip(own, at(*other)[1], strict=True))
            score = query[0, features, row, column] @ key[0, features, other[0], other[1]]
            ways = bias[down * (2 * window - 1) + right, head]
            scores.append(score / math.sqrt(width_of_head) + ways)
        weights = torch.stack(scores).softmax(0)
        values = torch.stack([value[0, features, x[0], x[1]] for x in near])
        found[0, features, row, column] = weights @ values
    return found


@pytest.mark.parametrize("shift", [0, 1])
def test_attention_within_windows(shift: int) -> None:
    random = torch.Generator().manual_seed(1)
    query, value, key = torch.randn(3, 1, 4, 6, 3, generator=random, dtype=torch.float64)
    bias = torch.randn(25, 2, generator=random, dtype=torch.float64)
    attributes = {"heads": 2, "window": 3, "shift": shift}
    function = OPS["window_attention"].compute(attributes)
    found = function(Own(bias=bias), query, value, key)
    wanted = window_attention(query, value, key, bias, **attributes)
    torch.testing.assert_close(found, wanted)


def test_windows_and_heads_must_fit() -> None:
    def shape(heads: int = 2, window: int = 3, bias: tuple[int, int] = (25, 2)) -> Any:
        attributes = {"heads": heads, "window": window, "shift": 0}
        layer = Layer("windows", "window_attention", ("a", "b", "c"), attributes)
        return infer(layer, [(4, 6, 3)] * 3, {"bias": bias})

    assert shape() == (4, 6, 3)
    with pytest.raises(InvalidInput, match="does not make 3 heads and windows of 3 pixels"):
        shape(heads=3)
    with pytest.raises(InvalidInput, match="does not make 2 heads and windows of 2 pixels"):
        shape(window=2)
    with pytest.raises(InvalidInput, match=r"expected a bias of shape \(25, 2\), got \(9, 2\)"):
        shape(bias=(9, 2))


def test_a_channel_grows_by_its_strength_among_all() -> None:
    """Channels of strength 5 and 0 among two: the mean is 2.5, so that the first doubles."""
    value = torch.zeros(1, 2, 1, 2)
    value[0, 0, 0] = torch.tensor([3.0, 4.0])
    gamma, beta = torch.full((2, 1, 1), 10.0), torch.tensor([1.0, -1.0]).view(2, 1, 1)
    function = OPS["response_norm"].compute({"epsilon": 1e-6})
    found = function(Own(gamma=gamma, beta=beta), value)
    wanted = torch.tensor([[[[3 * 21 + 1, 4 * 21 + 1]], [[-1, -1]]]], dtype=torch.float32)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0)


def test_a_response_of_nothing_would_be_no_number() -> None:
    with pytest.raises(InvalidInput, match="expected an epsilon above 0, got 0"):
        OPS["response_norm"].check({"epsilon": 0.0}, {})
    layer = Layer("grn", "response_norm", ("a",), {"epsilon": 1e-6})
    with pytest.raises(InvalidInput, match=r"expected gamma of shape \(2, 1, 1\)"):
        infer(layer, [(2, 3, 3)], {"gamma": (2,), "beta": (2,)})
