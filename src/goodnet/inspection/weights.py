"""Numbers that trained networks hardly ever have."""

from __future__ import annotations

from collections.abc import Iterator

from goodnet.inspection.finding import Finding, Oddity, Rule, Subject
from goodnet.ops import OPS

RULE = Rule(
    "large-weight",
    "warning",
    "A weight is unusually large",
    "Trained weights are hardly ever as large. They may have been set by hand, or what they "
    "multiply is tiny; with far larger ones answers are infinite or NaN.",
)
# Beyond this a trained network's weights are hardly ever found.
_LARGE = 1e3
# The product of two such numbers is more than single precision holds.
_BEYOND = 1.8e19


def _find(subject: Subject) -> Iterator[Finding]:
    for key, array in subject.spec.arrays.items():
        layer, _, name = key.rpartition("/")
        largest = max(float(array.max(initial=0.0)), -float(array.min(initial=0.0)))
        # Statistics of what a layer reads are as large as that is.
        measured = name in OPS[subject.graph.layers[layer].op].buffers
        if largest > (_BEYOND if measured else _LARGE):
            beyond = ", with which answers may be infinite or NaN" * (largest > _BEYOND)
            yield RULE.finding(f"{key} holds a number as large as {largest:.3g}{beyond}", layer)


ODDITY = Oddity((RULE,), _find)
