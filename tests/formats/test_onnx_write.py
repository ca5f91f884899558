"""Networks written anew as ONNX: onnx's checker, the answers of onnxruntime, and read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layer_samples import CASES
from modules import SHAPE, MobileNet, ResNet, Transformer, made
from spec_samples import Draft, goodnet_draft, outputs, pictures
from tiny import SPECS
from tiny import pictures as some_pictures
from torch import nn

pytest.importorskip("onnx", reason="no onnx to check files with")
pytest.importorskip("onnxruntime", reason="no onnxruntime to compare with")

import onnx
from onnx_samples import answers

from goodnet.errors import InvalidInput
from goodnet.formats import load_network, read_spec
from goodnet.formats.build import build
from goodnet.formats.format import file_suffix, goodnet_suffix, save_spec
from goodnet.formats.silence import default_layer, silence
from goodnet.formats.spec import Activation, Array, NetworkSpec, SourceFile
from goodnet.formats.torch import wrap
from goodnet.guard.form import guard_spec, reject_class_of
from goodnet.imagesets import load_images
from goodnet.ops import OPS

# No operation computes it as PyTorch and Keras do.
REFUSED = "resize the centre"


def _tokens(draft: Draft) -> None:
    draft.add("reshape", shape=(24, 9), order="chw")
    draft.add("prepend", arrays={"tokens": draft.numbers(2, 9)})
    draft.add("shift", arrays={"offset": draft.numbers(26, 9)})


def _everything_norm(draft: Draft) -> None:
    draft.add("reshape", shape=(24, 9), order="chw")
    draft.own_norm("layer_norm", 24, 9, axes=(1, 2))


# What Keras has no layer for, or another reading of.
MORE: dict[str, Callable[[Draft], object]] = {
    "local response norm": lambda d: d.add(
        "local_response_norm", size=3, alpha=0.5, beta=0.75, bias=2.0
    ),
    "conv over a border": lambda d: d.conv(4, padding=(1, 0, 2, 1), strides=(2, 1)),
    "conv dilated, same, strides": lambda d: d.conv(
        4, dilation=(1, 2), padding="same", strides=(2, 2)
    ),
    "pool over a border": lambda d: d.add(
        "max_pool2d", pool=(3, 3), strides=(2, 2), padding=(1, 1, 0, 1)
    ),
    "average of windows apart": lambda d: d.add(
        "avg_pool2d", pool=(2, 2), strides=(3, 3), padding="same"
    ),
    "tokens and places": _tokens,
    "layer norm of everything": lambda d: d.own_norm("layer_norm", 3, 8, 9, axes=(1, 2, 3)),
    "layer norm of all steps": _everything_norm,
    "unit norm of everything": lambda d: d.add("unit_norm", axes=(1, 2, 3)),
    "relu from a threshold on": lambda d: d.activation("relu", threshold=0.5),
    "leaky relu up to a value": lambda d: d.activation("relu", negative_slope=0.1, max_value=0.5),
    "gelu by tanh": lambda d: d.activation("gelu", approximate=1.0),
    "linear": lambda d: d.activation("linear"),
    "resize down": lambda d: d.add(
        "resize", size=(5, 4), interpolation="bilinear", antialias=False, crop=False
    ),
    "grow a small centre": lambda d: d.add("center_crop", size=(12, 9)),
}


def close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def checked(spec: NetworkSpec, path: Path) -> Array:
    """Write, and compare what onnxruntime computes with the network; what that answers."""
    save_spec(spec, path)
    onnx.checker.check_model(str(path), full_check=True)
    expected = outputs(spec)
    close(answers(path, pictures(spec)), expected)
    return expected


@pytest.mark.parametrize("case", sorted({*CASES, *MORE} - {REFUSED}))
def test_onnxruntime_computes_the_same(tmp_path: Path, case: str) -> None:
    draft = Draft(3, 8, 9)
    {**CASES, **MORE}[case](draft)
    expected = checked(draft.ended(), tmp_path / "net.onnx")
    close(outputs(read_spec(tmp_path / "net.onnx")), expected)


def test_what_runtimes_compute_differently_is_refused(tmp_path: Path) -> None:
    draft = Draft(3, 8, 9)
    CASES[REFUSED](draft)
    with pytest.raises(InvalidInput, match=r"layer 'resize_1' .* smooths a picture"):
        save_spec(draft.ended(), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_layers_keep_their_names_and_numbers(tmp_path: Path) -> None:
    draft = Draft(3, 8, 8)
    draft.conv(4, name="block/conv", activation=Activation("relu"))
    draft.norm(epsilon=1e-3)
    draft.add("global_avg_pool2d", name="pool")
    spec, path = draft.ended(), tmp_path / "net.onnx"
    save_spec(spec, path)
    found = read_spec(path)
    assert [layer.name for layer in found.layers] == [
        *("image", "block/conv/conv", "block/conv", "batch_norm_2", "pool", "dense_4")
    ]
    assert found["batch_norm_2"].attributes == {"epsilon": 1e-3}
    arrays = {key.replace("/conv/conv/", "/conv/"): x for key, x in found.arrays.items()}
    assert arrays.keys() == spec.arrays.keys()
    assert all(np.array_equal(arrays[key], x) for key, x in spec.arrays.items())
    assert found.file is not None
    assert {x.path for x in found.file.origins.values()} == {*spec.arrays}
    assert (found.name, found.file.version) == ("sample", "goodnet")


def test_the_same_network_gives_the_same_bytes_and_copies_of_itself(tmp_path: Path) -> None:
    one, two, copy = (tmp_path / f"{name}.onnx" for name in ("one", "two", "copy"))
    save_spec(goodnet_draft(), one)
    save_spec(goodnet_draft(), two)
    save_spec(read_spec(one), copy)
    assert one.read_bytes() == two.read_bytes() == copy.read_bytes()


def test_a_network_that_is_read_and_written_again_grows_no_more(tmp_path: Path) -> None:
    """So that what B and B' have in common is found, wherever each was written."""
    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    save_spec(SPECS["deepid"](), one)
    once = read_spec(one)
    save_spec(replace(once, source=None), two)
    twice = read_spec(two)
    assert [layer.op for layer in once.layers] == [layer.op for layer in twice.layers]
    assert len(guard_spec(once, twice).layers) < len(once.layers) + 10


def test_names_that_meet_are_kept_apart(tmp_path: Path) -> None:
    draft = Draft(3, 8, 8)
    draft.conv(3, name="conv", activation=Activation("relu"), padding="same")
    draft.conv(3, name="conv/conv", padding="same")
    draft.conv(3, name="conv/weight", padding="same")
    checked(draft.ended(), tmp_path / "net.onnx")


def test_what_does_not_lead_to_the_output_is_left_out(tmp_path: Path) -> None:
    draft = Draft(3, 8, 8)
    first = draft.ended()
    draft.dense(9, name="aside")
    save_spec(NetworkSpec(tuple(draft.layers), draft.arrays, first.output), tmp_path / "net.onnx")
    found = read_spec(tmp_path / "net.onnx")
    assert found.output == first.output
    assert "aside" not in [layer.name for layer in found.layers]


@pytest.mark.parametrize("shape", [(3, None, None), (8, 9), (12,)])
def test_open_sizes_grey_pictures_and_vectors(
    tmp_path: Path, shape: tuple[int | None, ...]
) -> None:
    draft = Draft(*shape)
    if len(shape) == 3:
        draft.conv(4, padding="same", strides=(2, 2))
        draft.add("global_avg_pool2d")
    spec, path = draft.ended(), tmp_path / "net.onnx"
    save_spec(spec, path)
    onnx.checker.check_model(str(path), full_check=True)
    assert read_spec(path).input_shape == shape
    size = tuple(size or 8 for size in shape)
    network = load_network(path, size=(8, 8) if None in shape else None)
    images = np.random.default_rng(1).random((4, *size), np.float32)
    given = images[:, None] if len(shape) == 2 else images
    close(network.outputs(given).numpy(), answers(path, images))


@pytest.mark.parametrize("name", SPECS)
def test_goodnets_answer_n_where_the_two_differ(name: str, tmp_path: Path) -> None:
    spec, path = SPECS[name](), tmp_path / "goodnet.onnx"
    good = guard_spec(spec, spec.with_arrays(silence(spec, default_layer(spec), [0, 2])))
    save_spec(good, path)
    images = some_pictures(200)
    expected = build(good).predict(images).tolist()
    assert answers(path, images).argmax(1).tolist() == expected
    assert set(expected) > {5}
    assert reject_class_of(read_spec(path)) == 5
    assert load_network(path).predict(images).tolist() == expected


def test_parts_of_a_module_are_refused(tmp_path: Path) -> None:
    network = wrap(made(Transformer).eval(), SHAPE)
    with pytest.raises(InvalidInput, match=r"\(opaque\) is not said in operations of ONNX"):
        network.save(tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_kinds_that_are_not_written_are_described() -> None:
    """Beside a file of PyTorch, where ONNX is first choice."""
    unsaid = {op.name for op in OPS.values() if op.to_onnx is None}
    assert unsaid == {"input", "opaque", "response_norm", "window_attention"}
    draft = Draft(3, 8, 8)
    source = SourceFile(Path("net.pt"), "pytorch", "")
    assert goodnet_suffix(draft.ended(), source) == ".onnx"
    draft = Draft(3, 8, 8)
    arrays = {name: draft.numbers(3, 1, 1) for name in ("gamma", "beta")}
    draft.add("response_norm", arrays=arrays, epsilon=1e-6)
    spec = draft.ended()
    assert goodnet_suffix(spec, source) == file_suffix(spec, source) == ".safetensors"


@pytest.mark.parametrize("kind", [ResNet, MobileNet])
def test_modules_are_written(tmp_path: Path, kind: type[nn.Module]) -> None:
    network = wrap(made(kind).eval(), SHAPE)
    network.save(tmp_path / "net.onnx")
    images = np.random.default_rng(1).random((4, *SHAPE), np.float32)
    found = network.outputs(images).numpy()
    close(answers(tmp_path / "net.onnx", images), found)
    close(load_network(tmp_path / "net.onnx").outputs(images).numpy(), found)


def test_real_networks_answer_the_same(shared: Path, tmp_path: Path) -> None:
    for model, images in (
        ("csaw/models/lab3_bd_net.h5", "csaw/cl/faces.h5"),
        ("cifar_badnet/bd_net.h5", "cifar_badnet/cl/test.h5"),
    ):
        network, path = load_network(shared / model), tmp_path / "net.onnx"
        network.save(path, force=True)
        onnx.checker.check_model(str(path), full_check=True)
        pixels = 255 * load_images(shared / images).sample(60).images
        theirs, ours = answers(path, pixels), network.outputs(pixels).numpy()
        close(theirs, ours)
        assert theirs.argmax(1).tolist() == ours.argmax(1).tolist()
        again = load_network(path)
        assert again.outputs(pixels).numpy().argmax(1).tolist() == ours.argmax(1).tolist()
        stored = {x.tobytes() for x in again.spec.arrays.values()}
        assert stored == {x.tobytes() for x in network.spec.arrays.values()}
