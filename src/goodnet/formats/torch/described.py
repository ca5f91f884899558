"""A traced module, layer by layer: what each call is, and where its arrays are in the module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import fx

from goodnet.formats.spec import Layer
from goodnet.formats.torch.trace import Trace
from goodnet.ops import OPS
from goodnet.ops.torch import Call, Operation, Parameter, Rule, resolved

# What calls name, as the kinds of layers say it in `Op.from_torch`.
Rules = Mapping[Any, Rule]


@dataclass(frozen=True, eq=False)
class Described:
    """The layers of a module.

    Attributes:
        layers: As in `NetworkSpec`.
        parameters: For each array of the description, the tensor of the module.
        origins: For each array, its key in the module's `state_dict`.
        output: The layer that gives the answer.
    """

    layers: tuple[Layer, ...]
    parameters: Mapping[str, Parameter]
    origins: Mapping[str, str]
    output: str


def described(traced: Trace, input_shape: tuple[int, ...], more: Rules | None = None) -> Described:
    """The layers of a traced module; calls that are of no known kind are opaque.

    Args:
        traced: The module.
        input_shape: Shape of one image.
        more: Rules for functions that only this module has.
    """
    operations = _operations(traced, more or {})
    names = {traced.images: "images"}
    layers = [Layer("images", "input", (), {"shape": input_shape})]
    parameters: dict[str, Parameter] = {}
    for node, made in operations.items():
        name = names[node] = _free(_wish(node), set(names.values()))
        layers.append(
            Layer(name, made.op, tuple(names[x] for x in made.inputs), dict(made.attributes))
        )
        parameters |= {f"{name}/{key}": found for key, found in made.parameters.items()}
    origins = {key: found.key.removeprefix(traced.prefix) for key, found in parameters.items()}
    return Described(tuple(layers), parameters, origins, names[traced.output])


def _operations(traced: Trace, more: Rules) -> dict[fx.Node, Operation]:
    """The calls whose values lead to the answer as operations, in running order."""
    rules = {resolved(name): rule for op in OPS.values() for name, rule in op.from_torch.items()}
    rules |= more
    found: dict[fx.Node, Operation] = {}
    waiting = [traced.output]
    while waiting:
        node = waiting.pop()
        if node not in found and node.op != "placeholder":
            known = _of_module if node.op == "call_module" else _of_function
            found[node] = known(traced, node, rules) or _opaque(traced, node)
            waiting += found[node].inputs
    return {node: found[node] for node in traced.graph.nodes if node in found}


def _of_module(traced: Trace, node: fx.Node, rules: Rules) -> Operation | None:
    """A call of a module as an operation of a known kind; None where there is none."""
    call, module = Call(traced, node, node.args), traced.module(node)
    rule = rules.get(type(module))
    if rule is None or node.kwargs or len(node.args) != 1 or not call.is_value(0):
        return None
    return rule(replace(call, module=module, path=str(node.target)))


def _of_function(traced: Trace, node: fx.Node, rules: Rules) -> Operation | None:
    """A call of a function or method, likewise."""
    rule = rules.get(node.target if node.op == "call_function" else f".{node.target}")
    return rule(Call(traced, node, node.args, node.kwargs)) if rule else None


def _opaque(traced: Trace, node: fx.Node) -> Operation:
    """A call as an opaque operation, with all it needs."""
    region, inputs = traced.region(node)
    parameters = {
        key: Parameter(tensor, key)
        for key, tensor in region.state_dict(keep_vars=True).items()
        if tensor.is_floating_point()
    }
    return Operation("opaque", inputs, {"module": region, "shape": traced.shape(node)}, parameters)


def _wish(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else node.name


def _free(wish: str, taken: set[str]) -> str:
    name, count = wish, 1
    while name in taken:
        name, count = f"{wish}_{count}", count + 1
    return name
