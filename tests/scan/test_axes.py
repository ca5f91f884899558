from __future__ import annotations

import numpy as np
import planted_badnets as planted
import pytest
import torch
from torch import nn

from goodnet.network import Network
from goodnet.scan.directions import Axis, common_axis, without
from goodnet.scan.families import Stamp
from goodnet.scan.subject import Subject


def axes(count: int, size: int, seed: int = 0) -> list[Axis]:
    random = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        direction = nn.functional.normalize(torch.randn(size, generator=random), dim=0)
        reader = direction + 0.2 * torch.randn(size, generator=random)
        found.append(Axis(direction, reader / (reader @ direction), torch.ones(size)))
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_what_axes_read_is_gone_and_the_mean_stays(count: int) -> None:
    some = axes(count, 7)
    taken = without(some)
    features = torch.randn(5, 7, generator=torch.Generator().manual_seed(1)) + 1
    left = taken(features)
    for axis in some:
        torch.testing.assert_close(axis.read(left), torch.zeros(5), atol=1e-4, rtol=0)
        shifted = taken(features + 3 * axis.direction)
        torch.testing.assert_close(shifted, left, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(taken(torch.ones(1, 7)), torch.ones(1, 7))


def test_a_shift_of_linear_features_is_its_own_direction() -> None:
    torch.manual_seed(0)
    network = Network.from_module(
        nn.Sequential(nn.Flatten(), nn.Linear(planted.PIXELS, 9), nn.Linear(9, 4)), planted.SHAPE
    )
    subject = Subject.of(network)
    added = 0.05 * torch.randn(1, *planted.SHAPE, generator=torch.Generator().manual_seed(2))
    images = 0.5 + 0.1 * torch.rand(20, *planted.SHAPE, generator=torch.Generator().manual_seed(3))
    axis = common_axis(subject, [Stamp(None, added)] * 2, [1.0, 4.0], images)
    layer = network.module("1")
    assert isinstance(layer, nn.Linear)
    wanted = nn.functional.normalize(layer.weight.detach() @ added.flatten(), dim=0)
    torch.testing.assert_close(axis.direction, wanted, atol=1e-3, rtol=1e-3)
    clean = subject.all_features(images)
    covariance = np.cov(clean.double().numpy().T, bias=True)
    mean_variance = np.trace(covariance) / 9
    shrunk = 0.8 * covariance + 0.2 * mean_variance * np.eye(9)
    reader = np.linalg.solve(shrunk, axis.direction.double().numpy())
    reader /= reader @ axis.direction.double().numpy()
    np.testing.assert_allclose(axis.reader.numpy(), reader, rtol=2e-2, atol=2e-3)
