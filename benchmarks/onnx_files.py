"""The structures that most ONNX files have: does GoodNet answer as onnxruntime does?

Networks of full width for images of 64 x 64 and 10 classes, with random weights that are spread
until the answers are, exported by both exporters of PyTorch, and one graph as converters from
TensorFlow write it: the probabilities of three random images are compared. Needs onnx, onnxscript
and onnxruntime.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _measure import header, options, show, verdict
from _onnx_networks import CLASSES, NETWORKS
from numpy.typing import NDArray
from torch import nn

from goodnet import load

IMAGES, SIDE, CLOSE = 3, 64, 1e-4
TENSORFLOW = "NHWC, as of tf2onnx"
QUICK = ("MobileNetV3-S", TENSORFLOW)
# What PyTorch's older exporter writes for it has a choice (`If`) in it, which is not read.
NEWER_ONLY = ("AlexNet",)

Array = NDArray[np.float32]


def main() -> None:
    parser = options("ONNX files against onnxruntime.")
    parser.add_argument("--only", nargs="*", help="names of networks")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    header(args.threads)
    images = np.random.default_rng(1).random((IMAGES, 3, SIDE, SIDE), np.float32)
    rows, worst = [], 0.0
    for name in args.only or (QUICK if args.quick else (*NETWORKS, TENSORFLOW)):
        differences, parameters = compare(name, images)
        shown = [f"{x:.1e}" if x is not None else "-" for x in differences]
        rows.append([name, f"{parameters:,}", *shown])
        worst = max(worst, *(x for x in differences if x is not None))
        print(*rows[-1], flush=True)
    print()
    show([["network", "parameters", "older exporter", "newer exporter"], *rows])
    print(f"\ngreatest difference of a probability {verdict(worst, CLOSE)}")


def compare(name: str, images: Array) -> tuple[list[float | None], int]:
    """The greatest difference for both exporters, and how many parameters there are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        if name == TENSORFLOW:
            parameters = channels_last(path)
            return [difference(path, images, np.moveaxis(images, 1, -1)), None], parameters
        torch.manual_seed(0)
        module = spread(NETWORKS[name](), torch.from_numpy(images))
        parameters = sum(x.numel() for x in module.parameters())
        found: list[float | None] = []
        for newer in (False, True):
            if not newer and name in NEWER_ONLY:
                found.append(None)
                continue
            export(module, path, newer=newer)
            found.append(difference(path, images, images))
        return found, parameters


def spread(module: nn.Module, images: torch.Tensor) -> nn.Module:
    """Draw what does not start at random, and the last layer so that classes differ."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for numbers, low, high in (
                *((part.weight, 0.6, 0.9), (part.bias, -0.1, 0.1)),
                *((part.running_mean, -0.1, 0.1), (part.running_var, 0.8, 1.2)),
            ):
                nn.init.uniform_(numbers, low, high)  # type: ignore[arg-type]
    last = [x for x in module.modules() if isinstance(x, nn.Linear | nn.Conv2d)][-1]
    with torch.no_grad():
        logits = module.eval()(images)
        last.weight /= (logits - logits.mean(1, keepdim=True)).std().clamp(min=1e-6)
    return module


def export(module: nn.Module, path: Path, *, newer: bool) -> None:
    """Write a module as either exporter does, for any number of images."""
    given = (torch.rand(2, 3, SIDE, SIDE),)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    quiet = (contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()))
    with warnings.catch_warnings(), quiet[0], quiet[1]:
        warnings.simplefilter("ignore")
        if newer:
            sizes = ({0: torch.export.Dim("images")},)
            torch.onnx.export(module, given, path, dynamo=True, dynamic_shapes=sizes)
            return
        axes = {"images": {0: "count"}}
        torch.onnx.export(
            *(module, given, str(path)),
            dynamo=False,
            opset_version=17,
            input_names=["images"],
            dynamic_axes=axes,
        )


def channels_last(path: Path) -> int:
    """A small residual network as tf2onnx writes one; how many parameters it has."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    arrays: dict[str, Array] = {}
    nodes: list[Any] = [helper.make_node("Transpose", ["images"], ["0"], perm=[0, 3, 1, 2])]

    def add(kind: str, *reads: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(kind, [*reads], [str(len(nodes))], **attributes))

    def array(*shape: int) -> str:
        name = f"array_{len(arrays)}"
        arrays[name] = random.normal(0, 0.1, shape).astype(np.float32)
        return name

    def last() -> str:
        return str(len(nodes) - 1)

    def block(into: int, out: int, stride: int) -> None:
        sizes = {"auto_pad": "SAME_UPPER", "strides": [stride, stride]}
        add("Conv", last(), array(out, into, 3, 3), array(out), **sizes)
        add("Relu", last())

    block(3, 16, 2)
    for _ in range(4):
        before = last()
        block(16, 16, 1)
        add("Conv", last(), array(16, 16, 3, 3), auto_pad="SAME_UPPER")
        add("Add", last(), before)
    block(16, 32, 2)
    add("Transpose", last(), perm=[0, 2, 3, 1])
    add("ReduceMean", last(), axes=[1, 2], keepdims=0)
    add("MatMul", last(), array(32, CLASSES))
    add("Add", last(), array(CLASSES))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", SIDE, SIDE, 3])
    logits = helper.make_tensor_value_info(last(), TensorProto.FLOAT, ["n", CLASSES])
    stored = [numpy_helper.from_array(numbers, name) for name, numbers in arrays.items()]
    graph = helper.make_graph(nodes, "made", [images], [logits], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 9
    onnx.save(model, path)
    return sum(numbers.size for numbers in arrays.values())


def difference(path: Path, images: Array, theirs: Array) -> float:
    """The greatest of a probability, of images here and as the file has them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: np.ascontiguousarray(theirs)}
    wanted = torch.from_numpy(session.run(None, given)[0]).softmax(1)
    found = load(path).outputs(images).softmax(1)
    return float((found - wanted).abs().max())


if __name__ == "__main__":
    main()
