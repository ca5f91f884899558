"""From the operations of an ONNX graph to the layers of a spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.onnx import attention
from goodnet.formats.onnx.attention import Moved, Operands
from goodnet.formats.onnx.folding import folded
from goodnet.formats.onnx.model import Graph, GraphNode
from goodnet.formats.shapes import infer
from goodnet.formats.spec import Layer, NetworkSpec, Origin, check_finite
from goodnet.ops import OPS
from goodnet.ops.layouts import Axes
from goodnet.ops.onnx import BATCHES, Constant, Found, Node, Rule, Value, placed
from goodnet.ops.op import PICTURE, Array

_CHANNELS = (1, 3, 4)
# Operations that ask nothing of what they read but its shape.
_OF_SHAPES = ("Shape", "Size")


@dataclass(eq=False)
class _Reading:
    """What is known while the operations are read one after another."""

    graph: Graph
    folder: Path
    rules: Mapping[str, Rule]
    known: dict[str, Value | Constant | Moved] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    shapes: dict[str, tuple[int | None, ...]] = field(default_factory=dict)

    @cached_property
    def readers(self) -> Counter[str]:
        """How often each value of the graph is read."""
        return Counter(name for node in self.graph.nodes for name in node.inputs)

    def operand(self, name: str) -> Value | Constant | Moved | None:
        if not name:
            return None
        if name not in self.known:
            if name not in self.graph.initializers:
                raise InvalidInput(f"the value {name!r} is read before anything gives it")
            array = self.graph.initializers[name].array(self.folder)
            self.known[name] = Constant(array, name)
        return self.known[name]

    def read(self, node: GraphNode) -> None:
        operands = [self.operand(name) for name in node.inputs]
        if node.kind in _OF_SHAPES or all(isinstance(x, Constant | None) for x in operands):
            found = self._folded(node, operands)
            self.known |= dict(zip(node.outputs, found, strict=False))
        elif node.kind == "Split":
            for part in _parts(node, operands, self.graph.opset):
                self.known[part.outputs[0]] = self._value(part, operands[:1])
        else:
            self._check_alone(node)
            self.known[node.outputs[0]] = self._value(node, operands)

    def _value(self, node: GraphNode, operands: Operands) -> Value | Moved:
        """What an operation gives, or the rows of it in other places."""
        plain = [None if isinstance(x, Moved) else x for x in operands]
        given = Node(node.name, node.kind, plain, node.attributes, self.graph.opset)
        if attention.is_read(given, operands):
            found = attention.read(given, operands, self.add)
            if found is not None:
                return found
        settled = [self._settled(node, x) for x in operands]
        read = [x for x in settled if not isinstance(x, Moved)]
        if len(read) == len(settled):
            return self._layer(node, read)
        viewed = attention.rows(given, settled)
        if viewed is None:
            raise given.error("a row for each image, got a part of attention in another order")
        read = [viewed.value if isinstance(x, Moved) else x for x in settled]
        value = self._layer(node, read)
        views = tuple(x.with_features(value.shape[-1] or 0) for x in viewed.views)
        return attention.Viewed(node.name, value, views)

    def _settled(
        self, node: GraphNode, operand: Value | Constant | Moved | None
    ) -> Value | Constant | Moved | None:
        """A view as the value of layers, where it has a row for each image."""
        found = operand.settled(self.add) if isinstance(operand, attention.Viewed) else None
        if found is None:
            return operand
        self.known |= {name: found for name in node.inputs if self.known.get(name) is operand}
        return found

    def _layer(self, node: GraphNode, operands: Sequence[Value | Constant | None]) -> Value:
        """The value of the layers that an operation becomes."""
        if node.kind == "Add" and (told := self._bias(operands)) is not None:
            return told
        rule = self.rules.get(node.kind)
        if rule is None:
            raise InvalidInput(
                f"the operation {node.kind} (of {node.name!r}) is not read where it is applied to "
                f"what comes of the images; known are {', '.join(sorted(self.rules))}"
            )
        given = Node(node.name, node.kind, operands, node.attributes, self.graph.opset)
        return self.add(node.name, rule(given))

    def output(self, name: str) -> Value | None:
        """The value of a name, if it depends on the images."""
        found = self.known.get(name)
        found = found.settled(self.add) if isinstance(found, attention.Viewed) else found
        return found if isinstance(found, Value) else None

    def _check_alone(self, node: GraphNode) -> None:
        if sum(map(bool, node.outputs)) > 1:
            outputs = self.graph.outputs
            if any(self.readers[x] or x in outputs for x in node.outputs[1:] if x):
                raise InvalidInput(f"operation {node.name!r} ({node.kind}) gives several values")

    def _bias(self, operands: Sequence[Value | Constant | None]) -> Value | None:
        """The value of a layer that takes what is added to it as its bias; None where none does."""
        for value, constant in (operands, operands[::-1]) if len(operands) == 2 else ():
            if not isinstance(value, Value) or not isinstance(constant, Constant):
                continue
            layer = self.layers[-1]
            weight = self.arrays.get(f"{layer.name}/weight")
            array = placed(constant.array.astype(np.float32), value)
            if (
                layer.name == value.layer
                and layer.op in ("dense", "conv2d")
                and f"{layer.name}/bias" not in self.arrays
                and weight is not None
                and array is not None
                and constant.other is None
                and array.size == len(weight) == array.shape[0 if value.rank == PICTURE else -1]
                and self._is_read_once(value)
            ):
                check_finite(array, constant.key)
                self.arrays[f"{layer.name}/bias"] = array.reshape(-1)
                self.origins[f"{layer.name}/bias"] = Origin(constant.key, "as-is")
                return value
        return None

    def _is_read_once(self, value: Value) -> bool:
        """Whether one operation alone sees a value, under whatever names."""
        names = (
            name
            for name, x in self.known.items()
            if x is value or (isinstance(x, attention.Viewed) and x.value is value)
        )
        return all(self.readers[name] == 1 for name in names)

    def add(self, name: str, found: Found) -> Value:
        """The layers of an operation; the value of the last."""
        if found.then is not None:
            first = self.add(f"{name}/in", Found(**{**vars(found), "then": None}))
            return self.add(name, found.then(first))
        while name in self.shapes:
            name += "_"
        layer = Layer(name, found.op, tuple(x.layer for x in found.inputs), found.attributes)
        parameters = {key: numbers.array.shape for key, numbers in found.arrays.items()}
        try:
            shape = infer(layer, [x.shape for x in found.inputs], parameters)
        except InvalidInput as error:
            raise InvalidInput(f"operation {name!r}: {error}") from error
        self.layers.append(layer)
        self.shapes[name] = shape
        for key, numbers in found.arrays.items():
            check_finite(numbers.array, numbers.key or f"{name}/{key}")
            self.arrays[f"{name}/{key}"] = numbers.array
            self.origins[f"{name}/{key}"] = Origin(numbers.key, numbers.layout)
        axes = found.axes
        if axes is None:
            axes = found.inputs[0].axes if found.inputs else Axes("chw")
        return Value(name, shape, axes if len(shape) == PICTURE else Axes("chw"))

    def _folded(self, original: GraphNode, operands: Operands) -> list[Constant]:
        """What an operation gives that reads no more than constants and sizes."""
        constants = [x if isinstance(x, Constant) else None for x in operands]
        kind = original.kind
        node = Node(original.name, kind, constants, original.attributes, self.graph.opset)
        read = _shape_of if kind in _OF_SHAPES else _argument
        return folded(node, lambda batch: [read(x, batch) for x in operands], self.folder)


def described(graph: Graph, folder: Path) -> tuple[NetworkSpec, dict[str, Origin]]:
    """The network, and where each of its arrays lies in the file; "" for what is made of others.

    Args:
        graph: The model.
        folder: Where arrays lie that the file does not have itself.

    Raises:
        InvalidInput: If it is no classifier of images, or has an operation that is not read.
        OverBudget: If it takes more than the budgets allow.
    """
    rules = {kind: rule for op in OPS.values() for kind, rule in op.from_onnx.items()}
    reading = _Reading(graph, folder, rules)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise InvalidInput(
            f"expected a classifier with one input and one output, got the inputs "
            f"{', '.join(graph.inputs) or 'none'} and the outputs {', '.join(graph.outputs)}"
        )
    ((name, shape),) = graph.inputs.items()
    axes, image = _image(name, shape)
    reading.layers.append(Layer(name, "input", (), {"shape": image}))
    reading.shapes[name] = image
    reading.known[name] = Value(name, image, axes)
    for node in _leading(graph):
        reading.read(node)
    output = reading.output(graph.outputs[0])
    if output is None:
        raise InvalidInput("the output does not depend on the images")
    if len(output.shape) == PICTURE and output.shape[1:] == (1, 1):
        output = reading.add(f"{output.layer}/flat", Found("flatten", (output,), {"order": "chw"}))
    if len(output.shape) != 1:
        raise InvalidInput(
            f"expected a classifier with an output for each class, got outputs of {output.shape}"
        )
    spec = NetworkSpec(
        tuple(reading.layers),
        reading.arrays,
        output.layer,
        name=graph.name,
        channels_last=axes.is_hwc(len(image)),
    )
    return spec, reading.origins


def _image(name: str, shape: tuple[int | None, ...]) -> tuple[Axes, tuple[int | None, ...]]:
    """The order of the axes of the images, and the shape of one as the spec has it."""
    if len(shape) == PICTURE + 1:
        _, first, _, last = shape
        axes = Axes("hwc" if last in _CHANNELS and first not in _CHANNELS else "chw")
        return axes, axes.shape_to_spec(shape[1:])
    if len(shape) in (2, PICTURE):  # vectors, and grey pictures without an axis of channels
        return Axes("chw"), shape[1:]
    raise InvalidInput(
        f"expected an input (images, channels, height, width), got {name!r} of {len(shape)} axes"
    )


def _leading(graph: Graph) -> Iterator[GraphNode]:
    """The operations that lead to the output, in their order."""
    wanted, kept = {*graph.outputs}, list[GraphNode]()
    for node in reversed(graph.nodes):
        if wanted & {*node.outputs}:
            kept.append(node)
            wanted |= {*node.inputs}
    given = {x for node in graph.nodes for x in node.outputs if x}
    if len(given) < sum(1 for node in graph.nodes for x in node.outputs if x):
        raise InvalidInput("two operations give a value of the same name")
    return reversed(kept)


def _argument(operand: Value | Constant | Moved | None, batch: int) -> Any:
    """A constant; what depends on the images is no argument of what is computed without them."""
    return operand.of(batch) if isinstance(operand, Constant) else None


def _shape_of(operand: Value | Constant | Moved | None, batch: int) -> Array:
    """The shape of what an operation reads, as the graph orders the axes."""
    if isinstance(operand, Constant | None):
        return np.array(np.shape(_argument(operand, batch)), np.int64)
    if isinstance(operand, Moved):
        return np.array(operand.shape(batch), np.int64)
    shape = operand.axes.shape_to_file(operand.shape)
    if None in shape:
        raise InvalidInput("the size of the images is left open; export the model with their size")
    return np.array((batch, *shape), np.int64)


def _parts(node: GraphNode, operands: Operands, opset: int) -> list[GraphNode]:
    """A split as a slice for each of its parts."""
    value = operands[0] if operands else None
    constants = [None, *(x if isinstance(x, Constant) else None for x in operands[1:])]
    given = Node(node.name, node.kind, constants, node.attributes, opset)
    shape = tuple(_shape_of(value, BATCHES[0]).tolist())
    axis, count = given.integer("axis", 0), len(node.outputs)
    if not -len(shape) <= axis < len(shape) or not count:
        raise given.error(f"an axis of a value of {len(shape)} axes, got {axis}")
    whole = shape[axis]
    each = -(-whole // count)
    sizes = given.sizes(1) or given.integers("split") or (each,) * (count - 1)
    ends = np.cumsum((*sizes, whole - sum(sizes)))[:count].tolist()
    if min(ends, default=0) < 1 or ends[-1] != whole or sorted({*ends}) != ends:
        raise given.error(f"{count} parts of {whole}, got the sizes {sizes[:8]}")
    return [
        GraphNode(
            f"{node.name}/{place + 1}",
            "Slice",
            node.inputs[:1],
            (name,),
            {"starts": (start,), "ends": (end,), "axes": (axis,)},
        )
        for place, (name, start, end) in enumerate(
            zip(node.outputs, (0, *ends), ends, strict=False)
        )
    ]
