"""One output that tells two classes apart, as the two outputs that every method works on.

The last dense layer gets a second row of numbers, zeros, as the first: its outputs are the logits
0 and z of the classes 0 and 1, where z alone was before. A softmax in the place of a sigmoid leaves
the probability of class 1 as it is. The way back is to take the first row off the second, so that
whatever a method changes can be stored in a file or module with one output.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.spec import Layer, NetworkSpec, SourceFile
from goodnet.ops.activations import Activation
from goodnet.ops.layouts import TWO_ROWS

# Functions of a single output that are 0 at 0, and pass 0 with a change of sign.
_ODD = frozenset({"tanh", "softsign"})


def threshold(spec: NetworkSpec) -> float | None:
    """Above what a single output means class 1: 0.5 behind a sigmoid, else 0.

    None for a network with several outputs.

    Raises:
        InvalidInput: If it has a single output that does not tell two classes apart.
    """
    if layer_shapes(spec)[spec.output] != (1,):
        return None
    functions = [f for layer in _end(spec) if (f := _function(layer)) is not None]
    if functions == ["sigmoid"]:
        return 0.5
    if _ODD.issuperset(functions):
        return 0.0
    raise InvalidInput(
        f"the network has a single output behind {' and '.join(functions)}, which does not tell "
        "two classes apart; expected a sigmoid, a linear output, or an output for each class"
    )


def two_classes(spec: NetworkSpec) -> NetworkSpec:
    """A network with one output as one with two; any other as it is.

    Raises:
        InvalidInput: If its single output does not tell two classes apart.
    """
    limit = threshold(spec)
    if limit is None:
        return spec
    end = _end(spec)
    keys = [f"{end[0].name}/{name}" for name in spec.parameters(end[0].name)]
    rows = {key: np.concatenate([np.zeros_like(a), a]) for key in keys for a in [spec.arrays[key]]}
    changed = {layer.name: _softmax(layer) for layer in end} if limit else {}
    found = replace(spec, layers=tuple(changed.get(layer.name, layer) for layer in spec.layers))
    if isinstance(spec.source, SourceFile):
        origins = dict(spec.source.origins)
        origins |= {x: replace(o, layout=TWO_ROWS[o.layout]) for x in keys for o in [origins[x]]}
        told = f"its one output, class 1 above {limit:g}, is taken for the outputs of two classes"
        notes = (*spec.source.notes, told)
        found = replace(found, source=replace(spec.source, origins=origins, notes=notes))
    return found.with_arrays(rows)


def has_one_output(spec: NetworkSpec) -> bool:
    """Whether the file of a network with two classes has one output for both."""
    origins = spec.file.origins.values() if spec.file else ()
    return any(origin.layout in TWO_ROWS.values() for origin in origins)


def _end(spec: NetworkSpec) -> list[Layer]:
    """The last dense layer and what follows it, which does no more than apply a function."""
    end = [spec[spec.output]]
    while end[0].op in ("identity", "activation"):
        end.insert(0, spec[end[0].inputs[0]])
    alone = all(len(spec.consumers(layer.name)) == 1 for layer in end[:-1])
    if end[0].op != "dense" or not alone:
        raise InvalidInput(
            "the network has a single output that no dense layer of its own gives, which is not "
            "taken for two classes; expected an output for each class"
        )
    return end


def _function(layer: Layer) -> str | None:
    activation = layer.attributes.get("activation")
    return None if activation is None or activation.function == "linear" else activation.function


def _softmax(layer: Layer) -> Layer:
    """The layer with a softmax where it has a sigmoid."""
    if _function(layer) is None:
        return layer
    return replace(layer, attributes={"activation": Activation("softmax")})
