"""Frozen values to plain data, and JSON that nobody vouches for back to frozen values."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import msgspec

from goodnet.types import Proportion

T = TypeVar("T")


class Unreadable(ValueError):
    """What is wrong with a file, as the end of a sentence."""


def plain(value: object) -> Any:
    """Plain data for `json`: the fields of a dataclass by name, a share with its interval."""
    return msgspec.to_builtins(value, enc_hook=_encode)


def decode(data: bytes, kind: type[T]) -> T:
    """Decode JSON.

    Args:
        data: UTF-8.
        kind: A dataclass; constraints stand in its annotations. Keys it does not have are passed
            over, keys that are missing have their default.

    Raises:
        Unreadable: If it is not JSON, or not of that kind.
    """
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise Unreadable(_sentence(error)) from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable("it is not JSON in UTF-8") from error


def convert(value: object, kind: type[T], place: str) -> T:
    """The same of plain data that was found at a place.

    Raises:
        Unreadable: If it is not of that kind.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise Unreadable(_sentence(error, place)) from error


def _sentence(error: msgspec.ValidationError, place: str = "") -> str:
    """What msgspec says with the place first: "targets[0].label: expected `int`, got `str`"."""
    what, _, path = str(error).partition(" - at `$")
    where = f"{place}{path.rstrip('`')}".lstrip(".")
    return f"{where or 'the whole'}: {what[:1].lower()}{what[1:]}"


def _encode(value: object) -> object:
    if isinstance(value, Proportion):
        return value.to_dict()
    raise NotImplementedError(f"not plain data: {type(value).__name__}")


def _decode(kind: type[T], value: object) -> T:
    """A share from its count and total; whatever a file claims of its interval is passed over."""
    if kind is not Proportion:
        raise NotImplementedError(kind.__name__)
    numbers = [value.get(key) for key in ("count", "total")] if isinstance(value, dict) else []
    count, total = (each if type(each) is int else -1 for each in numbers or (-1, -1))
    if not 0 <= count <= total:
        raise ValueError("expected a count with its total")
    return cast("T", Proportion(count, total))
