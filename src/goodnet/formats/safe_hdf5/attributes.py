"""Read the few attributes that matter, bounded: an attribute can be far larger than it looks."""

from __future__ import annotations

import math
from typing import BinaryIO

import h5py
import numpy as np

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets
from goodnet.formats.safe_hdf5.heap import REFERENCE, heap_text
from goodnet.formats.safe_hdf5.object_header import attribute_bytes

__all__ = ["names", "text"]


def text(
    item: h5py.Group, name: str, *, file: BinaryIO, limit: int = budgets.JSON_BYTES
) -> str | None:
    """One attribute as text, or None where there is no such attribute.

    Args:
        item: The group that carries the attribute.
        name: Of the attribute.
        file: The file from which `item` was opened.
        limit: Most bytes of the text.

    Raises:
        InvalidInput: If it is not one string in UTF-8.
        OverBudget: If it is longer than `limit`.
    """
    if name not in item.attrs:
        return None
    found = _strings(item, name, file=file, count=1, limit=limit)
    if len(found) != 1:
        raise InvalidInput(f"expected one text in the attribute {name!r}, got none")
    return found[0]


def names(
    item: h5py.Group, name: str, *, file: BinaryIO, count: int = budgets.MAX_LINKS
) -> list[str] | None:
    """A list of strings, which Keras splits into `name0`, `name1`, ... where it is long.

    Args:
        item: The group that carries the attribute.
        name: Of the attribute, without a number.
        file: The file from which `item` was opened.
        count: Most strings in the list.

    Returns:
        The strings in order; None where there is neither `name` nor `name0`.

    Raises:
        InvalidInput: If an attribute does not hold strings in UTF-8.
        OverBudget: If there are more than `count`, or they are longer than 16 MiB together.
    """
    if name in item.attrs:
        return _strings(item, name, file=file, count=count)
    if f"{name}0" not in item.attrs:
        return None
    found: list[str] = []
    part = 0
    while f"{name}{part}" in item.attrs:
        found += _strings(item, f"{name}{part}", file=file, count=count - len(found))
        part += 1
    return found


def _strings(
    item: h5py.Group, name: str, *, file: BinaryIO, count: int, limit: int = budgets.JSON_BYTES
) -> list[str]:
    attribute = h5py.h5a.open(item.id, name.encode())
    kind, length = attribute.get_type(), math.prod(attribute.shape or ())
    if length > count:
        raise OverBudget(f"the attribute {name!r} may hold at most {count} texts, got {length}")
    if not length:
        return []
    if not isinstance(kind, h5py.h5t.TypeStringID):
        raise InvalidInput(f"expected text in the attribute {name!r}, got another type")
    if kind.is_variable_str():
        found = _variable(item, name, file=file, length=length, limit=limit)
    else:
        budgets.check(length * kind.get_size(), limit, f"the attribute {name!r}")
        found = [bytes(value) for value in np.asarray(item.attrs[name]).reshape(-1)]
    return [_decode(value, name) for value in found]


def _variable(
    item: h5py.Group, name: str, *, file: BinaryIO, length: int, limit: int
) -> list[bytes]:
    address = h5py.h5o.get_info(item.id).addr
    raw = attribute_bytes(file, address, name, length=length * REFERENCE.size)
    references = list(REFERENCE.iter_unpack(raw))
    total = sum(size for size, _, _ in references)
    budgets.check(total, limit, f"the attribute {name!r}")
    return [heap_text(file, reference).partition(b"\0")[0] for reference in references]


def _decode(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the attribute {name!r} is not text in UTF-8") from error
