from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import (
    Weights,
    conv,
    deepid_spec,
    flatten,
    image,
    pictures,
    plain_spec,
    pool,
    residual_spec,
)

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.spec import Layer, NetworkSpec
from goodnet.repair.fold import Removal, answer_layer, fold, readers

RANDOM = np.random.default_rng(0)


def basis(channels: int, rank: int) -> np.ndarray:
    return np.linalg.qr(RANDOM.normal(size=(channels, rank)))[0]


def removal(channels: int, rank: int, *, mean: np.ndarray, strength: float = 1.0) -> Removal:
    """Random directions, and duals that are not the directions themselves."""
    directions = basis(channels, rank)
    duals = RANDOM.normal(size=directions.shape)
    return Removal(directions, duals @ np.linalg.inv(directions.T @ duals), mean, strength)


def without(value: torch.Tensor, taken: Removal) -> torch.Tensor:
    """The value less what is taken out of it, computed on the value itself."""
    gone = torch.from_numpy(taken.strength * taken.duals @ taken.directions.T).float()
    from_mean = value.movedim(1, -1) - torch.from_numpy(taken.mean).float()
    return value - (from_mean @ gone).movedim(-1, 1)


def valid_spec() -> NetworkSpec:
    """The DeepID form without padding: `pool_1` is read by a dense layer and a convolution."""
    spec = deepid_spec()
    weights = Weights(1)
    weights.linear("fc_2", 7, 16)
    layers = tuple(
        conv("conv_2", "pool_1", padding="valid") if layer.name == "conv_2" else layer
        for layer in spec.layers
    )
    return replace(spec, layers=layers, arrays={**spec.arrays, **weights.arrays})


CASES = [
    ("the last dense layer", deepid_spec(), "activation_1"),
    ("a pool read by dense and convolution", valid_spec(), "pool_1"),
    ("a flat layer", plain_spec(), "flatten"),
    ("flattened hwc", plain_spec(order="hwc"), "pool_2"),
    ("flattened chw", plain_spec(order="chw"), "pool_2"),
    ("a global pool", residual_spec(), "gap"),
    ("through a global pool", residual_spec(), "relu"),
]


@pytest.mark.parametrize("strength", [1.0, 1.5])
@pytest.mark.parametrize(("spec", "layer"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_a_fold_computes_what_changing_the_value_would(
    spec: NetworkSpec, layer: str, strength: float
) -> None:
    images, network = pictures(20), build(spec)
    cut = network.cut(layer)
    (value, *others) = next(iter(cut.crossing(images)))
    assert not others
    channels = value.shape[1]
    taken = removal(channels, 2, mean=RANDOM.normal(size=channels), strength=strength)
    repaired = build(spec.with_arrays(fold(spec, layer, taken)))
    with torch.inference_mode():
        wanted = cut.tail(without(value, taken))
    np.testing.assert_allclose(repaired.outputs(images), wanted, rtol=1e-4, atol=1e-4)
    assert not np.allclose(repaired.outputs(images), network.outputs(images), atol=1e-2)


def test_inside_a_padded_convolution_a_fold_is_exact() -> None:
    spec = deepid_spec()
    network = build(spec)
    taken = removal(6, 1, mean=RANDOM.normal(size=6))
    repaired = build(spec.with_arrays(fold(spec, "pool_1", taken)))
    value = next(iter(network.cut("pool_1").crossing(pictures(5))))[0].clone()
    with torch.no_grad():
        found = repaired.layer("conv_2")(value)[..., 1:-1, 1:-1]
        wanted = network.layer("conv_2")(without(value, taken))[..., 1:-1, 1:-1]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_only_the_readers_change() -> None:
    spec = deepid_spec()
    changed = fold(spec, "pool_1", removal(6, 1, mean=np.zeros(6)))
    assert set(changed) == {"conv_2/weight", "conv_2/bias", "fc_1/weight", "fc_1/bias"}
    assert {array.dtype for array in changed.values()} == {np.dtype(np.float32)}


def test_only_chosen_rows_change() -> None:
    spec = deepid_spec()
    changed = fold(spec, "activation_1", removal(7, 1, mean=np.ones(7)), rows=[1, 4])
    for key, array in changed.items():
        different = array != spec.arrays[key]
        rows = np.flatnonzero(different.reshape(5, -1).any(1))
        assert rows.tolist() == [1, 4], key


def test_images_at_the_mean_are_answered_as_before() -> None:
    spec = plain_spec()
    value = RANDOM.normal(size=24)
    changed = fold(spec, "flatten", removal(24, 3, mean=value))
    before = spec.arrays["output/weight"] @ value + spec.arrays["output/bias"]
    after = changed["output/weight"] @ value + changed["output/bias"]
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_the_layer_that_gives_the_answers_is_found_behind_a_softmax() -> None:
    assert answer_layer(plain_spec()) == "output"
    softmax = {"activation": plain_spec()["output"].attributes["activation"]}
    spec = plain_spec()
    layers = (*spec.layers, Layer("softmax", "activation", ("output",), softmax))
    assert answer_layer(replace(spec, layers=layers, output="softmax")) == "output"


def test_what_reads_a_value_and_cannot_take_a_fold_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"'activation_1' \(activation\) reads it"):
        readers(deepid_spec(), "add_1")
    with pytest.raises(InvalidInput, match=r"'add' \(add\) reads it"):
        readers(residual_spec(), "stem_relu")
    with pytest.raises(InvalidInput, match="'output' is the network's answer"):
        readers(plain_spec(), "output")
    with pytest.raises(InvalidInput, match="no layer is called 'nowhere'"):
        readers(plain_spec(), "nowhere")


def test_a_reader_without_bias_or_in_groups_is_named() -> None:
    spec = plain_spec()
    bare = replace(spec, arrays={k: a for k, a in spec.arrays.items() if k != "output/bias"})
    with pytest.raises(InvalidInput, match="'output' has no bias"):
        readers(bare, "flatten")
    weights = Weights(0)
    weights.linear("conv_1", 4, 3, 3, 3)
    weights.linear("conv_2", 4, 2, 3, 3)
    groups = conv("conv_2", "conv_1")
    layers = (
        image(),
        conv("conv_1", "input"),
        replace(groups, attributes={**groups.attributes, "groups": 2}),
        pool("pool", "conv_2"),
        flatten("flatten", "pool"),
    )
    with pytest.raises(InvalidInput, match="'conv_2' is a convolution in groups"):
        readers(NetworkSpec(layers, weights.arrays, "flatten"), "conv_1")
