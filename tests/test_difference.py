"""Whether two networks are the same function."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import SPECS, deepid_spec, module_network, pictures, residual_spec

import goodnet as gn
from goodnet.errors import InvalidInput, NoNumbers, UsageError
from goodnet.formats.build import build
from goodnet.formats.spec import NetworkSpec
from goodnet.results import DiffResults
from goodnet.typed_json import decode, plain


def changed(spec: NetworkSpec, key: str, rows: list[int], by: float) -> NetworkSpec:
    array = spec.arrays[key].copy()
    array[rows] += np.float32(by)
    return spec.with_arrays({key: array})


@pytest.mark.parametrize("kind", SPECS)
def test_a_network_is_itself(kind: str) -> None:
    found = gn.diff(build(SPECS[kind]()), build(SPECS[kind]()))
    assert found.same
    assert found.outputs.equal.count == found.outputs.equal.total == 48
    assert found.outputs.probability == found.outputs.logit == 0
    assert str(found).startswith("the same function; 48 of 48 answers are equal")


def test_the_layer_that_differs_is_named_with_its_channels() -> None:
    spec = deepid_spec()
    found = gn.diff(build(spec), build(changed(spec, "conv_2/weight", [1, 3], 0.5)))
    (layer,) = found.changed
    assert (layer.first, layer.second, layer.op) == ("conv_2", "conv_2", "conv2d")
    assert (layer.channels, layer.changed_channels) == (4, 2)
    assert (layer.numbers, layer.changed) == (4 * 6 * 9 + 4, 2 * 6 * 9)
    assert layer.largest == pytest.approx(0.5)
    assert layer.mean == pytest.approx(0.5 * layer.changed / layer.numbers)
    weights = np.concatenate([spec.arrays[f"conv_2/{x}"].ravel() for x in ("weight", "bias")])
    expected = 0.5 * layer.changed**0.5 / np.linalg.norm(weights)
    assert layer.relative == pytest.approx(expected, rel=1e-4)
    assert not found.same
    assert "1 of" in found.sentence


def test_numbers_that_no_image_shows_make_another_function() -> None:
    spec = deepid_spec()
    dead = spec.with_arrays(
        {
            "conv_2/bias": np.array([-1e6, 0, 0, 0], np.float32),
            "conv_2/weight": spec.arrays["conv_2/weight"],
        }
    )
    found = gn.diff(build(dead), build(changed(dead, "conv_2/weight", [0], 0.01)))
    assert found.outputs.alike
    assert not found.same
    assert [layer.changed_channels for layer in found.changed] == [1]


def test_rounding_is_no_difference() -> None:
    spec = residual_spec()
    nudged = {key: np.nextafter(array, np.float32(9)) for key, array in spec.arrays.items()}
    found = gn.diff(build(spec), build(spec.with_arrays(nudged)))
    assert found.same
    assert 0 < found.outputs.probability < 1e-4


def test_a_network_with_more_layers_is_built_differently() -> None:
    spec = deepid_spec()
    layers = list(spec.layers)
    layers[-2] = replace(layers[-2], op="identity", attributes={})
    found = gn.diff(build(spec), build(replace(spec, layers=tuple(layers))))
    assert not found.same
    assert [layer.name for layer in found.only_first] == ["activation_1"]
    assert "built differently" in found.sentence


def test_networks_of_other_sizes_are_not_compared() -> None:
    with pytest.raises(InvalidInput, match=r"has 4 classes, expected \(3, 8, 8\) and 5"):
        gn.diff(build(deepid_spec()), build(deepid_spec(classes=4)))
    with pytest.raises(UsageError, match=r"expected a Network, .*got 'net\.h5'"):
        gn.diff(build(deepid_spec()), "net.h5")  # type: ignore[arg-type]


def test_a_network_that_answers_nan_is_not_compared() -> None:
    spec = deepid_spec()
    huge = spec.with_arrays({key: np.full_like(x, 3e38) for key, x in spec.arrays.items()})
    with pytest.raises(NoNumbers, match="the second network answers NaN or infinity on 48 of 48"):
        gn.diff(build(spec), build(huge))


def test_answers_are_those_on_the_images_that_are_given() -> None:
    spec = deepid_spec()
    first, second = build(spec), build(changed(spec, "output/bias", [2], 3.0))
    pixels = np.clip(pictures(30), 0, 1)
    found = gn.diff(first, second, gn.images(pixels, np.arange(30) % 5, range="0..1")).outputs
    assert found.images == "images of images"
    assert found.equal.total == 30
    assert found.equal.count == int((first.predict(pixels) == second.predict(pixels)).sum())
    one, other = (network(pixels) for network in (first, second))
    assert found.probability == pytest.approx(float((one - other).abs().max()), abs=1e-6)
    assert found.logit == pytest.approx(3.0, abs=1e-4)


def test_what_networks_are_given_is_part_of_them() -> None:
    first = build(deepid_spec())
    found = gn.diff(first, first.with_preprocessing(gn.Preprocessing(factor=0.5)))
    assert not found.same
    assert found.structure == ("pixels x from 0 to 255 become x/255 for the first and x/510",)


def test_a_module_its_keras_file_and_its_weights_are_one_function(tmp_path: Path) -> None:
    network = module_network()
    network.save(tmp_path / "net.keras")
    found = gn.diff(network, gn.load(tmp_path / "net.keras"))
    assert found.same, found
    assert (found.first.name, found.second.name) == ("Residual", "net.keras")


def test_results_are_plain_data_both_ways() -> None:
    spec = deepid_spec()
    found = gn.diff(build(spec), build(changed(spec, "fc_1/bias", [0], 1.0)))
    text = json.dumps(plain(found), allow_nan=False)
    assert decode(text.encode(), DiffResults) == found
    assert "<table>" in found._repr_html_()
