"""Protocol buffers as they lie in a file: fields by number, read without a schema or a copy.

References:
    https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10  # bytes of a whole number
_LISTED = 4 * budgets.MIB


@dataclass(frozen=True, slots=True)
class Message:
    """A message, or any other run of bytes of a file.

    Attributes:
        data: The whole file.
        start: Where it begins.
        end: Where it ends.
    """

    data: memoryview
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def __bytes__(self) -> bytes:
        return bytes(self.data[self.start : self.end])

    @property
    def text(self) -> str:
        """The bytes as text.

        Raises:
            InvalidInput: If they are not UTF-8, or too many for a name.
        """
        if len(self) > budgets.MAX_NAME * 16:
            raise OverBudget(f"a text of {len(self):,} bytes where a name is expected")
        try:
            return bytes(self).decode()
        except UnicodeDecodeError as error:
            raise InvalidInput("a name is not UTF-8") from error

    def fields(self) -> Iterator[tuple[int, int | Message]]:
        """Number and value of each field: a whole number, or bytes (fixed-size numbers, too).

        Raises:
            InvalidInput: If it is no message.
        """
        return ((number, value) for number, value, _ in self.parts())

    def parts(self) -> Iterator[tuple[int, int | Message, Message]]:
        """The same, each with the bytes of the whole field."""
        at = self.start
        while at < self.end:
            begun = at
            key, at = self._varint(at)
            number, kind = key >> 3, key & 7
            if not number:
                raise InvalidInput(f"there is a field without a number at byte {at}")
            if kind == _VARINT:
                value, at = self._varint(at)
                yield number, value, Message(self.data, begun, at)
                continue
            if kind == _BYTES:
                length, at = self._varint(at)
            elif kind in (_FIXED32, _FIXED64):
                length = 4 if kind == _FIXED32 else 8
            else:
                raise InvalidInput(f"a field of an unknown kind, {kind}, at byte {at}")
            if length > self.end - at:
                raise InvalidInput(
                    f"a field of {length:,} bytes at byte {at:,}, where {self.end - at:,} are left"
                )
            at += length
            yield number, Message(self.data, at - length, at), Message(self.data, begun, at)

    def integers(self) -> list[int]:
        """The whole numbers that are packed here."""
        self._check_few()
        found, at = [], self.start
        while at < self.end:
            value, at = self._varint(at)
            found.append(signed(value))
        return found

    def floats(self) -> list[float]:
        """The float32 numbers that are packed here."""
        self._check_few()
        if len(self) % 4:
            raise InvalidInput(f"{len(self)} bytes are no float32 numbers")
        return list(struct.unpack(f"<{len(self) // 4}f", bytes(self)))

    def _check_few(self) -> None:
        budgets.check(len(self), _LISTED, "numbers that are stored one by one")

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for place in range(_LONGEST):
            if at >= self.end:
                break
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return value & (2**64 - 1), at
        raise InvalidInput(f"a number that does not end, at byte {at}")


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, as it is written."""
    return _written(number << 3 | _BYTES) + _written(len(content)) + content


def whole(number: int, value: int) -> bytes:
    """A field of a whole number, likewise."""
    return _written(number << 3 | _VARINT) + _written(value)


def real(number: int, value: float) -> bytes:
    """A field of a float32 number, likewise."""
    return _written(number << 3 | _FIXED32) + struct.pack("<f", value)


def _written(value: int) -> bytes:
    value %= 2**64
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def signed(value: int) -> int:
    """A whole number of 64 bits with its sign."""
    return value - 2**64 if value >= 2**63 else value


class Fields:
    """The fields of a message by number, of the type that is asked for.

    Raises:
        InvalidInput: If it is no message.
        OverBudget: If it has more fields than the budgets allow.
    """

    def __init__(self, message: Message) -> None:
        self._found: dict[int, list[int | Message]] = {}
        for count, (number, value) in enumerate(message.fields()):
            if count >= budgets.MAX_OBJECTS:
                raise OverBudget(f"a part of a model may have {budgets.MAX_OBJECTS:,} fields")
            self._found.setdefault(number, []).append(value)

    def messages(self, number: int) -> list[Message]:
        """All messages, or runs of bytes, of this number."""
        return [value for value in self._found.get(number, ()) if isinstance(value, Message)]

    def integers(self, number: int) -> tuple[int, ...]:
        """All whole numbers, alone or packed."""
        found: list[int] = []
        for value in self._found.get(number, ()):
            found += value.integers() if isinstance(value, Message) else [signed(value)]
        return tuple(found)

    def integer(self, number: int) -> int:
        """The last whole number; 0 where there is none."""
        return next(reversed(self.integers(number)), 0)

    def texts(self, number: int) -> tuple[str, ...]:
        """All texts."""
        return tuple(value.text for value in self.messages(number))

    def text(self, number: int) -> str:
        """The last text; "" where there is none."""
        return next(reversed(self.texts(number)), "")
