"""Smaller steps for the layers that read raw pixels.

A network that takes pixels 0..255 has first weights some hundred times smaller than others. Steps
of the usual size would wipe them out, so they are as much smaller as the pixels are larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.network import Network
    from goodnet.training.examples import Examples

__all__ = ["parameter_groups", "reads_pixels"]

_SAMPLE = 256
# What brings pixels to a size of its own.
_BRINGS_TO_SIZE = frozenset({"rescale", "normalize"})


def parameter_groups(network: Network, examples: Examples) -> list[dict[str, Any]]:
    """The parameters of a network in groups for an optimiser, each with its `pace`.

    Args:
        network: Made of a description.
        examples: What it is to be trained on.
    """
    sample = np.asarray(examples.images[:_SAMPLE], np.float32)
    size = max(1.0, float(np.sqrt(np.square(sample).mean())))
    first = {
        id(network.layer(name).get_parameter(key))
        for name in (reads_pixels(network.spec))
        for key, _ in network.layer(name).named_parameters()
        if key == "weight"
    }
    everything = list(network.graph.parameters())
    groups = [
        {"params": [p for p in everything if id(p) not in first], "pace": 1.0},
        {"params": [p for p in everything if id(p) in first], "pace": 1 / size},
    ]
    return [group for group in groups if group["params"]]


def reads_pixels(spec: NetworkSpec) -> list[str]:
    """Layers with weights of their own that see the pixels as they come in."""
    raw = {layer.name for layer in spec.layers if layer.op == "input"}
    found = []
    for layer in spec.layers:
        if not raw.intersection(layer.inputs) or layer.op in _BRINGS_TO_SIZE:
            continue
        if spec.parameters(layer.name):
            found.append(layer.name)
        else:
            raw.add(layer.name)
    return found
