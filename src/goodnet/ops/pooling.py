"""Pooling: over windows of a picture, over a whole picture, over the steps of a sequence.

The attribute `padding` is as `ops.padding` says, never four sides for `avg_pool2d`, whose padded
pixels are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from goodnet.errors import InvalidInput
from goodnet.ops import attributes as kinds
from goodnet.ops.expression import Expression, Written, apply, sizes
from goodnet.ops.keras import (
    Applied,
    Fields,
    Option,
    Part,
    Reading,
    Step,
    reading,
    setting,
    writing,
)
from goodnet.ops.onnx import Found, Node, Value
from goodnet.ops.op import PICTURE, Attributes, Cost, Given, Kept, Op, Shape, product, register
from goodnet.ops.padding import (
    BORDER,
    onnx_border,
    pad,
    pad_sides,
    same_sides,
    windows_to_onnx,
)
from goodnet.ops.torch import Call, Operation, Rule, as_module, pair, resolved, sides

if TYPE_CHECKING:
    from torch import Tensor

# A number that is pooled takes as long as so many multiplications of a convolution (measured: 30 to
# 160 where there are few channels).
_SLOWER = 64
_TORCH_WINDOW = ("kernel_size", "stride", "padding")


def _pool_shape(given: Given) -> Shape:
    channels, size = given.picture
    return (channels, *given.windows(size, given["pool"]))


def _pool_cost(given: Given, shape: Shape) -> Cost:
    bordered, window = given.bordered(given["pool"]), math.prod(given["pool"])
    return Cost(product(bordered) or 0, _SLOWER * window * (product(shape) or 0))


def _global_shape(given: Given) -> Shape:
    channels, _ = given.picture
    return (channels, 1, 1) if given["keepdims"] else (channels,)


def _steps_shape(given: Given) -> Shape:
    shape = given.value
    if len(shape) != 2:
        raise InvalidInput(f"expected a value of shape (steps, features), got {shape}")
    return (1, shape[1]) if given["keepdims"] else (shape[1],)


def _max_pool(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    from torch.nn import functional as F  # noqa: N812

    size, strides, padding = attributes["pool"], attributes["strides"], attributes["padding"]

    def function(value: Tensor) -> Tensor:
        if padding != "valid":
            border = same_sides(value, size, strides) if padding == "same" else padding
            value = pad(value, border, fill=float("-inf"))
        return F.max_pool2d(value, size, strides)

    return function


def _avg_pool(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    import torch
    from torch.nn import functional as F  # noqa: N812

    size, strides, padding = attributes["pool"], attributes["strides"], attributes["padding"]

    def function(value: Tensor) -> Tensor:
        if padding != "same":
            return F.avg_pool2d(value, size, strides)
        border = same_sides(value, size, strides)
        padded, left = pad_sides(value, border)
        ones, _ = pad_sides(torch.ones_like(value[:1, :1]), border)
        share = F.avg_pool2d(ones, size, strides, left)
        return F.avg_pool2d(padded, size, strides, left) / share

    return function


def _over(reduce: str, *axes: int) -> Callable[[Attributes], Callable[[Tensor], Tensor]]:
    return lambda attributes: partial(
        resolved(reduce), dim=axes, keepdim=bool(attributes["keepdims"])
    )


_SIZE = {"default": (2, 2)}
_POOL = {
    "pool": setting("pool_size", Fields.pair, **_SIZE),
    "strides": Option(
        "strides", lambda a: a.fields.pair("strides", default=a.fields.pair("pool_size", **_SIZE))
    ),
    "padding": BORDER,
}


def _read_keepdims(applied: Applied) -> bool:
    fields, steps = applied.fields, applied.kind.endswith("1D")
    if steps and fields.get("data_format", default="channels_last") != "channels_last":
        raise fields.error("data_format", "'channels_last'")
    return fields.flag("keepdims", default=False)


# Keras before 2.6 does not know the option.
_KEEPDIMS = {"keepdims": Option("keepdims", _read_keepdims, lambda keepdims: keepdims or None)}


def _write_pool(class_name: str) -> Callable[[Part], list[Step]]:
    def write(part: Part) -> list[Step]:
        if not isinstance(part["padding"], str):
            raise InvalidInput(
                f"layer {part.layer.name!r} pools over a border that no built-in Keras layer gives "
                "it; write the network as .safetensors, or use its `module`"
            )
        return writing(class_name, _POOL)(part)

    return write


def _of_max_pool(call: Call) -> Operation | None:
    pool = call.module
    if pool.ceil_mode or pool.return_indices or pair(pool.dilation) != (1, 1):
        return None
    return _pooled(call, "max_pool2d", sides(pair(pool.padding)))


def _of_avg_pool(call: Call) -> Operation | None:
    pool = call.module
    if pool.ceil_mode or pool.divisor_override or pair(pool.padding) != (0, 0):
        return None
    return _pooled(call, "avg_pool2d", "valid")


def _pooled(call: Call, op: str, padding: Any) -> Operation | None:
    size = pair(call.module.kernel_size)
    strides = pair(call.module.stride or call.module.kernel_size)
    found = call.operation(op, pool=size, strides=strides, padding=padding)
    return found if len(call.reads) == PICTURE else None


def _adaptive(kind: str) -> dict[str, Rule]:
    def rule(call: Call) -> Operation | None:
        if len(call.reads) != PICTURE:
            return None
        size, left = call.reads[1:], call.gives[1:]
        if left == (1, 1):
            return call.operation(f"global_{kind}_pool2d", keepdims=True)
        if left == size:
            return call.operation("identity")
        if any(whole % part for whole, part in zip(size, left, strict=True)):
            return None
        pool = tuple(whole // part for whole, part in zip(size, left, strict=True))
        return call.operation(f"{kind}_pool2d", pool=pool, strides=pool, padding="valid")

    module, function = f"nn.Adaptive{kind.title()}Pool2d", f"F.adaptive_{kind}_pool2d"
    return as_module(rule, module, function, options=("output_size",))


def _of_mean(call: Call) -> Operation | None:
    given = call.bound(["dim", "keepdim"])
    if given is None or not call.is_value(0) or given.get("dim") is None:
        return None
    rank = len(call.reads) + 1
    dims = given["dim"] if isinstance(given["dim"], (tuple, list)) else [given["dim"]]
    axes = sorted(dim % rank for dim in dims)
    op = {(4, 2, 3): "global_avg_pool2d", (3, 1): "global_avg_pool1d"}.get((rank, *axes))
    return call.operation(op, keepdims=bool(given.get("keepdim"))) if op else None


def _read_global(kind: str) -> Callable[[Applied], Reading]:
    """A mean or maximum over the pixels of a picture or the steps of a sequence."""

    def read(applied: Applied) -> Reading:
        fields, rank = applied.fields, applied.rank
        axes = {applied.axes.to_spec(axis, rank) for axis in fields.integers("axis")}
        ranks = {(PICTURE, 2, 3): "2d", (2, 1): "1d"}
        ending = ranks.get((rank, *sorted(axes)))
        if ending is None:
            raise fields.error("axis", "height and width of a picture, or steps of a sequence")
        keepdims = fields.flag("keepdims", default=False)
        return applied.read_as(f"global_{kind}_pool{ending}", keepdims=keepdims)

    return read


# ONNX, reading.


def _pool_from_onnx(node: Node) -> Found:
    value, border = node.picture(), onnx_border(node)
    node.must_be(dilations=(1, 1), storage_order=0)
    pool = node.pair("kernel_shape", ())
    attributes = {"pool": pool, "strides": node.pair("strides"), "padding": border}
    if node.integer("ceil_mode", 0) and border != "same":
        windows = zip(value.shape[1:], pool, node.pair("strides"), strict=True)
        if border == "valid" and all(x and x <= y < x + stride for x, y, stride in windows):
            return _global_from_onnx(node)  # of a window that is cut off at the border
        attributes["padding"] = grown = _grown(node, value, attributes)
        if node.kind != "MaxPool" and grown != border:
            raise node.error("windows that fit whole, or ceil_mode=0")
    if node.kind == "MaxPool":
        return Found("max_pool2d", (value,), attributes)
    inside = {**attributes, "padding": "valid"}
    counts = node.integer("count_include_pad", 0)
    if not counts and border == _same_border(value, attributes):
        attributes["padding"] = border = "same"
    if border == "valid" or (border == "same" and not counts):
        return Found("avg_pool2d", (value,), attributes)
    if border == "same" or not counts:
        raise node.error("a mean that counts the border, or no border")
    return Found(
        "zero_pad2d",
        (value,),
        {"padding": border},
        then=lambda padded: Found("avg_pool2d", (padded,), inside),
    )


def _same_border(value: Value, attributes: Attributes) -> Any:
    """The four sides of the border that "same" stands for."""
    sides = list[int]()
    for size, pool, stride in zip(
        value.shape[1:], attributes["pool"], attributes["strides"], strict=True
    ):
        total = max((-(-(size or 0) // stride) - 1) * stride + pool - (size or 0), 0)
        sides += [total // 2, total - total // 2]
    return tuple(sides)


def _grown(node: Node, value: Value, attributes: Attributes) -> Any:
    """The border with what the last window lacks, where it begins inside (ceil_mode)."""
    border = attributes["padding"]
    sides = [0, 0, 0, 0] if border == "valid" else [*border]
    windows = zip(value.shape[1:], attributes["pool"], attributes["strides"], strict=True)
    for place, (size, pool, stride) in enumerate(windows):
        before, after = sides[2 * place : 2 * place + 2]
        if size is None:
            raise node.error("a picture of known size")
        count = -(-(size + before + after - pool) // stride)
        if count * stride >= size + before:
            count -= 1
        sides[2 * place + 1] += max(0, count * stride + pool - (size + before + after))
    return tuple(sides) if any(sides) else "valid"


def _global_from_onnx(node: Node) -> Found:
    node.picture()
    kind = "max" if node.kind in ("GlobalMaxPool", "MaxPool") else "avg"
    return node.found(f"global_{kind}_pool2d", keepdims=True)


def _reduced_from_onnx(node: Node) -> Found:
    value = node.value()
    axes = tuple(sorted(node.axis(axis, value) for axis in node.sizes(1) or node.integers("axes")))
    kind = "max" if node.kind == "ReduceMax" else "avg"
    keepdims = bool(node.integer("keepdims", 1))
    ending = {(PICTURE, 2, 3): "2d", (2, 1): "1d"}.get((value.rank, *axes))
    if ending is not None:
        return node.found(f"global_{kind}_pool{ending}", keepdims=keepdims)
    if value.rank == PICTURE and axes in ((2,), (3,)) and None not in value.shape:
        return _along_a_side(value, axes[0], kind, keepdims=keepdims)
    if value.rank == 2 and axes == (2,) and not keepdims:
        turned = {"dims": (2, 1), "order": "chw"}
        pooled = f"global_{kind}_pool1d"
        return Found(
            "permute", (value,), turned, then=lambda x: Found(pooled, (x,), {"keepdims": False})
        )
    raise node.error(f"pixels of a picture, or one axis of a sequence, got axes {axes}")


def _along_a_side(value: Value, axis: int, kind: str, *, keepdims: bool) -> Found:
    """Windows as high or as wide as a picture."""
    channels, height, width = value.shape
    pool = (height, 1) if axis == 2 else (1, width)
    left = (channels, width if axis == 2 else height)
    attributes = {"pool": pool, "strides": pool, "padding": "valid"}
    shape = {"shape": left, "order": "chw"}
    then = None if keepdims else (lambda x: Found("reshape", (x,), shape))
    return Found(f"{kind}_pool2d", (value,), attributes, then=then)


# ONNX, writing.


def _pool_to_onnx(kind: str) -> Callable[[Written], Expression]:
    return lambda written: apply(kind, written.value, **windows_to_onnx(written, written["pool"]))


def _global_to_onnx(kind: str, *axes: int) -> Callable[[Written], Expression]:
    def write(written: Written) -> Expression:
        if written["keepdims"] and written.rank == PICTURE:
            whole = {"max": "GlobalMaxPool", "avg": "GlobalAveragePool"}
            return apply(whole[kind], written.value)
        name = {"max": "ReduceMax", "avg": "ReduceMean"}[kind]
        keeps = int(written["keepdims"])
        return apply(name, written.value, sizes(*axes), keepdims=keeps)

    return write


_ONNX_GLOBAL = {
    "max": {"GlobalMaxPool": _global_from_onnx, "ReduceMax": _reduced_from_onnx},
    "avg": {"GlobalAveragePool": _global_from_onnx, "ReduceMean": _reduced_from_onnx},
}
_OPERATIONS = {"max": ("Max", "tf.math.reduce_max"), "avg": ("Mean", "tf.math.reduce_mean")}
_GLOBAL = (("max", "torch.amax", "GlobalMaxPooling"), ("avg", "torch.mean", "GlobalAveragePooling"))
_OF_GLOBAL = {
    "max": _adaptive("max"),
    "avg": {**_adaptive("avg"), "torch.mean": _of_mean, ".mean": _of_mean},
}

register(
    Op(
        name="max_pool2d",
        attributes=("pool", "strides", "padding"),
        shape=_pool_shape,
        cost=_pool_cost,
        compute=_max_pool,
        channels=Kept(pools=True),
        from_keras={"MaxPooling2D": reading("max_pool2d", _POOL, picture=True)},
        to_keras=_write_pool("MaxPooling2D"),
        from_torch=as_module(
            _of_max_pool,
            "nn.MaxPool2d",
            "F.max_pool2d",
            "torch.max_pool2d",
            options=(*_TORCH_WINDOW, "dilation", "ceil_mode"),
        ),
        from_onnx={"MaxPool": _pool_from_onnx},
        to_onnx=_pool_to_onnx("MaxPool"),
    ),
    Op(
        name="avg_pool2d",
        attributes=("pool", "strides", "padding"),
        shape=_pool_shape,
        cost=_pool_cost,
        compute=_avg_pool,
        channels=Kept(pools=True),
        from_keras={"AveragePooling2D": reading("avg_pool2d", _POOL, picture=True)},
        to_keras=_write_pool("AveragePooling2D"),
        from_torch=as_module(
            _of_avg_pool,
            "nn.AvgPool2d",
            "F.avg_pool2d",
            options=(*_TORCH_WINDOW, "ceil_mode", "count_include_pad", "divisor_override"),
        ),
        from_onnx={"AveragePool": _pool_from_onnx},
        to_onnx=_pool_to_onnx("AveragePool"),
        checks={"padding": kinds.BORDER},
    ),
    *(
        Op(
            name=f"global_{kind}_pool2d",
            attributes=("keepdims",),
            shape=_global_shape,
            compute=_over(reduce, 2, 3),
            channels=Kept(pools=True),
            from_keras={
                f"{keras}2D": reading(f"global_{kind}_pool2d", _KEEPDIMS, picture=True),
                **dict.fromkeys(_OPERATIONS[kind], _read_global(kind)),
            },
            to_keras=writing(f"{keras}2D", _KEEPDIMS),
            from_torch=_OF_GLOBAL[kind],
            from_onnx=_ONNX_GLOBAL[kind],
            to_onnx=_global_to_onnx(kind, 2, 3),
        )
        for kind, reduce, keras in _GLOBAL
    ),
    # (batch, steps, features) -> (batch, features)
    *(
        Op(
            name=f"global_{kind}_pool1d",
            attributes=("keepdims",),
            shape=_steps_shape,
            compute=_over(reduce, 1),
            from_keras={f"{keras}1D": reading(f"global_{kind}_pool1d", _KEEPDIMS)},
            to_keras=writing(f"{keras}1D", _KEEPDIMS),
            to_onnx=_global_to_onnx(kind, 1),
        )
        for kind, reduce, keras in _GLOBAL
    ),
)
