"""Networks in one spelling compute the same; layers are found whatever they are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from onnx_samples import export
from spec_samples import RELU, Draft, networks, outputs
from tiny import module_network

from goodnet.formats import read_spec
from goodnet.formats.build import extract
from goodnet.formats.canonical import canonical, folded
from goodnet.formats.pairing import pair
from goodnet.formats.softmax import without_softmax
from goodnet.formats.spec import Activation, Layer, NetworkSpec


def renamed(spec: NetworkSpec) -> NetworkSpec:
    """The same network with other names, its layers in another order that can be run."""
    names = {layer.name: f"n{index}" for index, layer in enumerate(spec.layers)}
    layers = [
        replace(x, name=names[x.name], inputs=tuple(names[y] for y in x.inputs))
        for x in spec.layers
    ]
    keys = {
        key: "{}/{}".format(names[key.rpartition("/")[0]], key.rpartition("/")[2])
        for key in spec.arrays
    }
    arrays = {keys[key]: array for key, array in spec.arrays.items()}
    return replace(spec, layers=_reversed(layers), arrays=arrays, output=names[spec.output])


def _reversed(layers: list[Layer]) -> tuple[Layer, ...]:
    """Each layer as late as what it reads allows, the last that is ready first."""
    found: list[Layer] = []
    while len(found) < len(layers):
        done = {layer.name for layer in found}
        ready = [x for x in layers if x.name not in done and done.issuperset(x.inputs)]
        found.append(ready[-1])
    return tuple(found)


@given(networks())
@settings(max_examples=60)
def test_a_canonical_network_computes_the_same_logits(spec: NetworkSpec) -> None:
    expected = outputs(without_softmax(spec))
    np.testing.assert_allclose(outputs(canonical(spec)), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs(folded(canonical(spec))), expected, rtol=1e-3, atol=1e-3)


@given(networks())
@settings(max_examples=60)
def test_a_network_is_found_in_itself_under_other_names(spec: NetworkSpec) -> None:
    found = pair(spec, renamed(spec))
    assert found.alike
    for name in found.pairs:
        for _, one, other in found.arrays(name):
            np.testing.assert_array_equal(one, other)


def sample(*, spelled: str) -> NetworkSpec:
    """One network, as different formats say it."""
    draft = Draft(3, 8, 8)
    fused = spelled == "fused"
    draft.conv(5, padding="same" if fused else (1, 1, 1, 1), activation=RELU if fused else None)
    if not fused:
        draft.activation("relu", threshold=0.0)
    draft.add("max_pool2d", padding="valid" if fused else (0, 0, 0, 0))
    draft.conv(4, 3)
    draft.activation("relu6") if fused else draft.activation("relu", max_value=6.0)
    draft.add("global_avg_pool2d", keepdims=not fused)
    if not fused:
        draft.add("flatten", order="chw")
        draft.add("identity")
    draft.dense(4, activation=Activation("softmax") if fused else None)
    return draft.spec()


def test_spellings_of_the_same_network_are_alike() -> None:
    found = pair(sample(spelled="fused"), sample(spelled="apart"))
    assert found.alike
    assert [x.op for x in found.first.layers] == [x.op for x in found.second.layers]


def test_a_value_times_its_sigmoid_is_one_activation() -> None:
    one, other = Draft(3, 8, 8), Draft(3, 8, 8)
    one.conv(4, activation=Activation("silu"))
    value = other.conv(4)
    gate = other.activation("sigmoid")
    other.add("multiply", inputs=(value, gate))
    assert pair(one.ended(), other.ended()).alike


def test_a_border_in_front_of_a_convolution_is_its_own() -> None:
    one, other = Draft(3, 8, 8), Draft(3, 8, 8)
    one.add("zero_pad2d", padding=(1, 2, 0, 1))
    one.conv(4)
    other.conv(4, padding=(1, 2, 0, 1))
    assert pair(one.ended(), other.ended()).alike


def test_normalisation_that_an_exporter_folded_is_found() -> None:
    draft = Draft(3, 8, 8)
    draft.conv(4, bias=False)
    draft.norm(beta=False)
    draft.activation("relu")
    spec = draft.ended()
    found = pair(spec, renamed(folded(canonical(spec))))
    assert found.alike
    assert found.folded
    assert not pair(spec, renamed(spec)).folded
    assert "batch_norm" not in {layer.op for layer in found.first.layers}


@pytest.mark.parametrize("where", ["picture", "vector"])
def test_a_bias_that_is_added_by_itself_is_the_layers_own(where: str) -> None:
    """As Keras exports its layers to ONNX."""
    one, other = Draft(3, 8, 8), Draft(3, 8, 8)
    for apart, draft in enumerate((one, other)):
        if where == "vector":
            draft.add("global_avg_pool2d")
        name = (draft.conv if where == "picture" else draft.dense)(4, bias=False, name="made")
        bias = np.arange(4, dtype=np.float32) - 1.5
        if not apart:
            draft.arrays[f"{name}/bias"] = bias
        elif where == "picture":
            draft.add("rescale", scale=1.0, offset=tuple(bias.tolist()))
        else:
            draft.add("normalize", arrays={"mean": -bias, "variance": np.ones(4, np.float32)})
        draft.activation("relu")
    found = pair(one.ended(), other.ended())
    assert found.alike
    for _, mine, theirs in found.arrays("made"):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_what_is_shifted_along_another_axis_stays_apart() -> None:
    draft = Draft(3, 4, 4)
    draft.conv(4, 1, name="made")
    rows = {"mean": np.ones((1, 4, 1), np.float32), "variance": np.ones((1, 4, 1), np.float32)}
    draft.add("normalize", arrays=rows, name="rows")
    spec = canonical(draft.ended())
    assert "rows" in {layer.name for layer in folded(spec).layers}


def test_pictures_that_are_flattened_in_another_order_are_the_same() -> None:
    draft = Draft(3, 4, 4)
    draft.add("flatten", order="hwc")
    draft.dense(5)
    spec = draft.spec()
    order = np.arange(48).reshape(4, 4, 3).transpose(2, 0, 1).ravel()
    (name,) = [layer.name for layer in spec.layers if layer.op == "dense"]
    other = spec.with_arrays({f"{name}/weight": spec.arrays[f"{name}/weight"][:, order]})
    flat = replace(spec.layers[1], attributes={"order": "chw"})
    found = pair(spec, replace(other, layers=(spec.layers[0], flat, spec.layers[2])))
    assert found.alike
    for _, one, two in found.arrays(name):
        np.testing.assert_array_equal(one, two)


def test_the_order_of_what_is_no_picture_says_nothing() -> None:
    drafts = [Draft(12, 4, 4), Draft(12, 4, 4)]
    for order, draft in zip(("hwc", "chw"), drafts, strict=True):
        draft.add("global_avg_pool2d")
        draft.add("reshape", shape=(4, 3), order=order)
        draft.add("global_max_pool1d")
    assert pair(*(draft.ended() for draft in drafts)).alike


@pytest.mark.parametrize("what", ["layer", "attribute", "wiring", "shape"])
def test_what_is_built_differently_is_said(what: str) -> None:
    drafts = [Draft(3, 8, 8), Draft(3, 8, 8)]
    for changed, draft in enumerate(drafts):
        first = draft.conv(4, padding="same", name="first")
        second = draft.conv(4, padding="same", name="second")
        if what == "layer" and changed:
            draft.add("subtract", inputs=(second, first), name="extra")
        elif what == "attribute":
            draft.activation("leaky_relu", negative_slope=0.1 + changed)
        elif what == "wiring":
            draft.add("subtract", inputs=(second, first)[:: 1 - 2 * changed], name="less")
        elif what == "shape":
            draft.conv(4 + changed, name="third")
    found = pair(*(draft.ended() for draft in drafts))
    assert not found.alike
    if what == "layer":
        assert [layer.name for layer in found.only_second] == ["extra"]
        assert not found.only_first
    else:
        words = {"attribute": "0.1", "wiring": "reads 'second', 'first' in the first", "shape": ""}
        assert any(words[what] in sentence for sentence in found.structure)


@pytest.mark.parametrize("how", ["17", "dynamo"])
def test_a_module_is_found_in_what_pytorch_exports_of_it(how: str, tmp_path: Path) -> None:
    network = module_network()
    path = export(network.module.eval(), tmp_path / "net.onnx", shape=(3, 8, 8), how=how)
    found = pair(extract(network), read_spec(path))
    assert found.alike
    for name in found.pairs:
        for _, one, other in found.arrays(name):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)
