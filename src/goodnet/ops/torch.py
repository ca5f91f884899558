"""What a kind of layer is given to recognise itself in a traced PyTorch module; without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, fx

# Arguments of functions that change nothing.
_IGNORED = ("inplace", "_stacklevel", "return_indices", "recompute_scale_factor", "antialias")
_SHORT = {"nn.": "torch.nn.", "F.": "torch.nn.functional."}


@dataclass(frozen=True, eq=False)
class Parameter:
    """An array of a layer.

    Attributes:
        tensor: In the module.
        key: Of the module's `state_dict`.
        shape: In the description, where that is another.
    """

    tensor: Tensor
    key: str
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Operation:
    """One layer of a description.

    Attributes:
        op: Its kind.
        inputs: The calls whose values it reads.
        attributes: All that the kind has.
        parameters: Its arrays by name.
    """

    op: str
    inputs: tuple[fx.Node, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


class Values(Protocol):
    """What is known of the calls of a traced module."""

    def is_value(self, node: Any) -> bool:
        """Whether this is a call that gives a tensor with one row for each image."""

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Shape of a value for one image."""

    def buffer(self, node: Any) -> Tensor | None:
        """The constant tensor of the module that this is, if it is one."""

    def parameter(self, node: Any) -> Parameter | None:
        """The parameter of the module that this is, if it is one."""


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a module, function or method: what it is given, and where.

    Attributes:
        values: Of the whole trace.
        node: The call.
        args: What it is given by place.
        kwargs: What it is given by name.
        module: What is called, if it is a module.
        path: What that is called.
    """

    values: Values
    node: fx.Node
    args: Sequence[Any]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    module: Any = None
    path: str = ""

    @property
    def reads(self) -> tuple[int, ...]:
        """The shape of the first value it reads, for one image."""
        return self.values.shape(self.args[0])

    @property
    def gives(self) -> tuple[int, ...]:
        """The shape of its own value, for one image."""
        return self.values.shape(self.node)

    def is_value(self, place: int) -> bool:
        """Whether what it is given there is a value."""
        return place < len(self.args) and self.values.is_value(self.args[place])

    def bound(self, names: Sequence[str]) -> dict[str, Any] | None:
        """The arguments behind the first by name; None if one is computed or has another name."""
        from torch import fx

        given = dict(zip(names, self.args[1:], strict=False)) | dict(self.kwargs)
        given = {name: x for name, x in given.items() if x is not None and name not in _IGNORED}
        computed: list[fx.Node] = []
        fx.node.map_arg(given, computed.append)
        return given if not computed and set(given) <= set(names) else None

    def operation(self, op: str, **attributes: Any) -> Operation:
        """The call as an operation on the first value it reads."""
        return Operation(op, (self.args[0],), attributes)

    def with_parameters(self, operation: Operation, **names: str) -> Operation:
        """The operation with those arrays that the module has, by their name in the description."""
        found = {name: getattr(self.module, own) for name, own in names.items()}
        parameters = {
            name: Parameter(tensor, f"{self.path}.{names[name]}")
            for name, tensor in found.items()
            if tensor is not None
        }
        return replace(operation, parameters=parameters)


Rule = Callable[[Call], Operation | None]


def as_module(
    rule: Rule, module: str, *functions: str, options: Sequence[str] = ()
) -> dict[str, Rule]:
    """The rule for a module, and for functions that do what it does with these options."""

    def read(call: Call) -> Operation | None:
        given = call.bound(options)
        if given is None or not call.is_value(0):
            return None
        try:
            made = resolved(module)(**given)
        except TypeError:
            return None
        return rule(replace(call, args=call.args[:1], kwargs={}, module=made, path=call.node.name))

    return {module: rule, **dict.fromkeys(functions, read)}


def resolved(name: str) -> Any:
    """What a name of `Op.from_torch` stands for; a method stays its name."""
    for short, path in _SHORT.items():
        if name.startswith(short):
            name = path + name.removeprefix(short)
    return name if name.startswith(".") else resolve_name(name)


def pair(value: Any) -> tuple[int, int]:
    """Two numbers, (height, width), of which one may stand for both."""
    first, second = value if isinstance(value, Sequence) else (value, value)
    return int(first), int(second)


def sides(padding: tuple[int, int]) -> Any:
    """The padding of height and width, as (top, bottom, left, right)."""
    return "valid" if padding == (0, 0) else (padding[0], padding[0], padding[1], padding[1])
