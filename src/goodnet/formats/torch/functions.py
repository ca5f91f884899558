"""Functions and methods of PyTorch as operations of a description: one rule for each kind.

A function that a module stands for, such as `F.relu`, is described by the module's rule.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812

from goodnet.formats.torch.modules import Place, Step, of_module, reshaped
from goodnet.formats.torch.trace import Trace

__all__ = ["of_function"]


def of_function(trace: Trace, node: fx.Node) -> Step | None:
    """A call of a function or method as an operation; None where it is not known."""
    target = node.target if node.op == "call_function" else f".{node.target}"
    call = _Call(trace, node, list(node.args), dict(node.kwargs))
    if target in _SAME_AS:
        return _by_module(call, *_SAME_AS[target])
    return _FUNCTIONS[target](call) if target in _FUNCTIONS else None


@dataclass(frozen=True, eq=False)
class _Call:
    """A call of a function or method: what it is given, and where."""

    trace: Trace
    node: fx.Node
    args: list[Any]
    kwargs: dict[str, Any]

    def is_value(self, place: int) -> bool:
        return place < len(self.args) and self.trace.is_value(self.args[place])

    def bound(self, names: Sequence[str]) -> dict[str, Any] | None:
        """The arguments behind the first by name; None if one is computed or has another name."""
        given = dict(zip(names, self.args[1:], strict=False)) | self.kwargs
        given = {name: x for name, x in given.items() if x is not None and name not in _IGNORED}
        computed: list[fx.Node] = []
        fx.node.map_arg(given, computed.append)
        return given if not computed and set(given) <= set(names) else None


# Arguments of functions that change nothing.
_IGNORED = ("inplace", "_stacklevel", "return_indices", "recompute_scale_factor", "antialias")


def _by_module(call: _Call, module: Callable[..., nn.Module], names: Sequence[str]) -> Step | None:
    given = call.bound(names)
    if given is None or not call.is_value(0):
        return None
    try:
        made = module(**given)
    except TypeError:
        return None
    return of_module(call.trace, made, call.node, source=call.args[0], path=call.node.name)


def _moved(call: _Call) -> Step | None:
    """A value in another shape, its numbers in the same order."""
    if not call.is_value(0):
        return None
    place = Place(None, "", call.trace.shape(call.args[0]), call.trace.shape(call.node))
    op, attributes = (reshaped(place) or ("", {}))[:2]
    return Step(op, (call.args[0],), attributes)


def _permuted(call: _Call) -> Step | None:
    given = call.args[1:]
    dims = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    rank = len(call.trace.shape(call.args[0])) + 1 if call.is_value(0) else 0
    if call.kwargs or not all(isinstance(dim, int) for dim in dims) or len(dims) != rank:
        return None
    return _permutation(call, [dim % rank for dim in dims])


def _transposed(call: _Call) -> Step | None:
    if call.kwargs or not call.is_value(0) or not all(isinstance(x, int) for x in call.args[1:]):
        return None
    order = [*range(len(call.trace.shape(call.args[0])) + 1)]
    first, second = (place % len(order) for place in call.args[1:])
    order[first], order[second] = order[second], order[first]
    return _permutation(call, order)


def _permutation(call: _Call, order: Sequence[int]) -> Step | None:
    if order[0] != 0:
        return None
    return Step("permute", (call.args[0],), {"dims": tuple(order[1:]), "order": "chw"})


def _mean(call: _Call) -> Step | None:
    given = call.bound(["dim", "keepdim"])
    if given is None or not call.is_value(0) or given.get("dim") is None:
        return None
    rank = len(call.trace.shape(call.args[0])) + 1
    dims = given["dim"] if isinstance(given["dim"], (tuple, list)) else [given["dim"]]
    axes, attributes = sorted(dim % rank for dim in dims), {"keepdims": bool(given.get("keepdim"))}
    op = {(4, 2, 3): "global_avg_pool2d", (3, 1): "global_avg_pool1d"}.get((rank, *axes))
    return Step(op, (call.args[0],), attributes) if op else None


def _arithmetic(op: str) -> Callable[[_Call], Step | None]:
    def rule(call: _Call) -> Step | None:
        if call.kwargs or len(call.args) != 2:
            return None
        if call.is_value(0) and call.is_value(1):
            left, right = (call.trace.shape(x) for x in call.args)
            same = len(left) == len(right) and op != "divide"
            return Step(op, tuple(call.args)) if same else None
        return _rescaled(call, op) if op in _WITH_A_CONSTANT else None

    return rule


def _rescaled(call: _Call, op: str) -> Step | None:
    """Arithmetic of a value with a constant, for all of it or for each channel."""
    place = 0 if call.is_value(0) else 1
    if not call.is_value(place):
        return None
    constant = _constant(call, call.args[1 - place], call.trace.shape(call.args[place]))
    if constant is None or (op == "divide" and place == 1):
        return None
    scale, offset = _WITH_A_CONSTANT[op](constant)
    if op == "subtract" and place == 1:
        scale, offset = -scale, -offset
    numbers = {"scale": _numbers(scale), "offset": _numbers(offset)}
    return Step("rescale", (call.args[place],), numbers)


_WITH_A_CONSTANT: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "add": lambda c: (torch.ones_like(c), c),
    "subtract": lambda c: (torch.ones_like(c), -c),
    "multiply": lambda c: (c, torch.zeros_like(c)),
    "divide": lambda c: (1 / c, torch.zeros_like(c)),
}


def _numbers(constant: Tensor) -> float | tuple[float, ...]:
    return tuple(constant.tolist()) if constant.ndim else float(constant)


def _constant(call: _Call, argument: Any, shape: tuple[int, ...]) -> Tensor | None:
    """A number, or one for each channel, in double precision."""
    if isinstance(argument, (int, float)):
        return torch.tensor(argument, dtype=torch.float64)
    buffer = call.trace.buffer(argument)
    if buffer is None:
        return None
    found = buffer.detach().cpu().double()
    if found.numel() == 1:
        return found.reshape(())
    axes = (1,) * (len(shape) + 1 - found.ndim) + tuple(found.shape)
    per_channel = axes == (1, shape[0], *[1] * (len(shape) - 1))
    return found.flatten() if per_channel else None


def _joined(call: _Call) -> Step | None:
    values, given = call.args[0], call.bound(["dim"])
    if given is None or not isinstance(values, (list, tuple)):
        return None
    if not all(call.trace.is_value(value) for value in values):
        return None
    axis = given.get("dim", 0) % (len(call.trace.shape(values[0])) + 1)
    if len(values) == 1:
        return Step("identity", tuple(values))
    return Step("concatenate", tuple(values), {"axis": axis}) if axis else None


def _padded(call: _Call) -> Step | None:
    given = call.bound(["pad", "mode", "value"])
    if given is None or not call.is_value(0) or given.get("mode", "constant") != "constant":
        return None
    pad = given["pad"]
    if given.get("value") or len(pad) != 4 or min(pad) < 0:
        return None
    left, right, top, bottom = pad
    return Step("zero_pad2d", (call.args[0],), {"padding": (top, bottom, left, right)})


def _same(call: _Call) -> Step | None:
    return Step("identity", (call.args[0],)) if call.is_value(0) else None


def _dropped(call: _Call) -> Step | None:
    given = call.bound(["p", "training"])
    return None if given is None or given.get("training", True) else _same(call)


_POOL = ("kernel_size", "stride", "padding")
# function, or "." and method -> the module that does the same, and its options in their order
_SAME_AS: dict[Any, tuple[Callable[..., nn.Module], tuple[str, ...]]] = {
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, ".relu", ".relu_"), (nn.ReLU, ())),
    F.relu6: (nn.ReLU6, ()),
    F.leaky_relu: (nn.LeakyReLU, ("negative_slope",)),
    F.elu: (nn.ELU, ("alpha",)),
    F.celu: (nn.CELU, ("alpha",)),
    F.selu: (nn.SELU, ()),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, ".sigmoid", ".sigmoid_"), (nn.Sigmoid, ())),
    F.hardsigmoid: (nn.Hardsigmoid, ()),
    F.logsigmoid: (nn.LogSigmoid, ()),
    **dict.fromkeys((F.tanh, torch.tanh, ".tanh", ".tanh_"), (nn.Tanh, ())),
    F.hardtanh: (nn.Hardtanh, ("min_val", "max_val")),
    F.tanhshrink: (nn.Tanhshrink, ()),
    F.softplus: (nn.Softplus, ("beta", "threshold")),
    F.softsign: (nn.Softsign, ()),
    F.silu: (nn.SiLU, ()),
    F.hardswish: (nn.Hardswish, ()),
    F.mish: (nn.Mish, ()),
    F.gelu: (nn.GELU, ("approximate",)),
    **dict.fromkeys((F.softmax, torch.softmax, ".softmax"), (nn.Softmax, ("dim",))),
    **dict.fromkeys((F.log_softmax, torch.log_softmax, ".log_softmax"), (nn.LogSoftmax, ("dim",))),
    **dict.fromkeys(
        (F.max_pool2d, torch.max_pool2d), (nn.MaxPool2d, (*_POOL, "dilation", "ceil_mode"))
    ),
    F.avg_pool2d: (
        nn.AvgPool2d,
        (*_POOL, "ceil_mode", "count_include_pad", "divisor_override"),
    ),
    F.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, ("output_size",)),
    F.adaptive_max_pool2d: (nn.AdaptiveMaxPool2d, ("output_size",)),
    F.interpolate: (nn.Upsample, ("size", "scale_factor", "mode", "align_corners")),
}

_FUNCTIONS: dict[Any, Callable[[_Call], Step | None]] = {
    **dict.fromkeys((torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze), _moved),
    **dict.fromkeys((".flatten", ".view", ".reshape", ".squeeze", ".unsqueeze"), _moved),
    **dict.fromkeys((torch.permute, ".permute"), _permuted),
    **dict.fromkeys((torch.transpose, ".transpose"), _transposed),
    **dict.fromkeys((torch.mean, ".mean"), _mean),
    **dict.fromkeys((operator.add, operator.iadd, torch.add), _arithmetic("add")),
    **dict.fromkeys((".add", ".add_"), _arithmetic("add")),
    **dict.fromkeys((operator.sub, operator.isub, torch.sub), _arithmetic("subtract")),
    **dict.fromkeys((".sub", ".sub_"), _arithmetic("subtract")),
    **dict.fromkeys((operator.mul, operator.imul, torch.mul), _arithmetic("multiply")),
    **dict.fromkeys((".mul", ".mul_"), _arithmetic("multiply")),
    **dict.fromkeys((operator.truediv, operator.itruediv, torch.div), _arithmetic("divide")),
    **dict.fromkeys((".div", ".div_"), _arithmetic("divide")),
    torch.maximum: _arithmetic("maximum"),
    torch.minimum: _arithmetic("minimum"),
    **dict.fromkeys((torch.cat, torch.concat), _joined),
    F.pad: _padded,
    **dict.fromkeys((F.dropout, F.dropout2d, F.alpha_dropout), _dropped),
    **dict.fromkeys((".contiguous", ".clone"), _same),
}
