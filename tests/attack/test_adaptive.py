from __future__ import annotations

import numpy as np
import pytest
import torch

from goodnet.attack import Goal, plan_poison
from goodnet.attack.adaptive import cover_plan, gathered

LABELS = np.arange(200) % 5


@pytest.mark.parametrize("goals", [[Goal(2)], [Goal(0), Goal(3)], [Goal(None)]])
def test_cover_images_are_as_many_as_are_stamped_and_keep_their_labels(goals: list[Goal]) -> None:
    plan = plan_poison(LABELS, goals, rate=0.2, seed=4)
    cover = cover_plan(plan, goals, seed=4)
    assert not (cover.stamped & plan.stamped).any()
    np.testing.assert_array_equal(cover.labels, LABELS)
    for number, goal in enumerate(goals):
        rows = cover.triggers == number
        assert rows.sum() == (plan.triggers == number).sum()
        assert goal.usable(LABELS[rows]).all()
    again = cover_plan(plan, goals, seed=4)
    np.testing.assert_array_equal(again.triggers, cover.triggers)
    assert (cover_plan(plan, goals, seed=5).triggers != cover.triggers).any()


def test_where_all_are_stamped_none_is_left_to_cover() -> None:
    goals = [Goal(2)]
    plan = plan_poison(LABELS, goals, rate=1.0)
    assert not cover_plan(plan, goals, seed=0).stamped.any()


def test_gathered_is_the_scatter_of_the_targets_images_in_that_of_all() -> None:
    random = torch.Generator().manual_seed(0)
    values = [torch.randn(12, 3, 2, 2, generator=random), 50 * torch.randn(12, 4, generator=random)]
    labels = torch.tensor([1, 0, 2] * 4)
    wanted = 0.0
    for value in values:
        rows = value.flatten(1).double().numpy()
        own = rows[labels.numpy() == 1]
        usual = ((rows - rows.mean(0)) ** 2).sum(1).mean()
        wanted += ((own - own.mean(0)) ** 2).sum() / usual / 2
    found = gathered([1], weight=3.0)(values, labels)
    assert float(found) == pytest.approx(3 * wanted, rel=1e-5)
    together = [torch.where((labels == 1)[:, None], 1.0, value.flatten(1)) for value in values]
    assert float(gathered([1])(together, labels)) == pytest.approx(0, abs=1e-6)
    assert float(gathered([1])(values, torch.zeros(12))) == 0
