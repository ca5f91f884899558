"""From margins to scores: which label stands out, over all families of triggers together.

In a clean network one label leads in one family and another in the next, each by a little. A
backdoor's label leads in most, or in some by far. So the score of a label is how far it leads,
averaged over the families.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["leads", "scores"]

Floats = NDArray[np.float64]

# A lead is measured against the margin of the label in this place, and of clean images.
_PLACE = 3
# One family alone cannot count for more.
_MOST = 5.0


def scores(margins: Floats, *, unit: float) -> Floats:
    """The mean of `leads` over the families, shape (classes,)."""
    mean: Floats = leads(margins, unit=unit).mean(0)
    return mean


def leads(margins: Floats, *, unit: float) -> Floats:
    """How far each label leads in each family of triggers.

    Args:
        margins: What a search reached, shape (families, classes), of at least two classes; minus
            infinity for a class that is not looked for.
        unit: The usual margin of a clean image, above 0.

    Returns:
        0 for all but the leading label of a family; for that, its margin less that of the next, in
        units of the margin that several innocent labels reach, shape (families, classes).

    Example:
        >>> leads(np.array([[9.0, 3.0, 2.0, 1.0]]), unit=1.0)
        array([[3., 0., 0., 0.]])
    """
    ordered = -np.sort(-margins, axis=1)
    best, second = ordered[:, :1], ordered[:, 1:2]
    usual = ordered[:, min(_PLACE, ordered.shape[1] - 1)][:, None]
    usual = np.where(np.isfinite(usual), np.abs(usual), 0.0)
    gap = np.where(np.isfinite(second), best - second, 0.0)
    lead = np.clip(gap / (usual + unit), 0.0, _MOST)
    return np.where(margins == best, lead, 0.0)
