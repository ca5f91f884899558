"""Take a label's logit away where a unit fires: built-in layers beside those of the network.

A hidden ReLU for each unit reads the value of its layer; their sum, weighted, is subtracted from
the logits. Where no unit fires nothing changes, to the last bit; where one does, the answer is the
next best. So an image that is not answered with a label that is watched is answered as before,
whatever the units say of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from goodnet.formats.shapes import layer_shapes
from goodnet.formats.softmax import without_softmax
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec
from goodnet.repair.watch import Unit

# A reading that exceeds its limit by a hundredth takes so many times what logits differ by.
_SLOPE = 100.0


def with_veto(spec: NetworkSpec, units: Sequence[Unit], *, spread: float) -> NetworkSpec:
    """The network with some units, as a plain description of built-in layers.

    Args:
        spec: The network.
        units: At least one.
        spread: What logits of an image differ by at most.

    Returns:
        A network of the same outputs; its layers keep their names.
    """
    bare = without_softmax(spec)
    classes = layer_shapes(bare)[bare.output][0] or 0
    taken = {layer.name for layer in spec.layers}
    layers: list[Layer] = []
    arrays: dict[str, Array] = {}
    fires: list[str] = []
    ordered = sorted(units, key=lambda unit: unit.layer)
    for place, (watched, group) in enumerate(groupby(ordered, key=lambda unit: unit.layer)):
        here = list(group)
        source = watched
        if here[0].reader.ndim > 1:
            source = _free(f"watched_{place}", taken)
            layers.append(Layer(source, "flatten", (watched,), {"order": "hwc"}))
        name = _free(f"fires_{place}", taken)
        layers.append(Layer(name, "dense", (source,), {"activation": Activation("relu")}))
        arrays[f"{name}/weight"] = np.stack([_row(unit) for unit in here]).astype(np.float32)
        arrays[f"{name}/bias"] = np.array([-unit.limit for unit in here], np.float32)
        fires.append(name)
    joined = fires[0]
    if len(fires) > 1:
        joined = _free("fires", taken)
        layers.append(Layer(joined, "concatenate", tuple(fires), {"axis": 1}))
    veto, answer = _free("veto", taken), _free("answer", taken)
    weight = np.zeros((classes, len(ordered)), np.float32)
    for place, unit in enumerate(ordered):
        weight[unit.label, place] = _SLOPE * spread / unit.size
    layers += [
        Layer(veto, "dense", (joined,), {"activation": None}),
        Layer(answer, "subtract", (bare.output, veto)),
    ]
    arrays[f"{veto}/weight"], arrays[f"{veto}/bias"] = weight, np.zeros(classes, np.float32)
    output = answer
    end = spec[spec.output].attributes.get("activation")
    if bare[bare.output] != spec[spec.output]:
        output = _free("probabilities", taken)
        layers.append(Layer(output, "activation", (answer,), {"activation": end}))
    return replace(
        bare,
        layers=(*bare.layers, *layers),
        arrays={**bare.arrays, **arrays},
        output=output,
    )


def _row(unit: Unit) -> Array:
    """The reader in the order of a flattened value."""
    reader = unit.reader
    return (reader.transpose(1, 2, 0) if reader.ndim == 3 else reader).reshape(-1)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
