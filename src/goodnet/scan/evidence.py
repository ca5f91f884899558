"""From what a search reached to scores: which label stands out, over all families of triggers.

The triggers of innocent labels move the features about as far for what they gain, and one label
leads in one family and another in the next. A backdoor's triggers gain more for how far they move
the features, whatever they look like; or they lead by far where they look like the attacker's; or
they take the features much farther out than those of others, where no clean image comes near. What
marks a class of its own (a mole on a cheek) leads, too, where triggers look so: what is usual for
one kind of triggers is not for another, and a score says how far beyond the usual a label stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goodnet.scan.families import Kind
from goodnet.scan.null import ALL, DISTANCE, Standing, beyond_usual

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
# The fewest labels whose distances can be compared, what is added to their spread, and the most
# that a distance counts for, in spreads.
_COMPARED, _LOOSE, _FARTHEST = 6, 0.1, 12.0
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
        kinds: Of triggers, one for each family.
        distances: How far all triggers of a label take the features, in what clean images vary by
            that way; NaN where there are too few, shape (classes,).
    """

    margins: Floats
    shifts: Floats
    unit: float
    kinds: tuple[Kind, ...]
    distances: Floats

    def without(self, labels: list[int]) -> Evidence:
        """The same as if some labels were not looked for."""
        margins, shifts = self.margins.copy(), self.shifts.copy()
        distances = self.distances.copy()
        margins[:, labels], shifts[:, labels], distances[labels] = -np.inf, np.nan, np.nan
        return Evidence(margins, shifts, self.unit, self.kinds, distances)


def scores(evidence: Evidence) -> Floats:
    """How far each label stands beyond what is usual, in all kinds of triggers together.

    Returns:
        The sum of what is beyond, in scales of what clean networks vary by, shape (classes,), 0 or
        more, higher = more suspicious; 0 for labels that no trigger was climbed of to the end.
    """
    beyond = [beyond_usual(name, values) for name, values in standings(evidence).items()]
    climbed = np.isfinite(evidence.shifts).any(0)
    total: Floats = np.where(climbed, np.maximum(beyond, 0.0).sum(0), 0.0)
    return total


def standings(evidence: Evidence) -> dict[Standing, Floats]:
    """Economy and lead of each label, over all families and for each kind of triggers; distance.

    Over all families it is the mean economy and the mean lead beyond what chance gives; over those
    of a kind, where a lead is no chance, the mean of both. Distances are compared as `apart` does.

    Returns:
        Each of shape (classes,).
    """
    ahead, gain = leads(evidence), economy(evidence)
    found: dict[Standing, Floats] = {ALL: gain.mean(0) + np.maximum(ahead.mean(0) - _CHANCE, 0.0)}
    for kind in dict.fromkeys(evidence.kinds):
        rows = [name == kind for name in evidence.kinds]
        found[kind] = (gain + ahead)[rows].mean(0)
    found[DISTANCE] = apart(evidence.distances)
    return found


def apart(distances: Floats) -> Floats:
    """How far each label's distance is beyond the median, in spreads of the labels.

    Returns:
        Robust z, at most 12, and 0 where the distance is not known or there are few to compare,
        shape (classes,).
    """
    known = np.isfinite(distances)
    if known.sum() < _COMPARED:
        return np.zeros(len(distances))
    middle = float(np.median(distances[known]))
    spread = _NORMAL * float(np.median(np.abs(distances[known] - middle)))
    z = (np.where(known, distances, middle) - middle) / (spread + _LOOSE * abs(middle) + 1e-12)
    found: Floats = np.minimum(z, _FARTHEST)
    return found


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
