"""Vision transformers in ONNX files: attention is one layer again, and answers stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnx", reason="no onnx to write ONNX files with")
pytest.importorskip("onnxruntime", reason="no onnxruntime to compare with")

import onnx
from attention_samples import KINDS, ViT
from onnx import helper
from onnx_samples import answers, export, random, write_graph

from goodnet.errors import InvalidInput
from goodnet.formats import load_network, read_spec
from goodnet.formats.format import save_spec

SHAPE = (3, 16, 16)


def images(count: int = 4) -> Any:
    return np.random.default_rng(1).random((count, *SHAPE), np.float32)


def exported(folder: Path, kind: str, how: str, **options: Any) -> Path:
    torch.manual_seed(0)
    return export(ViT(kind, **options).eval(), folder / "net.onnx", shape=SHAPE, how=how)


def check_alike(path: Path) -> None:
    ours = load_network(path).outputs(images()).numpy()
    np.testing.assert_allclose(ours, answers(path, images()), rtol=1e-5, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["17", "dynamo"])
@pytest.mark.parametrize("kind", KINDS)
def test_attention_is_one_layer(tmp_path: Path, kind: str, how: str) -> None:
    path = exported(tmp_path, kind, how)
    check_alike(path)
    kinds = [layer.op for layer in read_spec(path).layers]
    assert kinds.count("attention") == 2
    assert {"prepend", "shift", "layer_norm", "dense"} < set(kinds)


@pytest.mark.slow
def test_it_is_where_the_file_has_it_as_one_operation(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, path = ViT("fused").eval(), tmp_path / "net.onnx"
    network = load_network(export(module, path, shape=SHAPE, how="dynamo 23"))
    pixels = torch.from_numpy(images())
    with torch.inference_mode():
        torch.testing.assert_close(network.outputs(pixels), module(pixels))
    assert any(node.op_type == "Attention" for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("kind", ["by hand", "apart", "one head"])
def test_in_earlier_versions_it_is(tmp_path: Path, kind: str) -> None:
    check_alike(exported(tmp_path, kind, "11", token=False))


def test_moves_between_its_parts_leave_no_layer(tmp_path: Path) -> None:
    spec = read_spec(exported(tmp_path, "apart", "17", token=False))
    moves = [x.op for x in spec.layers if x.op in ("reshape", "permute", "flatten", "crop1d")]
    assert moves == ["reshape", "permute"]  # of the patches


def test_a_copy_with_another_token_and_other_places(tmp_path: Path) -> None:
    path = exported(tmp_path, "fused", "17")
    spec, copy = read_spec(path), tmp_path / "copy.onnx"
    changed = {
        key: 0 * spec.arrays[key] for key in spec.arrays if key.endswith(("/tokens", "/offset"))
    }
    assert len(changed) == 2
    save_spec(spec.with_arrays(changed), copy)
    check_alike(copy)
    assert np.abs(answers(copy, images()) - answers(path, images())).max() > 0.01


def attention(folder: Path, *nodes: Any, reads: int = 12, opset: int = 17, **arrays: Any) -> Path:
    """A sequence of 4 steps with 12 features, some operations that give "read", and a head."""
    before = [
        helper.make_node("Reshape", ["images", "steps"], ["x"]),
        helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 2, 1]),
    ]
    after = [
        helper.make_node("ReduceMean", ["read"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "head"], ["logits"]),
    ]
    known = {"steps": np.array([-1, 4, 12]), "head": random(reads, 5), **arrays}
    return write_graph(
        folder / "net.onnx", [*before, *nodes, *after], known, shape=["n", 3, 4, 4], opset=opset
    )


SCORES = helper.make_node("MatMul", ["x", "turned"], ["scores"])
SOFTMAX = helper.make_node("Softmax", ["scores"], ["shares"], axis=-1)
READ = helper.make_node("MatMul", ["shares", "x"], ["read"])


def check_small(path: Path) -> None:
    pixels = np.random.default_rng(1).random((3, 3, 4, 4), np.float32)
    ours = load_network(path).outputs(pixels).numpy()
    np.testing.assert_allclose(ours, answers(path, pixels), rtol=1e-5, atol=1e-6)


def test_plain_products_of_a_sequence(tmp_path: Path) -> None:
    check_small(attention(tmp_path, SCORES, SOFTMAX, READ))


def test_a_mask_that_masks_nothing(tmp_path: Path) -> None:
    """As exporters write one with a guard against rows that are masked whole."""
    nodes = [
        helper.make_node("Add", ["scores", "mask"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["plain"], axis=2),
        helper.make_node("IsNaN", ["plain"], ["empty"]),
        helper.make_node("Where", ["empty", "zero", "plain"], ["shares"]),
    ]
    mask, zero = np.zeros((1, 1, 4), np.float32), np.array(0, np.float32)
    check_small(attention(tmp_path, SCORES, *nodes, READ, mask=mask, zero=zero))


@pytest.mark.parametrize("scale", [0.0, 0.3])
def test_the_operation_of_version_23(tmp_path: Path, scale: float) -> None:
    more = {"scale": scale} if scale else {}
    node = helper.make_node(
        *("Attention", ["x", "x", "x"], ["read"]), q_num_heads=3, kv_num_heads=3, **more
    )
    path = attention(tmp_path, node, opset=17)
    pixels = np.random.default_rng(1).random((3, 3, 4, 4), np.float32)
    x = pixels.reshape(3, 4, 3, 4).transpose(0, 2, 1, 3)
    scores = x @ x.transpose(0, 1, 3, 2) * (scale or 0.5)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    read = (shares @ x).transpose(0, 2, 1, 3).reshape(3, 4, 12)
    wanted = read.mean(1) @ random(12, 5)
    np.testing.assert_allclose(load_network(path).outputs(pixels), wanted, rtol=1e-5, atol=1e-6)


def test_a_sum_is_no_bias_where_others_read_what_it_is_added_to(tmp_path: Path) -> None:
    """Under another name, as a view that changes nothing."""
    nodes = [
        helper.make_node("MatMul", ["x", "square"], ["product"]),
        helper.make_node("Reshape", ["product", "steps"], ["same"]),
        helper.make_node("Add", ["same", "offset"], ["shifted"]),
        helper.make_node("Mul", ["product", "shifted"], ["read"]),
    ]
    square, offset = random(12, 12, seed=3), random(12, seed=4)
    check_small(attention(tmp_path, *nodes, square=square, offset=offset))


HEADS = {"heads": np.array([-1, 4, 3, 4])}


@pytest.mark.parametrize(
    ("nodes", "arrays", "message"),
    [
        (
            [
                SCORES,
                helper.make_node("Add", ["scores", "mask"], ["masked"]),
                helper.make_node("Softmax", ["masked"], ["shares"], axis=-1),
                READ,
            ],
            {"mask": np.eye(4, dtype=np.float32)},
            "a mask or an offset is not read",
        ),
        (
            [
                helper.make_node("Shape", ["x"], ["count"], start=0, end=1),
                helper.make_node("Cast", ["count"], ["number"], to=1),
                SCORES,
                helper.make_node("Mul", ["scores", "number"], ["more"]),
                helper.make_node("Softmax", ["more"], ["shares"], axis=-1),
                READ,
            ],
            {},
            "a factor, a softmax and a product",
        ),
        (
            [SCORES, helper.make_node("Softmax", ["scores"], ["shares"], axis=1), READ],
            {},
            "a factor, a softmax and a product",
        ),
        (
            [helper.make_node("MatMul", ["x", "x"], ["read"])],
            {},
            "a factor, a softmax and a product in attention",
        ),
        (
            [helper.make_node("Transpose", ["x"], ["read"], perm=[1, 0, 2])],
            {},
            "a row for each image, got a part of attention in another order",
        ),
        (
            [
                helper.make_node("Reshape", ["x", "heads"], ["apart"]),
                helper.make_node("MatMul", ["apart", "apart"], ["scores"]),
                SOFTMAX,
                helper.make_node("MatMul", ["shares", "apart"], ["read"]),
            ],
            HEADS,
            "images, heads, steps and the features of each head, in that order",
        ),
        (
            [helper.make_node("Slice", ["x"], ["read"], starts=[9], ends=[12], axes=[1])],
            {},
            "nothing of 4 is left",
        ),
        (
            [helper.make_node("Transpose", ["x"], ["read"], perm=[0, 1])],
            {},
            "cannot be put in the order",
        ),
        (
            [helper.make_node("Gather", ["x", "several"], ["read"], axis=1)],
            {"several": np.array([2, 0])},
            "one part of a sequence is read",
        ),
    ],
)
def test_what_is_not_read_is_said(
    tmp_path: Path, nodes: list[Any], arrays: dict[str, Any], message: str
) -> None:
    path = attention(tmp_path, *nodes, opset=9 if nodes[0].op_type == "Slice" else 17, **arrays)
    with pytest.raises(InvalidInput, match=message):
        read_spec(path)
