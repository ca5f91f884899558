from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from reference import masked
from tiny import SPECS, deepid_spec, pictures, plain_spec, residual_spec

from goodnet.errors import InvalidInput
from goodnet.formats.build import build, extract
from goodnet.formats.silence import silence
from goodnet.formats.spec import NetworkSpec
from goodnet.network import Network
from goodnet.training import Examples, Frozen, Schedule, fit, silent_numbers

# At `gap` it is what reads the channels that is frozen.
CASES = [("plain", "pool_2"), ("deepid", "pool_1"), ("residual", "stem_relu"), ("residual", "gap")]


def examples(count: int = 60) -> Examples:
    return Examples(pictures(count), np.random.default_rng(0).integers(5, size=count))


class HalfHeld:
    """Holds one half of some weights in even epochs and the other half in odd ones."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.values: list[Any] = []

    def mask(self, epoch: int, network: Network) -> Frozen:
        size = extract(network).arrays[self.key]
        return {self.key: (np.arange(size.size) % 2 == epoch % 2).reshape(size.shape)}

    def before(self, epoch: int, network: Network) -> Frozen:
        self.values.append(extract(network).arrays[self.key])
        return self.mask(epoch, network)

    def after(self, epoch: int, network: Network, *, loss: float) -> bool:
        frozen = self.mask(epoch, network)[self.key]
        now, before = extract(network).arrays[self.key], self.values[-1]
        assert np.array_equal(now[frozen], before[frozen])
        assert (now[~frozen] != before[~frozen]).mean() > 0.9
        return False

    def state(self) -> dict[str, Any]:
        return {}

    def resume(self, state: dict[str, Any]) -> bool:
        return False


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_numbers_of_silent_channels_are_those_that_silence_makes_zero(
    name: str, layer: str
) -> None:
    spec = SPECS[name]()
    frozen = silent_numbers(spec, layer, [0, 2])
    changed = silence(spec, layer, [0, 2])
    assert set(frozen) == set(changed)
    for key, mask in frozen.items():
        assert mask.any()
        assert not changed[key][mask].any()
        assert np.array_equal(changed[key][~mask], spec.arrays[key][~mask])


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_what_is_held_at_zero_keeps_channels_silent(name: str, layer: str) -> None:
    spec = SPECS[name]()
    start = spec.with_arrays(silence(spec, layer, [0, 2]))
    schedule = Schedule(epochs=3, batch_size=20, learning_rate=0.01)
    kept, free = (
        build(fit(start, examples(), schedule=schedule, frozen=frozen))
        for frozen in (silent_numbers(spec, layer, [0, 2]), None)
    )
    images = pictures(30, seed=1)
    again = masked(kept, layer, [0, 2]).outputs(images)
    assert torch.equal(kept.outputs(images), again)
    if layer == "gap":  # elsewhere a ReLU that is zero everywhere learns nothing by itself
        woken = free.outputs(images), masked(free, layer, [0, 2]).outputs(images)
        assert not torch.equal(*woken)


def test_numbers_are_held_at_what_they_are_not_only_at_zero() -> None:
    spec = deepid_spec()
    frozen = {"fc_1/bias": np.arange(7) < 3, "conv_1/weight": spec.arrays["conv_1/weight"] > 0.1}
    trained = fit(spec, examples(), schedule=Schedule(epochs=2, learning_rate=0.01), frozen=frozen)
    for key, mask in frozen.items():
        before, after = spec.arrays[key], trained.arrays[key]
        assert np.array_equal(after[mask], before[mask])
        assert (after[~mask] != before[~mask]).any()


def test_all_numbers_held_train_nothing() -> None:
    spec = plain_spec()
    frozen = {key: np.ones(array.shape, np.bool_) for key, array in spec.arrays.items()}
    trained = fit(spec, examples(), schedule=Schedule(epochs=2, learning_rate=0.1), frozen=frozen)
    assert all(np.array_equal(trained.arrays[key], spec.arrays[key]) for key in spec.arrays)


@pytest.mark.parametrize("make", [plain_spec, residual_spec])
def test_what_is_held_may_change_from_epoch_to_epoch(make: Any) -> None:
    """What was trained in one epoch is not moved on by the optimiser's memory in the next."""
    spec: NetworkSpec = make()
    watch = HalfHeld("output/weight")
    schedule = Schedule(epochs=4, batch_size=10, learning_rate=0.01)
    fit(spec, examples(), schedule=schedule, watch=watch)
    assert len(watch.values) == 4


def test_channels_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InvalidInput, match="channels 0 to 5, got 6"):
        silent_numbers(plain_spec(), "pool_2", [6])
    with pytest.raises(InvalidInput, match="pool_9"):
        silent_numbers(plain_spec(), "pool_9", [0])
