"""The GoodNet as a plain description: N+1 classes from built-in layers alone, no torch.

From each tower's logits their own maximum is subtracted, so only that tower's answer stands at
zero; the two are added, so only a common answer stands at zero; and a constant just below zero is
appended as class N. The largest entry is then the answer. A softmax at the end of a network does
not change which entry is the largest, and is left out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from goodnet.formats.shapes import layer_shapes
from goodnet.formats.softmax import without_softmax
from goodnet.formats.spec import Array, Layer, NetworkSpec
from goodnet.guard.merge import merge

# Just below zero: smaller in size than any gap between two different logits of a network.
REFUSAL = -1e-30


def guard_spec(first: NetworkSpec, repaired: NetworkSpec) -> NetworkSpec:
    """The GoodNet of two plain descriptions, itself a plain description of built-in layers.

    Raises:
        InvalidInput: If the two take other images or have other classes.
    """
    first, repaired = without_softmax(first), without_softmax(repaired)
    merged, other = merge(first, repaired)
    (classes,) = layer_shapes(first)[first.output]
    names = _Names({layer.name for layer in merged.layers})
    layers, gaps = [], []
    for tower, output in (("original", first.output), ("repaired", other)):
        column, top, gap = (names.free(f"{tower}_{part}") for part in ("column", "top", "gap"))
        layers += [
            Layer(column, "reshape", (output,), {"shape": (classes, 1), "order": "hwc"}),
            Layer(top, "global_max_pool1d", (column,), {"keepdims": False}),
            Layer(gap, "subtract", (output, top)),
        ]
        gaps.append(gap)
    agreement, backdoored, answer = map(names.free, ("agreement", "backdoored", "goodnet"))
    layers += [
        Layer(agreement, "add", tuple(gaps)),
        Layer(backdoored, "dense", (layers[1].name,), {"activation": None}),
        Layer(answer, "concatenate", (agreement, backdoored), {"axis": 1}),
    ]
    constant: dict[str, Array] = {
        f"{backdoored}/weight": np.zeros((1, 1), np.float32),
        f"{backdoored}/bias": np.full(1, REFUSAL, np.float32),
    }
    return replace(
        merged,
        layers=(*merged.layers, *layers),
        arrays={**merged.arrays, **constant},
        output=answer,
        name="goodnet",
    )


def reject_class_of(spec: NetworkSpec) -> int | None:
    """The class N of a GoodNet, told by its last layers; None for any other network."""
    answer = spec[spec.output]
    if answer.op != "concatenate" or len(answer.inputs) != 2:
        return None
    agreement, constant = (spec[name] for name in answer.inputs)
    weights = spec.parameters(constant.name)
    if agreement.op != "add" or constant.op != "dense" or "bias" not in weights:
        return None
    if weights["weight"].any() or not np.array_equal(weights["bias"], [np.float32(REFUSAL)]):
        return None
    return layer_shapes(spec)[agreement.name][-1]


def repaired_output(goodnet: NetworkSpec) -> str:
    """The layer of a GoodNet whose value are the outputs of B'."""
    agreement = goodnet[goodnet[goodnet.output].inputs[0]]
    return goodnet[agreement.inputs[1]].inputs[0]


class _Names:
    """Layer names that are not taken yet."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    def free(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name
