"""Single operations of ONNX: what onnxruntime answers, or a sentence on why one is not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="no onnx to write ONNX files with")
pytest.importorskip("onnxruntime", reason="no onnxruntime to compare with")

from onnx import TensorProto, helper
from onnx_samples import answers, random, write_graph

from goodnet.errors import GoodnetError, InvalidInput
from goodnet.formats import load_network, read_spec

SHAPE = (4, 6, 5)
node = helper.make_node


def graph(folder: Path, *nodes: Any, opset: int = 18, **arrays: Any) -> Path:
    """Operations from "images" to "read", a picture, whose channels are the logits."""
    end = [node("GlobalAveragePool", ["read"], ["means"]), node("Flatten", ["means"], ["logits"])]
    return write_graph(
        folder / "net.onnx", [*nodes, *end], arrays, shape=["n", *SHAPE], opset=opset
    )


def check(path: Path) -> list[str]:
    """The same answers; the kinds of its layers."""
    pixels = np.random.default_rng(1).random((3, *SHAPE), np.float32)
    network = load_network(path)
    found = network.outputs(pixels).numpy()
    theirs = answers(path, pixels).reshape(found.shape)
    np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=1e-6)
    return [layer.op for layer in network.spec.layers[1:-2]]


TRANSPOSED = {"kernel": random(4, 3, 3, 2), "bias": random(3, seed=1)}


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 3]},
        {"strides": [2, 2], "pads": [1, 0, 1, 1]},
        {"strides": [2, 2], "pads": [1, 1, 1, 0], "output_padding": [1, 0]},
        {"dilations": [2, 1], "pads": [0, 1, 2, 0]},
        {"auto_pad": "VALID"},
    ],
)
def test_transposed_convolutions(tmp_path: Path, attributes: dict[str, Any]) -> None:
    made = node("ConvTranspose", ["images", "kernel", "bias"], ["read"], **attributes)
    kinds = check(graph(tmp_path, made, **TRANSPOSED))
    assert kinds[0] == "conv2d_transpose"
    assert ("crop2d" in kinds) == any(attributes.get("pads", ()))


RESIZED: dict[str, tuple[dict[str, Any], tuple[float, ...], str]] = {
    "repeated": (
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        (2, 3),
        "upsample2d",
    ),
    "nearest": ({}, (3, 2), "upsample2d"),
    "nearest, by halves": ({"nearest_mode": "round_prefer_ceil"}, (1.5, 1.4), "resize"),
    "linear": ({"mode": "linear"}, (2, 3), "upsample2d"),
    "linear, smaller": (
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        (0.5, 0.6),
        "resize",
    ),
    "linear, by halves": ({"mode": "linear"}, (1.5, 1.4), "resize"),
}


@pytest.mark.parametrize("by_size", [False, True])
@pytest.mark.parametrize("name", RESIZED)
def test_pictures_of_another_size(tmp_path: Path, name: str, *, by_size: bool) -> None:
    attributes, (tall, wide), kind = RESIZED[name]
    scales = np.array([1, 1, tall, wide], np.float32)
    size = np.array([round(6 * tall), round(5 * wide)])
    nodes = [
        node("Shape", ["images"], ["shape"], start=0, end=2),
        node("Concat", ["shape", "size"], ["sizes"], axis=0),
    ]
    reads = ["images", "", "" if by_size else "scales", *["sizes"] * by_size]
    resized = node("Resize", reads, ["resized"], **attributes)
    conv = node("Conv", ["resized", "kernel"], ["read"])
    arrays = {"scales": scales, "size": size, "kernel": random(3, 4, 3, 3)}
    assert check(graph(tmp_path, *nodes, resized, conv, **arrays))[0] == kind


def test_upsampling_of_earlier_versions(tmp_path: Path) -> None:
    scales = np.array([1, 1, 2, 3], np.float32)
    conv = node("Conv", ["larger", "kernel"], ["read"])
    for opset, kind in ((9, "Upsample"), (10, "Resize")):
        larger = node(kind, ["images", "scales"], ["larger"], mode="nearest")
        path = graph(tmp_path, larger, conv, opset=opset, scales=scales, kernel=random(3, 4, 3, 3))
        assert check(path)[0] == "upsample2d"


OPERATIONS: dict[str, tuple[list[Any], dict[str, Any], int]] = {
    "split": (
        [
            node("Split", ["images", "sizes"], ["first", "second"], axis=1),
            node("Relu", ["first"], ["active"]),
            node("Concat", ["second", "active"], ["read"], axis=1),
        ],
        {"sizes": np.array([1, 3])},
        18,
    ),
    "split in equal parts": (
        [
            node("Split", ["images"], ["first", "second"], axis=-3),
            node("Sub", ["first", "second"], ["read"]),
        ],
        {},
        13,
    ),
    "split of a sequence": (
        [
            node("Flatten", ["images"], ["flat"]),
            node("Reshape", ["flat", "to"], ["sequence"]),
            node("Split", ["sequence"], ["first", "second", "third"], axis=2, num_outputs=3),
            node("Add", ["first", "third"], ["sum"]),
            node("Reshape", ["sum", "back"], ["read"]),
        ],
        {"to": np.array([-1, 10, 12]), "back": np.array([-1, 4, 10, 1])},
        18,
    ),
    "gather": (
        [node("Gather", ["images", "channels"], ["read"], axis=1)],
        {"channels": np.array([2, -1, 0])},
        18,
    ),
    "hard functions": (
        [
            node("HardSwish", ["images"], ["first"]),
            node("HardSigmoid", ["images"], ["second"], alpha=0.3),
            node("Erf", ["images"], ["third"]),
            node("Sum", ["first", "second", "third"], ["read"]),
        ],
        {},
        18,
    ),
    "means along one side": (
        [
            node("ReduceMean", ["images", "side"], ["wide"], keepdims=1),
            node("ReduceMax", ["images", "other"], ["tall"], keepdims=0),
            node("Unsqueeze", ["tall", "other"], ["apart"]),
            node("Mul", ["wide", "apart"], ["read"]),
        ],
        {"side": np.array([2]), "other": np.array([3])},
        18,
    ),
    "factors of features": (
        [
            node("Reshape", ["images", "to"], ["sequence"]),
            node("Mul", ["sequence", "scales"], ["scaled"]),
            node("Sub", ["scales", "scaled"], ["shifted"]),
            node("Mul", ["shifted", "rows"], ["read_"]),
            node("Reshape", ["read_", "back"], ["read"]),
        ],
        {
            "to": np.array([0, 12, 10]),
            "scales": random(10),
            "rows": np.full((1, 1, 1), -3, np.float32),
            "back": np.array([-1, 4, 6, 5]),
        },
        18,
    ),
    "a window over all": (
        [
            node(
                *("AveragePool", ["images"], ["read"]),
                kernel_shape=[9, 9],
                strides=[9, 9],
                ceil_mode=1,
            )
        ],
        {},
        19,
    ),
    "means of means": (
        [
            node("ReduceMean", ["images"], ["rows"], axes=[3], keepdims=0),
            node("ReduceMean", ["rows"], ["flat"], axes=[2], keepdims=0),
            node("Unsqueeze", ["flat", "axes"], ["read"]),
        ],
        {"axes": np.array([2, 3])},
        17,
    ),
    "local response": ([node("LRN", ["images"], ["read"], size=3, alpha=0.5, bias=2.0)], {}, 18),
    "unit vectors": ([node("LpNormalization", ["images"], ["read"], axis=1)], {}, 18),
    "dropout": (
        [node("Dropout", ["images", "ratio", "flag"], ["read"])],
        {"ratio": np.array(0.5, np.float32), "flag": np.array(False)},
        18,
    ),
    "mean without the border": (
        [node("AveragePool", ["images"], ["read"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
        {},
        18,
    ),
    "softmax of earlier versions": (
        [
            node("GlobalAveragePool", ["images"], ["pixel"]),
            node("Softmax", ["pixel"], ["read"]),
        ],
        {},
        11,
    ),
    "constants": (
        [
            node("Tile", ["scale", "times"], ["scales"]),
            node("Where", ["flags", "scales", "others"], ["chosen"]),
            node("ReduceSum", ["chosen", "axis"], ["sum"], keepdims=1),
            node("Less", ["sum", "scale"], ["less"]),
            node("Cast", ["less"], ["whole"], to=1),
            node("Split", ["chosen"], ["a", "b"], axis=0, num_outputs=2),
            node("Reciprocal", ["a"], ["inverse"]),
            node("Max", ["inverse", "b", "whole"], ["largest"]),
            node("Reshape", ["largest", "shape"], ["factors"]),
            node("Mul", ["images", "factors"], ["read"]),
        ],
        {
            "scale": np.array([0.5], np.float32),
            "times": np.array([8]),
            "flags": np.arange(8) % 3 > 0,
            "others": np.arange(8, dtype=np.float32) - 2,
            "axis": np.array([0]),
            "shape": np.array([4, 1, 1]),
        },
        18,
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(tmp_path: Path, name: str) -> None:
    nodes, arrays, opset = OPERATIONS[name]
    check(graph(tmp_path, *nodes, opset=opset, **arrays))


def test_a_picture_of_one_pixel_is_a_vector(tmp_path: Path) -> None:
    """As the last layer of SqueezeNet."""
    nodes = [node("GlobalAveragePool", ["images"], ["logits"])]
    path = write_graph(tmp_path / "net.onnx", nodes, {}, shape=["n", *SHAPE])
    assert check(path) is not None
    assert load_network(path).spec.layers[-1].op == "flatten"


@pytest.mark.parametrize(
    ("nodes", "arrays", "message"),
    [
        (
            [node("Dropout", ["images", "ratio", "flag"], ["read"])],
            {"ratio": np.array(0.5, np.float32), "flag": np.array(True)},
            "export it in evaluation mode",
        ),
        (
            [node("ConvTranspose", ["images", "kernel"], ["read"], group=2)],
            {"kernel": random(4, 3, 3, 3)},
            "group to be 1",
        ),
        (
            [node("ConvTranspose", ["images", "kernel"], ["read"], auto_pad="SAME_UPPER")],
            {"kernel": random(4, 3, 3, 3)},
            "a border of known size",
        ),
        (
            [node("Resize", ["images", "", "scales"], ["read"], mode="cubic")],
            {"scales": np.array([1, 1, 2, 2], np.float32)},
            "the nearest pixel, or a linear mean",
        ),
        (
            [node("Resize", ["images", "", "scales"], ["read"])],
            {"scales": np.array([1, 2, 1, 1], np.float32)},
            "another height and width alone",
        ),
        (
            [node("Resize", ["images", "", "scales"], ["read"])],
            {"scales": np.array([1, 1, 1e9, 1], np.float32)},
            "at most 65,536 pixels a side",
        ),
        (
            [node("Resize", ["images", "", "scales"], ["read"])],
            {"scales": np.array([1, 1, 1.5, 1], np.float32)},
            "the nearest pixel, or a linear mean",
        ),
        (
            [node("Resize", ["images", "", "scales"], ["read"], mode="linear", antialias=1)],
            {"scales": np.array([1, 1, 0.5, 1], np.float32)},
            "antialias to be 0",
        ),
        (
            [node("Gather", ["images", "rows"], ["read"], axis=2)],
            {"rows": np.array([1, 0])},
            "some channels of a picture",
        ),
        (
            [node("Split", ["images", "sizes"], ["read", "rest"], axis=1)],
            {"sizes": np.array([3, 3])},
            "2 parts of 4, got the sizes",
        ),
        ([node("LRN", ["images"], ["read"], size=3, bias=-1.0)], {}, "a bias above 0, got"),
        ([node("LRN", ["images"], ["read"], size=99)], {}, "an odd number of up to 8 channels"),
        ([node("LRN", ["images"], ["read"], size=2)], {}, "an odd number of up to 8 channels"),
        (
            [
                node("Reshape", ["images", "to"], ["sequence"]),
                node("Mul", ["sequence", "rows"], ["scaled"]),
                node("Reshape", ["scaled", "back"], ["read"]),
            ],
            {
                "to": np.array([0, 12, 10]),
                "rows": random(12, 1),
                "back": np.array([-1, 4, 6, 5]),
            },
            "another constant to multiply",
        ),
        ([node("LpNormalization", ["images"], ["read"], p=1)], {}, "p to be 2"),
        (
            [
                node("Expand", ["one", "many"], ["large"]),
                node("Add", ["images", "large"], ["read"]),
            ],
            {"one": np.ones(1, np.float32), "many": np.array([2**31, 4])},
            "numbers are computed from constants; at most",
        ),
        (
            [
                node("Mul", ["rows", "columns"], ["large"]),
                node("Add", ["images", "large"], ["read"]),
            ],
            {"rows": np.ones((2000, 1), np.float32), "columns": np.ones(2000, np.float32)},
            "4,000,000 numbers are computed from constants",
        ),
    ],
)
def test_what_is_not_read_is_said(
    tmp_path: Path, nodes: list[Any], arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_spec(graph(tmp_path, *nodes, **arrays))


def test_messages_are_short(tmp_path: Path) -> None:
    """Whatever the file holds a stranger's lists and names of."""
    path = tmp_path / "net.onnx"
    array = helper.make_tensor("a" * 4000, TensorProto.FLOAT, [1], [0.0])
    array.dims.extend([1] * 5000)
    shape = helper.make_tensor("shape", TensorProto.INT64, [5000], [1] * 5000)
    for arrays, nodes in (
        ([array], [node("Add", ["images", "a" * 4000], ["logits"])]),
        ([shape], [node("Reshape", ["images", "shape"], ["logits"])]),
        ([], [node("Relu", ["b" * 4000], ["c" * 4000])]),
        ([], [node("Pad", ["images"], ["logits"], pads=[1] * 5000)]),
        ([], [node("Own", ["images"], ["logits"], name="d" * 4000)]),
    ):
        value = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", *SHAPE])
        out = helper.make_tensor_value_info(nodes[0].output[0], TensorProto.FLOAT, None)
        made = helper.make_graph(nodes, "made", [value], [out], arrays)
        path.write_bytes(helper.make_model(made).SerializeToString())
        with pytest.raises(GoodnetError) as caught:
            read_spec(path)
        assert len(str(caught.value)) < 2000
