"""Options that come from dataclasses: of a method, and those that several commands have."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goodnet.cli import options as opt
from goodnet.cli.options import number_of, share
from goodnet.cli.typed import typed
from goodnet.runs.options import InputOptions, Place

if TYPE_CHECKING:
    from goodnet.options import Option

# Options of which a user gives a text that is read later, and how it is written.
_READ_LATER = {"triggers": "NAME|FILE.npz"}
# Options that are a share; of others, such as percentage points, 1% would be 100 times too little.
_SHARES = frozenset({"false_alarms", "held_back", "sparsity", "initial", "alpha"})
_METAVARS = {int: "N", float: "X", str: "NAME"}


def expanded(function: Callable[..., None], method: type | None = None) -> Callable[..., None]:
    """A command with the options that several have in common, and with those of a method.

    Args:
        function: A command. Where it takes `reading` or `place`, the command has the options of
            which an `InputOptions` or a `Place` is made; where it takes `options`, those of the
            method, which it gets by the names of the fields.
        method: A dataclass, see `goodnet.options`.
    """
    own = _options_of(method)
    parameters: list[Parameter] = []
    taken = signature(function, eval_str=True).parameters
    for each in taken.values():
        group = [_parameter(x) for x in own] if each.name == "options" else _GROUPS.get(each.name)
        parameters += [each] if group is None else group
    if len(parameters) == len(taken):
        return function
    if "order" in taken:
        only = opt.OnlyClassOrder
        parameters = [
            x.replace(annotation=only) if x.name == "class_order" else x for x in parameters
        ]

    def command(**given: Any) -> None:
        if method is not None:
            given["options"] = {x.name: _value(x, given.pop(_flag(x))) for x in own}
        if "place" in taken:
            given["place"] = _place(given)
        if "reading" in taken:
            given["reading"] = InputOptions(**{x.name: given.pop(x.name) for x in _READING})
        function(**given)

    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    return command


def _given(name: str, annotation: Any, default: Any = Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


_READING = [
    _given("scale", opt.Scale, None),
    _given("preprocess", opt.Preprocess, None),
    _given("layout", opt.Layout, None),
    _given("range", opt.Range, None),
    _given("classes", opt.Classes, None),
    _given("class_order", opt.ClassOrder, None),
    _given("architecture", opt.Architecture, None),
    _given("device", opt.Device, "cpu"),
]
_PLACE = [
    _given("context", typer.Context),
    _given("out", opt.Out),
    _given("report", opt.Report, True),
    _given("force", opt.Force, False),
]
_GROUPS = {"reading": _READING, "place": _PLACE}


def _place(given: dict[str, Any]) -> Place:
    line = typed(given.pop("context"))
    return Place(**{x.name: given.pop(x.name) for x in _PLACE if x.name != "context"}, line=line)


def _options_of(method: type | None) -> tuple[Option, ...]:
    if method is None:
        return ()
    from goodnet.options import options_of

    return options_of(method)


def _parameter(option: Option) -> Parameter:
    default = None if option.several or option.default is MISSING else option.default
    return Parameter(
        _flag(option), Parameter.KEYWORD_ONLY, annotation=_annotation(option), default=default
    )


def _flag(option: Option) -> str:
    """What it is called on the command line: several layers are given one by one."""
    return option.name.removesuffix("s") if option.several else option.name


def _annotation(option: Option) -> Any:
    kind = option.kind_of_one
    text = re.sub(r"; None for (.*)\.$", r"; default: \1.", option.help.replace("`", ""))
    text = text.replace("; None to choose.", "; default: chosen automatically.")
    if option.several:
        metavar = _READ_LATER.get(option.name, _METAVARS.get(kind, "VALUE"))
        told = typer.Option(metavar=metavar, help=f"{text} Repeatable.", show_default=False)
        return Annotated[list[str] | None, told]
    if option.choices:
        return Annotated[str, typer.Option(metavar="|".join(option.choices), help=text)]
    if kind is float:
        parser = _number_for(option)
        return Annotated[float | None, typer.Option(metavar="X", help=text, parser=parser)]
    return Annotated[kind | None, typer.Option(metavar=_METAVARS.get(kind, "VALUE"), help=text)]


def _number_for(option: Option) -> Callable[[str], float]:
    """Reads a number, or a share such as 1% where the option is one."""
    shown, is_share = option.name.replace("_", "-"), option.name in _SHARES

    def number(text: str | float) -> float:
        if isinstance(text, float):
            return text
        if is_share:
            return share(text, what=f"a number, or a share such as 1%, for --{shown}")
        return number_of(text, what=f"a number for --{shown}")

    return number


def _value(option: Option, given: Any) -> Any:
    return tuple(given) if option.several and given is not None else given
