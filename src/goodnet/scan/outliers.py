"""Which of the scores of all classes stand out: arrays in, numbers out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEWEST = 5
# Standard deviations of normal values in their median and in their mean absolute deviation.
_MEDIAN, _MEAN = 1.4826, 1.2533
# What is called far however few the classes (Iglewicz and Hoaglin, How to detect and handle
# outliers, 1993), and how often a network without a backdoor may have a label that is.
_FAR, _ALARMS = 3.5, 0.05


def spread(values: NDArray[np.floating[Any]]) -> float:
    """The standard deviation of all but the outliers, from the median absolute deviation.

    Where half of the values or more are the same the mean absolute deviation takes its place.
    """
    gaps = np.abs(values - np.median(values))
    return float(_MEDIAN * np.median(gaps)) or float(_MEAN * gaps.mean())


def robust_z(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How far each value lies above the median, in robust standard deviations.

    Args:
        values: Shape (values,).

    Returns:
        Shape (values,); all 0 where the values are all the same.

    Example:
        >>> robust_z(np.array([1.0, 2.0, 3.0, 4.0, 20.0])).round(1)
        array([-1.3, -0.7,  0. ,  0.7, 11.5])
    """
    wide = spread(values)
    gaps = np.asarray(values - np.median(values), np.float64)
    return gaps / wide if wide else gaps


def far(count: int) -> float:
    """The robust z above which a value is an outlier.

    Args:
        count: How many values are looked at; the largest of more normal values is larger.

    Returns:
        At least 3.5, and so large that one of the values passes it by chance in one network of 20.
    """
    from scipy.stats import norm

    return max(_FAR, float(norm.isf(_ALARMS / count)))


def above(scores: NDArray[np.floating[Any]], threshold: float) -> list[int]:
    """The places of scores above a threshold, the largest score first."""
    order = np.argsort(-scores, kind="stable")
    return [int(place) for place in order if scores[place] > threshold]


def too_few(classes: int) -> tuple[str, ...]:
    """A note where the classes are too few to tell how widely the innocent ones are spread."""
    if classes >= _FEWEST:
        return ()
    return (
        f"{classes} classes are too few to tell which of them stands out; "
        f"this method needs {_FEWEST}",
    )
