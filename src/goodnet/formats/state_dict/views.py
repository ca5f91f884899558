"""What a pickle of PyTorch says of a tensor: which numbers of which storage it shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats.stored import TYPES, Stored, check_shape

# PyTorch's names, in pickles, of types and of storages.
TORCH_TYPES = {
    "float64": "F64",
    "double": "F64",
    "float32": "F32",
    "float": "F32",
    "float16": "F16",
    "half": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "long": "I64",
    "int32": "I32",
    "int": "I32",
    "int16": "I16",
    "short": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
STORAGES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
UNTYPED = "UntypedStorage"


@dataclass(frozen=True, slots=True)
class Storage:
    """A row of numbers in the file.

    Attributes:
        key: Under which the file holds it.
        type: Of its numbers; "U8" where only its bytes are told.
        count: Of its numbers.
    """

    key: str
    type: str
    count: int

    @property
    def length(self) -> int:
        """In bytes."""
        return self.count * TYPES[self.type].itemsize


@dataclass(frozen=True, slots=True)
class View:
    """A tensor.

    Attributes:
        storage: Where its numbers lie.
        type: Of its numbers, as PyTorch or safetensors names it.
        offset: Of the first, in numbers.
        shape: Of the tensor.
        strides: From one number to the next along each axis.
    """

    storage: Storage
    type: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def length(self) -> int:
        """Of its numbers, in bytes."""
        return math.prod(self.shape) * TYPES[self.type].itemsize

    def check(self, name: str) -> None:
        """See that it shows numbers of its storage, and none of them twice without need.

        Raises:
            InvalidInput: If it leads out of the storage, or its type is not read.
            OverBudget: If it shows more numbers than there are.
        """
        check_shape(name, self.type, self.shape)
        count = math.prod(self.shape)
        there = self.storage.length // TYPES[self.type].itemsize
        if count > there:
            raise OverBudget(
                f"the tensor {name!r} has {count:,} numbers, of which the file holds {there:,}"
            )
        numbers = (self.offset, *self.strides)
        sound = len(self.shape) == len(self.strides) and min(numbers) >= 0
        steps = zip(self.shape, self.strides, strict=False)
        last = self.offset + sum((size - 1) * stride for size, stride in steps)
        if not sound or (count and last >= there):
            raise InvalidInput(f"the tensor {name!r} leads out of its storage of {there:,} numbers")

    def stored(self, data: bytes | memoryview) -> Stored:
        """The array; `check` comes before.

        Args:
            data: Of the storage.
        """
        kind = TYPES[self.type]
        if not math.prod(self.shape):
            return Stored(self.type, self.shape, b"")
        if self._is_plain:
            start = self.offset * kind.itemsize
            length = math.prod(self.shape) * kind.itemsize
            return Stored(self.type, self.shape, memoryview(data)[start : start + length])
        numbers = np.frombuffer(data, dtype=kind, count=len(data) // kind.itemsize)[self.offset :]
        steps = zip(self.shape, self.strides, strict=True)
        strides = [stride * kind.itemsize if size > 1 else 0 for size, stride in steps]
        shown = np.lib.stride_tricks.as_strided(numbers, self.shape, strides, writeable=False)
        return Stored(self.type, self.shape, shown.tobytes())

    @property
    def _is_plain(self) -> bool:
        """Whether its numbers lie one behind another."""
        wanted = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != wanted:
                return False
            wanted *= size
        return True


def view(
    storage: object, offset: object, shape: object, strides: object, kind: str | None = None
) -> View | None:
    """A tensor of what a pickle gives for it; None if that is not what PyTorch gives."""
    numbers = [_counts(given) for given in ((offset,), shape, strides)]
    if not isinstance(storage, Storage) or None in numbers:
        return None
    (start,), sizes, steps = (found or () for found in numbers)
    return View(storage, kind or storage.type, start, sizes, steps)


def _counts(given: object) -> tuple[int, ...] | None:
    """Whole numbers; None if it is anything else."""
    whole = isinstance(given, tuple) and all(type(number) is int for number in given)
    return tuple(given) if whole and isinstance(given, tuple) else None
