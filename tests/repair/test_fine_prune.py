from __future__ import annotations

import pytest
import torch
from planted import SPECS, clean_images, planted, repaired, stripes
from reference import masked

from goodnet.errors import InvalidInput, UsageError
from goodnet.repair.fine_prune import FinePrune
from goodnet.repair.fine_tune import FineTune
from goodnet.repair.layers import silence_channels
from goodnet.training import TrainingConfig

LAYERS = [
    ("conv", "pool_3"),
    ("conv", "pool_1"),
    ("deepid", "pool_1"),
    ("dense", "fc_1"),
    ("residual", "gap"),
    ("residual", "stem_relu"),
]


def test_a_backdoor_in_the_pruned_layer_goes_where_fine_tuning_leaves_it() -> None:
    victim = planted()
    repair = FinePrune(layer="pool_1")(victim.network, clean_images())
    assert victim.success(victim.network) > 0.95
    assert victim.success(repaired(FineTune()).network) > 0.3
    assert victim.success(repair.network) < 0.1
    assert victim.accuracy(repair.network) > 0.95


def test_training_wins_back_what_pruning_cost() -> None:
    victim = planted()
    repair = FinePrune(drop=30)(victim.network, clean_images())
    layer, channels = repair.details["layer"], repair.details["channels_pruned"]
    assert victim.accuracy(silence_channels(victim.network, layer, channels)) < 0.8
    assert victim.accuracy(repair.network) > 0.95


def test_a_clean_network_keeps_its_accuracy() -> None:
    victim = planted(backdoor=False)
    repair = FinePrune()(victim.network, clean_images())
    assert victim.accuracy(repair.network) > victim.accuracy(victim.network) - 0.02


@pytest.mark.parametrize(("name", "layer"), LAYERS)
def test_silent_channels_stay_silent(name: str, layer: str) -> None:
    """To silence them once more changes nothing, though it would in B."""
    network = planted(name).network
    method = FinePrune(layer=layer, drop=5, training=TrainingConfig(epochs=4))
    repair = method(network, clean_images())
    silent = repair.details["channels_pruned"]
    assert silent
    bright = stripes(50, seed=4).pixels(slice(None))
    before, after = network.outputs(bright), repair.network.outputs(bright)
    assert torch.equal(masked(repair.network, layer, silent).outputs(bright), after)
    assert not torch.allclose(masked(network, layer, silent).outputs(bright), before)


def test_the_channels_found_are_told_in_the_order_they_went() -> None:
    some, more = (
        FinePrune(layer="pool_1", drop=drop, training=TrainingConfig(epochs=1))(
            planted().network, clean_images()
        ).details
        for drop in (5.0, 50.0)
    )
    assert some["layer"] == "pool_1"
    assert some["drop"] == 5.0
    count = len(some["channels_pruned"])
    assert 0 < count < len(more["channels_pruned"])
    assert more["channels_pruned"][:count] == some["channels_pruned"]


@pytest.mark.parametrize(
    ("name", "layer"),
    [("conv", "pool_3"), ("deepid", "pool_1"), ("residual", "gap"), ("dense", "fc_2")],
)
def test_the_usual_layer_is_one_of_features(name: str, layer: str) -> None:
    repair = FinePrune(training=TrainingConfig(epochs=1))(planted(name).network, clean_images(60))
    assert repair.details["layer"] == layer


@pytest.mark.parametrize("name", SPECS)
def test_few_images_are_told(name: str) -> None:
    repair = FinePrune(training=TrainingConfig(epochs=2))(planted(name).network, clean_images(18))
    assert any("few for 5 classes" in note for note in repair.notes)


@pytest.mark.parametrize("drop", [0.0, 100.0, -3.0])
def test_a_drop_outside_its_range_is_refused(drop: float) -> None:
    with pytest.raises(UsageError, match=f"between 0 and 100 percentage points, got {drop:g}"):
        FinePrune(drop=drop)


def test_a_drop_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match="fine-prune needs a number as drop, got nan"):
        FinePrune(drop=float("nan"))


def test_a_drop_that_is_never_reached_is_refused() -> None:
    with pytest.raises(InvalidInput, match="never falls by 90 points, not even with all 60"):
        FinePrune(drop=90)(planted().network, clean_images())


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"no layer is called 'pool_9'.*pool_3"):
        FinePrune(layer="pool_9")(planted().network, clean_images())
