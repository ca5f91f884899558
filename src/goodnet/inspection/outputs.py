"""Classes that are never the answer, as another one always has a larger output."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from goodnet.formats.affine import Floats
from goodnet.formats.softmax import without_softmax
from goodnet.formats.spec import Array, Layer
from goodnet.inspection.bounds import Interval
from goodnet.inspection.finding import Finding, Oddity, Rule, Subject

RULE = Rule(
    "class-never-wins",
    "warning",
    "A class can never be the answer",
    "Another class always has at least as large an output, whatever the image. The last layer was "
    "damaged or changed by hand, or the class never occurred in training.",
)
_SHOWN = 5
# Features by which rivals of a class are told, and rivals that are looked at: no more are left of
# a trained network, and a crafted one takes no longer.
_TELLING, _RIVALS, _MOST_CLASSES, _MOST_WEIGHTS = 4, 8, 25_000, 1 << 26


def _find(subject: Subject) -> Iterator[Finding]:
    last = _last(subject)
    if last is None:
        return
    arrays = subject.spec.parameters(last.name)
    if len(arrays["weight"]) > _MOST_CLASSES or not 0 < arrays["weight"].size <= _MOST_WEIGHTS:
        return
    features = subject.bounds.values[last.inputs[0]].over(arrays["weight"].shape[1])
    bias = arrays.get("bias", np.zeros(len(arrays["weight"])))
    beaten = list(_beaten(arrays["weight"], bias.astype(np.float64), features))
    if beaten:
        shown = ", ".join(f"{loser} by {winner}" for loser, winner in beaten[:_SHOWN])
        more = ", ..." * (len(beaten) > _SHOWN)
        yield RULE.finding(
            f"{len(beaten)} of {len(bias)} classes can never be the answer, as another always has "
            f"as large an output: {shown}{more}",
            last.name,
        )


def _last(subject: Subject) -> Layer | None:
    """The dense layer whose values are the logits."""
    spec = without_softmax(subject.spec)
    layer = spec[spec.output]
    while layer.op == "identity":
        layer = spec[layer.inputs[0]]
    if layer.op != "dense" or layer.attributes["activation"] is not None:
        return None
    return layer if len(subject.graph.shapes[layer.name]) == 1 else None


def _beaten(weight: Array, bias: Floats, features: Interval) -> Iterator[tuple[int, int]]:
    """Each class that another beats whatever the features are, with that one.

    Features may be as large as they like, so the weights of the winner are nowhere smaller; where
    they may be as small, too, both have the same.
    """
    endless = np.isinf(features.low)
    low = np.where(endless, 0.0, features.low)
    columns, strongest = np.ascontiguousarray(weight.T), np.argsort(-bias, kind="stable")
    for loser, telling in enumerate(_telling(weight)):
        rivals = strongest
        for feature in telling:
            rivals = rivals[columns[feature, rivals] >= weight[loser, feature]]
        if len(rivals) == 1:
            continue  # the class itself
        rivals = rivals[:_RIVALS]
        gap = weight[rivals].astype(np.float64) - weight[loser]
        least = gap @ low + bias[rivals] - bias[loser]
        wins = (gap >= 0).all(1) & ~gap[:, endless].any(1)
        wins &= (least > 0) | ((least == 0) & (rivals < loser))
        if wins.any():
            yield loser, int(rivals[wins][0])


def _telling(weight: Array) -> NDArray[np.intp]:
    """For each class some features in which it is most above the others, so that few are above it.

    Shape (classes, features).
    """
    count = min(_TELLING, weight.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        spread = (weight - weight.mean(0)) / (weight.std(0) + np.finfo(np.float32).tiny)
    return np.argpartition(-spread, count - 1, 1)[:, :count]


ODDITY = Oddity((RULE,), _find)
