"""The options of a method are the fields of its dataclass; what each means, its docstring says."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from goodnet.errors import UsageError


@dataclass(frozen=True)
class Option:
    """One option of a method.

    Attributes:
        name: Of the field.
        kind: Its type.
        default: What it is if nothing is given; `dataclasses.MISSING` where it has to be given.
        help: What the docstring says of it.
    """

    name: str
    kind: Any
    default: Any
    help: str

    @property
    def several(self) -> bool:
        """Whether it is a tuple: an option that may be given several times."""
        return get_origin(self._known) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        """The values it may have, where these are few words."""
        return get_args(self._known) if get_origin(self._known) is Literal else ()

    @property
    def kind_of_one(self) -> type:
        """The type of one value."""
        kind = get_args(self._known)[0] if self.several else self._known
        return kind if isinstance(kind, type) else str

    @property
    def _known(self) -> Any:
        """The type of what is not None."""
        if get_origin(self.kind) not in (Union, types.UnionType):
            return self.kind
        return next(each for each in get_args(self.kind) if each is not type(None))


class Checked:
    """A dataclass whose options are checked when it is made: the kind of each, then their ranges.

    Numbers may be of NumPy's kinds, tuples may be lists, and a seed is not negative.

    Raises:
        UsageError: If an option is of another kind, or not a number, or `_check` refuses it.
    """

    def __post_init__(self) -> None:
        for name, kind in _kinds(type(self)).items():
            _check_kind(type(self), name, kind, getattr(self, name))
        self._check()

    def _check(self) -> None:
        """Refuse options that are out of range; to be filled in where there are such."""


def _kinds(method: type) -> Mapping[str, Any]:
    hints = get_type_hints(method)
    return {field.name: hints[field.name] for field in fields(method)}


_WANTED: Mapping[type, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a text"),
    tuple: (Sequence, "a tuple"),
}


def _check_kind(method: type, name: str, kind: Any, value: Any) -> None:
    if get_origin(kind) in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return
        kind = next(each for each in get_args(kind) if each is not type(None))
    origin = get_origin(kind) or kind
    plain = str if origin is Literal else origin
    if not isinstance(plain, type) or getattr(plain, "_is_protocol", False):
        return
    known, wanted = _WANTED.get(plain, (plain, f"a {plain.__name__}"))
    fits = isinstance(value, known) and (plain is bool or not isinstance(value, bool))
    if not fits or (plain is tuple and isinstance(value, str)) or value != value:
        raise UsageError(
            f"{getattr(method, 'name', method.__name__)} needs {wanted} as {name}, got {value!r}"
        )
    if plain is tuple:
        for each in value:
            _check_kind(method, name, get_args(kind)[0], each)
    if name == "seed" and not 0 <= value < 2**63:
        raise UsageError(f"expected a seed from 0, got {value}")


def options_of(method: type) -> tuple[Option, ...]:
    """The options of a method; those of a field that is a dataclass itself are among them.

    Args:
        method: A dataclass whose docstring has a section `Attributes`.
    """
    hints, told = get_type_hints(method), described(method)
    found: list[Option] = []
    nested: list[Option] = []
    for field in fields(method):
        kind = hints[field.name]
        if is_dataclass(kind) and isinstance(kind, type):
            nested += options_of(kind)
        else:
            default = field.default
            if field.default_factory is not MISSING:
                default = field.default_factory()
            found.append(Option(field.name, kind, default, told.get(field.name, "")))
    return (*found, *nested)


def make(method: type, values: Mapping[str, Any]) -> Any:
    """A method with options; what is not among the values stays as it is by default."""
    hints = get_type_hints(method)
    given: dict[str, Any] = {}
    for field in fields(method):
        kind = hints[field.name]
        if is_dataclass(kind) and isinstance(kind, type):
            given[field.name] = make(kind, values)
        elif field.name in values:
            given[field.name] = values[field.name]
    return method(**given)


def from_texts(method: type, texts: Sequence[str], *, what: str) -> Any:
    """A method with options as a user writes them.

    Args:
        method: A dataclass.
        texts: "NAME=VALUE" for its fields.
        what: The option that named the method, for messages.

    Raises:
        UsageError: If there is no such option, or a value is not one.
    """
    known = {option.name: option.kind_of_one for option in options_of(method)}
    values = {}
    for given in texts:
        key, _, text = given.partition("=")
        if key not in known:
            raise UsageError(f"{what} has the options {', '.join(known)}, got {given!r}")
        values[key] = _value(key, text, known[key])
    return method(**values)


def _value(key: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        wanted = {int: "a whole number", float: "a number"}[kind]
        raise UsageError(f"expected {wanted} for the option {key}, got {text!r}") from error


def values_of(method: Any) -> dict[str, Any]:
    """The options of a method as it is, by name."""
    found: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for field in fields(method):
        value = getattr(method, field.name)
        if is_dataclass(value):
            nested |= values_of(value)
        else:
            found[field.name] = value
    return found | nested


def described(method: type) -> dict[str, str]:
    """What the section `Attributes` of docstrings says of each field, inherited ones included."""
    told: dict[str, str] = {}
    for kind in reversed(method.__mro__):
        if not is_dataclass(kind):
            continue
        section = re.search(r"^Attributes:\n((?: +.*\n?|\n)*)", inspect.getdoc(kind) or "", re.M)
        if section is None:
            continue
        for name, text in re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section[1], re.M):
            told[name] = " ".join(text.split())
    return told
