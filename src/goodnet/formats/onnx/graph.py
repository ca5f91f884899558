"""From the operations of an ONNX graph to the layers of a spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.onnx.model import Graph, GraphNode, Tensor
from goodnet.formats.shapes import infer
from goodnet.formats.spec import Layer, NetworkSpec, Origin, check_finite
from goodnet.ops import OPS
from goodnet.ops.layouts import Axes
from goodnet.ops.onnx import Constant, Found, Node, Rule, Value, placed
from goodnet.ops.op import PICTURE, Array

_CHANNELS = (1, 3, 4)
# Numbers of an array that is computed from constants: they are sizes and the like.
_FOLDED = 2**20
_BATCHES = (2, 3)
# What NumPy raises where arguments do not fit together, and where one is left out.
_NOT_COMPUTED = (ValueError, TypeError, IndexError, AttributeError, OverflowError, MemoryError)

Arguments = Sequence[Array]


@dataclass(eq=False)
class _Reading:
    """What is known while the operations are read one after another."""

    graph: Graph
    folder: Path
    rules: Mapping[str, Rule]
    known: dict[str, Value | Constant] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    shapes: dict[str, tuple[int | None, ...]] = field(default_factory=dict)

    def operand(self, name: str) -> Value | Constant | None:
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
        given = Node(node.name, node.kind, operands, node.attributes, self.graph.opset)
        values = [x for x in operands if isinstance(x, Value)]
        if not values or node.kind in ("Shape", "Size"):
            found = self._folded(given, node)
            self.known |= dict(zip(node.outputs, found, strict=False))
            return
        if node.kind == "Add" and (told := self._bias(node, operands)) is not None:
            self.known[node.outputs[0]] = told
            return
        rule = self.rules.get(node.kind)
        if rule is None:
            raise InvalidInput(
                f"the operation {node.kind} (of {node.name!r}) is not read where it is applied to "
                f"what comes of the images; known are {', '.join(sorted(self.rules))}"
            )
        if sum(map(bool, node.outputs)) > 1:
            used = {x for each in self.graph.nodes for x in each.inputs} | {*self.graph.outputs}
            if any(x in used for x in node.outputs[1:] if x):
                raise InvalidInput(f"operation {node.name!r} ({node.kind}) gives several values")
        self.known[node.outputs[0]] = self.add(node.name, rule(given))

    def _bias(self, node: GraphNode, operands: Sequence[Value | Constant | None]) -> Value | None:
        """The value of a layer that takes what is added to it as its bias; None where none does."""
        for value, constant in (operands, operands[::-1]) if len(operands) == 2 else ():
            if not isinstance(value, Value) or not isinstance(constant, Constant):
                continue
            layer = self.layers[-1]
            alone = sum(
                x.inputs.count(node.inputs[operands.index(value)]) for x in self.graph.nodes
            )
            weight = self.arrays.get(f"{layer.name}/weight")
            array = placed(constant.array.astype(np.float32), value)
            if (
                layer.name == value.layer
                and layer.op in ("dense", "conv2d")
                and f"{layer.name}/bias" not in self.arrays
                and weight is not None
                and alone == 1
                and array is not None
                and constant.other is None
                and array.size == len(weight) == array.shape[0 if value.rank == PICTURE else -1]
            ):
                check_finite(array, constant.key)
                self.arrays[f"{layer.name}/bias"] = array.reshape(-1)
                self.origins[f"{layer.name}/bias"] = Origin(constant.key, "as-is")
                return value
        return None

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

    def _folded(self, node: Node, original: GraphNode) -> list[Constant]:
        """What an operation gives that reads no more than constants and sizes."""
        if node.kind == "Constant":
            return [Constant(_constant(original, self.folder))]
        function = _FOLD.get(node.kind)
        if function is None:
            raise InvalidInput(
                f"the operation {node.kind} (of {node.name!r}) is not computed from constants"
            )
        results = []
        for batch in _BATCHES:
            arguments = [_argument(operand, batch) for operand in node.operands]
            try:
                with np.errstate(all="ignore"):
                    results.append(function(node, arguments))
            except _NOT_COMPUTED as error:
                raise InvalidInput(
                    f"operation {node.name!r} ({node.kind}) cannot be computed: {error}"
                ) from error
        first, second = results
        return [
            Constant(one, other=None if np.array_equal(one, two) else two)
            for one, two in zip(first, second, strict=True)
        ]


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
    output = reading.known.get(graph.outputs[0])
    if not isinstance(output, Value):
        raise InvalidInput("the output does not depend on the images")
    if len(output.shape) != 1:
        raise InvalidInput(
            f"expected a classifier with an output for each class, got outputs of {output.shape}"
        )
    spec = NetworkSpec(tuple(reading.layers), reading.arrays, output.layer, name=graph.name)
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


def _argument(operand: Value | Constant | None, batch: int) -> Any:
    if operand is None:
        return None
    if isinstance(operand, Constant):
        return operand.array if batch == _BATCHES[0] or operand.other is None else operand.other
    shape = operand.axes.shape_to_file(operand.shape)
    if None in shape:
        raise InvalidInput("the size of the images is left open; export the model with their size")
    return np.array((batch, *shape), np.int64)  # of a value only its shape is ever asked


def _constant(node: GraphNode, folder: Path) -> Array:
    ((_, value), *more) = node.attributes.items() or ((None, None),)
    if more or isinstance(value, str) or value is None:
        raise InvalidInput(f"operation {node.name!r} (Constant) has no numbers")
    return value.array(folder) if isinstance(value, Tensor) else np.asarray(value)


def _limited(size: int) -> None:
    if size > _FOLDED:
        raise InvalidInput(f"{size:,} numbers are computed from constants; at most {_FOLDED:,} are")


def _axes(node: Node, arguments: Arguments, place: int = 1) -> tuple[int, ...]:
    """Axes as an attribute, or as an operand in later versions."""
    if len(arguments) > place and arguments[place] is not None:
        return tuple(arguments[place].reshape(-1).astype(int).tolist())
    return node.integers("axes")


def _shape(node: Node, x: Arguments) -> list[Array]:
    # What is given for a value is its shape, for a constant the constant.
    sizes = x[0] if isinstance(node.operands[0], Value) else np.array(x[0].shape, np.int64)
    if node.kind == "Size":
        return [np.prod(sizes)]
    return [sizes[slice(node.integer("start", 0), node.attributes.get("end"))]]


def _slice(node: Node, x: Arguments) -> list[Array]:
    starts, ends = (x[1], x[2]) if len(x) > 2 else (node.integers("starts"), node.integers("ends"))
    axes = x[3] if len(x) > 3 and x[3] is not None else node.integers("axes", range(len(starts)))
    steps = x[4] if len(x) > 4 and x[4] is not None else [1] * len(starts)
    found = [slice(None)] * x[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        found[axis] = slice(int(start), int(end), int(step))
    return [x[0][tuple(found)]]


def _unsqueeze(node: Node, x: Arguments) -> list[Array]:
    return [np.expand_dims(x[0], _axes(node, x))]


def _squeeze(node: Node, x: Arguments) -> list[Array]:
    return [np.squeeze(x[0], _axes(node, x) or None)]


def _expand(_: Node, x: Arguments) -> list[Array]:
    shape = np.broadcast_shapes(x[0].shape, tuple(x[1].tolist()))
    _limited(int(np.prod(shape)))
    return [np.broadcast_to(x[0], shape)]


def _full(node: Node, x: Arguments) -> list[Array]:
    _limited(int(np.prod(x[0])))
    value = node.attributes.get("value")
    fill = value.array(Path()) if isinstance(value, Tensor) else np.zeros(1, np.float32)
    return [np.full(tuple(x[0].tolist()), fill.ravel()[0])]


def _range(_: Node, x: Arguments) -> list[Array]:
    start, limit, step = (each.item() for each in x)
    _limited(int(max(0, (limit - start) / (step or 1))))
    return [np.arange(start, limit, step).astype(x[0].dtype)]


def _concat(node: Node, x: Arguments) -> list[Array]:
    _limited(sum(each.size for each in x))
    return [np.concatenate(x, node.integer("axis", 0))]


def _divide(_: Node, x: Arguments) -> list[Array]:
    whole = np.issubdtype(x[0].dtype, np.integer)
    return [x[0] // x[1] if whole else x[0] / x[1]]


def _reshape(_: Node, x: Arguments) -> list[Array]:
    return [x[0].reshape(tuple(x[1].tolist()))]


def _transpose(node: Node, x: Arguments) -> list[Array]:
    return [x[0].transpose(node.integers("perm", range(x[0].ndim)[::-1]))]


_CASTS = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}


def _cast(node: Node, x: Arguments) -> list[Array]:
    kind = _CASTS.get(node.integer("to", 1))
    if kind is None:
        raise ValueError("a cast to a type that is not read")
    return [x[0].astype(kind)]


def _dequantize(node: Node, x: Arguments) -> list[Array]:
    """Quantised weights as floats."""
    zero = x[2] if len(x) > 2 and x[2] is not None else np.zeros_like(x[1], x[0].dtype)
    axis = node.integer("axis", 1)
    shape = [-1 if place == axis % x[0].ndim else 1 for place in range(x[0].ndim)]
    scale, zero = (each.reshape(shape) if each.size > 1 else each for each in (x[1], zero))
    return [(x[0].astype(np.float32) - zero.astype(np.float32)) * scale]


def _elementwise(function: Callable[..., Any]) -> Callable[[Node, Arguments], list[Array]]:
    def fold(_: Node, x: Arguments) -> list[Array]:
        return [np.asarray(function(*x))]

    return fold


_FOLD: Mapping[str, Callable[[Node, Arguments], list[Array]]] = {
    "Shape": _shape, "Size": _shape, "Slice": _slice, "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze, "Expand": _expand, "ConstantOfShape": _full, "Range": _range,
    "Concat": _concat, "Div": _divide, "Reshape": _reshape, "Transpose": _transpose,
    "Cast": _cast, "DequantizeLinear": _dequantize,
    "Gather": lambda n, x: [np.take(x[0], x[1], axis=n.integer("axis", 0))],
    "Identity": _elementwise(lambda x: x), "Neg": _elementwise(np.negative),
    "Add": _elementwise(np.add), "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply), "Sqrt": _elementwise(np.sqrt),
    "Pow": _elementwise(np.power), "Floor": _elementwise(np.floor),
    "Ceil": _elementwise(np.ceil), "Equal": _elementwise(np.equal),
    "Where": _elementwise(np.where), "Min": _elementwise(np.minimum),
    "Max": _elementwise(np.maximum), "Mod": _elementwise(np.mod),
}  # fmt: skip
