"""The graph of a spec as named Keras layers, in the order in which Keras will list them.

Keras finds the arrays of a layer by the layer's place in `model.layers`, which it computes from the
graph when it loads a file. So the same order is computed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.formats.keras.config.order import keras_order
from goodnet.formats.keras.writing.layers import keras_steps
from goodnet.formats.keras.writing.steps import Part
from goodnet.formats.shapes import layer_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from goodnet.formats.keras.writing.steps import Dialect, Step
    from goodnet.formats.shapes import Shape
    from goodnet.formats.spec import Layer, NetworkSpec

__all__ = ["KerasGraph", "KerasLayer", "keras_graph", "valid_name"]

# A layer of this name would fall together with a group that Keras writes itself.
_RESERVED = "top_level_model_weights"
_LONGEST = 200


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
    steps = keras_steps(part)
    inputs = tuple(names[name] for name in layer.inputs)
    for step in steps[:-1]:
        name = names.new(f"{layer.name}_{step.class_name.lower()}")
        yield KerasLayer(name, step, inputs)
        inputs = (name,)
    yield KerasLayer(names[layer.name], steps[-1], inputs)


def _in_keras_order(layers: list[KerasLayer], output: str) -> Iterator[KerasLayer]:
    by_name = {layer.name: layer for layer in layers}
    parents = {(layer.name, 0): [(name, 0) for name in layer.inputs] for layer in layers}
    for name, _ in keras_order(parents, (output, 0)):
        yield by_name[name]
