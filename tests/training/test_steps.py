from __future__ import annotations

import pytest
import torch
from torch import nn

from goodnet.training.steps import plain_step, sharpness_aware


def run(
    radius: float | None, weights: list[float], curvature: list[float]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    parameter = nn.Parameter(torch.tensor(weights, dtype=torch.float64))
    sharp = torch.tensor(curvature, dtype=torch.float64)
    asked: list[torch.Tensor] = []

    def gradient() -> float:
        asked.append(parameter.detach().clone())
        parameter.grad = sharp * parameter.detach()
        return float((sharp * parameter.detach() ** 2).sum() / 2)

    step = plain_step if radius is None else sharpness_aware(radius)
    loss = step(gradient, [parameter])
    assert loss == pytest.approx(
        sum(c * w * w for w, c in zip(weights, curvature, strict=True)) / 2
    )
    assert parameter.tolist() == weights
    assert parameter.grad is not None
    return parameter.grad, asked


def test_a_plain_step_follows_the_gradient_where_it_is() -> None:
    found, asked = run(None, [1.0, -2.0], [3.0, 1.0])
    assert found.tolist() == [3.0, -2.0]
    assert len(asked) == 1


def test_a_sharpness_aware_step_follows_that_of_the_worst_place_nearby() -> None:
    """Of a quadratic in closed form: w + rho w^2 g / |w g|, element by element."""
    weights, curvature, radius = [1.0, -2.0, 0.0], [3.0, 1.0, 5.0], 0.1
    found, asked = run(radius, weights, curvature)
    w, c = (torch.tensor(x, dtype=torch.float64) for x in (weights, curvature))
    g = c * w
    worst = w + radius * w**2 * g / (w * g).norm()
    torch.testing.assert_close(asked[1], worst)
    torch.testing.assert_close(found, c * worst)


def test_a_weight_of_zero_stays_where_it_is() -> None:
    _, asked = run(0.5, [0.0, 1.0], [2.0, 2.0])
    assert asked[1][0] == 0
