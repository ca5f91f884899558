"""Commands made of methods: one for each, with the method's own options."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goodnet.cli.options import share

if TYPE_CHECKING:
    from goodnet.options import Option

__all__ = ["with_options"]

# Options of which a user gives a text that is read later, and how it is written.
_READ_LATER = {"triggers": "NAME|FILE.npz"}
_METAVARS = {int: "N", float: "X", str: "NAME"}


def with_options(function: Callable[..., None], method: type) -> Callable[..., None]:
    """A command with the options of a method where a function has `options`.

    Args:
        function: A command; what is given for the method's options it gets as `options`, by the
            names of the fields.
        method: A dataclass, see `goodnet.options`.
    """
    from goodnet.options import options_of

    own = options_of(method)
    parameters: list[Parameter] = []
    for each in signature(function, eval_str=True).parameters.values():
        parameters += [_parameter(option) for option in own] if each.name == "options" else [each]

    def command(**given: Any) -> None:
        options = {option.name: _value(option, given.pop(_flag(option))) for option in own}
        function(**given, options=options)

    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = function.__doc__
    return command


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
    text = text.replace("; None to choose.", "; default: chosen.")
    if option.several:
        metavar = _READ_LATER.get(option.name, _METAVARS.get(kind, "VALUE"))
        told = typer.Option(
            metavar=metavar, help=f"{text} May be given several times.", show_default=False
        )
        return Annotated[list[str] | None, told]
    if option.choices:
        return Annotated[str, typer.Option(metavar="|".join(option.choices), help=text)]
    if kind is float:
        parser = _number_for(option)
        return Annotated[float | None, typer.Option(metavar="X", help=text, parser=parser)]
    return Annotated[kind | None, typer.Option(metavar=_METAVARS.get(kind, "VALUE"), help=text)]


def _number_for(option: Option) -> Callable[[str], float]:
    """Reads a number, or a share such as 1%."""

    def number(text: str | float) -> float:
        if isinstance(text, float):
            return text
        shown = option.name.replace("_", "-")
        return share(text, what=f"a number, or a share such as 1%, for --{shown}")

    return number


def _value(option: Option, given: Any) -> Any:
    return tuple(given) if option.several and given is not None else given
