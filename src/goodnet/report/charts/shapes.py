"""Many rectangles or strokes as one path: quick to draw and small in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.patches import PathPatch
    from numpy.typing import NDArray

    from goodnet.types import Proportion

__all__ = ["Box", "boxes", "in_percent"]

Box = tuple[float, float, float, float]  # left, bottom, right, top


def boxes(places: Sequence[Box] | NDArray[np.float64], **style: Any) -> PathPatch:
    """One patch of rectangles, each given by its left, bottom, right and top."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    left, bottom, right, top = np.asarray(places, dtype=float).reshape(-1, 4).T
    corners = [(left, bottom), (left, top), (right, top), (right, bottom), (left, bottom)]
    vertices = np.array(corners).transpose(2, 0, 1).reshape(-1, 2)
    kinds = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return PathPatch(Path(vertices, np.tile(kinds, len(left))), **style)


def in_percent(shares: Sequence[Proportion]) -> tuple[NDArray[np.float64], ...]:
    """Values, low and high ends in percent; the value is NaN where there was nothing to count."""
    values = [np.nan if share.value is None else share.value for share in shares]
    rows = (values, [share.low for share in shares], [share.high for share in shares])
    return tuple(100 * np.array(row, dtype=float) for row in rows)
