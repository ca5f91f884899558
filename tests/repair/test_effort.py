"""The hardest training that accuracy bears is the one that is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planted import clean_images, planted

from goodnet.repair import effort as module
from goodnet.repair.clean import CleanImages, prepare
from goodnet.repair.effort import attempts, epochs_for, tune_hard
from goodnet.repair.method import Context
from goodnet.repair.result import RepairResult
from goodnet.stats import proportion
from goodnet.training import Diverged, TrainingConfig

HELD_BACK = 100


def prepared(count: int) -> CleanImages:
    return prepare(planted().network, clean_images(count), TrainingConfig(held_back=0.2, seed=0))


class Scripted:
    """Stands in for training: each attempt leaves so many images right, or diverges at -1."""

    def __init__(self, *right: int) -> None:
        self.right = iter(right)
        self.rates: list[float] = []
        self.checkpoints: list[Path | None] = []

    def __call__(self, network: Any, _clean: Any, **given: Any) -> RepairResult:
        self.rates.append(given["schedule"].learning_rate)
        self.checkpoints.append(given["context"].checkpoint)
        if self.checkpoints[-1] is not None:
            self.checkpoints[-1].touch()
        right = next(self.right)
        if right < 0:
            raise Diverged("training diverged")
        return RepairResult("", network, proportion(95, HELD_BACK), proportion(right, HELD_BACK))


def run(
    script: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    *,
    checkpoint: Path | None = None,
    **given: Any,
) -> RepairResult:
    monkeypatch.setattr(module, "tune", script)
    network = planted().network
    context = Context(TrainingConfig(**given), checkpoint=checkpoint)
    return tune_hard(network, prepared(250), start=network.spec, context=context)


def test_the_hardest_is_taken_if_accuracy_bears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Scripted(92)
    found = run(script, monkeypatch)
    assert found.after.count == 92
    assert found.details["attempts"] == 1


def test_a_gentler_one_follows_where_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Scripted(91, 96)
    found = run(script, monkeypatch)
    assert found.after.count == 96
    assert found.details["attempts"] == 2
    assert "distillation" in found.details["training"]


def test_the_tolerance_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(Scripted(91), monkeypatch, tolerance=4.0).details["attempts"] == 1
    assert run(Scripted(94, 95), monkeypatch, tolerance=0.5).details["attempts"] == 2


def test_where_all_cost_too_much_the_one_that_costs_least_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = run(Scripted(50, 80, 70), monkeypatch)
    assert found.after.count == 80
    assert found.details["attempts"] == 3
    assert "costs 15.0 points of accuracy" in found.notes[-1]


def test_training_that_diverges_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(Scripted(-1, 95), monkeypatch).after.count == 95
    with pytest.raises(Diverged):
        run(Scripted(-1, -1, -1), monkeypatch)


def test_every_attempt_has_its_checkpoint_and_only_the_first_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = Scripted(50, 80, 70)
    run(script, monkeypatch, checkpoint=tmp_path / "state")
    assert len(set(script.checkpoints)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_efforts_go_from_hard_to_gentle() -> None:
    rates = [
        (each.schedule.learning_rate, "distillation" in each.recipe.name)
        for each in attempts(planted().network, prepared(250), context=Context())
    ]
    assert [heeds_teacher for _, heeds_teacher in rates] == [False, True, True]
    assert rates[2][0] < min(rates[0][0], rates[1][0])


def test_few_images_get_one_gentle_course() -> None:
    network = planted().network
    (few,) = attempts(network, prepared(20), context=Context())
    many = attempts(network, prepared(250), context=Context())
    assert few.schedule.learning_rate < min(each.schedule.learning_rate for each in many)
    assert "distillation" in few.recipe.name


def test_what_the_user_asks_for_is_done() -> None:
    context = Context(TrainingConfig(epochs=3, lr=0.5, batch_size=7, seed=9))
    for clean in (prepared(20), prepared(250)):
        for each in attempts(planted().network, clean, context=context):
            schedule = each.schedule
            assert (schedule.epochs, schedule.learning_rate) == (3, 0.5)
            assert (schedule.batch_size, schedule.seed) == (7, 9)


def test_fewer_images_are_seen_more_often() -> None:
    small, large = (epochs_for(prepared(count), TrainingConfig()) for count in (100, 250))
    assert small >= large > 1
    more = replace(TrainingConfig(), batch_size=4)
    assert epochs_for(prepared(250), more) < large
