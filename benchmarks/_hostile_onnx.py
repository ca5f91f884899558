"""ONNX files: numbers in other files, sizes that lie, graphs that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _hostile_case import ANY, Case
from onnx import TensorProto, helper, numpy_helper

__all__ = ["cases"]

_OUTSIDE = "ONNX: numbers in other files"
_SIZES = "ONNX: sizes that lie"
_GRAPHS = "ONNX: graphs that are none, or too large"
_DAMAGE = "ONNX: damaged"


def cases() -> Iterator[Case]:
    yield from _outside()
    yield from _sizes()
    yield from _graphs()
    yield from _damage()


def _outside() -> Iterator[Case]:
    for place in ("../secret.txt", "/etc/hostname", "/dev/zero", "a/../../secret.txt", "", "none"):
        make = partial(_written, change=partial(_external, place=place))
        yield Case(_OUTSIDE, f"in {place or 'no file'}", "inspect x.onnx", make)
    yield Case(_OUTSIDE, "through a link", "inspect x.onnx", _through_link)
    lying = partial(_external, place="beside.bin", offset=2**62, length=2**62)
    yield Case(_OUTSIDE, "beyond the end", "inspect x.onnx", partial(_written, change=lying))
    far = partial(_external, place="x.onnx")
    yield Case(_OUTSIDE, "in the file itself", "inspect x.onnx", partial(_written, change=far), ANY)


def _sizes() -> Iterator[Case]:
    for name, dims in (
        ("2^31 x 2^31", (2**31, 2**31)),
        ("negative", (-4, -3)),
        ("of 2^40 bytes", (2**38, 1)),
        ("of no dimension", ()),
        ("of 5,000 dimensions", (1,) * 5000),
    ):
        make = partial(_written, change=partial(_resized, dims=dims))
        yield Case(_SIZES, f"a weight {name}", "inspect x.onnx", make)
    yield Case(_SIZES, "a weight of few bytes", "inspect x.onnx", partial(_written, change=_short))
    kind = partial(_typed, kind=99)
    yield Case(_SIZES, "a weight of no type", "inspect x.onnx", partial(_written, change=kind))
    images = partial(_written, change=_huge_input)
    yield Case(_SIZES, "images of 2^31 pixels a side", "inspect x.onnx", images)


def _graphs() -> Iterator[Case]:
    for name, change in (
        ("a circle", _circle),
        ("100,000 nodes", partial(_chain, count=100_000)),
        ("an operation that holds code", _python),
        ("two weights of one name", _twice),
        ("no nodes", lambda model: model.graph.ClearField("node")),
        ("no output", lambda model: model.graph.ClearField("output")),
        ("a function that calls itself", _function),
    ):
        yield Case(_GRAPHS, name, "inspect x.onnx", partial(_written, change=change))
    deep = partial(_deep, levels=2000)
    yield Case(_GRAPHS, "graphs 2,000 deep", "inspect x.onnx", deep)
    text = partial(_written, change=_name)
    yield Case(_GRAPHS, "a name of 4 MB", "inspect x.onnx", text, ANY)


def _damage() -> Iterator[Case]:
    for share in (0.1, 0.5, 0.95):
        yield Case(_DAMAGE, f"cut at {share:.0%}", "inspect x.onnx", partial(_cut, share=share))
    for name, raw in (
        ("empty", b""),
        ("a length of 2^63", b"\x3a" + b"\xff" * 8 + b"\x7f"),
        ("a number without end", b"\x08" + b"\xff" * 4000),
        ("groups 100,000 deep", b"\x0b" * 100_000),
        ("20 MB of empty fields", b"\x3a\0" * 10_000_000),
    ):
        yield Case(_DAMAGE, name, "inspect x.onnx", partial(_raw, raw=raw))
    for seed in range(5):
        make = partial(_scratched, seed=seed)
        yield Case(_DAMAGE, f"20 bytes changed, seed {seed}", "inspect x.onnx", make, ANY)


# -- the files -----------------------------------------------------------------------------------

_Change = Callable[[Any], object]


def _good() -> Any:
    """Flatten and one dense layer of 5 classes."""
    weight = np.random.default_rng(0).normal(size=(192, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 5])
    graph = helper.make_graph(
        nodes, "net", [images], [logits], [numpy_helper.from_array(weight, "weight")]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _written(folder: Path, *, change: _Change) -> None:
    model = _good()
    change(model)
    (folder / "x.onnx").write_bytes(model.SerializeToString())


def _external(model: Any, *, place: str, offset: int = 0, length: int = 3840) -> None:
    (weight,) = model.graph.initializer
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", place), ("offset", str(offset)), ("length", str(length))):
        weight.external_data.add(key=key, value=value)


def _through_link(folder: Path) -> None:
    (folder / "beside.bin").symlink_to("../secret.txt")
    _written(folder, change=partial(_external, place="beside.bin", length=16))


def _resized(model: Any, *, dims: tuple[int, ...]) -> None:
    model.graph.initializer[0].ClearField("dims")
    model.graph.initializer[0].dims.extend(dims)


def _short(model: Any) -> None:
    model.graph.initializer[0].raw_data = bytes(8)


def _typed(model: Any, *, kind: int) -> None:
    model.graph.initializer[0].data_type = kind


def _huge_input(model: Any) -> None:
    for size in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        size.dim_value = 2**31


def _circle(model: Any) -> None:
    model.graph.node[0].input[0] = "logits"


def _chain(model: Any, *, count: int) -> None:
    nodes = [
        helper.make_node("Relu", [f"v{number}" if number else "images"], [f"v{number + 1}"])
        for number in range(count)
    ]
    model.graph.node[0].input[0] = f"v{count}"
    nodes += list(model.graph.node)
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)


def _deep(folder: Path, *, levels: int) -> None:
    """Built as bytes, since the library of protobuf does not go so deep."""
    body = b""
    for _ in range(levels):
        attribute = _field(1, b"then_branch") + b"\xa0\x01\x05" + _field(6, body)
        node = _field(4, b"If") + _field(5, attribute)
        body = _field(1, node)
    _raw(folder, raw=_good().SerializeToString() + _field(7, body))


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _python(model: Any) -> None:
    node = model.graph.node.add(op_type="PyOp", domain="ai.onnx.contrib")
    node.input.append("images")
    node.output.append("more")


def _twice(model: Any) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def _function(model: Any) -> None:
    call = helper.make_node("Again", ["a"], ["b"], domain="own")
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model.functions.append(helper.make_function("own", "Again", ["a"], ["b"], [call], opset))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node[0].domain, model.graph.node[0].op_type = "own", "Again"


def _name(model: Any) -> None:
    model.graph.node[0].name = "n" * 4_000_000


def _raw(folder: Path, *, raw: bytes) -> None:
    (folder / "x.onnx").write_bytes(raw)


def _cut(folder: Path, *, share: float) -> None:
    raw = _good().SerializeToString()
    _raw(folder, raw=raw[: int(share * len(raw))])


def _scratched(folder: Path, *, seed: int) -> None:
    raw = np.frombuffer(_good().SerializeToString(), np.uint8).copy()
    random = np.random.default_rng(seed)
    # Among the names and sizes; most of the file is numbers.
    raw[random.integers(0, 120, 20)] = random.integers(0, 256, 20)
    _raw(folder, raw=raw.tobytes())
