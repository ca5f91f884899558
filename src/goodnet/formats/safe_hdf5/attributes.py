"""Read the few attributes that matter, bounded: an attribute can be far larger than it looks."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets

__all__ = ["names", "text"]


def text(item: h5py.Group, name: str, *, limit: int = budgets.JSON_BYTES) -> str | None:
    """One attribute as text, or None where there is no such attribute.

    Raises:
        InvalidInput: If it is not one string in UTF-8.
        OverBudget: If it is longer than `limit` bytes.
    """
    if name not in item.attrs:
        return None
    if math.prod(_open(item, name).shape or ()) != 1:
        raise InvalidInput(f"expected one text in the attribute {name!r}, got a list")
    value = item.attrs[name]
    return _decode(value.item() if isinstance(value, np.ndarray) else value, name, limit=limit)


def names(
    item: h5py.Group, name: str, *, longest: int, limit: int = budgets.MAX_LINKS
) -> list[str] | None:
    """A list of strings, which Keras splits into `name0`, `name1`, ... where it is long.

    Args:
        item: The group that carries the attribute.
        name: Of the attribute, without a number.
        longest: What `longest_text` says of the file.
        limit: Most strings in the list.

    Returns:
        The strings in order; None where there is neither `name` nor `name0`.

    Raises:
        InvalidInput: If an attribute does not hold strings in UTF-8.
        OverBudget: If there are more than `limit`, or they could unfold to more than the budget.
    """
    if name in item.attrs:
        return _strings(item, name, longest=longest, limit=limit)
    if f"{name}0" not in item.attrs:
        return None
    found: list[str] = []
    part = 0
    while f"{name}{part}" in item.attrs:
        found += _strings(item, f"{name}{part}", longest=longest, limit=limit - len(found))
        part += 1
    return found


def _strings(item: h5py.Group, name: str, *, longest: int, limit: int) -> list[str]:
    attribute = _open(item, name)
    count = math.prod(attribute.shape or ())
    if count > limit:
        raise OverBudget(f"the list {name!r} may hold at most {limit} names, got {count}")
    if _is_variable(attribute):
        budgets.check(count * longest, budgets.MODEL_BYTES, f"the list {name!r}")
    values = np.asarray(item.attrs[name]).reshape(-1)
    return [_decode(value, name, limit=budgets.JSON_BYTES) for value in values]


def _open(item: h5py.Group, name: str) -> h5py.h5a.AttrID:
    """The attribute, still unread, once it is known to hold text (an empty list holds floats)."""
    attribute = h5py.h5a.open(item.id, name.encode("utf-8", "surrogateescape"))
    if not isinstance(attribute.get_type(), h5py.h5t.TypeStringID | h5py.h5t.TypeFloatID):
        raise InvalidInput(f"expected text in the attribute {name!r}, got another type")
    declared = math.prod(attribute.shape or ()) * attribute.get_type().get_size()
    budgets.check(declared, budgets.FLOOR_BYTES, f"attribute {name!r}")
    return attribute


def _is_variable(attribute: h5py.h5a.AttrID) -> bool:
    kind = attribute.get_type()
    return isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str()


def _decode(value: Any, name: str, *, limit: int) -> str:
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if not isinstance(value, bytes):
        raise InvalidInput(f"expected text in the attribute {name!r}, got {type(value).__name__}")
    budgets.check(len(value), limit, f"attribute {name!r}")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the attribute {name!r} is not text in UTF-8") from error
