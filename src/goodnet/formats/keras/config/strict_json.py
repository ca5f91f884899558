"""JSON that means one thing only: no duplicate keys, no NaN, bounded in size and depth."""

from __future__ import annotations

import json
import math
from typing import Any

from goodnet.errors import GoodnetError, InvalidInput, OverBudget
from goodnet.formats import budgets

__all__ = ["parse_json"]

_MAX_DIGITS = 20
# What Keras wraps in a dictionary though it is a plain list or number, and where the value lies.
_WRAPPED = {"__tuple__": ("items", "config"), "TensorShape": ("items",)}
_ARRAYS = ("__numpy__", "__tensor__")


def parse_json(data: bytes, *, what: str) -> dict[str, Any]:
    """Parse a JSON object; lists that Keras marks as tuples, shapes or arrays become plain lists.

    Args:
        data: The text, in UTF-8.
        what: What the text is, for messages: "model configuration".

    Raises:
        InvalidInput: If it is not JSON, not an object, repeats a key, or holds NaN or Infinity.
        OverBudget: If it is longer than 16 MiB or nested deeper than 64 levels.
    """
    budgets.check(len(data), budgets.JSON_BYTES, f"the {what}")
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_float=_number,
            parse_int=_integer,
            parse_constant=_refuse,
        )
    except GoodnetError as error:
        raise InvalidInput(f"the {what} is not sound: {error}") from error
    except RecursionError as error:
        raise OverBudget(_too_deep(what)) from error
    except ValueError as error:
        raise InvalidInput(f"the {what} is not JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"expected an object in the {what}, got a {type(value).__name__}")
    _check_depth_and_text(value, what)
    return value


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidInput(f"the key {twice!r} appears twice in one object")
    return _unwrap(found)


def _unwrap(found: dict[str, Any]) -> Any:
    kind, inner = found.get("class_name"), found.get("config")
    if kind in _ARRAYS and isinstance(inner, dict) and "value" in inner:
        return inner["value"]
    for key in _WRAPPED.get(kind, ()) if isinstance(kind, str) else ():
        if isinstance(found.get(key), list):
            return found[key]
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InvalidInput(f"the number {text[:_MAX_DIGITS]} is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise InvalidInput(f"the number {text[:_MAX_DIGITS]}... is too large")
    return int(text)


def _refuse(text: str) -> Any:
    raise InvalidInput(f"{text} is not a number JSON knows")


def _check_depth_and_text(value: Any, what: str) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > budgets.JSON_DEPTH:
            raise OverBudget(_too_deep(what))
        level = [child for parent in level for child in _children(parent, what)]


def _children(value: Any, what: str) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"the {what} holds half a character: {value[:40]!r}") from error
    return value if isinstance(value, list) else []


def _too_deep(what: str) -> str:
    return f"the {what} may be nested at most {budgets.JSON_DEPTH} levels deep, got more"
