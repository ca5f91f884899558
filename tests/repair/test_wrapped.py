"""Every way of repairing, on a PyTorch module of the user's own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from planted import PATCH, Planted, clean_images, planted, stamp, stripes
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from goodnet.errors import InvalidInput
from goodnet.formats.torch import wrap
from goodnet.guard.goodnet import GoodNet
from goodnet.network import Network
from goodnet.preprocessing import Preprocessing
from goodnet.repair import (
    Erase,
    FinePrune,
    FineTune,
    Repair,
    Sparsify,
    Unlearn,
    prune_curve,
    silence_channels,
)


class Own(nn.Module):
    """Residual, with BatchNorm, a normalization that is not known layer by layer, and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.norm = nn.GroupNorm(4, 16)
        self.last = nn.Conv2d(16, 32, 3, padding=1)
        self.head = nn.Linear(32 * 4, 5)

    def forward(self, images: Tensor) -> Tensor:
        value = self.norm(F.relu(self.stem(images / 255 - 0.5)))
        value = F.max_pool2d(F.relu(value + self.body(value)), 2)
        value = F.max_pool2d(F.relu(self.last(value)), 2)
        result: Tensor = self.head(value.flatten(1))
        return result


def _wrapped(module: nn.Module) -> Network:
    """It takes pixels 0..255."""
    return wrap(module, (3, 8, 8), preprocessing=Preprocessing(255))


@lru_cache
def victim() -> tuple[Own, Planted]:
    torch.manual_seed(0)
    clean = stripes(1000)
    poisoned = stamp(clean, np.arange(0, len(clean), 5))
    images, labels = torch.from_numpy(poisoned.images).float(), torch.from_numpy(poisoned.labels)
    module = Own()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.003)
    for _ in range(8):
        for rows in torch.chunk(torch.randperm(len(images)), 20):
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(module(images[rows]), labels[rows]))
            optimizer.step()
    others = planted()
    return module.eval(), Planted(_wrapped(module), others.clean, others.stamped)


REPAIRS: dict[str, tuple[Repair[Any], float]] = {
    "fine_tune": (FineTune(), 1.0),
    "fine_prune": (FinePrune(), 1.0),
    "sparsify": (Sparsify(), 1.0),
    "unlearn": (Unlearn(triggers=(PATCH,)), 0.05),
    "erase": (Erase(triggers=(PATCH,)), 0.05),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_a_module_is_repaired_as_a_file_is(name: str) -> None:
    module, badnet = victim()
    assert badnet.success(badnet.network) > 0.9
    method, limit = REPAIRS[name]
    found = method(badnet.network, clean_images())
    assert badnet.success(found.network) <= limit
    assert badnet.accuracy(found.network) >= badnet.accuracy(badnet.network) - 0.04
    own = found.network.module
    images = torch.from_numpy(badnet.clean.images).float()
    with torch.inference_mode():
        torch.testing.assert_close(own(images), found.network(images / 255), rtol=1e-3, atol=1e-3)
    assert isinstance(own, Own)
    Own().load_state_dict(own.state_dict(), strict=True)
    assert any(
        not torch.equal(tensor, module.state_dict()[key])
        for key, tensor in own.state_dict().items()
    )


def test_pruned_channels_are_zero_in_the_own_class() -> None:
    _, badnet = victim()
    network, images = badnet.network, clean_images()
    curve = prune_curve(network, images)
    assert curve.layer == "max_pool2d_1"
    steps = curve.steps_to_drop(5)
    assert steps
    repaired = silence_channels(network, curve.layer, curve.silenced(steps))
    own = repaired.module
    assert isinstance(own, Own)
    assert not own.last.weight[curve.silenced(steps)].any()
    block = images.sample(250)
    right = int((repaired.predict(block.images) == block.labels).sum())
    assert right == curve.correct[steps]
    good = GoodNet(network, repaired)
    assert set(good.predict(block.images).tolist()) <= {*range(6)}
    assert good.module(torch.from_numpy(255 * block.images)).shape == (250, 6)


class Whole(nn.Module):
    """Control flow of its own: `torch.fx` sees one call."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = Own()

    def forward(self, images: Tensor) -> Tensor:
        value: Tensor = self.inside(images if images.mean() > 0 else -images)
        return value


def test_a_module_that_cannot_be_traced_is_trained_but_not_pruned() -> None:
    own, badnet = victim()
    module = Whole()
    module.inside.load_state_dict(own.state_dict())
    network = _wrapped(module)
    assert network.layers == ("module",)
    assert badnet.accuracy(network) == badnet.accuracy(badnet.network)
    found = Unlearn(triggers=(PATCH,))(network, clean_images())
    assert badnet.success(found.network) <= 0.05
    assert isinstance(found.network.module, Whole)
    with pytest.raises(InvalidInput, match="no layer whose channels can be silenced"):
        prune_curve(network, clean_images())
