"""A network as the results tell of it: its layers and the size of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goodnet.errors import InvalidInput
from goodnet.formats.compact import compact
from goodnet.formats.shapes import layer_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from goodnet.formats.spec import NetworkSpec

__all__ = ["compact_parameters", "network_facts"]


def network_facts(spec: NetworkSpec) -> dict[str, Any]:
    """Plain data: name, stored numbers, and the layers in running order.

    The shape of a layer is that of its value for one image, channels first; None = any size.
    """
    shapes = layer_shapes(spec)
    return {
        "name": spec.name,
        "parameters": spec.count_parameters(),
        "layers": [
            {
                "name": layer.name,
                "op": layer.op,
                "inputs": list(layer.inputs),
                "shape": list(shapes[layer.name]),
                "parameters": sum(int(a.size) for a in spec.parameters(layer.name).values()),
            }
            for layer in spec.layers
        ],
    }


def compact_parameters(spec: NetworkSpec, layer: str, channels: Iterable[int]) -> int | None:
    """Stored numbers of the network without some channels; None if they can only be silenced."""
    try:
        return compact(spec, layer, channels).count_parameters()
    except InvalidInput:
        return None
