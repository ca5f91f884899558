"""Typed access to the settings of one layer, so that a wrong one is an error that names it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goodnet.errors import InvalidInput
from goodnet.formats import budgets

__all__ = ["Fields"]


@dataclass(frozen=True, slots=True)
class Fields:
    """The settings of a layer.

    Attributes:
        name: The layer's name, for messages.
        config: Its settings as the file has them.
    """

    name: str
    config: Mapping[str, Any]

    def error(self, key: str, expected: str) -> InvalidInput:
        """The error that setting `key` is not what was `expected`."""
        value = self.config.get(key)
        return InvalidInput(
            f"layer {self.name!r}: expected {key} to be {expected}, got {value!r:.80}"
        )

    def get(self, *keys: str, default: Any = None) -> Any:
        """The first of the settings that is there and not null."""
        found = (self.config.get(key) for key in keys)
        return next((value for value in found if value is not None), default)

    def integer(self, key: str, *, default: int | None = None, least: int = 1) -> int:
        """A whole number of at least `least`."""
        value = self.get(key, default=default)
        if not _is_integer(value) or not least <= value <= budgets.MAX_DIMENSION:
            raise self.error(key, f"a whole number of {least} or more")
        return int(value)

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers of any sign; a single number counts as a list."""
        value = self.get(key, default=())
        values = value if isinstance(value, list | tuple) else [value]
        if not all(_is_integer(entry) for entry in values) or len(values) > budgets.MAX_RANK:
            raise self.error(key, "a short list of whole numbers")
        return tuple(values)

    def pair(self, key: str, *, default: Sequence[int] = (1, 1)) -> tuple[int, int]:
        """Two whole numbers of 1 or more, (height, width); one number stands for both."""
        value = self.get(key, default=default)
        values = [value, value] if _is_integer(value) else value
        ok = isinstance(values, list | tuple) and len(values) == 2
        if not ok or not all(_is_integer(v) and 1 <= v <= budgets.MAX_DIMENSION for v in values):
            raise self.error(key, "one or two whole numbers of 1 or more")
        return values[0], values[1]

    def number(self, *keys: str, default: float) -> float:
        """A finite number; the first of several names it may have, or the default."""
        value = self.get(*keys)
        if value is None:
            return default
        if not _is_number(value):
            raise self.error(keys[0], "a number")
        return float(value)

    def numbers(self, key: str, *, default: float) -> float | tuple[float, ...]:
        """A finite number, or a list of them."""
        value = self.get(key, default=default)
        values = value if isinstance(value, list) else [value]
        if not values or not all(_is_number(entry) for entry in values):
            raise self.error(key, "a number or a list of numbers")
        return tuple(map(float, values)) if isinstance(value, list) else float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false; 0 and 1 count."""
        value = self.get(key, default=default)
        if value not in (True, False):
            raise self.error(key, "true or false")
        return bool(value)

    def choice(self, key: str, choices: Sequence[str], *, default: str) -> str:
        """One of a few texts."""
        value = self.get(key, default=default)
        if value not in choices:
            raise self.error(key, " or ".join(map(repr, choices)))
        return str(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
