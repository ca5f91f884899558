"""From what a search reached to scores: which label stands out, over all families of triggers.

The triggers of innocent labels move the features about as far for what they gain, and one label
leads in one family and another in the next. A backdoor's triggers gain more for how far they move
the features, whatever they look like; or they lead by far where they look like the attacker's. What
marks a class of its own (a mole on a cheek) leads, too, but by less and where triggers look so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Evidence", "economy", "leads", "scores"]

Floats = NDArray[np.float64]

# How many labels behind the first tell how widely innocent labels are spread, and how much of
# their level is added to that.
_BEHIND, _FLOOR = 5, 0.075
# The label whose margin is the usual one of innocent labels.
_PLACE = 3
# A lead in one family counts for no more, in spreads and in usual margins.
_MOST_SPREADS, _MOST_USUAL = 10.0, 5.0
# Leads that chance gives on average.
_CHANCE = 1.0
# Economy in one family counts for no less and no more; and what is added to its spread.
_LEAST, _MOST, _SLACK = -2.0, 2.5, 0.05
_NORMAL = 1.4826  # standard deviations of normal values in their median absolute deviation


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a search reached.

    Attributes:
        margins: Of each class in each family, minus infinity for one that is not looked for, shape
            (families, classes).
        shifts: How far its trigger moves the features, on average over images; NaN where none was
            climbed to the end, shape (families, classes).
        unit: The usual margin of a clean image, above 0.
    """

    margins: Floats
    shifts: Floats
    unit: float

    def without(self, labels: list[int]) -> Evidence:
        """The same as if some labels were not looked for."""
        margins, shifts = self.margins.copy(), self.shifts.copy()
        margins[:, labels], shifts[:, labels] = -np.inf, np.nan
        return Evidence(margins, shifts, self.unit)


def scores(evidence: Evidence) -> Floats:
    """The mean economy over the families, and the mean lead beyond what chance gives.

    Returns:
        Shape (classes,), higher = more suspicious.
    """
    beyond = np.maximum(leads(evidence).mean(0) - _CHANCE, 0.0)
    total: Floats = economy(evidence).mean(0) + beyond
    return total


def leads(evidence: Evidence) -> Floats:
    """How far the first label of each family leads; 0 for all others, shape (families, classes).

    A lead is the margin of the first label less that of the second. It is counted in spreads, as
    the labels behind are spaced (were their margins the largest of many exponential ones, the lead
    would on average be one), and in usual margins; both are added.

    References:
        Spacings of exponential order statistics: Renyi, On the theory of order statistics, Acta
        Mathematica Hungarica 1953.
    """
    margins = evidence.margins
    ordered = -np.sort(-margins, axis=1)
    lowest = np.where(np.isfinite(ordered), ordered, np.inf).min(1, keepdims=True)
    ordered = np.where(np.isfinite(ordered), ordered, lowest)
    last = min(_BEHIND, ordered.shape[1] - 1)
    second = ordered[:, 1:2]
    level = np.abs(second) + evidence.unit
    expected = sum(1 / place for place in range(2, last + 1)) or 1.0
    spread = (second - ordered[:, last : last + 1]) / expected + _FLOOR * level
    place = min(_PLACE, ordered.shape[1] - 1)
    usual = np.abs(ordered[:, place : place + 1]) + evidence.unit
    gaps = np.where(np.isfinite(margins), margins - second, 0.0)
    return np.clip(gaps / spread, 0.0, _MOST_SPREADS) + np.clip(gaps / usual, 0.0, _MOST_USUAL)


def economy(evidence: Evidence) -> Floats:
    """What the triggers of each label gain for how far they move the features.

    Returns:
        Robust z among the labels of the family that were climbed to the end, 0 for the others,
        shape (families, classes).
    """
    finite = np.where(np.isfinite(evidence.margins), evidence.margins, np.nan)
    gains = (finite + evidence.unit) / np.maximum(evidence.shifts, 1e-12)
    known = np.isfinite(gains)
    if not known.any(1).all():
        return np.where(known, 0.0, 0.0)
    middle = np.nanmedian(gains, axis=1, keepdims=True)
    spread = _NORMAL * np.nanmedian(np.abs(gains - middle), axis=1, keepdims=True)
    z = (gains - middle) / (spread + _SLACK * np.abs(middle) + 1e-12)
    return np.where(known, np.clip(z, _LEAST, _MOST), 0.0)
