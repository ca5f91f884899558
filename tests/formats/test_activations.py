from __future__ import annotations

import pytest
import torch

from goodnet.formats.spec import Activation
from goodnet.ops.activations import FUNCTIONS, activation_function, is_zero_preserving

CASES = [Activation(name) for name in FUNCTIONS] + [
    Activation("relu", {"threshold": 1.0, "negative_slope": 0.5}),
    Activation("relu", {"threshold": 1.0}),
    Activation("relu", {"threshold": -1.0}),
    Activation("relu", {"negative_slope": 0.5, "max_value": 6.0}),
    Activation("hard_sigmoid", {"slope": 0.2}),
    Activation("gelu", {"approximate": 1.0}),
]


@pytest.mark.parametrize("activation", CASES, ids=str)
def test_zero_stays_zero_exactly_where_it_is_said_to(activation: Activation) -> None:
    value = activation_function(activation)(torch.zeros(2, 3))
    assert is_zero_preserving(activation) == bool((value == 0).all())


def test_no_activation_is_the_identity() -> None:
    value = torch.randn(2, 3)
    assert torch.equal(activation_function(None)(value), value)
    assert is_zero_preserving(None)
