"""Small facts to draw, and what to look at in a drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from goodnet.report.facts import Curve
from goodnet.results import GuardedRates, PruneDrop, Rates
from goodnet.stats import proportion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOSTILE = "<script>alert(1)</script>&\"' \u202e\u05d0 \U0001f600\n"


def drop(points: float, channels: int | None) -> PruneDrop:
    return PruneDrop(drop=points, channels_pruned=channels)


def curve(**changes: Any) -> Curve:
    """Four channels of which 0 and 2 are dead, judged by ten images and by eight poisoned ones."""
    facts: dict[str, Any] = {
        "layer": "conv_3",
        "order": "ascending",
        "channels": (2, 0, 3, 1),
        "mean_activation": (0.0, 2.0, 0.0, 1.0),
        "dead": (0, 2),
        "accuracy": tuple(proportion(count, 10) for count in (10, 10, 9, 7, 2)),
        "success": {"sunglasses": tuple(proportion(count, 8) for count in (8, 8, 8, 4, 0))},
        "poisoned_activation": {"sunglasses": (0.0, 1.0, 3.0, 4.0)},
        "drops": (drop(10, 2), drop(30, 3)),
    }
    return Curve(**facts | changes)


def rules(figure: Figure) -> list[Line2D]:
    """The lines down from labels above a plot, from left to right."""
    return [artist for artist in figure.artists if isinstance(artist, Line2D)]


def long_curve(channels: int, sets: int) -> Curve:
    """Many channels and poisoned sets."""
    steps = range(channels + 1)
    names = [f"set {index}" for index in range(sets)]
    return Curve(
        layer="conv_3",
        order="ascending",
        channels=tuple(range(channels)),
        mean_activation=tuple(step / channels for step in range(channels)),
        dead=(0,),
        accuracy=tuple(proportion(channels - step, channels) for step in steps),
        success={
            name: tuple(proportion((7 * step) % channels, channels) for step in steps)
            for name in names
        },
        poisoned_activation={
            name: tuple((7 * step) % channels / channels for step in range(channels))
            for name in names
        },
    )


B = Rates(proportion(10, 10), {"sunglasses": proportion(9, 10)})
REPAIRED = Rates(proportion(8, 10), {"sunglasses": proportion(4, 10)})
GUARDED = GuardedRates(
    proportion(7, 10),
    {"sunglasses": proportion(3, 10)},
    false_alarms=proportion(1, 10),
    detected={"sunglasses": proportion(5, 10)},
)
