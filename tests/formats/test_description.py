"""`.safetensors` files that describe their layers: written, read, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import Lab
from layer_samples import BEYOND_KERAS, CASES
from modules import SHAPE, ResNet, Transformer, made
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from spec_samples import Draft, goodnet_draft, networks, outputs

from goodnet.cli.main import run
from goodnet.errors import GoodnetError, InvalidInput, UsageError
from goodnet.formats import load_network, read_spec
from goodnet.formats.description import from_json, to_json
from goodnet.formats.format import save_spec
from goodnet.formats.silence import default_layer
from goodnet.formats.spec import NetworkSpec
from goodnet.formats.torch import wrap
from goodnet.guard.goodnet import GoodNet
from goodnet.imagesets import load_images
from goodnet.repair import silence_channels


def same(one: NetworkSpec, other: NetworkSpec) -> None:
    np.testing.assert_array_equal(outputs(one), outputs(other))
    assert (one.output, one.name) == (other.output, other.name)
    assert [(x.name, x.op, x.inputs) for x in one.layers] == [
        (x.name, x.op, x.inputs) for x in other.layers
    ]
    assert one.arrays.keys() == other.arrays.keys()
    assert all(np.array_equal(x, other.arrays[key]) for key, x in one.arrays.items())


@pytest.mark.parametrize("case", [*CASES, *BEYOND_KERAS])
def test_every_kind_of_layer_comes_back(tmp_path: Path, case: str) -> None:
    draft = Draft(3, 8, 9)
    {**CASES, **BEYOND_KERAS}[case](draft)
    spec, path = draft.ended(), tmp_path / "net.safetensors"
    save_spec(spec, path)
    same(read_spec(path), spec)
    save_spec(read_spec(path), tmp_path / "copy.safetensors")
    assert (tmp_path / "copy.safetensors").read_bytes() == path.read_bytes()


def test_others_read_its_arrays(tmp_path: Path) -> None:
    spec, path = goodnet_draft(), tmp_path / "net.safetensors"
    save_spec(spec, path)
    found = load_file(path)
    assert found.keys() == spec.arrays.keys()
    assert all(np.array_equal(found[key], array) for key, array in spec.arrays.items())
    with safe_open(path, "np") as file:
        assert json.loads(file.metadata()["goodnet"])["output"] == spec.output


def test_the_goodnet_of_a_module_is_written_and_read(tmp_path: Path) -> None:
    network = wrap(made(ResNet).eval(), SHAPE)
    good = GoodNet(network, silence_channels(network, default_layer(network.spec), [0, 1]))
    for suffix in (".safetensors", ".onnx"):
        path = tmp_path / f"goodnet{suffix}"
        good.save(path)
        images = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(load_network(path)(images), good(images))


def test_parts_of_a_module_are_refused(tmp_path: Path) -> None:
    network = wrap(made(Transformer).eval(), SHAPE)
    good = GoodNet(network, network)
    with pytest.raises(InvalidInput, match=r"\(opaque\) has module=.* no description of layers"):
        good.save(tmp_path / "goodnet.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_it_needs_no_architecture(tmp_path: Path) -> None:
    save_spec(goodnet_draft(), tmp_path / "net.safetensors")
    with pytest.raises(UsageError, match="describes its layers itself"):
        read_spec(tmp_path / "net.safetensors", architecture="resnet18")


def sample() -> NetworkSpec:
    draft = Draft(3, 8, 8)
    draft.conv(4, name="conv")
    draft.norm(name="norm")
    draft.add("avg_pool2d", name="pool")
    draft.add("rescale", scale=(1.0, 2.0, 3.0, 4.0), offset=0.0, name="rescale")
    draft.add("flatten", name="flat")
    draft.dense(5, name="answer")
    return draft.spec()


def _layer(place: int, **changed: Any) -> Callable[[Any], object]:
    return lambda said: said["layers"][place].update(changed)


def _attribute(place: int, **changed: Any) -> Callable[[Any], object]:
    return lambda said: said["layers"][place]["attributes"].update(changed)


CHANGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "version": (lambda said: said.update(version=2), "of version 1"),
    "field": (lambda said: said.update(code="x"), "of version 1"),
    "no layers": (lambda said: said.update(layers=[]), "expected a list of layers"),
    "no list": (lambda said: said.update(layers="x"), "expected a list of layers"),
    "output": (lambda said: said.update(output="none"), "an output for each class"),
    "picture": (lambda said: said.update(output="pool"), "an output for each class"),
    "no output": (lambda said: said.update(output=["answer"]), "an output for each class"),
    "kind": (_layer(1, op="os.system"), "of the kind 'os.system', which is not read"),
    "opaque": (
        _layer(1, op="opaque", attributes={"module": "x", "shape": [1]}),
        "expected module to be nothing that is read",
    ),
    "more of a layer": (_layer(1, code="x"), "expected layer 1 to have attributes, inputs"),
    "name": (_layer(1, name=""), "names of 1 to 256 characters"),
    "long name": (_layer(1, name="x" * 300), "names of 1 to 256 characters"),
    "twice": (_layer(2, name="conv"), "every layer once"),
    "two images": (
        lambda said: said["layers"].insert(1, {**said["layers"][0], "name": "more"}),
        "the images first",
    ),
    "no images": (lambda said: said["layers"].pop(0), "the images first"),
    "cycle": (_layer(1, inputs=["pool"]), "reads 'pool', which is not before it"),
    "attribute": (_attribute(1, more=1), "needs the attributes"),
    "strides": (_attribute(1, strides=[0, 1]), "expected strides to be two whole numbers of 1"),
    "flag": (_attribute(1, groups=True), "expected groups to be a whole number of 1 or more"),
    "huge": (_attribute(1, dilation=[2**40, 1]), "expected dilation to be two whole"),
    "border": (_attribute(3, padding=[1, 1, 1, 1]), "expected padding to be 'valid' or 'same'"),
    "function": (
        _attribute(1, activation={"function": "eval", "options": {}}),
        "expected activation to be an activation with its numbers, or null",
    ),
    "option": (
        _attribute(1, activation={"function": "relu", "options": {"axis": 1}}),
        "expected activation to be",
    ),
    "axis": (
        _attribute(6, activation={"function": "softmax", "options": {"axis": 2.0}}),
        "no axis 2",
    ),
    "epsilon": (_attribute(2, epsilon=-1), "expected epsilon to be a number of 0 or more"),
    "factors": (_attribute(4, scale=[1.0, 2.0]), "2 numbers as scale do not fit"),
    "size": (_attribute(0, shape=[3, 2**20, 2**20]), "may hold at most|does not fit"),
    "image": (_attribute(0, shape=[3, 8, 8, 8]), "expected shape to be one to three sizes"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_other_descriptions_are_refused(case: str) -> None:
    change, message = CHANGES[case]
    spec = sample()
    shapes = {key: array.shape for key, array in spec.arrays.items()}
    said = json.loads(to_json(spec))
    assert from_json(json.dumps(said), shapes).layers == spec.layers
    change(said)
    with pytest.raises(GoodnetError, match=message):
        from_json(json.dumps(said), shapes)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("norm/variance", None, r"layer 'norm' .* has the arrays"),
        ("conv/more", (4,), r"layer 'conv' .* has the arrays \['bias', 'weight'\], got"),
        ("rescale/scale", (4,), "has the arrays none"),
        ("other/weight", (4,), "'other/weight' belongs to no layer"),
        ("conv/weight", (4, 3, 3), "a weight of 4 axes"),
        ("answer/bias", (6,), r"expected bias of shape \(5,\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    key: str, shape: tuple[int, ...] | None, message: str
) -> None:
    spec = sample()
    shapes = {key: array.shape for key, array in spec.arrays.items()}
    shapes.pop(key, None)
    if shape is not None:
        shapes[key] = shape
    with pytest.raises(InvalidInput, match=message):
        from_json(to_json(spec), shapes)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{" * 200, '{"version": NaN}', '{"a":1,"a":1}'])
def test_a_text_that_is_no_description_is_one_sentence(text: str, tmp_path: Path) -> None:
    save_file({"a": np.zeros(3)}, tmp_path / "net.safetensors", {"goodnet": text})
    with pytest.raises(GoodnetError, match="description of the layers") as caught:
        read_spec(tmp_path / "net.safetensors")
    assert "\n" not in str(caught.value)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.sampled_from([2**31, -(2**63), 1e308, 0.5, "same", "valid", "hwc", "conv", "pool", ""]),
    st.lists(st.integers(-1, 5), max_size=5),
    st.just({"function": "softmax", "options": {"axis": 3}}),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spec=networks(), data=st.data())
def test_what_is_read_can_be_run(spec: NetworkSpec, data: st.DataObject) -> None:
    """Of descriptions with one value changed."""
    said = json.loads(to_json(spec))
    layer = data.draw(st.sampled_from(said["layers"]))
    owner = data.draw(st.sampled_from([layer, layer["attributes"]]))
    owner[data.draw(st.sampled_from([*owner, "more"]))] = data.draw(VALUES)
    shapes = {key: array.shape for key, array in spec.arrays.items()}
    try:
        found = from_json(json.dumps(said), shapes)
    except GoodnetError:
        return
    changed = NetworkSpec(found.layers, spec.arrays, found.output)
    assert outputs(changed).ndim == 2


def test_a_run_on_such_a_file(lab: Lab, tmp_path: Path) -> None:
    """As on the Keras file; B' describes its layers, too, and G is ONNX."""
    runtime = pytest.importorskip("onnxruntime", reason="no onnxruntime to run G in")
    model, runs = tmp_path / "net.safetensors", []
    load_network(lab.model).save(model)
    for source, out in ((lab.model, tmp_path / "keras"), (model, tmp_path / "run")):
        command = [
            "prune",
            source,
            "--clean",
            lab.valid,
            "--backdoor",
            lab.poisoned,
            "--drop",
            "30",
        ]
        assert run([*map(str, command), "--compact", "--out", str(out), "--no-report"]) == 0
        (drop,) = json.loads((out / "results.json").read_text())["drops"]
        runs.append(drop)
    keras, torch_like = runs
    assert torch_like.pop("files") == {
        "model": "model_drop_30.safetensors",
        "goodnet": "goodnet_drop_30.onnx",
        "compact": "compact_drop_30.onnx",
    }
    del keras["files"]
    assert torch_like == keras
    repaired = read_spec(tmp_path / "run" / "model_drop_30.safetensors")
    assert repaired.layers == read_spec(model).layers
    poisoned = load_images(lab.poisoned).sample(60)
    session = runtime.InferenceSession(str(tmp_path / "run" / "goodnet_drop_30.onnx"))
    pixels = (2 * poisoned.images - 1).astype(np.float32)
    (found,) = session.run(None, {session.get_inputs()[0].name: pixels})
    refused = int((found.argmax(1) == found.shape[1] - 1).sum())
    assert refused == keras["goodnet"]["detected"]["bd"]["count"]
