"""The layers of a network as JSON, for files that hold nothing else but arrays.

What is read is trusted in nothing: known kinds of layers with attributes that fit, in an order that
can be run, and just the arrays that they have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets
from goodnet.formats.shapes import infer
from goodnet.formats.spec import Activation, Layer, NetworkSpec
from goodnet.ops import OPS
from goodnet.ops.activations import FUNCTIONS
from goodnet.ops.attributes import ATTRIBUTES, Kind
from goodnet.ops.op import Shape

_VERSION = 1
_WHAT = "description of the layers"
_FIELDS = frozenset({"version", "name", "output", "layers"})
_LAYER = frozenset({"name", "op", "inputs", "attributes"})
_ACTIVATION = frozenset({"function", "options"})
# Arrays that a layer may lack; all others it has.
_SPARED = frozenset({"bias", "gamma", "beta"})


@dataclass(frozen=True, eq=False)
class Description:
    """The layers of a network without its arrays.

    Attributes:
        layers: As in `NetworkSpec`.
        output: Likewise.
        name: Likewise.
    """

    layers: tuple[Layer, ...]
    output: str
    name: str


def to_json(spec: NetworkSpec) -> str:
    """The layers of a network.

    Raises:
        InvalidInput: If one is a part of a module, or has attributes that cannot be said.
    """
    layers = [
        {
            "name": layer.name,
            "op": layer.op,
            "inputs": layer.inputs,
            "attributes": {key: _said(layer, key) for key in layer.attributes},
        }
        for layer in spec.layers
    ]
    said = {"version": _VERSION, "name": spec.name, "output": spec.output, "layers": layers}
    return json.dumps(said, allow_nan=False, separators=(",", ":"))


def _said(layer: Layer, key: str) -> Any:
    value, kind = _plain(layer.attributes[key]), _kind(layer.op, key)
    if isinstance(value, Activation):
        defaults = FUNCTIONS[value.function].options
        options = {key: float(x) for key, x in value.options.items() if x != defaults[key]}
        value = Activation(value.function, options)
    if kind is None or not kind.fits(value):
        raise InvalidInput(
            f"layer {layer.name!r} ({layer.op}) has {key}={layer.attributes[key]!r:.60}, which no "
            "description of layers can say"
        )
    if isinstance(value, Activation):
        return {"function": value.function, "options": value.options}
    return value


def _plain(value: Any) -> Any:
    """A value with lists, and whatever NumPy makes, as JSON gives them back: tuples and numbers."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return value.item() if hasattr(value, "item") else value


def _kind(op: str, attribute: str) -> Kind | None:
    return {**ATTRIBUTES, **OPS[op].checks}.get(attribute)


def from_json(text: str, shapes: Mapping[str, tuple[int, ...]]) -> Description:
    """The layers that a text describes.

    Args:
        text: The text, which nobody vouches for.
        shapes: Of all arrays that come with it, by key.

    Raises:
        InvalidInput: If it is no such text, layers do not fit together, or arrays are missing or
            belong to no layer.
        OverBudget: If it asks for more than the budgets allow.
    """
    from goodnet.formats.keras.configuration import parse_json

    found = parse_json(text.encode(), what=_WHAT)
    if set(found) != _FIELDS or found["version"] != _VERSION:
        raise InvalidInput(
            f"expected a {_WHAT} of version {_VERSION} with {', '.join(sorted(_FIELDS))}; it may "
            "be of a newer GoodNet"
        )
    entries, output, name = (found[key] for key in ("layers", "output", "name"))
    if not isinstance(entries, list) or not entries:
        raise InvalidInput(f"expected a list of layers in the {_WHAT}")
    if len(entries) > budgets.MAX_LAYERS:
        raise OverBudget(
            f"a network may have at most {budgets.MAX_LAYERS:,} layers, got {len(entries):,}"
        )
    layers = tuple(_layer(entry, place) for place, entry in enumerate(entries))
    given = _shapes(layers, shapes)
    if not isinstance(name, str) or not isinstance(output, str) or len(given.get(output, ())) != 1:
        raise InvalidInput(
            f"expected a layer with an output for each class as the output, got {output!r:.80}"
        )
    return Description(layers, output, name)


def _layer(entry: Any, place: int) -> Layer:
    if not isinstance(entry, dict) or set(entry) != _LAYER:
        raise InvalidInput(f"expected layer {place} to have {', '.join(sorted(_LAYER))}")
    name, op, inputs, given = (entry[key] for key in ("name", "op", "inputs", "attributes"))
    if not _is_name(name) or not isinstance(inputs, list) or not all(map(_is_name, inputs)):
        raise InvalidInput(
            f"expected names of 1 to {budgets.MAX_NAME} characters for layer {place} and what it "
            "reads"
        )
    if not isinstance(op, str) or op not in OPS or not isinstance(given, dict):
        raise InvalidInput(f"layer {name!r} is of the kind {op!r:.60}, which is not read")
    attributes = {key: _attribute(value) for key, value in given.items()}
    layer = Layer(name, op, tuple(inputs), attributes)
    for key, value in attributes.items():
        kind = _kind(op, key)
        if kind is None or not kind.fits(value):
            expected = "nothing that is read" if kind is None else kind.expected
            raise InvalidInput(
                f"layer {name!r} ({op}): expected {key} to be {expected}, got {value!r:.80}"
            )
    return layer


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= budgets.MAX_NAME


def _attribute(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_attribute, value))
    if isinstance(value, dict) and set(value) == _ACTIVATION:
        function, options = value["function"], value["options"]
        if isinstance(function, str) and isinstance(options, dict):
            return Activation(function, options)
    return value


def _shapes(layers: Iterable[Layer], arrays: Mapping[str, tuple[int, ...]]) -> dict[str, Shape]:
    """The shapes of all values, where layers and arrays fit together."""
    by_layer: dict[str, dict[str, Shape]] = {}
    for key, shape in arrays.items():
        owner, _, name = key.rpartition("/")
        by_layer.setdefault(owner, {})[name] = shape
    shapes: dict[str, Shape] = {}
    for layer in layers:
        first = not shapes
        if (layer.op == "input") != first or layer.name in shapes or first == bool(layer.inputs):
            raise InvalidInput(
                f"expected the images first, and every layer once, got layer {layer.name!r}"
            )
        missing = [name for name in layer.inputs if name not in shapes]
        if missing:
            raise InvalidInput(f"layer {layer.name!r} reads {missing[0]!r}, which is not before it")
        own = by_layer.pop(layer.name, {})
        _check_arrays(layer, own)
        shapes[layer.name] = infer(layer, [shapes[name] for name in layer.inputs], own)
        _check_axis(layer, shapes[layer.name])
    if by_layer:
        owner, names = by_layer.popitem()
        raise InvalidInput(f"the array {f'{owner}/{min(names)}'!r} belongs to no layer")
    if sum(len(layer.inputs) for layer in layers) > budgets.MAX_LINKS:
        raise OverBudget(f"layers may read at most {budgets.MAX_LINKS:,} values")
    return shapes


def _check_arrays(layer: Layer, own: Mapping[str, Shape]) -> None:
    op = OPS[layer.op]
    made = set(op.constants(layer.attributes))
    known = {*op.parameters, *op.buffers} - made
    if not known - _SPARED <= set(own) <= known:
        raise InvalidInput(
            f"layer {layer.name!r} ({layer.op}) has the arrays {sorted(known) or 'none'}, got "
            f"{sorted(own) or 'none'}"
        )


def _check_axis(layer: Layer, shape: Shape) -> None:
    """A softmax is along an axis that there is."""
    activation = layer.attributes.get("activation")
    axis = activation.options.get("axis", 1) if activation else 1
    if axis not in range(1, len(shape) + 1):
        raise InvalidInput(f"layer {layer.name!r}: there is no axis {axis} in the shape {shape}")
