"""The graph of an ONNX file as plain data; numbers stay in the file until they are asked for.

References:
    https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, whose fields the numbers below are of.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.onnx.wire import Fields, Message, field
from goodnet.formats.safe_file import open_regular
from goodnet.ops.op import Array

# Of a file: the fields of ModelProto.
_OPSET, _PRODUCER, _VERSION, _GRAPH, _FUNCTIONS = 8, 2, 3, 7, 25
# Those of GraphProto.
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE = 1, 2, 5, 11, 12, 15
# Types of numbers by TensorProto.DataType, and where each is kept that is not in `raw_data`.
_TYPES = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2",
    11: "<f8", 12: "<u4", 13: "<u8",
}  # fmt: skip
_FLOATS, _INTS32, _INTS64, _RAW, _DOUBLES, _UINTS64 = 4, 5, 7, 9, 10, 11
_EXTERNAL, _LOCATION = 13, 14
_OWN_DOMAINS = ("", "ai.onnx")
_TABLES = "ai.onnx.ml"
_OLDEST, _NEWEST = 7, 30


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array in the file, or in one beside it.

    Attributes:
        name: Of an initializer.
        shape: Its sizes.
        kind: As NumPy calls its numbers.
        place: Where these lie, one behind another; None where they are not in the file like that.
        numbers: Those that do not lie like that.
        external: Path within the folder, offset and length of what lies beside the file.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    place: Message | None = None
    numbers: tuple[float, ...] = ()
    external: tuple[str, int, int | None] | None = None

    @property
    def length(self) -> int:
        """Bytes that they take."""
        return self.size * np.dtype(self.kind).itemsize

    @property
    def size(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    def array(self, folder: Path) -> Array:
        """Its numbers.

        Raises:
            GoodnetError: If there are more or fewer than its shape says, or they lie in a file that
                cannot be read.
        """
        kind = np.dtype(self.kind)
        if self.external is not None:
            content = self._beside(folder, self.size * kind.itemsize)
            found: Array = np.frombuffer(content, kind)
        elif self.place is not None:
            if len(self.place) != self.size * kind.itemsize:
                raise InvalidInput(
                    f"the array {self.name!r} of shape {self.shape} has {len(self.place):,} bytes"
                )
            data = self.place.data
            found = np.frombuffer(data[self.place.start : self.place.end], kind)
        else:
            if len(self.numbers) != self.size:
                raise InvalidInput(
                    f"the array {self.name!r} of shape {self.shape} has {len(self.numbers):,} "
                    "numbers"
                )
            found = np.array(self.numbers)
            found = (
                found.astype(np.uint16).view(np.float16) if kind == np.float16 else found
            ).astype(kind)
        return found.reshape(self.shape)

    def _beside(self, folder: Path, length: int) -> bytes:
        location, offset, stored = self.external or ("", 0, None)
        what, path = f"the array {self.name!r}", folder.joinpath(location)
        odd = ".." in PurePosixPath(location).parts or re.search(r"^/|[\\:\0]|^$", location)
        if odd or not path.resolve().is_relative_to(folder.resolve()):
            raise UnsafeInput(f"{what} leads out of the model's folder: {location!r}")
        if stored not in (None, length):
            raise InvalidInput(f"{what} of shape {self.shape} has {stored:,} bytes in {location!r}")
        with open_regular(path, what="file of numbers", limit=budgets.MODEL_BYTES) as file:
            file.seek(offset)
            content = file.read(length)
        if len(content) < length:
            raise InvalidInput(f"{what} ends before its time: {str(path)!r}")
        return content


@dataclass(frozen=True, eq=False)
class GraphNode:
    """One operation of the graph.

    Attributes:
        name: As the file has it, or else made of its first output.
        kind: For instance "Conv".
        inputs: Names of what it reads; "" for what is left out.
        outputs: Names of what it gives.
        attributes: By name: numbers, texts, lists of them, or a `Tensor`.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Graph:
    """A model.

    Attributes:
        name: Of the graph.
        producer: The program that wrote it, with its version.
        opset: Version of the operations.
        nodes: In the file's order, which is one that can be run.
        initializers: Arrays by name.
        inputs: What is fed, by name: its sizes, None or 0 where open.
        outputs: Names of what is given.
    """

    name: str
    producer: str
    opset: int
    nodes: tuple[GraphNode, ...]
    initializers: Mapping[str, Tensor]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]


def parse(data: memoryview) -> Graph:
    """Take a file apart.

    Raises:
        InvalidInput: If it is no ONNX model, or one with operations of its own.
        OverBudget: If it declares more than the budgets allow.
    """
    model = Fields(Message(data, 0, len(data)))
    versions = {opset.text(1): opset.integer(2) for opset in map(Fields, model.messages(_OPSET))}
    if model.messages(_FUNCTIONS):
        raise InvalidInput("the model has functions of its own, which are not read; inline them")
    graphs = model.messages(_GRAPH)
    if len(graphs) != 1:
        raise InvalidInput("expected an ONNX model, got a file without a graph")
    opset = next((versions[domain] for domain in _OWN_DOMAINS if domain in versions), 0)
    if not _OLDEST <= opset <= _NEWEST:
        raise InvalidInput(
            f"expected operations of version {_OLDEST} to {_NEWEST} (opset), got {opset}"
        )
    producer = " ".join(filter(None, (model.text(_PRODUCER), model.text(_VERSION))))
    return _graph(Fields(graphs[0]), producer, opset)


def inlined(data: memoryview, folder: Path) -> bytes:
    """A copy of a file that has all its arrays itself; the file where it has them anyway.

    Raises:
        GoodnetError: As `Tensor.array`.
    """
    return _replaced(
        Message(data, 0, len(data)),
        _GRAPH,
        lambda graph: _replaced(graph, _INITIALIZER, lambda array: _with_numbers(array, folder)),
    )


def _replaced(message: Message, number: int, change: Callable[[Message], bytes]) -> bytes:
    """A message with its fields of a number changed."""
    parts = []
    for found, value, whole in message.parts():
        changes = found == number and isinstance(value, Message)
        parts.append(field(number, change(cast("Message", value))) if changes else bytes(whole))
    return b"".join(parts)


def _with_numbers(array: Message, folder: Path) -> bytes:
    tensor = _tensor(array)
    if tensor.external is None:
        return bytes(array)
    kept = (bytes(x) for number, _, x in array.parts() if number not in (_EXTERNAL, _LOCATION))
    return b"".join([*kept, field(_RAW, tensor.array(folder).tobytes())])


def _graph(graph: Fields, producer: str, opset: int) -> Graph:
    if graph.messages(_SPARSE):
        raise InvalidInput("the model has sparse arrays, which are not read")
    nodes, arrays = graph.messages(_NODE), graph.messages(_INITIALIZER)
    if len(nodes) > budgets.MAX_LAYERS or len(arrays) > budgets.MAX_LINKS:
        raise OverBudget(
            f"a model may have at most {budgets.MAX_LAYERS:,} operations and "
            f"{budgets.MAX_LINKS:,} arrays, got {len(nodes):,} and {len(arrays):,}"
        )
    tensors = [_tensor(array) for array in arrays]
    budgets.check(sum(x.length for x in tensors), budgets.MODEL_BYTES, "the arrays of a model")
    initializers = {tensor.name: tensor for tensor in tensors}
    if len(initializers) < len(tensors):
        raise InvalidInput("two arrays have the same name")
    inputs = dict(_value_info(Fields(each)) for each in graph.messages(_INPUT))
    return Graph(
        graph.text(_NAME) or "network",
        producer,
        opset,
        tuple(_node(Fields(node), place) for place, node in enumerate(nodes)),
        initializers,
        {name: shape for name, shape in inputs.items() if name not in initializers},
        tuple(Fields(each).text(1) for each in graph.messages(_OUTPUT)),
    )


def _node(node: Fields, place: int) -> GraphNode:
    inputs, outputs = node.texts(1), node.texts(2)
    name, kind, domain = node.text(3), node.text(4), node.text(7)
    if domain == _TABLES:
        raise InvalidInput(
            f"the operation {domain}.{kind:.80}, as scikit-learn-onnx writes it, is of a model of "
            "rows of a table, which does not know what a picture is; networks of images are read"
        )
    if domain not in _OWN_DOMAINS:
        raise InvalidInput(
            f"the operation {domain:.80}.{kind:.80} is none of ONNX's own, which alone are read"
        )
    called = name or next(filter(None, outputs), f"{kind}_{place}")
    attributes = dict(_attribute(Fields(each)) for each in node.messages(5))
    return GraphNode(called, kind, inputs, outputs, attributes)


def _attribute(attribute: Fields) -> tuple[str, Any]:
    """Its name and its value: of the fields that may hold one, that which is filled."""
    name = attribute.text(1)
    one = (
        *(_as_written(x) for each in attribute.messages(2) for x in each.floats()),
        *attribute.integers(3),
        *attribute.texts(4),
        *map(_tensor, attribute.messages(5)),
    )
    if one:
        return name, one[0]
    many: tuple[Any, ...] = (
        *(x for each in attribute.messages(7) for x in each.floats()),
        *attribute.integers(8),
        *attribute.texts(9),
    )
    # An int of 0 may be left out by who writes it; type 2 says that it is one.
    empty = attribute.integers(20)
    return name, 0 if not many and empty == (2,) else many


def _as_written(number: float) -> float:
    """The shortest decimal that is this number in float32: 0.001, not 0.0010000000474974513."""
    return float(str(np.float32(number)))


def _tensor(message: Message) -> Tensor:
    tensor = Fields(message)
    shape, name, kind = tensor.integers(1), tensor.text(8), tensor.integer(2)
    if kind not in _TYPES:
        raise InvalidInput(f"the array {name!r} is of a type that is not read ({kind})")
    if len(shape) > budgets.MAX_RANK or any(not 0 <= x <= budgets.MAX_DIMENSION for x in shape):
        raise InvalidInput(f"the array {name!r:.80} has the impossible shape {shape!r:.80}")
    found = Tensor(name, shape, _TYPES[kind])
    budgets.check(found.length, budgets.MODEL_BYTES, "an array")
    if tensor.integer(_LOCATION) == 1:
        return replace(found, external=_external(tensor, name))
    runs = [x for field in (_RAW, _FLOATS, _DOUBLES) for x in tensor.messages(field)]
    if len(runs) == 1:
        return replace(found, place=runs[0])
    if runs:
        return replace(found, numbers=tuple(x for each in runs for x in each.floats()))
    return replace(
        found, numbers=tuple(x for f in (_INTS32, _INTS64, _UINTS64) for x in tensor.integers(f))
    )


def _external(tensor: Fields, name: str) -> tuple[str, int, int | None]:
    entries = map(Fields, tensor.messages(_EXTERNAL))
    said = {entry.text(1): entry.text(2) for entry in entries}
    numbers = [said.get("offset", "0"), said.get("length", "0")]
    if not all(re.fullmatch("[0-9]{1,18}", number) for number in numbers):
        raise InvalidInput(f"the array {name!r} lies at no number of bytes, {numbers}")
    offset, length = map(int, numbers)
    return said.get("location", ""), offset, length if "length" in said else None


def _value_info(value: Fields) -> tuple[str, tuple[int | None, ...]]:
    """Name and sizes of an input; None for an open one."""
    shapes = [
        Fields(shape)
        for kind in value.messages(2)
        for tensor in Fields(kind).messages(1)
        for shape in Fields(tensor).messages(2)
    ]
    sizes = [Fields(size).integer(1) for shape in shapes for size in shape.messages(1)]
    if len(sizes) > budgets.MAX_RANK:
        raise OverBudget(f"a value may have at most {budgets.MAX_RANK} axes, got {len(sizes)}")
    return value.text(1), tuple(x if 0 < x <= budgets.MAX_DIMENSION else None for x in sizes)
