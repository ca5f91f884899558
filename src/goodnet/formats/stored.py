"""Arrays as a file of weights holds them: in types of its own, as float32, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.formats import budgets
from goodnet.formats.spec import check_finite
from goodnet.ops.op import Array

# As safetensors names them, and as NumPy reads their bytes.
TYPES: Mapping[str, np.dtype[np.generic]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("u1"),
}
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
_HALF = np.uint32(0x7FFF)


@dataclass(frozen=True, slots=True)
class Stored:
    """One array of a file.

    Attributes:
        type: One of `TYPES`.
        shape: Of the array.
        data: Its numbers, the last axis first, little-endian.
    """

    type: str
    shape: tuple[int, ...]
    data: bytes | memoryview

    def array(self, name: str) -> Array:
        """The numbers in float32, not to be written to.

        Args:
            name: Of the array, for messages.

        Raises:
            InvalidInput: If one of them is NaN or infinite there.
        """
        raw = np.frombuffer(self.data, dtype=TYPES[self.type]).reshape(self.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            found: Array = (
                _from_bfloat16(raw) if self.type == "BF16" else raw.astype("<f4", copy=False)
            )
        check_finite(found, name)
        return found

    def replaced(self, array: Array) -> Stored:
        """The same array with other numbers, rounded to its type."""
        new = array.reshape(self.shape)
        raw = _to_bfloat16(new) if self.type == "BF16" else new.astype(TYPES[self.type])
        return Stored(self.type, self.shape, raw.tobytes())


def check_shape(name: str, kind: str, shape: tuple[int, ...]) -> int:
    """See that an array may be of this type and shape; its length in bytes.

    Raises:
        InvalidInput: If its type is not read, or it has too many axes.
        OverBudget: If it takes more bytes than the budget allows.
    """
    if kind not in TYPES:
        raise InvalidInput(
            f"the array {name!r} is of the type {kind!r}, which is not read; expected one of "
            f"{', '.join(TYPES)}"
        )
    if len(shape) > budgets.MAX_RANK or any(size < 0 for size in shape):
        raise InvalidInput(f"the array {name!r} has the shape {shape[:10]}")
    count = math.prod(shape) * TYPES[kind].itemsize
    budgets.check(count, budgets.MODEL_BYTES, f"the array {name!r}")
    return count


def _from_bfloat16(raw: NDArray[np.generic]) -> Array:
    """The upper halves of numbers in float32."""
    return (raw.astype("<u4") << 16).view("<f4")


def _to_bfloat16(array: Array) -> NDArray[np.uint16]:
    """Rounded to the nearest, to the even one of two; finite numbers only."""
    bits = np.ascontiguousarray(array, dtype="<f4").view("<u4")
    odd = (bits >> 16) & np.uint32(1)
    found: NDArray[np.uint16] = ((bits + _HALF + odd) >> 16).astype("<u2")
    return found
