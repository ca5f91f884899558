"""The graph of a Keras model: how a file says which values a layer reads, and the layers' order.

Keras numbers layers from the output backwards: by depth (the longest way to the output), and
within a depth by a depth-first walk. A file's own list mostly has the same order, but only this one
counts: Keras finds the arrays of a layer by its place in `model.layers`, which it computes from the
graph when it loads a file. So a network to be written is put in this order, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from goodnet.errors import InvalidInput
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.spec import Layer, NetworkSpec
from goodnet.ops import OPS
from goodnet.ops.keras import Dialect, Part, Step
from goodnet.ops.op import Shape

# A layer and which of its calls: a layer may be applied more than once.
Node = tuple[str, int]

# A layer of this name would fall together with a group that Keras writes itself.
_RESERVED = "top_level_model_weights"
_LONGEST = 200
# What Keras 2 writes for the layer of an operand that is a constant.
_CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True, slots=True)
class Reference:
    """The value a layer gave at one of its calls."""

    layer: str
    call: int


@dataclass(frozen=True, eq=True)
class Call:
    """One application of a layer.

    Attributes:
        operands: What it is applied to, in order: `Reference`s, and constants as the file has them.
        options: What it is given by name, likewise.
    """

    operands: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def references(self) -> tuple[Reference, ...]:
        """The values it reads, as Keras orders them: by name where they have one."""
        named = (self.options[key] for key in sorted(self.options))
        return tuple(x for x in (*self.operands, *named) if isinstance(x, Reference))


def read_calls(name: str, nodes: object) -> tuple[Call, ...]:
    """What a layer is applied to, for each time it is applied.

    Args:
        name: The layer, for messages.
        nodes: Its `inbound_nodes`: lists (Keras 2), or objects with args and kwargs (Keras 3).

    Raises:
        InvalidInput: If they are malformed, or no value of a layer is among what it is applied to.
    """
    if not isinstance(nodes, list):
        raise InvalidInput(f"layer {name!r}: expected inbound_nodes to be a list")
    if nodes and isinstance(nodes[0], list) and nodes[0] and isinstance(nodes[0][0], str):
        nodes = [[node] for node in nodes]
    return tuple(_read_call(name, node) for node in nodes)


def read_single(value: object, what: str) -> Reference:
    """The one entry of `input_layers` or `output_layers`.

    Raises:
        InvalidInput: If there are several, or it is malformed.
    """
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list | dict) and len(value) > 1 and not _is_reference(value):
        raise InvalidInput(f"expected a network with one {what}, got {len(value)}")
    return _reference(value, what)


def _read_call(name: str, node: object) -> Call:
    if isinstance(node, dict):
        call = _call_of_keras_3(name, node)
    elif isinstance(node, list):
        call = _call_of_keras_2(name, node)
    else:
        raise InvalidInput(f"layer {name!r}: expected a call to be a list or an object")
    if not call.references:
        shown = ", ".join(f"{x!r:.80}" for x in call.operands)
        raise InvalidInput(
            f"layer {name!r} is applied to {shown or 'nothing'}, which is not the value of a layer"
        )
    return call


def _call_of_keras_3(name: str, node: Mapping[str, Any]) -> Call:
    """Where it says `training`, the model's own mode wins when it is run, so it is passed over."""
    options = node.get("kwargs")
    named = {
        key: _tensor(name, value)
        for key, value in (options if isinstance(options, dict) else {}).items()
        if key != "training" and not _is_neutral(key, value)
    }
    return Call(tuple(_tensor(name, x) for x in _flat(node.get("args"))), named)


def _call_of_keras_2(name: str, node: list[Any]) -> Call:
    operands, options = [], dict[str, Any]()
    what = f"input of layer {name!r}"
    for entry in node:
        constant = isinstance(entry, list) and len(entry) > 2 and entry[0] == _CONSTANT
        operands.append(entry[2] if constant else _reference(entry, what))
        options |= entry[3] if len(entry) > 3 and isinstance(entry[3], dict) else {}
    if options.get("training"):
        raise InvalidInput(
            f"layer {name!r} is applied with training={options['training']!r}, so Keras 2 runs it "
            "as in training each time; save the model without it"
        )
    named = {
        key: _reference(value, what) if _is_reference(value) else value
        for key, value in options.items()
        if not _is_neutral(key, value)
    }
    return Call(tuple(operands), named)


def _flat(arguments: object) -> list[object]:
    """One value, or one list of values: Keras passes several inputs as a single list."""
    if isinstance(arguments, list) and len(arguments) == 1 and isinstance(arguments[0], list):
        return list(arguments[0])
    return list(arguments) if isinstance(arguments, list) else [arguments]


def _tensor(name: str, value: Any) -> Any:
    """The value of a layer as a reference; a constant as it is."""
    config = value.get("config") if isinstance(value, dict) else None
    if not isinstance(config, dict) or "keras_history" not in config:
        return value
    return _reference(config["keras_history"], f"input of layer {name!r}")


def _is_reference(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(number, int) for number in value[1:3])
    )


def _reference(value: object, what: str) -> Reference:
    if not isinstance(value, list) or not _is_reference(value):
        raise InvalidInput(f"expected [layer, call, output] as {what}, got {value!r:.80}")
    if value[2] != 0:
        raise InvalidInput(f"{what} is output {value[2]} of layer {value[0]!r}; layers have one")
    return Reference(value[0], value[1])


def _is_neutral(key: str, value: Any) -> bool:
    return value is None or value is False or key == "name"


def keras_order(parents: Mapping[Node, Sequence[Node]], output: Node) -> list[Node]:
    """Sort the calls a model's output depends on.

    Args:
        parents: For each call, the calls whose values it reads.
        output: The call whose value is the model's output.

    Returns:
        The calls in Keras' order, every call after all it reads; others are left out.

    Raises:
        InvalidInput: If the calls form a cycle.
    """
    finished, first_seen = _walk(parents, output)
    depths: dict[Node, int] = {}
    layer_depths: dict[str, int] = {}
    for node in reversed(finished):
        depth = max(depths.get(node, 0), layer_depths.get(node[0], 0))
        depths[node] = layer_depths[node[0]] = depth
        for parent in parents[node]:
            depths[parent] = max(depths.get(parent, 0), depth + 1)
    return sorted(finished, key=lambda node: (-depths[node], first_seen[node[0]], node[1]))


def _walk(
    parents: Mapping[Node, Sequence[Node]], output: Node
) -> tuple[list[Node], dict[str, int]]:
    """Depth first: calls in the order they are finished, and layers by when they are first seen."""
    finished: dict[Node, None] = {}
    first_seen = {output[0]: 0}
    path = [(output, iter(parents[output]))]
    on_path = {output}
    while path:
        node, unseen = path[-1]
        parent = next((p for p in unseen if p not in finished), None)
        if parent is None:
            finished[node] = None
            path.pop()
            on_path.remove(node)
        elif parent in on_path:
            raise InvalidInput(f"layer {parent[0]!r} reads its own value in a cycle")
        else:
            first_seen.setdefault(parent[0], len(first_seen))
            path.append((parent, iter(parents[parent])))
            on_path.add(parent)
    return list(finished), first_seen


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """A Keras layer with its name and the names of the layers it reads."""

    name: str
    step: Step
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KerasGraph:
    """All layers that lead to the output, in Keras' own order.

    Attributes:
        name: The model's name.
        layers: The layers; the first is the only InputLayer.
        output: Name of the layer that answers.
    """

    name: str
    layers: tuple[KerasLayer, ...]
    output: str


def keras_graph(spec: NetworkSpec, dialect: Dialect) -> KerasGraph:
    """Translate a spec; layers that do not lead to the output are left out.

    Raises:
        InvalidInput: If the spec does not fit together, or a layer cannot be said in Keras.
    """
    shapes = layer_shapes(spec)
    names = _Names(layer.name for layer in spec.layers)
    layers = [
        keras_layer
        for layer in spec.layers
        for keras_layer in _chain(layer, _part(spec, layer, shapes, dialect=dialect), names)
    ]
    output = names[spec.output]
    return KerasGraph(valid_name(spec.name), tuple(_in_keras_order(layers, output)), output)


def valid_name(name: str) -> str:
    """The name with what Keras or TensorFlow does not take in a name replaced; not too long.

    Example:
        >>> valid_name("block 1/conv"), valid_name("_x")
        ('block_1_conv', 'layer_x')
    """
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name[:_LONGEST])
    return name if re.match(r"[A-Za-z0-9]", name) else f"layer{name}"


def snake_case(class_name: str) -> str:
    """As Keras turns a class into the name of a group.

    Example:
        >>> snake_case("MaxPooling2D"), snake_case("ReLU")
        ('max_pooling2d', 're_lu')
    """
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


class _Names:
    """Keras names of the layers of a spec, and new ones for layers in between."""

    def __init__(self, names: Iterable[str]) -> None:
        self._used = {_RESERVED}
        self._given: dict[str, str] = {}
        # A name that is fine as it is stays, whoever else would become the same.
        for name in sorted(names, key=lambda name: name != valid_name(name)):
            self._given[name] = self.new(name)

    def __getitem__(self, name: str) -> str:
        return self._given[name]

    def new(self, wish: str) -> str:
        """A valid name that nobody has."""
        base = name = valid_name(wish)
        count = 1
        while name in self._used:
            count += 1
            name = f"{base}_{count}"
        self._used.add(name)
        return name


def _part(spec: NetworkSpec, layer: Layer, shapes: dict[str, Shape], *, dialect: Dialect) -> Part:
    return Part(
        layer,
        arrays=spec.parameters(layer.name),
        inputs=tuple(shapes[name] for name in layer.inputs),
        shape=shapes[layer.name],
        dialect=dialect,
    )


def _chain(layer: Layer, part: Part, names: _Names) -> Iterator[KerasLayer]:
    steps = _steps(part)
    inputs = tuple(names[name] for name in layer.inputs)
    for step in steps[:-1]:
        name = names.new(f"{layer.name}_{step.class_name.lower()}")
        yield KerasLayer(name, step, inputs)
        inputs = (name,)
    yield KerasLayer(names[layer.name], steps[-1], inputs)


def _steps(part: Part) -> list[Step]:
    """The Keras layers, one after another, that compute one layer of a spec."""
    steps = OPS[part.layer.op].to_keras
    if steps is None:
        op = part.layer.op
        what = "is a part of a PyTorch module" if op == "opaque" else f"({op}) is of a kind"
        raise InvalidInput(
            f"layer {part.layer.name!r} {what} that no built-in Keras layer computes; write the "
            "network as .safetensors with `network.save`, or use its `module`"
        )
    return steps(part)


def _in_keras_order(layers: list[KerasLayer], output: str) -> Iterator[KerasLayer]:
    by_name = {layer.name: layer for layer in layers}
    parents = {(layer.name, 0): [(name, 0) for name in layer.inputs] for layer in layers}
    for name, _ in keras_order(parents, (output, 0)):
        yield by_name[name]
