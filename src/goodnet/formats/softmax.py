"""The softmax at the end of a network: not needed to tell the answer, in the way of training."""

from __future__ import annotations

from dataclasses import replace

from goodnet.formats.spec import NetworkSpec
from goodnet.ops.activations import SOFTMAX


def without_softmax(spec: NetworkSpec) -> NetworkSpec:
    """The network up to its logits: the same layers and arrays, the same largest output."""
    last = spec[spec.output]
    activation = last.attributes.get("activation")
    if last.op not in ("dense", "activation") or activation is None:
        return spec
    if activation.function not in SOFTMAX:
        return spec
    bare = (
        replace(last, attributes={"activation": None})
        if last.op == "dense"
        else replace(last, op="identity", attributes={})
    )
    layers = tuple(bare if layer.name == last.name else layer for layer in spec.layers)
    return replace(spec, layers=layers, source=None)
