"""The gradient in parts against the gradient of the whole batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny import deepid_spec, plain_spec
from torch.nn import functional as F  # noqa: N812

from goodnet.formats.build import build
from goodnet.formats.softmax import without_softmax
from goodnet.formats.spec import NetworkSpec
from goodnet.training.examples import Examples
from goodnet.training.gradient import shared_gradient


@pytest.mark.parametrize("count", [1, 3, 10])
@pytest.mark.parametrize("make", [plain_spec, deepid_spec])
def test_parts_give_the_gradient_of_the_whole(make: Callable[[], NetworkSpec], count: int) -> None:
    random = np.random.default_rng(0)
    images = random.normal(size=(12, 3, 8, 8)).astype(np.float32)
    examples = Examples(images, random.integers(5, size=12))
    picked = random.permutation(12)[:count]
    network = build(without_softmax(make())).graph
    with shared_gradient(network, torch.device("cpu")) as parts:
        loss = parts.step(examples, picked)
    found = [parameter.grad for parameter in network.parameters()]
    outputs = network(torch.from_numpy(images[picked]))
    whole = F.cross_entropy(outputs, torch.from_numpy(examples.labels[picked]))
    expected = torch.autograd.grad(whole, list(network.parameters()))
    assert loss == pytest.approx(float(whole.detach()), rel=1e-5)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
