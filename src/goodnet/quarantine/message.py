"""What a child process says, as bytes: plain values and arrays, nothing that could run.

A message is a head in MessagePack, behind its length and that of what follows it, and the bytes of
its arrays. Of classes only those that the receiver names are made again, by their constructors,
which check what they are given.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path, PosixPath
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray

from goodnet.formats import budgets

Bytes = NDArray[np.uint8]
Kinds = Mapping[str, type]

_LENGTHS = struct.Struct("<QQ")
_HEAD_BYTES, _BODY_BYTES = budgets.GIB // 4, 4 * budgets.GIB
_NUMBERS_AND_TEXTS = "biufcUS"
# Longer bytes travel beside the head, as arrays do.
_LONG = budgets.MIB // 16
_INT64 = range(-(2**63), 2**63)
_PLAIN = frozenset((type(None), bool, float))


class Broken(Exception):
    """What came is not a message, or not one that was expected."""


def kinds_of(*kinds: type) -> tuple[type, ...]:
    """Classes and all classes of values that their fields may hold, as their annotations say."""
    found: dict[type, None] = {}
    waiting: list[object] = [*kinds]
    while waiting:
        each = waiting.pop()
        waiting += get_args(each)
        if isinstance(each, type) and each not in found and _fields(each):
            found[each] = None
            waiting += get_type_hints(each).values()
    return tuple(found)


def send(write: Callable[[bytes | memoryview], object], value: object, kinds: Kinds) -> None:
    """Write a message.

    Args:
        write: Takes its parts.
        value: What it says.
        kinds: By name the classes that may be in it: dataclasses, and others whose `__slots__` are
            what their constructor takes.

    Raises:
        TypeError: If the value holds something that a message cannot.
    """
    packer = _Packer(kinds)
    head = msgspec.msgpack.encode(packer.packed(value))
    write(_LENGTHS.pack(len(head), sum(array.nbytes for array in packer.arrays)))
    write(head)
    for array in packer.arrays:
        write(array.reshape(-1).view(np.uint8).data)


def receive(read: Callable[[int], Bytes], kinds: Kinds) -> object:
    """Read a message; `read` gives as many bytes as it is asked for.

    Raises:
        Broken: If it is none.
    """
    head_length, body_length = _LENGTHS.unpack(read(_LENGTHS.size).tobytes())
    if head_length > _HEAD_BYTES or body_length > _BODY_BYTES:
        raise Broken(f"a message of {head_length:,} and {body_length:,} bytes")
    try:
        head = msgspec.msgpack.decode(read(head_length).tobytes())
        reader = _Reader(read, kinds, body_length)
        value = reader.value(head)
    except (msgspec.MsgspecError, RecursionError, LookupError) as error:
        raise Broken(str(error)) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise Broken(str(error)) from error
    if reader.left:
        raise Broken("bytes that belong to nothing")
    return value


def _fields(kind: type) -> tuple[str, ...]:
    """What a class of values holds and its constructor takes; nothing of any other class."""
    if is_dataclass(kind):
        return tuple(field.name for field in fields(kind) if field.init)
    slots = kind.__dict__.get("__slots__", ())
    return slots if kind.__module__.partition(".")[0] == __name__.partition(".")[0] else ()


class _Packer:
    """Plain values as they are; all others as a list that starts with what they are.

    Attributes:
        arrays: Those that were found, in order; their bytes follow the head.
    """

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self.arrays: list[NDArray[Any]] = []
        self._ways: dict[type, Callable[[Any], object]] = {
            int: lambda x: x if x in _INT64 else ["int", str(x)],
            str: lambda x: x if x.isascii() else ["str", x.encode("utf-8", "surrogatepass")],
            bytes: self._bytes,
            memoryview: self._bytes,
            np.ndarray: self._array,
            PosixPath: lambda x: ["path", os.fsencode(x)],
            tuple: lambda x: ["tuple", *map(self.packed, x)],
            list: lambda x: ["list", *map(self.packed, x)],
            dict: self._dict,
            MappingProxyType: self._dict,
        }

    def packed(self, value: Any) -> object:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind in self._ways:
            return self._ways[kind](value)
        if isinstance(value, np.generic):
            return ["scalar", self._array(np.asarray(value))]
        if isinstance(value, np.dtype):
            return ["dtype", value.str]
        name = kind.__name__
        if self._kinds.get(name) is not kind:
            raise TypeError(f"a {name}, which is not expected")
        return ["of", name, {field: self.packed(getattr(value, field)) for field in _fields(kind)}]

    def _bytes(self, value: bytes | memoryview) -> object:
        if len(value) < _LONG:
            return bytes(value)
        self.arrays.append(np.frombuffer(value, dtype=np.uint8))
        return ["bytes", len(value)]

    def _array(self, value: NDArray[Any]) -> object:
        if value.dtype.kind not in _NUMBERS_AND_TEXTS:
            raise TypeError(f"an array of {value.dtype}")
        self.arrays.append(np.ascontiguousarray(value))
        return ["array", value.dtype.str, *value.shape]

    def _dict(self, value: Mapping[Any, Any]) -> object:
        return ["dict", *(self.packed(x) for pair in value.items() for x in pair)]


class _Reader:
    """Makes the values of one message again, in the order in which they were packed.

    Attributes:
        left: How many bytes of arrays are still to come.
    """

    def __init__(self, read: Callable[[int], Bytes], kinds: Kinds, length: int) -> None:
        self._read = read
        self._kinds = kinds
        self.left = length
        self._ways: dict[str, Callable[..., Any]] = {
            "int": int,
            "str": lambda x: x.decode("utf-8", "surrogatepass"),
            "bytes": lambda length: self._taken(length).tobytes(),
            "array": self._array,
            "path": lambda x: Path(os.fsdecode(x)),
            "tuple": lambda *each: tuple(map(self.value, each)),
            "list": lambda *each: list(map(self.value, each)),
            "dict": self._dict,
            "scalar": lambda x: self.value(x)[()],
            "dtype": np.dtype,
            "of": self._of,
        }

    def value(self, packed: Any) -> Any:
        if not isinstance(packed, list):
            return packed
        what, *rest = packed
        return self._ways[what](*rest)

    def _array(self, dtype: str, *shape: int) -> NDArray[Any]:
        kind = np.dtype(dtype)
        if kind.kind not in _NUMBERS_AND_TEXTS or not all(length >= 0 for length in shape):
            raise Broken(f"an array of {kind} of the shape {shape}")
        return self._taken(math.prod(shape) * kind.itemsize).view(kind).reshape(shape)

    def _taken(self, length: int) -> Bytes:
        if not 0 <= length <= self.left:
            raise Broken("an array that is longer than its message")
        self.left -= length
        return self._read(length)

    def _dict(self, *each: Any) -> dict[Any, Any]:
        values = [self.value(x) for x in each]
        return dict(zip(values[::2], values[1::2], strict=True))

    def _of(self, name: str, given: Mapping[str, Any]) -> Any:
        return self._kinds[name](**{field: self.value(x) for field, x in given.items()})
