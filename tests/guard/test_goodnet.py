from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SPECS, module_network, pictures, plain_spec

from goodnet.errors import InvalidInput
from goodnet.evaluation import agree
from goodnet.formats import silence
from goodnet.formats.build import build
from goodnet.formats.spec import NetworkSpec
from goodnet.guard.form import guard_spec, reject_class_of
from goodnet.guard.goodnet import GoodNet
from goodnet.repair import silence_channels

LAYERS = {"plain": "pool_2", "deepid": "pool_1", "residual": "gap"}


def silenced(spec: NetworkSpec, layer: str, channels: list[int]) -> NetworkSpec:
    return spec.with_arrays(silence.silence(spec, layer, channels))


def own_layers(good: NetworkSpec) -> list[str]:
    return [layer.name for layer in good.layers if layer.name.endswith("_repaired")]


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("channels", [[], [1], [0, 2, 3]])
def test_goodnet_answers_where_both_agree_and_n_where_they_differ(
    name: str, channels: list[int]
) -> None:
    spec = SPECS[name]()
    repaired = silenced(spec, LAYERS[name], channels)
    images = pictures(200)
    first, second = (build(s).predict(images) for s in (spec, repaired))
    answers = build(guard_spec(spec, repaired)).predict(images)
    assert answers.tolist() == agree(first, second, num_classes=5).tolist()
    assert (answers == 5).any() == bool(channels)


@settings(max_examples=25)
@given(
    st.sampled_from(sorted(SPECS)),
    st.integers(0, 3),
    st.data(),
)
def test_any_silenced_layer_gives_the_same_goodnet(
    name: str, seed: int, data: st.DataObject
) -> None:
    spec = SPECS[name](seed)
    layer = data.draw(st.sampled_from(silence.prunable_layers(spec)))
    count = build(spec).channels(layer)
    channels = data.draw(st.lists(st.integers(0, count - 1), unique=True))
    repaired = silenced(spec, layer, channels)
    images = pictures(40, seed)
    expected = agree(build(spec).predict(images), build(repaired).predict(images), num_classes=5)
    assert build(guard_spec(spec, repaired)).predict(images).tolist() == expected.tolist()


def test_the_tower_begins_behind_the_pruned_layer() -> None:
    spec = SPECS["deepid"]()
    good = guard_spec(spec, silenced(spec, "pool_1", [0, 3]))
    assert own_layers(good) == [
        f"{name}_repaired"
        for name in ("conv_2", "flatten_2", "fc_1", "fc_2", "add_1", "activation_1", "output")
    ]


def test_an_unchanged_copy_shares_everything() -> None:
    spec = plain_spec()
    assert own_layers(guard_spec(spec, spec)) == []


def test_a_retrained_copy_shares_only_what_is_equal() -> None:
    spec = plain_spec()
    arrays = {**spec.arrays, "conv_2/weight": spec.arrays["conv_2/weight"] * np.float32(1.1)}
    good = guard_spec(spec, replace(spec, arrays=arrays))
    names = ("conv_2", "pool_2", "flatten", "output")
    assert own_layers(good) == [f"{name}_repaired" for name in names]


def test_refusal_class_tells_a_goodnet_from_other_networks() -> None:
    spec = plain_spec()
    assert reject_class_of(guard_spec(spec, silenced(spec, "pool_2", [1]))) == 5
    assert reject_class_of(spec) is None


def test_goodnet_of_a_module_shares_what_both_have_in_common() -> None:
    network = module_network()
    repaired = silence_channels(network, "body.1", [0, 1, 2])
    images = pictures(100)
    expected = agree(network.predict(images), repaired.predict(images), num_classes=5)
    assert GoodNet(network, repaired).predict(images).tolist() == expected.tolist()
    assert (expected == 5).any()
    assert GoodNet(network, repaired).layers.count("stem") == 1


def test_networks_that_do_not_belong_together_are_refused() -> None:
    message = "the two networks do not belong together"
    with pytest.raises(InvalidInput, match=message):
        guard_spec(plain_spec(), plain_spec(classes=6))
    with pytest.raises(InvalidInput, match=message):
        GoodNet(module_network(), build(plain_spec(classes=6)))
