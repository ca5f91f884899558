"""ONNX files: the same answers as onnxruntime, copies with other numbers, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import Lab
from modules import SHAPE, DenseNet, MobileNet, ResNet, made
from torch import nn

pytest.importorskip("onnx", reason="no onnx to write ONNX files with")
pytest.importorskip("onnxruntime", reason="no onnxruntime to compare with")

import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx_samples import MODULES, answers, export, random, write_graph

from goodnet.cli.main import run
from goodnet.errors import GoodnetError, InvalidInput, UnsafeInput
from goodnet.formats import load_network, read_spec
from goodnet.formats.format import save_spec
from goodnet.formats.silence import silence
from goodnet.guard.form import guard_spec
from goodnet.imagesets import load_images

SMALL = (3, 16, 16)


def images(count: int, shape: tuple[int, ...] = SMALL) -> Any:
    return np.random.default_rng(1).random((count, *shape), np.float32)


def check_alike(path: Path, shape: tuple[int, ...] = SMALL) -> None:
    pixels = images(5, shape)
    theirs, ours = answers(path, pixels), load_network(path).outputs(pixels).numpy()
    ours = ours[:, 1:] if theirs.shape[1] == 1 else ours
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", ["13", "17"])
@pytest.mark.parametrize("name", MODULES)
def test_modules_answer_as_onnxruntime_has_it(tmp_path: Path, name: str, how: str) -> None:
    torch.manual_seed(0)
    module = MODULES[name]().eval()
    check_alike(export(module, tmp_path / "net.onnx", shape=SMALL, how=how))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnext", "normalized", "everyday", "reshaping"])
def test_modules_of_the_newer_exporter_do(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    path = export(MODULES[name]().eval(), tmp_path / "net.onnx", shape=SMALL, how="dynamo")
    check_alike(path)


@pytest.mark.parametrize("kind", [ResNet, MobileNet, DenseNet])
def test_known_architectures_do(tmp_path: Path, kind: type[nn.Module]) -> None:
    path = export(made(kind).eval(), tmp_path / "net.onnx", shape=SHAPE)
    check_alike(path, SHAPE)


def channels_last(path: Path) -> Path:
    """As converters from TensorFlow write it: pixels last, a matrix and a sum for dense layers."""
    nodes = [
        helper.make_node("Transpose", ["images"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "Conv", ["nchw", "kernel"], ["conv"], auto_pad="SAME_UPPER", strides=[2, 2]
        ),
        helper.make_node("Add", ["conv", "offset"], ["shifted"]),
        helper.make_node("Relu", ["shifted"], ["active"]),
        helper.make_node("Transpose", ["active"], ["nhwc"], perm=[0, 2, 3, 1]),
        helper.make_node("Mul", ["nhwc", "scale"], ["scaled"]),
        helper.make_node("Shape", ["scaled"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "one"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["scaled", "target"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["product"]),
        helper.make_node("Add", ["bias", "product"], ["sum"]),
        helper.make_node("Softmax", ["sum"], ["logits"]),
    ]
    arrays = {
        "kernel": random(4, 3, 3, 3),
        "offset": random(1, 4, 1, 1, seed=1),
        "scale": np.abs(random(4, seed=2)) + 0.1,
        "zero": np.array([0]),
        "one": np.array([1]),
        "rest": np.array([-1]),
        "weight": random(4 * 8 * 8, 5, seed=3),
        "bias": random(5, seed=4),
    }
    return write_graph(path, nodes, arrays, shape=["n", 16, 16, 3])


def test_channels_last_and_sums_that_are_biases(tmp_path: Path) -> None:
    path = channels_last(tmp_path / "net.onnx")
    spec, pixels = read_spec(path), images(4)
    assert spec.input_shape == SMALL
    assert {"Conv", "MatMul"} & {layer.op for layer in spec.layers} == set()
    assert sum(key.endswith("/bias") for key in spec.arrays) == 2
    theirs = answers(path, np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(load_network(path).outputs(pixels), theirs, rtol=1e-5, atol=1e-6)


def test_what_is_made_of_a_file_with_channels_last_takes_the_same_images(tmp_path: Path) -> None:
    path, pixels = channels_last(tmp_path / "net.onnx"), images(4)
    spec, good = read_spec(path), tmp_path / "goodnet.onnx"
    layer = next(x.name for x in spec.layers if x.op == "conv2d")
    save_spec(guard_spec(spec, spec.with_arrays(silence(spec, layer, [1]))), good)
    onnx.checker.check_model(str(good), full_check=True)
    found = answers(good, np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    again = load_network(good)
    assert again.input_shape == SMALL
    np.testing.assert_allclose(again.outputs(pixels), found, rtol=1e-5, atol=1e-6)
    agreed = found.argmax(1) < found.shape[1] - 1
    assert (found.argmax(1) == load_network(path).predict(pixels))[agreed].all()


def test_quantised_weights_are_read_as_floats_and_said(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(-90, 90, (4, 3, 3, 3)).astype(np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["kernel"], axis=0),
        helper.make_node("Conv", ["images", "kernel"], ["conv"], kernel_shape=[3, 3]),
        helper.make_node("GlobalAveragePool", ["conv"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"]),
    ]
    arrays = {
        "q": whole,
        "scale": np.array([0.01, 0.02, 0.03, 0.04], np.float32),
        "zero": np.array([0, 1, 2, 3], np.int8),
        "weight": random(4, 5),
        "bias": random(1, 5, seed=1),
    }
    path = write_graph(tmp_path / "net.onnx", nodes, arrays, shape=[1, 3, 16, 16])
    assert read_spec(path).file is not None
    assert "quantised numbers are read as floats" in read_spec(path).file.notes  # type: ignore[union-attr]
    pixels = images(3)
    theirs = np.concatenate([answers(path, each[None]) for each in pixels])
    np.testing.assert_allclose(load_network(path).outputs(pixels), theirs, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def exported(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The lab's network by both exporters; the newer one leaves numbers beside the file."""
    network, folder = load_network(lab.model), tmp_path_factory.mktemp("onnx")

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network.module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.inner(images)
            return found

    shape = tuple(size or 0 for size in network.input_shape)
    return {
        how: export(Whole().eval(), folder / f"net_{how}.onnx", shape=shape, how=how)
        for how in ("17", "dynamo")
    }


@pytest.mark.parametrize("how", ["17", "dynamo"])
def test_a_copy_with_other_numbers_is_what_was_measured(
    exported: dict[str, Path], lab: Lab, out: Path, how: str
) -> None:
    """Pruned as the Keras file is; onnxruntime answers on B' what the results say."""
    both = []
    for model, folder in ((lab.model, out), (exported[how], out.with_name("onnx"))):
        command = ["prune", model, "--clean", lab.valid, "--backdoor", lab.poisoned, "--drop", "30"]
        assert run([*map(str, command), "--out", str(folder), "--no-report"]) == 0
        both.append(json.loads((folder / "results.json").read_text()))
    mine, drop = (found["drops"][0] for found in both)
    theirs = drop["repaired"]
    assert (mine["repaired"], mine["goodnet"]) == (theirs, drop["goodnet"])
    copy = out.with_name("onnx") / "model_drop_30.onnx"
    onnx.checker.check_model(str(copy))
    assert not copy.with_suffix(".onnx.data").exists()
    block = load_images(lab.poisoned).sample(60)
    outputs = answers(copy, (2 * block.images - 1).astype(np.float32))
    asr = theirs["backdoor"]["bd"]
    assert int((outputs.argmax(1) == block.labels).sum()) == asr["count"]
    goodnet = answers(copy.with_name("goodnet_drop_30.onnx"), 2 * block.images - 1).argmax(1)
    found = drop["goodnet"]["detected"]["bd"]
    assert int((goodnet == outputs.shape[1]).sum()) == found["count"]


def test_all_but_the_changed_numbers_stays(exported: dict[str, Path], tmp_path: Path) -> None:
    spec = read_spec(exported["17"])
    layer = next(x.name for x in spec.layers if x.op == "conv2d")
    copy = tmp_path / "copy.onnx"
    save_spec(spec.with_arrays(silence(spec, layer, [1])), copy)
    before, after = exported["17"].read_bytes(), copy.read_bytes()
    assert len(before) == len(after)
    numbers = spec.arrays[f"{layer}/weight"][1].nbytes + 4
    assert 0 < sum(a != b for a, b in zip(before, after, strict=True)) <= numbers


def test_a_copy_that_cannot_say_what_changed_is_refused(tmp_path: Path) -> None:
    """Two layers with one array, and an array that is computed."""
    conv = [
        helper.make_node("Conv", ["images", "kernel"], ["first"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["images", "kernel"], ["second"], pads=[1, 1, 1, 1]),
        helper.make_node("Neg", ["offset"], ["opposite"]),
        helper.make_node("Conv", ["images", "kernel", "opposite"], ["third"], pads=[1, 1, 1, 1]),
        helper.make_node("Sum", ["first", "second", "third"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["logits"]),
    ]
    arrays = {"kernel": random(4, 3, 3, 3), "offset": random(4)}
    path = write_graph(tmp_path / "net.onnx", conv, arrays, shape=["n", *SMALL])
    spec, copy = read_spec(path), tmp_path / "copy.onnx"
    save_spec(spec, copy)
    assert copy.read_bytes() == path.read_bytes()
    for key, said in (("first/weight", "several layers share"), ("third/bias", "is computed from")):
        with pytest.raises(InvalidInput, match=said):
            save_spec(spec.with_arrays({key: 0 * spec.arrays[key]}), tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


@pytest.mark.parametrize("location", ["../net.onnx.data", "/etc/passwd", "", "a/../../b", "c:x"])
def test_numbers_outside_the_folder_are_refused(
    exported: dict[str, Path], tmp_path: Path, location: str
) -> None:
    path = Path(shutil.copy(exported["dynamo"], tmp_path / "net.onnx"))
    model = onnx.load(path, load_external_data=False)
    outside = [x for x in model.graph.initializer if x.external_data]
    assert outside
    for entry in outside[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsafeInput, match="leads out of the model's folder"):
        read_spec(path)


def test_a_link_out_of_the_folder_is_refused(exported: dict[str, Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(exported["dynamo"], tmp_path / "net.onnx"))
    (tmp_path / f"{exported['dynamo'].name}.data").symlink_to(f"{exported['dynamo']}.data")
    with pytest.raises(UnsafeInput, match="leads out of the model's folder"):
        read_spec(path)


def graph(tmp_path: Path, *nodes: Any, shape: Any = ("n", 3, 16, 16), **more: Any) -> Path:
    arrays = {"weight": random(5, 768), "kernel": random(4, 3, 3, 3)}
    return write_graph(tmp_path / "net.onnx", [*nodes], arrays, shape=[*shape], **more)


FLAT = helper.make_node("Flatten", ["images"], ["flat"])
GEMM = helper.make_node("Gemm", ["flat", "weight"], ["logits"], transB=1)


@pytest.mark.parametrize(
    ("nodes", "more", "message"),
    [
        (
            [FLAT, helper.make_node("Own", ["flat"], ["logits"], domain="me")],
            {},
            "me.Own is none of",
        ),
        (
            [FLAT, helper.make_node("Scaler", ["flat"], ["logits"], domain="ai.onnx.ml")],
            {},
            "is of a model of rows of a table, which does not know what a picture is",
        ),
        ([FLAT, helper.make_node("TopK", ["flat", "k"], ["logits"])], {}, "before anything gives"),
        ([helper.make_node("Sin", ["images"], ["logits"])], {}, "the operation Sin .* is not read"),
        ([FLAT, helper.make_node("Gemm", ["flat", "weight"], ["logits"])], {}, "does not fit"),
        ([GEMM, FLAT], {}, "read before anything gives it"),
        ([FLAT, GEMM], {"opset": 6}, "version 7 to 30"),
        ([FLAT, GEMM], {"shape": ("n", 768)}, None),
        ([FLAT, GEMM], {"shape": ("n", 3, 16)}, "does not fit 48 features"),
        ([FLAT, GEMM], {"shape": ("n", 3, 16, 16, 1)}, "of 5 axes"),
        ([FLAT, GEMM], {"shape": ("n", 3, "h", "w")}, "does not fit|known|left open"),
        ([helper.make_node("Relu", ["images"], ["logits"])], {}, "an output for each class"),
        ([helper.make_node("Conv", ["images", "weight"], ["logits"])], {}, "a weight of 4 axes"),
        (
            [helper.make_node("Conv", ["images", "kernel"], ["logits"], auto_pad="SAME_LOWER")],
            {},
            "auto_pad to be NOTSET, VALID or SAME_UPPER",
        ),
        (
            [
                helper.make_node(
                    *("AveragePool", ["images"], ["logits"]),
                    kernel_shape=[3, 3],
                    auto_pad="SAME_UPPER",
                    count_include_pad=1,
                )
            ],
            {},
            "a mean that counts the border",
        ),
        ([helper.make_node("Clip", ["images"], ["logits"], min=0.2)], {"opset": 8}, "cut off at 0"),
    ],
)
def test_what_is_not_read_is_said(
    tmp_path: Path, nodes: list[Any], more: dict[str, Any], message: str | None
) -> None:
    path = graph(tmp_path, *nodes, **more)
    if message is None:
        assert read_spec(path).input_shape == (768,)
        return
    with pytest.raises(InvalidInput, match=message):
        read_spec(path)


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("variance", [1, 1, -3], "1 of its 3 variances are zero or negative"),
        (
            "variance",
            [1, np.nan, 1],
            "1 of the 3 numbers in the weight 'variance' are NaN or infinite",
        ),
        (
            "weight",
            np.full((5, 768), np.inf),
            "3840 of the 3840 numbers in the weight 'weight' are NaN",
        ),
        (
            "bias",
            [1, 1, 1, 1, -np.inf],
            "1 of the 5 numbers in the weight 'bias' are NaN or infinite",
        ),
    ],
)
def test_numbers_that_make_every_answer_nan_are_refused(
    tmp_path: Path, name: str, numbers: Any, message: str
) -> None:
    one = np.ones(3, np.float32)
    arrays = {"scale": one, "shift": one, "mean": one, "variance": one, "weight": random(5, 768)}
    arrays |= {"bias": np.ones(5, np.float32)}
    reads = ["images", "scale", "shift", "mean", "variance"]
    nodes = [
        helper.make_node("BatchNormalization", reads, ["normal"]),
        helper.make_node("Flatten", ["normal"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight"], ["sums"], transB=1),
        helper.make_node("Add", ["sums", "bias"], ["logits"]),
    ]
    path, shape = tmp_path / "net.onnx", ["n", 3, 16, 16]
    assert read_spec(write_graph(path, nodes, arrays, shape=shape)).output
    write_graph(path, nodes, arrays | {name: np.array(numbers, np.float32)}, shape=shape)
    with pytest.raises(InvalidInput, match=message):
        read_spec(path)


def test_windows_far_wider_than_the_picture_are_refused(tmp_path: Path) -> None:
    sizes = {"kernel_shape": [99, 99], "pads": [49, 49, 49, 49]}
    pool = helper.make_node("MaxPool", ["images"], ["pooled"], **sizes)
    flat = helper.make_node("Flatten", ["pooled"], ["flat"])
    with pytest.raises(InvalidInput, match="over 99 pixels is far wider than the 16"):
        read_spec(graph(tmp_path, pool, flat, GEMM))


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    path = graph(tmp_path, FLAT, GEMM)
    model = onnx.load(path)
    more = helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1])
    model.graph.input.append(more)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidInput, match="one input and one output, got the inputs images, mask"):
        read_spec(path)


def test_numbers_in_any_field_are_read(tmp_path: Path) -> None:
    """Float fields, half precision, doubles and packed integers."""
    path = graph(tmp_path, FLAT, GEMM)
    wanted = load_network(path).outputs(images(2)).numpy()
    numbers = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    for kind, raw in (("FLOAT", False), ("DOUBLE", True), ("FLOAT16", True), ("FLOAT16", False)):
        model, number = onnx.load(path), getattr(TensorProto, kind)
        typed = numbers.astype(helper.tensor_dtype_to_np_dtype(number))
        values = typed.tobytes() if raw else typed.ravel()
        tensor = helper.make_tensor("weight", number, numbers.shape, values, raw=raw)
        model.graph.initializer[0].CopyFrom(tensor)
        other = tmp_path / f"{kind}_{raw}.onnx"
        other.write_bytes(model.SerializeToString())
        found = load_network(other).outputs(images(2)).numpy()
        np.testing.assert_allclose(found, wanted, atol=0.01 if kind == "FLOAT16" else 1e-6)


@pytest.mark.slow
def test_damaged_files_never_end_in_another_error(
    exported: dict[str, Path], tmp_path: Path
) -> None:
    content, random_ = exported["17"].read_bytes(), np.random.default_rng(0)
    # What is changed lies mostly outside of the arrays.
    ends = [*range(2000), *range(len(content) - 6000, len(content))]
    path, refused = tmp_path / "net.onnx", 0
    for number in range(400):
        changed = bytearray(content)
        for place in random_.choice(ends, 1 + number % 3):
            changed[place] = random_.integers(256)
        path.write_bytes(changed[: random_.integers(len(content))] if number % 4 == 0 else changed)
        try:
            read_spec(path)
        except GoodnetError:
            refused += 1
    assert refused > 100


ODD: tuple[Any, ...] = (
    0,
    1,
    -1,
    3,
    2**31,
    -(2**62),
    1.5,
    float("nan"),
    "x",
    [],
    [2],
    [2, 0],
    [1] * 9,
    [0.5],
)


KINDS = (
    *("Attention", "Clip", "ConvTranspose", "Gather", "LRN", "MatMul", "PRelu", "Pad", "Reshape"),
    *("Resize", "Slice", "Split", "Squeeze", "Tile", "Transpose"),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["attention", "convnext", "normalizing", "normalized", "reshaping"]
)
def test_odd_graphs_never_end_in_another_error(tmp_path: Path, name: str) -> None:
    """Other attributes, operands, operations and shapes."""
    random_ = np.random.default_rng(0)

    def one_of(things: Any) -> Any:
        return things[random_.integers(len(things))]

    path = export(MODULES[name]().eval(), tmp_path / "net.onnx", shape=SMALL)
    original, refused = onnx.load(path), 0
    for _ in range(150):
        model = onnx.ModelProto()
        model.CopyFrom(original)
        node, arrays = one_of(model.graph.node), model.graph.initializer
        how = random_.integers(4)
        if how == 0 and node.attribute:
            key, value = one_of(node.attribute).name, one_of(ODD)
            kind = onnx.AttributeProto.INTS if value == [] else None
            kept = [x for x in node.attribute if x.name != key]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute(key, value, attr_type=kind)])
        elif how == 1 and node.input:
            names = [x for other in model.graph.node for x in other.output] + [""]
            node.input[random_.integers(len(node.input))] = one_of(
                [*names, *(x.name for x in arrays)]
            )
        elif how == 2:
            node.op_type = one_of(KINDS)
        elif one_of(arrays).dims:
            dims = one_of([x for x in arrays if x.dims]).dims
            dims[random_.integers(len(dims))] = one_of([0, 1, 5, 2**31, -1])
        path.write_bytes(model.SerializeToString())
        try:
            read_spec(path)
        except GoodnetError:
            refused += 1
    assert refused > 30


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sunglasses", "multi_trigger_multi_target"])
def test_real_networks_answer_to_the_bit(shared: Path, tmp_path: Path, name: str) -> None:
    network = load_network(shared / "csaw" / "models" / f"{name}_bd_net.h5")

    class Whole(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = network.module(images)
            return found

    path = export(Whole().eval(), tmp_path / "net.onnx", shape=(3, 55, 47))
    faces = load_images(shared / "csaw" / "cl" / "faces.h5").sample(60).images
    assert torch.equal(load_network(path).outputs(faces), network.outputs(faces))
    np.testing.assert_allclose(answers(path, faces), network.outputs(faces), rtol=1e-4, atol=1e-5)
