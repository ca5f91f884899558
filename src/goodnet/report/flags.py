"""Where to write the labels of vertical marks so that none covers another."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Flag", "place_flags"]


class Flag(NamedTuple):
    """Where one label stands: its left end, and its row counted upwards from the picture."""

    left: float
    row: int


class _Taken(NamedTuple):
    row: int
    left: float
    right: float


def place_flags(
    marks: Sequence[float], widths: Sequence[float], *, span: tuple[float, float], gap: float
) -> list[Flag]:
    """Set a label beside each mark, in the lowest row where it is free.

    A label stands to the left of its mark; to the right where there is no room left of it, or
    where the mark before, with its label to the right, would be covered. It keeps `gap` from the
    labels of its row and from the marks that rise through it to a higher one.

    Args:
        marks: Horizontal places of the marks, ascending.
        widths: Widths of their labels, in the same unit.
        span: Left and right end of the room for labels.
        gap: Least distance between two labels of a row.

    Returns:
        One flag for each mark.

    Example:
        >>> for flag in place_flags([10, 150, 160, 299], [40, 40, 40, 40], span=(0, 300), gap=5):
        ...     print(flag)
        Flag(left=10, row=0)
        Flag(left=110, row=0)
        Flag(left=120, row=1)
        Flag(left=259, row=0)
    """
    first_left = _first_to_the_left(marks, widths, start=span[0], gap=gap)
    taken: list[_Taken] = []
    flags: dict[int, Flag] = {}
    for index in [*reversed(range(first_left)), *range(first_left, len(marks))]:
        mark, width = marks[index], widths[index]
        left = mark if index < first_left else min(mark, span[1]) - width
        left = max(min(left, span[1] - width), span[0])
        right = left + width
        row = next(row for row in count() if _is_free(taken, row, left - gap, right + gap))
        taken += [_Taken(below, mark, mark) for below in range(row)]
        taken.append(_Taken(row, left, right))
        flags[index] = Flag(left, row)
    return [flags[index] for index in range(len(marks))]


def _first_to_the_left(
    marks: Sequence[float], widths: Sequence[float], *, start: float, gap: float
) -> int:
    """Index of the first mark with room for its label to the left."""
    wall = start - gap
    for index, (mark, width) in enumerate(zip(marks, widths, strict=True)):
        if mark - width >= wall + gap:
            return index
        wall = mark
    return len(marks)


def _is_free(taken: Sequence[_Taken], row: int, left: float, right: float) -> bool:
    return all(other.row != row or other.right <= left or other.left >= right for other in taken)
