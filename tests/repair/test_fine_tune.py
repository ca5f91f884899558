from __future__ import annotations

import numpy as np
import pytest
from planted import SPECS, clean_images, planted, repaired, stripes

from goodnet.formats.build import build
from goodnet.imagesets import images_from_arrays
from goodnet.repair.fine_tune import FineTune
from goodnet.training import TrainingConfig


@pytest.mark.parametrize("name", SPECS)
def test_a_clean_network_keeps_its_accuracy(name: str) -> None:
    victim = planted(name, backdoor=False)
    repair = FineTune()(victim.network, clean_images())
    assert victim.accuracy(repair.network) > victim.accuracy(victim.network) - 0.02


def test_it_wins_back_accuracy_that_was_lost() -> None:
    victim = planted()
    spec = victim.network.spec
    assert spec is not None
    weight = spec.arrays["output/weight"]
    noise = np.random.default_rng(0).normal(size=weight.shape).astype(np.float32)
    ever_more = (
        build(spec.with_arrays({"output/weight": weight + size * noise}))
        for size in np.linspace(0.05, 2, 40, dtype=np.float32)
    )
    worn = next(network for network in ever_more if victim.accuracy(network) < 0.9)
    repair = FineTune()(worn, clean_images())
    assert victim.accuracy(repair.network) > 0.98


def test_small_steps_leave_a_backdoor_where_it_is_and_large_ones_weaken_it() -> None:
    victim = planted()
    small = FineTune(training=TrainingConfig(lr=1e-4))(victim.network, clean_images())
    large = repaired(FineTune())
    assert victim.success(victim.network) > 0.95
    assert victim.success(small.network) > 0.9
    assert victim.success(large.network) < 0.6
    assert victim.accuracy(large.network) > 0.95


@pytest.mark.parametrize("name", SPECS)
def test_few_images_do_no_harm(name: str) -> None:
    victim = planted(name, backdoor=False)
    repair = FineTune()(victim.network, clean_images(12))
    assert any("few for 5 classes" in note for note in repair.notes)
    assert victim.accuracy(repair.network) > victim.accuracy(victim.network) - 0.05


def test_classes_without_images_are_told_and_not_forgotten() -> None:
    victim = planted(backdoor=False)
    repair = FineTune()(victim.network, clean_images(12, classes=(0, 1)))
    assert repair.notes[0].startswith("3 of 5 classes have no clean image")
    assert victim.accuracy(repair.network) > 0.8


def test_bytes_and_floats_are_trained_on_alike() -> None:
    """A set that is stored as floats gives what the same set stored as bytes gives."""
    examples, network = stripes(100, seed=2), planted().network
    pixels = examples.images.astype(np.float32)
    as_bytes, as_floats = (
        images_from_arrays(array, examples.labels, layout="NCHW", range="0..255")
        for array in (examples.images, pixels)
    )
    first, second = (
        FineTune(training=TrainingConfig(epochs=1))(network, images)
        for images in (as_bytes, as_floats)
    )
    probe = stripes(40, seed=5).pixels(slice(None))
    assert np.array_equal(first.network.outputs(probe), second.network.outputs(probe))
