"""Attention: every step of a sequence reads all steps of another, each head for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.expression import Expression, Written, apply, number, sizes
from goodnet.ops.keras import Applied, Part, Reading, Step, Value, Weight
from goodnet.ops.op import Array, Attributes, Cost, Given, Layer, Op, Shape, register

if TYPE_CHECKING:
    from torch import Tensor

_READS = ("query", "value", "key")
# Settings of Keras' layer that are not read, and what is as if they were not there.
_MUST_BE: dict[str, Any] = {"use_gate": False, "sliding_window": None}


def _attention_shape(given: Given) -> Shape:
    if len(given.inputs) != 3 or any(len(shape) != 2 for shape in given.inputs):
        raise InvalidInput(f"expected three values (steps, features), got {[*given.inputs]}")
    (steps, width), (length, features), (keys, keys_width) = given.inputs
    heads = given["heads"]
    if (width, length) != (keys_width, keys) or (width or 0) % heads or (features or 0) % heads:
        raise InvalidInput(f"the shapes {[*given.inputs]} do not make {heads} heads")
    return (steps, features)


def _attention_cost(given: Given, shape: Shape) -> Cost:
    """How much each step reads of each other, head by head."""
    (steps, width), (length, _), _ = given.inputs
    pairs = (steps or 0) * (length or 0)
    return Cost(pairs, pairs * ((width or 0) + (shape[-1] or 0)))


def _attend(attributes: Attributes) -> Callable[..., Tensor]:
    from torch.nn import functional as F  # noqa: N812

    def by_head(value: Tensor) -> Tensor:
        images, steps, features = value.shape
        heads = attributes["heads"]
        return value.reshape(images, steps, heads, features // heads).transpose(1, 2)

    def function(query: Tensor, value: Tensor, key: Tensor) -> Tensor:
        found = F.scaled_dot_product_attention(by_head(query), by_head(key), by_head(value))
        return found.transpose(1, 2).flatten(2)

    return function


def _read_attention(applied: Applied) -> Reading:
    """Dense layers for query, value and key, attention without numbers, and a dense layer."""
    reads = _reads(applied)
    fields = applied.fields
    for name, neutral in _MUST_BE.items():
        if fields.get(name) not in (None, neutral):
            raise fields.error(name, "left out")
    if (fields.integers("attention_axes") or (1,)) != (1,):
        raise fields.error("attention_axes", "the steps of a sequence")
    heads, width = fields.integer("num_heads"), fields.integer("key_dim")
    widths = {"query": width, "key": width, "value": fields.integer("value_dim", default=width)}
    made = {name: f"{applied.name}/{name}" for name in _READS}
    layers = [
        Layer(made[name], "dense", (value.layer,), {"activation": None})
        for name, value in reads.items()
    ]
    scores = f"{applied.name}/attention"
    layers += [
        Layer(scores, "attention", tuple(made[name] for name in _READS), {"heads": heads}),
        Layer(applied.name, "dense", (scores,), {"activation": None}),
    ]
    weights = [
        weight
        for name in ("query", "key", "value")
        for weight in _projection(applied, made[name], reads[name].shape[1] or 0, widths[name])
    ]
    (units,) = fields.integers("output_shape") or (reads["query"].shape[1] or 0,)
    out = (heads, widths["value"], units)
    weights += _with_bias(applied, applied.name, "output_dense", out, "heads-out", out[2:])
    return Reading(tuple(layers), tuple(weights))


def _reads(applied: Applied) -> dict[str, Value]:
    """What stands for query, value and key, which is the value unless it is said."""
    found = dict(zip(_READS, applied.operands, strict=False)) | dict(applied.options)
    found.setdefault("key", found.get("value"))
    known = set(found) == set(_READS) and len(applied.operands) <= len(_READS)
    if not known or not all(isinstance(x, Value) and len(x.shape) == 2 for x in found.values()):
        raise InvalidInput("expected a query, a value and perhaps a key (steps, features), no mask")
    if any(value.shape[1] is None for value in found.values()):
        raise InvalidInput("expected a known number of features")
    return {name: found[name] for name in _READS}


def _projection(applied: Applied, layer: str, features: int, width: int) -> list[Weight]:
    heads, part = applied.fields.integer("num_heads"), layer.rpartition("/")[2]
    shape = (features, heads, width)
    return _with_bias(applied, layer, f"{part}_dense", shape, "in-heads", shape[1:])


def _with_bias(
    applied: Applied,
    layer: str,
    group: str,
    shape: tuple[int, ...],
    layout: str,
    bias: tuple[int, ...],
) -> list[Weight]:
    kernel = Weight(f"{layer}/weight", ("kernel",), shape, layout, group=group)
    if not applied.fields.flag("use_bias", default=True):
        return [kernel]
    flat = "heads" if len(bias) == 2 else "as-is"
    return [kernel, Weight(f"{layer}/bias", ("bias",), bias, flat, group=group)]


def _attention_to_keras(part: Part) -> list[Step]:
    """The layer that also projects, with projections that change nothing."""
    heads, (query, value, _) = part["heads"], part.inputs
    width, features = (query[1] or 0) // heads, (value[1] or 0) // heads
    config = {"num_heads": heads, "key_dim": width, "value_dim": features, "use_bias": False}
    config |= {"output_shape": heads * features, "attention_axes": [1]}
    same = {"query": width, "key": width, "value": features}
    weights = [(f"{name}/kernel", _identity(heads, each)) for name, each in same.items()]
    last = _identity(heads, features).reshape(heads, features, -1)
    weights.append(("attention_output/kernel", last))
    return [Step("MultiHeadAttention", config, tuple(weights), apart=True)]


def _identity(heads: int, width: int) -> Array:
    return np.eye(heads * width, dtype=np.float32).reshape(-1, heads, width)


def _attention_to_onnx(written: Written) -> Expression:
    """Scores of each step for each other, and the values weighted by them, head by head."""
    query, value, key = written.layer.inputs
    heads, width = written["heads"], written.known(written.inputs[0][1:])[0]

    def by_head(read: str, *perm: int) -> Expression:
        return apply("Transpose", apply("Reshape", read, sizes(0, 0, heads, -1)), perm=(0, *perm))

    scores = apply("MatMul", by_head(query, 2, 1, 3), by_head(key, 2, 3, 1))
    scaled = apply("Mul", scores, number((width // heads) ** -0.5))
    found = apply("MatMul", apply("Softmax", scaled, axis=-1), by_head(value, 2, 1, 3))
    return apply("Reshape", apply("Transpose", found, perm=(0, 2, 1, 3)), sizes(0, 0, -1))


register(
    # of query, value and key, (steps, features) each, whose features are those of all heads
    Op(
        name="attention",
        attributes=("heads",),
        shape=_attention_shape,
        cost=_attention_cost,
        compute=_attend,
        from_keras={"MultiHeadAttention": _read_attention},
        to_keras=_attention_to_keras,
        to_onnx=_attention_to_onnx,
    ),
)
