"""What holds for every repair that trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import SPECS, as_images, clean_images, planted, stripes, told
from tiny import SOFTMAX, Weights, dense, flatten, image

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats.build import build, extract
from goodnet.formats.spec import Layer, NetworkSpec
from goodnet.imagesets import ImageSet
from goodnet.network import Network
from goodnet.preprocessing import Preprocessing
from goodnet.repair import tune as module
from goodnet.repair.clean import prepare
from goodnet.repair.fine_prune import FinePrune
from goodnet.repair.fine_tune import FineTune
from goodnet.repair.method import Context, Trained
from goodnet.repair.result import RepairResult
from goodnet.repair.sparsify import Sparsify
from goodnet.repair.tune import tune
from goodnet.stats import proportion
from goodnet.training import Examples, Recipe, Schedule, TrainingConfig
from goodnet.types import Proportion

METHODS: dict[str, Callable[..., Trained]] = {
    "fine-tune": FineTune,
    "fine-prune": partial(FinePrune, drop=5.0),
    "sparsify": Sparsify,
}
CASES = [(name, method) for name in SPECS for method in METHODS]
BRIEF, BRIEFER = TrainingConfig(epochs=3), TrainingConfig(epochs=2)


def run(
    method: str, network: Network, images: ImageSet, training: TrainingConfig, **others: Any
) -> RepairResult:
    return METHODS[method](training=training)(network, images, **others)


def same(first: Network, second: Network) -> bool:
    one, other = (extract(network).arrays for network in (first, second))
    return all(np.array_equal(one[key], other[key]) for key in one)


def interrupted_after(images: int) -> Callable[[int], None]:
    seen = 0

    def count(more: int) -> None:
        nonlocal seen
        seen += more
        if seen > images:
            raise KeyboardInterrupt

    return count


@pytest.mark.parametrize(("name", "method"), CASES)
def test_the_same_layers_come_back_with_other_numbers_and_all_else_stays(
    name: str, method: str
) -> None:
    network = planted(name).network
    tensors = {key: value.clone() for key, value in network.graph.state_dict().items()}
    arrays = {key: array.copy() for key, array in network.spec.arrays.items()}
    threads, random, state = torch.get_num_threads(), torch.get_rng_state(), np.random.get_state()
    repair = run(method, network, clean_images(60), BRIEF)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), random)
    assert repr(np.random.get_state()) == repr(state)
    assert torch.is_grad_enabled()
    assert not network.graph.training
    assert all(parameter.grad is None for parameter in network.graph.parameters())
    for key, value in network.graph.state_dict().items():
        assert torch.equal(value, tensors[key])
    for key, array in network.spec.arrays.items():
        assert np.array_equal(array, arrays[key])

    spec, repaired = network.spec, repair.network.spec
    assert repaired.layers == spec.layers
    assert repaired.output == spec.output
    assert {k: a.shape for k, a in repaired.arrays.items()} == {
        k: a.shape for k, a in spec.arrays.items()
    }
    assert all(np.isfinite(array).all() for array in repaired.arrays.values())
    assert all(array.dtype == np.float32 for array in repaired.arrays.values())
    assert same(repair.network, repair.network.copy())
    assert not same(repair.network, network)


@pytest.mark.parametrize("method", METHODS)
def test_a_repair_tells_what_happened(method: str) -> None:
    network, images = planted().network, clean_images(100)
    repair = run(method, network, images, BRIEF)
    clean = prepare(network, images, TrainingConfig(held_back=0.2, seed=0))
    assert repair.method == method
    assert len(repair.epochs) == 3
    assert 1 <= repair.chosen <= 3
    assert repair.before == clean.before
    assert repair.after == repair.epochs[repair.chosen - 1].accuracy
    answers = repair.network.predict(clean.held_back.images)
    assert repair.after.count == (answers == clean.held_back.labels).sum()
    assert repair.seconds > 0
    assert repair.peak_memory is None or repair.peak_memory > 1 << 20


@pytest.mark.parametrize(("name", "method"), CASES)
def test_interrupted_and_resumed_is_the_same_as_in_one_go(
    name: str, method: str, tmp_path: Path
) -> None:
    network, images, state = planted(name).network, clean_images(100), tmp_path / "state"
    training = TrainingConfig(epochs=6, batch_size=16)
    whole = run(method, network, images, training)
    for epochs in (1.5, 2.5):
        stop = told(interrupted_after(round(epochs * 80)))
        with pytest.raises(KeyboardInterrupt):
            run(method, network, images, training, checkpoint=state, stage=stop)
    counts: list[int] = []
    count = told(counts.append)
    resumed = run(method, network, images, training, checkpoint=state, stage=count)
    assert counts[0] > 80
    assert same(whole.network, resumed.network)
    assert whole.epochs == resumed.epochs
    assert whole.chosen == resumed.chosen
    assert whole.details == resumed.details


def test_a_second_attempt_is_gone_on_with_where_it_was(tmp_path: Path) -> None:
    """The first, at this learning rate, costs more than the nothing that is tolerated."""
    network, images, state = planted().network, clean_images(100), tmp_path / "state"
    method = FineTune(training=TrainingConfig(epochs=6, batch_size=16, lr=0.1, tolerance=0))
    whole = method(network, images)
    assert whole.details["attempts"] == 2
    stop = told(interrupted_after(round(2.5 * 80)), of="training, attempt 2")
    with pytest.raises(KeyboardInterrupt):
        method(network, images, checkpoint=state, stage=stop)
    counts: list[int] = []
    resumed = method(network, images, checkpoint=state, stage=told(counts.append))
    # All of the first attempt is there, and two epochs of the second.
    assert counts[:2] == [6 * 80, 2 * 80]
    assert same(whole.network, resumed.network)
    assert (whole.epochs, whole.details) == (resumed.epochs, resumed.details)


@pytest.mark.parametrize("method", METHODS)
def test_one_that_was_done_is_not_trained_again(method: str, tmp_path: Path) -> None:
    network, images = planted().network, clean_images(60)
    training, state = TrainingConfig(epochs=2, tolerance=99), tmp_path / "state"
    done = run(method, network, images, training, checkpoint=state)
    counts: list[int] = []
    count = told(counts.append)
    again = run(method, network, images, training, checkpoint=state, stage=count)
    assert counts == [96]
    assert same(done.network, again.network)
    assert done.epochs == again.epochs


@pytest.mark.parametrize("method", METHODS)
def test_the_state_of_one_method_is_not_used_by_another(method: str, tmp_path: Path) -> None:
    network, images = planted().network, clean_images(60)
    state, fresh = tmp_path / "state", run(method, network, images, BRIEFER)
    for other in METHODS:
        run(other, network, images, BRIEFER, checkpoint=state)
        found = run(method, network, images, BRIEFER, checkpoint=state)
        assert same(found.network, fresh.network)


@pytest.mark.parametrize(("name", "method"), CASES)
@pytest.mark.parametrize("count", [18, 60])
def test_the_seed_decides(name: str, method: str, count: int) -> None:
    network, images = planted(name).network, clean_images(count)
    first, second, other = (
        run(method, network, images, TrainingConfig(epochs=2, seed=seed)).network
        for seed in (3, 3, 4)
    )
    assert same(first, second)
    assert not same(first, other)


@pytest.mark.parametrize("method", METHODS)
def test_the_number_of_threads_does_not_matter(method: str) -> None:
    before, found = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(run(method, planted().network, clean_images(18), BRIEFER))
    torch.set_num_threads(before)
    assert same(found[0].network, found[1].network)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("count", [8, 41])
def test_any_number_of_images_can_be_trained_on(name: str, method: str, count: int) -> None:
    """41 images leave 33 to train on: one more than two whole batches."""
    repair = run(
        method, planted(name).network, clean_images(count), TrainingConfig(epochs=1, batch_size=16)
    )
    assert repair.chosen == 1


@pytest.mark.parametrize("count", [4, 5, 7, 9, 33])
def test_batch_norm_of_vectors_is_trained_on_any_number_of_images(count: int) -> None:
    """It cannot be trained on a single vector: no batch and no part of one may be so small."""
    weights = Weights(0)
    weights.linear("fc", 16, 192)
    weights.batch_norm("norm", 16)
    weights.linear("output", 5, 16)
    layers = (
        image(),
        flatten("flatten", "input"),
        dense("fc", "flatten"),
        Layer("norm", "batch_norm", ("fc",), {"epsilon": 1e-3}),
        dense("output", "norm", activation=SOFTMAX),
    )
    network = build(NetworkSpec(layers, weights.arrays, "output"))
    network = network.with_preprocessing(Preprocessing(255))
    shown = stripes(count)
    labels = network.predict(shown.pixels(slice(None)))
    images = as_images(Examples(shown.images, labels))
    training = TrainingConfig(epochs=1, batch_size=8)
    assert FineTune(training=training)(network, images).chosen == 1


def scripted(monkeypatch: pytest.MonkeyPatch, *counts: int) -> None:
    """Let sets that are judged be answered right so many times of 100, one call after another."""
    script = iter(counts)
    monkeypatch.setattr(module, "count_right", lambda *_: proportion(next(script), 100))


def run_tune(*, epochs: int, judged: Sequence[Examples] = ()) -> RepairResult:
    network = planted().network
    clean = prepare(network, clean_images(20), TrainingConfig(held_back=0.2, seed=0))
    return tune(
        network,
        clean,
        start=network.spec,
        schedule=Schedule(epochs=epochs),
        context=Context(),
        recipe=Recipe(),
        judged=judged,
    )


def test_training_stops_after_four_epochs_that_are_no_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted(monkeypatch, *[10] * 10, 50, 90, 70, 80, 89, 60, 90)
    found = run_tune(epochs=20)
    assert [epoch.accuracy.count for epoch in found.epochs[10:]] == [50, 90, 70, 80, 89, 60]
    assert found.chosen == 12


def test_of_epochs_that_do_as_well_the_last_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, 10, 10, 10, 90, 90, 70, 90)
    assert run_tune(epochs=6).chosen == 5


def test_an_epoch_of_the_first_half_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, 99, 98, 97, 96, 60, 70, 65, 64, 0)
    found = run_tune(epochs=8)
    assert len(found.epochs) == 8
    assert found.chosen == 6


def test_other_sets_have_a_say_in_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, 90, 10, 20, 80, 70, 60, 50, 50, 0)
    found = run_tune(epochs=3, judged=[Examples(np.zeros((1, 3, 8, 8)), np.zeros(1, np.int64))])
    assert [epoch.accuracy.count for epoch in found.epochs] == [90, 20, 70]
    assert found.chosen == 3


def test_the_network_that_is_given_back_is_of_the_epoch_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five epochs of eight: the same as what training had then."""
    seen: list[Network] = []

    def watch(network: Network, examples: Examples) -> Proportion:
        seen.append(build(extract(network)))
        return proportion((10, 10, 10, 20, 90, 20, 30, 40, 90)[len(seen) - 1], 100)

    monkeypatch.setattr(module, "count_right", watch)
    found = run_tune(epochs=8)
    assert found.chosen == 5
    assert same(found.network, seen[4])
    assert not same(found.network, seen[5])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"held_back": 0.0}, "between 0 and 1, got 0.0"),
        ({"held_back": 1.0}, "between 0 and 1, got 1.0"),
        ({"epochs": 0}, "at least 1 epoch, got 0"),
        ({"batch_size": 0}, "at least 1 image per batch, got 0"),
        ({"lr": 0.0}, "learning rate above 0, got 0.0"),
        ({"seed": -1}, "a seed from 0, got -1"),
        ({"tolerance": -1.0}, "a tolerance from 0 to 100 percentage points, got -1"),
    ],
)
def test_training_has_numbers_in_their_range(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainingConfig(**wrong)  # type: ignore[arg-type]


def test_single_images_do_not_train_batch_norm() -> None:
    with pytest.raises(InvalidInput, match="batches of 2 images or more to train BatchNorm on"):
        FineTune(training=TrainingConfig(batch_size=1))(
            planted("residual").network, clean_images(20)
        )


def test_a_rate_that_is_too_high_is_said() -> None:
    with pytest.raises(InvalidInput, match=r"training diverged in epoch \d; give a learning rate"):
        FineTune(training=TrainingConfig(lr=1e30))(planted().network, clean_images(60))
