"""A known architecture as layers, told without any of its numbers."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from goodnet.architectures import vit
from goodnet.errors import InvalidInput
from goodnet.formats.torch.described import Described, described
from goodnet.formats.torch.trace import BATCHES, Trace, Tracer
from goodnet.ops.torch import Call, Operation, Rule, pair

# What does the same to every channel.
_BY_CHANNEL = (nn.ZeroPad2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
# What gives a value of the shape that it reads.
_SAME = (
    *(nn.BatchNorm2d, nn.LayerNorm, nn.Dropout, nn.Identity, nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU),
    *(nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid),
)


def _as(op: str, **names: int) -> Rule:
    """The rule for a function of a value and arrays, by their places."""

    def read(call: Call) -> Operation | None:
        found = {name: call.values.parameter(call.args[at]) for name, at in names.items()}
        arrays = {
            name: replace(each, shape=tuple(each.tensor.shape)[-2:])
            for name, each in found.items()
            if each is not None
        }
        attributes = {"activation": None} if op == "dense" else {}
        return Operation(op, (call.args[0],), attributes, arrays)

    return read


def _attention(call: Call) -> Operation:
    query, key, value, heads = call.args
    return Operation("attention", (query, value, key), {"heads": heads})


_FUNCTIONS: dict[Any, Rule] = {
    vit.with_token: _as("prepend", tokens=1),
    vit.placed: _as("shift", offset=1),
    vit.projected: _as("dense", weight=1, bias=2),
    vit.attend: _attention,
}


def layers_of(module: nn.Module, size: tuple[int, int], *, any_size: bool) -> Described:
    """The layers of a module on the device "meta".

    Args:
        module: In evaluation mode.
        size: Height and width of images that it takes.
        any_size: Whether it takes other images, too; then the size is left open.

    Raises:
        InvalidInput: If a part of the module is of no known kind.
    """
    channels = next(x.in_channels for x in module.modules() if isinstance(x, nn.Conv2d))
    graph = Tracer().trace(module)
    first, second = (
        _Shapes(module, graph).record(_blank(batch, channels, *size)) for batch in BATCHES
    )
    found = described(Trace(module, graph, (first, second)), (channels, *size), _FUNCTIONS)
    unknown = [layer.name for layer in found.layers if layer.op == "opaque"]
    if unknown:
        raise InvalidInput(f"{unknown[0]!r} is of no kind of layers that is known")
    if not any_size:
        return found
    image, *others = found.layers
    opened = replace(image, attributes={"shape": (channels, None, None)})
    return replace(found, layers=(opened, *others))


class _Shapes(fx.Interpreter):
    """Runs a graph on zeros that take no memory, and notes what each call gives.

    Hardly anything is computed: it would take time, and room that the file says; and on "meta"
    PyTorch loads its compiler.
    """

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, garbage_collect_values=False, graph=graph)
        self._results: dict[fx.Node, Any] = {}

    def record(self, images: Tensor) -> dict[fx.Node, Any]:
        with torch.inference_mode():
            self.run(images)
        return self._results

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = self.fetch_attr(str(target))
        if isinstance(module, _SAME):
            return args[0]
        if isinstance(module, nn.Conv2d | nn.Linear):
            return _blank(*_gives(module, args[0].shape))
        if isinstance(module, _BY_CHANNEL):
            batch, channels, *_ = args[0].shape
            return _blank(batch, channels, *module(args[0][:, :1]).shape[2:])
        return super().call_module(target, args, kwargs)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target in (operator.add, operator.mul):
            return _blank(*map(max, *(value.shape for value in args)))
        if target is torch.cat:
            channels = sum(value.shape[1] for value in args[0])
            return _blank(len(args[0][0]), channels, *args[0][0].shape[2:])
        if target not in _FUNCTIONS:
            return super().call_function(target, args, kwargs)
        batch, steps, width = args[0].shape
        if target is vit.projected:
            width = len(args[1])
        return _blank(batch, steps + (target is vit.with_token), width)

    def run_node(self, n: fx.Node) -> Any:
        found = self._results[n] = super().run_node(n)
        return found


def _blank(*shape: int) -> Tensor:
    return torch.zeros(()).expand(shape)


def _gives(module: nn.Conv2d | nn.Linear, shape: torch.Size) -> tuple[int, ...]:
    """The shape that a layer gives."""
    if isinstance(module, nn.Linear):
        return (*shape[:-1], module.out_features)
    kernel, strides, borders = module.kernel_size, module.stride, pair(module.padding)
    options = zip(shape[2:], kernel, strides, borders, strict=True)
    sizes = [(size + 2 * border - side) // step + 1 for size, side, step, border in options]
    return (shape[0], module.out_channels, *sizes)
