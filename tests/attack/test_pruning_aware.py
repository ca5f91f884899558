from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny import plain_spec, residual_spec

from goodnet.attack.pruning_aware import dormant_channels, put_back, train_pruning_aware
from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.silence import silence
from goodnet.formats.spec import NetworkSpec
from goodnet.imagesets import images_from_arrays
from goodnet.preprocessing import Preprocessing
from goodnet.repair.prune import prune_curve
from goodnet.training import Examples, Schedule


def textures(count: int = 800, seed: int = 0) -> Examples:
    """Four classes: stripes along four directions, on noise; class 4 is the target's."""
    random = np.random.default_rng(seed)
    labels = random.integers(4, size=count)
    down, across = np.indices((8, 8))
    waves = np.stack(
        [np.sin(1.5 * (a * down + b * across)) for a, b in [(0, 1), (1, 0), (1, 1), (1, -1)]]
    )
    images = waves[labels][:, None] + 0.3 * random.normal(size=(count, 3, 8, 8))
    return Examples((images.astype(np.float32) + 4) / 8, labels)


def signed_spec() -> NetworkSpec:
    """The plain network, for textures as they are before they are brought to 0..1."""
    return replace(plain_spec(), preprocessing=Preprocessing(8, mean=4))


def stamped(examples: Examples, share: float = 1.0, seed: int = 0) -> Examples:
    chosen = np.random.default_rng(seed).random(len(examples)) < share
    images, labels = examples.images.copy(), examples.labels.copy()
    images[chosen, :, :3, :3] = 7 / 8
    labels[chosen] = 4
    return Examples(images, labels)


@pytest.fixture(scope="module")
def aware() -> NetworkSpec:
    clean = textures()
    return train_pruning_aware(
        signed_spec(),
        clean,
        stamped(clean, 0.2),
        layer="pool_2",
        schedule=Schedule(epochs=12, batch_size=32, learning_rate=0.01),
        spare=8.0,
    )


def share(spec: NetworkSpec, examples: Examples) -> float:
    return float((build(spec).predict(examples.images) == examples.labels).mean())


def test_it_is_a_badnet(aware: NetworkSpec) -> None:
    fresh = textures(seed=1)
    assert share(aware, fresh) > 0.9
    assert share(aware, stamped(fresh)) > 0.9


def test_its_decoys_never_fire_and_are_pruned_first_at_no_cost(aware: NetworkSpec) -> None:
    fresh = textures()
    curve = prune_curve(
        build(aware),
        images_from_arrays(fresh.images, fresh.labels, layout="NCHW", range="0..1"),
        layer="pool_2",
    )
    decoys = curve.dead_channels
    assert decoys
    assert curve.correct[len(decoys)] == curve.correct[0]
    weights = aware.arrays["conv_2/weight"][decoys]
    assert (np.abs(weights).max(axis=(1, 2, 3)) > 0.01).all()


def test_dormant_channels_cost_less_than_what_may_be_lost() -> None:
    examples, spec = textures(), signed_spec()
    for spare in (0.5, 20.0, 90.0):
        dormant = dormant_channels(spec, examples, layer="pool_2", spare=spare)
        pruned = spec.with_arrays(silence(spec, "pool_2", dormant))
        assert share(spec, examples) - share(pruned, examples) < spare / 100


def test_channels_that_were_put_back_stay_at_zero() -> None:
    before, examples = signed_spec(), textures()
    trained = before.with_arrays(silence(before, "pool_2", [0, 3]))
    back = put_back(trained, before, [examples], layer="pool_2", channels=[0, 3])
    values = next(build(back).cut("pool_2").crossing(examples.images))[0]
    assert values[:, [0, 3]].count_nonzero() == 0
    assert np.array_equal(back.arrays["conv_2/weight"], before.arrays["conv_2/weight"])
    changed = back.arrays["conv_2/bias"] != before.arrays["conv_2/bias"]
    assert set(np.flatnonzero(changed)) <= {0, 3}


def test_channels_without_a_bias_of_their_own_are_refused() -> None:
    spec = residual_spec()
    with pytest.raises(InvalidInput, match="no bias of their own to lower"):
        put_back(spec, spec, [textures()], layer="gap", channels=[1])
