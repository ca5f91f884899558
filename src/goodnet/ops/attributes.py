"""What attributes of layers may be, for descriptions of layers that nobody vouches for.

An attribute of a name is the same in every kind of layer, but where a kind says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from goodnet.formats import budgets

_LARGEST = budgets.MAX_DIMENSION
_LARGEST_FLOAT = 3.4e38  # about that of float32


@dataclass(frozen=True)
class Kind:
    """What an attribute may be.

    Attributes:
        expected: In words.
        fits: Whether a value is that; lists are tuples.
    """

    expected: str
    fits: Callable[[Any], bool]

    def __or__(self, other: Kind) -> Kind:
        """One or the other."""
        return Kind(
            f"{self.expected}, or {other.expected}",
            lambda value: self.fits(value) or other.fits(value),
        )


def _is_whole(value: Any, low: int) -> bool:
    return type(value) is int and low <= value <= _LARGEST


def _is_several(value: Any) -> bool:
    return type(value) is tuple and len(value) > 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST_FLOAT


def _is_function(value: Any) -> bool:
    from goodnet.ops.activations import FUNCTIONS, Activation

    if not isinstance(value, Activation) or value.function not in FUNCTIONS:
        return False
    known = FUNCTIONS[value.function].options
    return set(value.options) <= set(known) and all(map(_is_number, value.options.values()))


def whole_numbers(words: str, low: int, *, count: int | None = None) -> Kind:
    """Several whole numbers that are not below one; as many as `count`."""

    def fits(value: Any) -> bool:
        several = _is_several(value) and count in (None, len(value))
        return several and all(_is_whole(x, low) for x in value)

    return Kind(words, fits)


def one_of(*words: str) -> Kind:
    """A word."""
    listed = " or ".join(map(repr, words))
    return Kind(listed, lambda value: type(value) is str and value in words)


NONE = Kind("null", lambda value: value is None)
FUNCTION = Kind("an activation with its numbers", _is_function)
WHOLE = Kind("a whole number of 1 or more", lambda value: _is_whole(value, 1))
NUMBER = Kind("a number that float32 can hold", _is_number)
PAIR = whole_numbers("two whole numbers of 1 or more", 1, count=2)
MORE = whole_numbers("two whole numbers of 0 or more", 0, count=2)
SIDES = whole_numbers("four whole numbers of 0 or more", 0, count=4)
PLACES = whole_numbers("whole numbers of 0 or more", 0)
ALONG = whole_numbers("whole numbers of 1 or more", 1)
BORDER = one_of("valid", "same")
FLAG = Kind("true or false", lambda value: type(value) is bool)
_AXES = Kind(
    "axes of 1 or more in rising order",
    lambda value: ALONG.fits(value) and list(value) == sorted({*value}),
)
_NUMBERS = Kind("several of them", lambda value: _is_several(value) and all(map(_is_number, value)))
_EPSILON = Kind("a number of 0 or more", lambda value: _is_number(value) and value >= 0)
_TARGET = Kind(
    "sizes of 1 or more, or -1",
    lambda value: _is_several(value) and all(x == -1 or _is_whole(x, 1) for x in value),
)
# Of images: one size, or that of a grey picture, or channels, height and width.
IMAGE = Kind(
    "one to three sizes of 1 or more, or null for any",
    lambda value: (
        _is_several(value)
        and len(value) <= len(("channels", "height", "width"))
        and all(x is None or _is_whole(x, 1) for x in value)
    ),
)

ATTRIBUTES: Mapping[str, Kind] = {
    "activation": FUNCTION | NONE,
    "strides": PAIR, "dilation": PAIR, "pool": PAIR, "size": PAIR,
    "padding": BORDER | SIDES,
    "output_padding": MORE | NONE, "cropping": MORE,
    "groups": WHOLE, "heads": WHOLE, "axis": WHOLE, "axes": _AXES, "dims": ALONG,
    "epsilon": _EPSILON, "scale": NUMBER | _NUMBERS, "offset": NUMBER | _NUMBERS,
    "keepdims": FLAG, "invert": FLAG, "antialias": FLAG, "crop": FLAG,
    "interpolation": one_of("nearest", "bilinear"), "order": one_of("hwc", "chw"),
    "channels": PLACES, "shape": _TARGET,
}  # fmt: skip
