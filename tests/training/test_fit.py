from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SPECS, deepid_spec, plain_spec, residual_spec

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats.build import build
from goodnet.formats.spec import NetworkSpec
from goodnet.training import Examples, Schedule, fit, silent_numbers


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


def bright_corners(count: int = 160, seed: int = 0) -> Examples:
    """Five classes: a bright spot at one of five places, on noise."""
    random = np.random.default_rng(seed)
    labels = random.integers(5, size=count)
    images = random.normal(size=(count, 3, 8, 8)).astype(np.float32)
    places = np.array([(0, 0), (0, 5), (5, 0), (5, 5), (3, 3)])
    for image, (top, left) in zip(images, places[labels], strict=True):
        image[:, top : top + 3, left : left + 3] += 4
    return Examples(images, labels)


def right(spec: NetworkSpec, examples: Examples) -> float:
    return float((build(spec).predict(examples.images) == examples.labels).mean())


def same(first: NetworkSpec, second: NetworkSpec) -> bool:
    return all(np.array_equal(first.arrays[key], second.arrays[key]) for key in first.arrays)


@pytest.mark.parametrize("name", SPECS)
def test_a_network_learns_what_it_is_shown(name: str) -> None:
    spec = SPECS[name]()
    trained = fit(
        spec, bright_corners(640), schedule=Schedule(epochs=8, batch_size=32, learning_rate=0.01)
    )
    assert trained.layers == spec.layers
    assert right(trained, bright_corners(200, seed=1)) > 0.9


def test_the_given_network_is_not_changed() -> None:
    spec = residual_spec()
    fit(spec, bright_corners(), schedule=Schedule(epochs=1))
    assert same(spec, residual_spec())


@pytest.mark.parametrize("make", [deepid_spec, residual_spec])
def test_the_number_of_threads_does_not_matter(make: Callable[[], NetworkSpec]) -> None:
    before = torch.get_num_threads()
    results = []
    for count in (1, 3):
        torch.set_num_threads(count)
        results.append(fit(make(), bright_corners(), schedule=Schedule(epochs=2, batch_size=30)))
    torch.set_num_threads(before)
    assert same(*results)


def test_another_seed_gives_another_network() -> None:
    first, second = (
        fit(plain_spec(), bright_corners(), schedule=Schedule(epochs=1, seed=seed))
        for seed in (0, 1)
    )
    assert not same(first, second)


def test_interrupted_and_resumed_is_the_same_as_in_one_go(tmp_path: Path) -> None:
    schedule, examples = Schedule(epochs=4, batch_size=32), bright_corners()
    whole = fit(residual_spec(), examples, schedule=schedule)
    checkpoint = tmp_path / "state"
    seen = 0

    def stop(count: int) -> None:
        nonlocal seen
        seen += count
        if seen > 2.5 * len(examples):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(residual_spec(), examples, schedule=schedule, checkpoint=checkpoint, progress=stop)
    counts: list[int] = []
    resumed = fit(
        residual_spec(),
        examples,
        schedule=schedule,
        checkpoint=checkpoint,
        progress=counts.append,
    )
    assert counts[0] == 2 * len(examples)
    assert sum(counts) == 4 * len(examples)
    assert same(whole, resumed)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken"])
def test_a_broken_checkpoint_is_started_over(tmp_path: Path, content: bytes) -> None:
    schedule, examples = Schedule(epochs=1), bright_corners()
    checkpoint = tmp_path / "state"
    checkpoint.write_bytes(content)
    trained = fit(plain_spec(), examples, schedule=schedule, checkpoint=checkpoint)
    assert same(trained, fit(plain_spec(), examples, schedule=schedule))


def test_a_checkpoint_of_other_work_is_not_used(tmp_path: Path) -> None:
    checkpoint, schedule = tmp_path / "state", Schedule(epochs=1)
    fit(plain_spec(), bright_corners(seed=1), schedule=schedule, checkpoint=checkpoint)
    trained = fit(plain_spec(), bright_corners(), schedule=schedule, checkpoint=checkpoint)
    assert same(trained, fit(plain_spec(), bright_corners(), schedule=schedule))


def test_silent_channels_stay_silent_and_the_others_learn() -> None:
    spec = plain_spec()
    frozen = silent_numbers(spec, "pool_2", [1, 4])
    silent = spec.with_arrays(
        {key: np.where(mask, 0, spec.arrays[key]) for key, mask in frozen.items()}
    )
    trained = fit(silent, bright_corners(), schedule=Schedule(epochs=3), frozen=frozen)
    for key, mask in frozen.items():
        assert not trained.arrays[key][mask].any()
        assert (trained.arrays[key] != silent.arrays[key])[~mask].all()
    values = next(build(trained).cut("pool_2").crossing(bright_corners().images))[0]
    assert values[:, [1, 4]].count_nonzero() == 0


def test_bytes_are_trained_on_as_numbers() -> None:
    examples = bright_corners()
    pixels = (examples.images * 10 + 100).clip(0, 255).astype(np.uint8)
    first, second = (
        fit(plain_spec(), Examples(images, examples.labels), schedule=Schedule(epochs=1))
        for images in (pixels, pixels.astype(np.float32) / np.float32(255))
    )
    assert same(first, second)


def test_a_rate_that_is_too_high_is_said() -> None:
    with pytest.raises(InvalidInput, match="training diverged in epoch 1; give a learning rate"):
        fit(plain_spec(), bright_corners(), schedule=Schedule(epochs=2, learning_rate=1e30))


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (
            Examples(np.zeros((2, 3, 9, 9)), np.zeros(2, np.int64)),
            r"images of shape \(3, 8, 8\).*got \(3, 9, 9\)",
        ),
        (Examples(np.zeros((2, 3, 8, 8)), np.array([0, 5])), r"labels 0\.\.4 to train on, got 5"),
        (Examples(np.zeros((2, 3, 8, 8)), np.array([0, -1])), r"labels 0\.\.4 to train on, got -1"),
    ],
)
def test_examples_that_do_not_fit_are_refused(examples: Examples, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        fit(plain_spec(), examples, schedule=Schedule())


def test_labels_and_images_belong_together() -> None:
    with pytest.raises(InvalidInput, match="got 2 images and 1 labels"):
        Examples(np.zeros((2, 3, 8, 8)), np.zeros(1, np.int64))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "at least 1 epoch, got 0"),
        ({"epochs": 10**20}, "at most 1,000,000 epochs, got 100,"),
        ({"batch_size": 0}, "at least 1 image per batch, got 0"),
        ({"learning_rate": 0.0}, r"learning rate above 0, got 0\.0"),
        ({"learning_rate": float("nan")}, "learning rate above 0, got nan"),
        ({"seed": -1}, "a seed from 0, got -1"),
    ],
)
def test_a_schedule_has_numbers_in_their_range(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Schedule(**wrong)  # type: ignore[arg-type]


def test_the_rate_rises_then_falls_to_nothing() -> None:
    schedule = Schedule(epochs=10, batch_size=10, learning_rate=1.0)
    rates = [schedule.rate(step, 100) for step in range(100)]
    assert np.argmax(rates) == 19
    assert rates[19] == 1.0
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert np.all(np.diff(rates[19:]) < 0)
