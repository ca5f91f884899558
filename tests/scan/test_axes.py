from __future__ import annotations

import numpy as np
import planted_badnets as planted
import pytest
import torch
from torch import nn

from goodnet.formats.torch import wrap
from goodnet.scan.directions import common_axis, distances
from goodnet.scan.families import Stamp
from goodnet.scan.subject import Subject


def test_a_shift_of_linear_features_is_its_own_direction() -> None:
    torch.manual_seed(0)
    network = wrap(
        nn.Sequential(nn.Flatten(), nn.Linear(planted.PIXELS, 9), nn.Linear(9, 4)), planted.SHAPE
    )
    subject = Subject.of(network)
    added = 0.05 * torch.randn(1, *planted.SHAPE, generator=torch.Generator().manual_seed(2))
    images = 0.5 + 0.1 * torch.rand(20, *planted.SHAPE, generator=torch.Generator().manual_seed(3))
    axis = common_axis(subject, [Stamp(None, added)] * 2, [1.0, 4.0], images)
    weight = network.layer("1").get_parameter("weight").detach()
    wanted = nn.functional.normalize(weight @ added.flatten(), dim=0)
    torch.testing.assert_close(axis.direction, wanted, atol=1e-3, rtol=1e-3)
    clean = subject.all_features(images)
    covariance = np.cov(clean.double().numpy().T, bias=True)
    mean_variance = np.trace(covariance) / 9
    shrunk = 0.8 * covariance + 0.2 * mean_variance * np.eye(9)
    reader = np.linalg.solve(shrunk, axis.direction.double().numpy())
    reader /= reader @ axis.direction.double().numpy()
    np.testing.assert_allclose(axis.reader.numpy(), reader, rtol=2e-2, atol=2e-3)


def test_distances_are_told_in_what_others_vary_by() -> None:
    """Two labels whose triggers go as far; clean images vary less along one of them."""
    random = torch.Generator().manual_seed(0)
    clean = torch.randn(400, 4, generator=random) * torch.tensor([0.1, 2.0, 1.0, 1.0])
    truth = torch.arange(400) % 8
    clean[truth == 1] += torch.tensor([0.0, 9.0, 0.0, 0.0])  # its own images lie that way
    shifts = {k: torch.eye(4)[k] * torch.tensor([[3.0], [5.0], [4.0]]) for k in (0, 1)}
    weights = {k: [1.0, 2.0, 1.0] for k in (0, 1)}
    found = distances(clean, truth, shifts, weights)
    spread = clean[:, 0].std()
    assert found[0] == pytest.approx(float(4 / spread), rel=0.05)
    assert found[1] == pytest.approx(4 / 2.0, rel=0.1)
