"""Prune the channels least active on clean images, until accuracy has fallen by X points.

Liu, Dolan-Gavitt and Garg, Fine-Pruning, RAID 2018 (the pruning half), as the CSAW-HackML lab
states it: channels of the last pooling layer, in ascending order of mean activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from goodnet.errors import InvalidInput, UsageError
from goodnet.repair.layers import default_layer, silence_channels
from goodnet.repair.method import Context, Repair
from goodnet.repair.result import RepairResult
from goodnet.stats import proportion
from goodnet.types import Integers, PruneCurve

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.progress import ProgressCallback
    from goodnet.repair.activity import ChannelActivity
    from goodnet.repair.trace import Trace

Order = Literal["ascending", "descending"]


@dataclass(frozen=True)
class Prune(Repair[RepairResult]):
    """Prune a layer until accuracy has fallen; the result holds the whole curve.

    Attributes:
        drop: Drop of clean accuracy to prune to, in percentage points.
        layer: The layer to prune; None for the last pooling layer, else the last convolution, else
            the last hidden dense layer.

    Raises:
        UsageError: If the drop is not between 0 and 100.

    References:
        Liu, Dolan-Gavitt and Garg, Fine-Pruning, RAID 2018 (the pruning half).
    """

    name = "prune"
    summary = "prune the channels least active on clean images"
    paper = "Liu, Dolan-Gavitt, Garg, RAID 2018"
    output = "B' with silent channels"

    drop: float = 10.0
    layer: str | None = None

    def _check(self) -> None:
        check_drop(self.drop)

    def _repair(self, network: Network, images: ImageSet, context: Context) -> RepairResult:
        layer = default_layer(network) if self.layer is None else self.layer
        with context.stage(2 * len(images), "pruning") as advance:
            curve, channels = pruned_channels(
                network, images, layer=layer, drop=self.drop, progress=advance
            )
        return RepairResult(
            "",
            silence_channels(network, layer, channels),
            before=proportion(int(curve.correct[0]), curve.total),
            after=proportion(int(curve.correct[len(channels)]), curve.total),
            details={"layer": layer, "drop": self.drop, "channels_pruned": channels},
            curve=curve,
        )


def check_drop(drop: float) -> None:
    """Refuse a drop in accuracy that is none, or more than all.

    Raises:
        UsageError: If it is not between 0 and 100 percentage points.
    """
    if not 0 < drop < 100:
        raise UsageError(f"expected a drop between 0 and 100 percentage points, got {drop:g}")


def pruned_channels(
    network: Network,
    images: ImageSet,
    *,
    layer: str,
    drop: float,
    progress: ProgressCallback | None = None,
) -> tuple[PruneCurve, list[int]]:
    """The curve of a layer, and the channels that are silent once accuracy has fallen so far.

    Raises:
        InvalidInput: If the layer does not exist, or accuracy never falls so far.
    """
    curve = prune_curve(network, images, layer=layer, progress=progress)
    steps = curve.steps_to_drop(drop)
    if steps is None:
        raise InvalidInput(
            f"accuracy never falls by {drop:g} points, not even with all {len(curve.channels)} "
            f"channels of {layer!r} silent; give a smaller drop or another layer"
        )
    return curve, curve.silenced(steps)


def pruning_order(activity: ChannelActivity, order: Order = "ascending") -> Integers:
    """Channels by mean activation; ties by index.

    Raises:
        UsageError: If the order has another name.
    """
    if order not in ("ascending", "descending"):
        raise UsageError(f"expected the order ascending or descending, got {order!r}")
    key = activity.mean if order == "ascending" else -activity.mean
    return np.argsort(key, kind="stable").astype(np.int64)


def prune_curve(
    network: Network,
    images: ImageSet,
    *,
    layer: str | None = None,
    order: Order = "ascending",
    channels: Sequence[int] | None = None,
    progress: ProgressCallback | None = None,
) -> PruneCurve:
    """Clean accuracy as the channels of a layer are silenced one after another.

    Args:
        network: The suspect network; it is not changed.
        images: The clean labelled validation set. Two passes are made.
        layer: The layer to prune; None for the last pooling layer.
        order: Least active channels first, or most active first.
        channels: An explicit order instead; may leave channels out.
        progress: Called with the number of images done, in all twice the set.

    Returns:
        The curve, from which `steps_to_drop` reads the first network X points below the original.

    Raises:
        InvalidInput: If the images do not fit the network or are all of one class, the layer or a
            channel does not exist, or a channel is given twice.
        UsageError: If the order has another name.
    """
    from goodnet.network import check_pair
    from goodnet.repair.activity import measure_activity
    from goodnet.repair.trace import trace_predictions

    check_pair(network, images, several=True)
    layer = default_layer(network) if layer is None else layer
    activity = measure_activity(network, images, layer, progress=progress)
    chosen = pruning_order(activity, order)
    if channels is not None:
        try:
            chosen = np.asarray(list(channels), dtype=np.int64)
        except (TypeError, ValueError, OverflowError) as error:
            raise UsageError(
                "expected the channels to prune as numbers that count from 0"
            ) from error
        if not chosen.size:
            raise UsageError("expected at least one channel to prune, got an empty list")
    trace = trace_predictions(
        network, images, layer, groups=[[int(c)] for c in chosen], progress=progress
    )
    return PruneCurve(
        layer=layer,
        order=order if channels is None else "given",
        channels=chosen,
        mean_activation=activity.mean,
        active_images=activity.active_images,
        correct=trace.correct,
        total=trace.total,
    )


def trace_backdoor(
    curve: PruneCurve,
    network: Network,
    images: ImageSet,
    *,
    progress: ProgressCallback | None = None,
) -> Trace:
    """Attack success along a curve: at each step, how many poisoned images get their target.

    The order is fixed by then: this measures, and chooses nothing. Add the result to the curve with
    `curve.with_backdoor(name, trace.correct, total=trace.total)`. `trace.mean_activation` is the
    mean activation of the layer's channels on the poisoned images.

    Args:
        curve: A curve of `network`.
        network: The network the curve was made from.
        images: Poisoned images whose label is the attacker's target.
        progress: Called with the number of images done.

    Raises:
        InvalidInput: If the images do not fit the network.
    """
    from goodnet.network import check_pair
    from goodnet.repair.trace import trace_predictions

    check_pair(network, images)
    groups = [[int(c)] for c in curve.channels]
    return trace_predictions(network, images, curve.layer, groups=groups, progress=progress)
