from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from planted import SPECS, clean_images, planted

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats.build import extract
from goodnet.network import Network
from goodnet.repair.sparsify import Sparsify, _Course, smallest, sparsity_at
from goodnet.training import Frozen, TrainingConfig

DENSE = {
    "conv": ["fc", "output"],
    "deepid": ["fc_1", "fc_2", "output"],
    "dense": ["fc_1", "fc_2", "output"],
    "residual": ["output"],
}
NUMBERS = arrays.arrays(
    np.float32, (4, 7), elements=st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0])
)


class Watched(_Course):
    """Remembers what was held in each epoch, and how large what is newly held was."""

    seen: list[Frozen]

    def __call__(self, epoch: int, network: Network) -> Frozen:
        frozen = super().__call__(epoch, network)
        self.seen.append({key: mask.copy() for key, mask in frozen.items()})
        return frozen


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Frozen]:
    frozen: list[Frozen] = []
    monkeypatch.setattr(Watched, "seen", frozen, raising=False)
    monkeypatch.setattr(import_module("goodnet.repair.sparsify"), "_Course", Watched)
    return frozen


@pytest.mark.parametrize("name", SPECS)
def test_dense_layers_reach_the_final_sparsity(name: str) -> None:
    network = planted(name).network
    repair = Sparsify(training=TrainingConfig(epochs=4))(network, clean_images())
    reached = repair.details["sparsity"]
    assert list(reached) == DENSE[name]
    before, after = extract(network).arrays, extract(repair.network).arrays
    for layer, share in reached.items():
        weight = after[f"{layer}/weight"]
        assert np.count_nonzero(weight == 0) == round(0.7 * weight.size)
        assert share == pytest.approx(0.7, abs=0.5 / weight.size)
    for key in before:
        if key.removesuffix("/weight") not in reached:
            assert np.count_nonzero(after[key] == 0) <= np.count_nonzero(before[key] == 0)
    assert repair.details["initial"] == 0.5
    assert repair.details["final"] == 0.7


def test_masks_stay_masks_to_the_end(seen: list[Frozen]) -> None:
    repair = Sparsify(training=TrainingConfig(epochs=8))(planted().network, clean_images())
    assert len(seen) == len(repair.epochs)
    for earlier, later in pairwise(seen):
        for key, mask in earlier.items():
            assert (later[key] >= mask).all()
    shares = [mask.mean() for frozen in seen for key, mask in frozen.items() if key == "fc/weight"]
    assert shares[0] == pytest.approx(0.5, abs=1e-3)
    assert shares[4:] == [pytest.approx(0.7, abs=1e-3)] * 4
    after = extract(repair.network).arrays
    for key, mask in seen[-1].items():
        assert not after[key][mask].any()
        assert after[key][~mask].all()


def test_only_an_epoch_at_the_final_sparsity_is_kept() -> None:
    for epochs in (1, 2, 3, 7):
        repair = Sparsify(training=TrainingConfig(epochs=epochs))(
            planted().network, clean_images(60)
        )
        assert repair.chosen > epochs // 2
        assert repair.details["sparsity"]["fc"] == pytest.approx(0.7, abs=1e-3)


def test_the_smallest_weights_go_first() -> None:
    victim = planted()
    settings = TrainingConfig(epochs=1, lr=1e-12)
    repair = Sparsify(sparsity=0.2, initial=0.2, training=settings)(
        victim.network, clean_images(60)
    )
    before, after = (extract(network).arrays for network in (victim.network, repair.network))
    for layer in ("fc", "output"):
        size, gone = np.abs(before[f"{layer}/weight"]), after[f"{layer}/weight"] == 0
        assert size[gone].max() <= size[~gone].min()


def test_a_plain_badnet_keeps_its_accuracy_at_the_sparsity_asked_for() -> None:
    """What it claims: most weights gone, accuracy kept. The backdoor it removes only by luck."""
    victim = planted()
    repair = Sparsify(sparsity=0.9)(victim.network, clean_images())
    assert victim.accuracy(repair.network) > 0.97
    assert repair.details["sparsity"]["fc"] == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize("name", ["conv", "dense"])
def test_a_clean_network_keeps_its_accuracy(name: str) -> None:
    """One that has weights to spare; the others have seven features or fewer."""
    victim = planted(name, backdoor=False)
    repair = Sparsify()(victim.network, clean_images())
    assert victim.accuracy(repair.network) > victim.accuracy(victim.network) - 0.02


def test_other_layers_can_be_named() -> None:
    network = planted("residual").network
    repair = Sparsify(layers=("conv", "stem", "conv"))(network, clean_images())
    assert list(repair.details["sparsity"]) == ["stem", "conv"]
    before, after = extract(network).arrays, extract(repair.network).arrays
    for layer in ("stem", "conv"):
        weight = after[f"{layer}/weight"]
        assert np.count_nonzero(weight == 0) == round(0.7 * weight.size)
        assert after[f"{layer}/bias"].all()
    assert np.count_nonzero(after["output/weight"]) == before["output/weight"].size


def test_a_state_of_another_sparsity_is_not_used(tmp_path: Path) -> None:
    network, images = planted().network, clean_images(60)
    training, state = TrainingConfig(epochs=2), tmp_path / "state"
    Sparsify(sparsity=0.2, initial=0.1, training=training)(network, images, checkpoint=state)
    repair = Sparsify(training=training)(network, images, checkpoint=state)
    fresh = Sparsify(training=training)(network, images)
    first, second = (extract(found.network).arrays for found in (repair, fresh))
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert repair.epochs == fresh.epochs


@given(NUMBERS, st.floats(0, 1))
def test_smallest_are_a_share_of_all_and_none_is_larger_than_one_left(
    weights: np.ndarray[tuple[int, int], np.dtype[np.float32]], share: float
) -> None:
    mask = smallest(weights, share)
    assert mask.sum() == round(share * weights.size)
    if mask.any() and not mask.all():
        assert np.abs(weights[mask]).max() <= np.abs(weights[~mask]).min()


@given(NUMBERS, st.floats(0, 1), st.floats(0, 1))
def test_what_is_taken_out_is_taken_out_again_of_what_is_left(
    weights: np.ndarray[tuple[int, int], np.dtype[np.float32]], one: float, other: float
) -> None:
    fewer, more = sorted((one, other))
    first = smallest(weights, fewer)
    random = np.random.default_rng(0)
    trained = np.where(first, 0, weights + random.normal(size=weights.shape))
    assert (smallest(trained, more) >= first).all()


def test_the_schedule_is_the_cubic_of_the_paper() -> None:
    shares = [sparsity_at(epoch, 0.2, 0.8, rise=4) for epoch in range(7)]
    assert shares == pytest.approx([0.8 - 0.6 * (1 - t / 4) ** 3 for t in range(4)] + [0.8] * 3)
    assert sparsity_at(0, 0.2, 0.8, rise=0) == 0.8


@pytest.mark.parametrize(
    ("sparsity", "message"),
    [
        ((-0.1, 0.5), "a sparsity from 0 to 1, got -0.1"),
        ((0.5, 1.5), "a sparsity from 0 to 1, got 1.5"),
        ((0.7, 0.5), "a sparsity that does not fall, got 0.7 to 0.5"),
        ((0.5, float("nan")), "sparsify needs a number as sparsity, got nan"),
    ],
)
def test_a_schedule_out_of_range_or_going_down_is_refused(
    sparsity: tuple[float, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Sparsify(initial=sparsity[0], sparsity=sparsity[1])


@pytest.mark.parametrize("wrong", ["conv_9", "pool_1", "input"])
def test_a_layer_that_cannot_be_thinned_out_is_refused(wrong: str) -> None:
    known = "conv_1, conv_2, conv_3, fc, output"
    with pytest.raises(InvalidInput, match=f"sparse is called '{wrong}'; there are {known}$"):
        Sparsify(layers=("fc", wrong))(planted().network, clean_images())


def test_no_layer_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"expected layers to make sparse.*got none; name some"):
        Sparsify(layers=())(planted().network, clean_images())
