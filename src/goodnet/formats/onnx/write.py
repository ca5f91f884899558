"""Write a network as an ONNX file, without onnx.

One graph of plain operations: any number of images, pictures with the channels first, arrays as raw
data, layers and arrays under their names. Only the images have the channels last where those of the
file do that the network came from. The same network always gives the same bytes.

References:
    https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, whose fields the numbers below are of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.files import atomic_path
from goodnet.formats.onnx.wire import field, real, whole
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.spec import Array, Layer, NetworkSpec
from goodnet.ops import OPS
from goodnet.ops.expression import Expression, Operand, Parameter, Written, apply
from goodnet.ops.layouts import Axes
from goodnet.ops.op import Shape

# The version of the operations, unless one is newer, and of the file for each from there on: those
# that the same release of onnx had.
_OPSET = 18
_FILE_VERSIONS = {18: 8, 19: 9, 20: 9, 21: 10}
_PRODUCER = "goodnet"
# Types of numbers by TensorProto.DataType, and of attributes by AttributeProto.AttributeType.
_FLOAT32, _INT64 = 1, 7
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7
_OPEN = ("channels", "height", "width")
# What protobuf can say at most.
_LARGEST = 2**31 - 1


def write(spec: NetworkSpec, path: Path, force: bool) -> None:
    """Write a network.

    Raises:
        UsageError: If the file exists and `force` is not set.
        InvalidInput: If a layer cannot be said in ONNX, or its numbers take more than 2 GB.
        FileError: If the system refuses to write.
    """
    content = content_of(spec)
    with atomic_path(path, force=force) as place:
        place.write_bytes(content)


def content_of(spec: NetworkSpec) -> bytes:
    """The bytes of the file of a network.

    Layers are left out that do not lead to the output, or pass on what they read.

    Raises:
        InvalidInput: As `write`.
    """
    shapes, graph = layer_shapes(spec), _Graph(spec)
    for layer in _leading(spec):
        inputs = tuple(shapes[name] for name in layer.inputs)
        arrays = spec.parameters(layer.name)
        graph.add(Written(layer, arrays, inputs, shapes[layer.name]))
    image = spec.layers[0].name
    axes = Axes("hwc" if spec.channels_last else "chw")
    parts = [
        *graph.nodes,
        field(2, spec.name.encode()),
        *graph.arrays,
        field(11, _value(image, axes.shape_to_file(_named(shapes[image])))),
        field(12, _value(spec.output, _named(shapes[spec.output]))),
    ]
    content = b"".join(
        [
            whole(1, _FILE_VERSIONS[graph.opset]),
            field(2, _PRODUCER.encode()),
            field(7, b"".join(parts)),
            field(8, whole(2, graph.opset)),
        ]
    )
    if len(content) > _LARGEST:
        raise InvalidInput(
            f"an ONNX file holds at most {_LARGEST:,} bytes, the network takes {len(content):,}; "
            "write it as .keras"
        )
    return content


def _leading(spec: NetworkSpec) -> Iterable[Layer]:
    """The layers that lead to the output, without the images."""
    wanted, kept = {spec.output}, list[Layer]()
    for layer in reversed(spec.layers):
        if layer.name in wanted:
            wanted |= {*layer.inputs}
            kept.append(layer)
    return (layer for layer in reversed(kept) if layer.op != "input")


class _Graph:
    """The operations and arrays of a graph while layers are added; fields of GraphProto."""

    def __init__(self, spec: NetworkSpec) -> None:
        self.nodes: list[bytes] = []
        self.arrays: list[bytes] = []
        self.opset = _OPSET
        self._taken = {layer.name for layer in spec.layers}
        self._layer, self._done = "", dict[int, str]()
        self._called: dict[str, str] = {}
        image, self._output = spec.layers[0].name, spec.output
        if spec.channels_last:
            turned = self._free(f"{image}/transpose")
            self._compute(apply("Transpose", image, perm=(0, 3, 1, 2)), turned)
            self._called[image] = turned

    def add(self, written: Written) -> None:
        """The operations of a layer; the last one and what it gives have the layer's name."""
        layer = written.layer
        if layer.op == "identity" and layer.name != self._output:
            # Else a network that is read and written again has one more for each transposition.
            self._called[layer.name] = self._operand(written.value, "")
            return
        say = OPS[layer.op].to_onnx
        if say is None:
            raise InvalidInput(
                f"layer {layer.name!r} ({layer.op}) is not said in operations of ONNX; write a "
                "network made of a PyTorch module as .safetensors, or export its `module`, and "
                "another as .keras"
            )
        self._layer, self._done = layer.name, {}
        self._compute(say(written), layer.name)

    def _compute(self, expression: Expression, name: str) -> str:
        """Add an operation behind what it is applied to; the name of what it gives."""
        operands = [
            self._operand(operand, f"{name}/{place}")
            for place, operand in enumerate(expression.operands)
        ]
        while not operands[-1]:
            operands.pop()
        self.opset = max(self.opset, expression.opset)
        node = [
            *(field(1, operand.encode()) for operand in operands),
            field(2, name.encode()),
            field(3, name.encode()),
            field(4, expression.kind.encode()),
            *(field(5, _attribute(*item)) for item in expression.attributes.items()),
        ]
        self.nodes.append(field(1, b"".join(node)))
        return name

    def _operand(self, operand: Operand, name: str) -> str:
        """The name of an operand, which is added where it is not there; `name` for a number."""
        if operand is None or isinstance(operand, str):
            return self._called.get(operand, operand) if operand else ""
        if id(operand) not in self._done:
            self._done[id(operand)] = self._add(operand, name)
        return self._done[id(operand)]

    def _add(self, operand: Array | Parameter | Expression, name: str) -> str:
        if isinstance(operand, Expression):
            free = self._free(f"{self._layer}/{operand.kind.lower()}")
            return self._compute(operand, free)
        if isinstance(operand, Parameter):
            name, operand = f"{self._layer}/{operand.name}", operand.array
        free = self._free(name)
        self.arrays.append(field(5, _tensor(free, operand)))
        return free

    def _free(self, wish: str) -> str:
        name, count = wish, 1
        while name in self._taken:
            name, count = f"{wish}_{count}", count + 1
        self._taken.add(name)
        return name


def _tensor(name: str, array: Array) -> bytes:
    kind, stored = (_FLOAT32, "<f4") if array.dtype.kind == "f" else (_INT64, "<i8")
    content = np.ascontiguousarray(array, stored).tobytes()
    sizes = (whole(1, size) for size in array.shape)
    return b"".join([*sizes, whole(2, kind), field(8, name.encode()), field(9, content)])


def _attribute(name: str, value: Any) -> bytes:
    if isinstance(value, float):
        content = [real(2, value), whole(20, _FLOAT)]
    elif isinstance(value, int):
        content = [whole(3, value), whole(20, _INT)]
    elif isinstance(value, str):
        content = [field(4, value.encode()), whole(20, _STRING)]
    else:
        content = [*(whole(8, number) for number in value), whole(20, _INTS)]
    return b"".join([field(1, name.encode()), *content])


def _named(shape: Shape) -> tuple[int | str, ...]:
    """A shape with names for the sizes that are open."""
    return tuple(_OPEN[axis] if size is None else size for axis, size in enumerate(shape))


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    """A value for any number of images, as ValueInfoProto has it."""
    sizes = (
        whole(1, size) if isinstance(size, int) else field(2, size.encode())
        for size in ("images", *shape)
    )
    dimensions = b"".join(field(1, size) for size in sizes)
    tensor = whole(1, _FLOAT32) + field(2, dimensions)
    return field(1, name.encode()) + field(2, field(1, tensor))
