"""Look up values in JSON that nobody vouches for: each has the expected kind, or is an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from goodnet.stats import proportion
from goodnet.types import Proportion

__all__ = ["Fields", "Unreadable", "parse_fields"]

T = TypeVar("T")

_MOST = 2**53  # larger whole numbers are not counts of anything here


class Unreadable(ValueError):
    """What is wrong with a file, as the end of a sentence."""


class Fields:
    """An object of a JSON file. A key that is missing or null gives an empty value.

    Args:
        data: What stands there.
        place: Where, for messages: "drops[2].".

    Raises:
        Unreadable: If it is not an object; by the methods, if a value is not of the kind asked for.
    """

    def __init__(self, data: object, place: str = "") -> None:
        if not isinstance(data, dict):
            raise Unreadable(f"{place.rstrip('.') or 'the whole'} is not an object")
        self._data: Mapping[str, Any] = data
        self._place = place

    def __contains__(self, key: str) -> bool:
        return self._data.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def text(self, key: str) -> str:
        """A text; "" where it is missing."""
        return self._value(key, "", _text)

    def whole(self, key: str) -> int | None:
        """A whole number, not below 0."""
        return self._value(key, None, _whole)

    def number(self, key: str) -> float | None:
        """A finite number."""
        return self._value(key, None, _number)

    def share(self, key: str) -> Proportion | None:
        """A share from its count and total; the interval is computed afresh."""
        return self._value(key, None, _share)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        return self._list(key, _text)

    def wholes(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        return self._list(key, _whole)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of numbers."""
        return self._list(key, _number)

    def readings(self, key: str) -> tuple[float | None, ...]:
        """A list of numbers, null for one that is not known."""
        return self._list(key, lambda value: None if value is None else _number(value))

    def sizes(self, key: str) -> tuple[int | None, ...]:
        """A list of whole numbers, null for one that is open."""
        return self._list(key, lambda value: None if value is None else _whole(value))

    def shares(self, key: str) -> dict[str, Proportion]:
        """An object of shares, without those that are null."""
        inner = self.inner(key)
        return {name: share for name in inner if (share := inner.share(name)) is not None}

    def inner(self, key: str) -> Fields:
        """An object."""
        value = self._data.get(key)
        return Fields({} if value is None else value, f"{self._place}{_shown(key)}.")

    def each(self, key: str) -> list[Fields]:
        """A list of objects."""
        values = self._list(key, lambda value: value)
        place = f"{self._place}{_shown(key)}"
        return [Fields(value, f"{place}[{i}].") for i, value in enumerate(values)]

    def plain(self, key: str) -> object:
        """Whatever stands there."""
        return self._data.get(key)

    def _value(self, key: str, missing: T, convert: Callable[[object], T]) -> T:
        value = self._data.get(key)
        if value is None:
            return missing
        try:
            return convert(value)
        except Unreadable as error:
            raise Unreadable(f"{self._place}{_shown(key)} {error}") from error

    def _list(self, key: str, convert: Callable[[Any], T]) -> tuple[T, ...]:
        def all_of(value: object) -> tuple[T, ...]:
            if not isinstance(value, list):
                raise Unreadable("is not a list")
            return tuple(convert(each) for each in value)

        return self._value(key, (), all_of)


def parse_fields(data: bytes) -> Fields:
    """Parse a JSON object.

    Raises:
        Unreadable: If it is not one.
    """
    try:
        return Fields(json.loads(data.decode("utf-8"), parse_constant=_refuse))
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable("it is not JSON in UTF-8") from error


def _refuse(constant: str) -> None:
    raise Unreadable(f"it holds {constant}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unreadable("is not a text")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise Unreadable("is not a whole number, 0 or more")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _MOST:
        raise Unreadable("is not a number")
    return float(value)


def _share(value: object) -> Proportion:
    fields = Fields(value)
    count, total = fields.whole("count"), fields.whole("total")
    if count is None or total is None or count > total:
        raise Unreadable("is not a count with its total")
    return proportion(count, total)


def _shown(key: str) -> str:
    return key if key.isidentifier() and len(key) < 40 else repr(key)[:40]
