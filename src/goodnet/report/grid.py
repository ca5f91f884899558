"""Where everything goes on a contact sheet, in pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["GAP", "MARGIN", "SIDE", "Grid", "columns_for", "picture_size"]

SIDE = 168  # the longer side of a picture is at most this
MARGIN, GAP = 24, 18

_SHAPE = 1.5  # width of the whole sheet to its height, about


@dataclass(frozen=True, slots=True)
class Grid:
    """Tiles in rows, with a head above and a foot below.

    Attributes:
        number: How many tiles.
        columns: Tiles in a row.
        tile: Width and height of one.
        head: Height kept free above the tiles.
        foot: Height kept free below them.
        least_width: Of what stands between the margins.
    """

    number: int
    columns: int
    tile: tuple[int, int]
    head: int = 0
    foot: int = 0
    least_width: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        rows = -(-self.number // self.columns)
        width = max(self.columns * (self.tile[0] + GAP) - GAP, self.least_width)
        height = self.head + rows * (self.tile[1] + GAP) - GAP + self.foot
        return width + 2 * MARGIN, height + 2 * MARGIN

    def corner(self, index: int) -> tuple[int, int]:
        """Left and top of a tile."""
        row, column = divmod(index, self.columns)
        left = MARGIN + column * (self.tile[0] + GAP)
        return left, MARGIN + self.head + row * (self.tile[1] + GAP)


def columns_for(number: int, tile: tuple[int, int]) -> int:
    """How many columns make a sheet of `number` tiles somewhat wider than high.

    Example:
        >>> columns_for(24, (100, 100))
        6
    """
    step = (tile[0] + GAP, tile[1] + GAP)
    return min(max(round(math.sqrt(number * _SHAPE * step[1] / step[0])), 1), number)


def picture_size(height: int, width: int) -> tuple[int, int]:
    """Width and height of an image on the sheet: a whole multiple, or made smaller to fit.

    Example:
        >>> picture_size(55, 47), picture_size(336, 168)
        ((141, 165), (84, 168))
    """
    largest = max(height, width)
    scale = SIDE // largest if largest <= SIDE else SIDE / largest
    return max(round(width * scale), 1), max(round(height * scale), 1)
