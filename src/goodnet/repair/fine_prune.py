"""Prune the channels that clean images hardly use, then train on without them.

Liu, Dolan-Gavitt and Garg, Fine-Pruning, RAID 2018.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats.silence import silence
from goodnet.images import images_from_arrays
from goodnet.repair.clean import CleanImages, prepare
from goodnet.repair.effort import tune_hard
from goodnet.repair.layers import default_layer
from goodnet.repair.prune import prune_curve
from goodnet.repair.result import Repair, Settings
from goodnet.repair.tune import finish
from goodnet.training import silent_numbers

if TYPE_CHECKING:
    from goodnet.images import ImageSet
    from goodnet.network import Network
    from goodnet.progress import Advance

__all__ = ["fine_prune"]


def fine_prune(
    network: Network,
    images: ImageSet,
    *,
    drop: float = 10.0,
    layer: str | None = None,
    settings: Settings | None = None,
) -> Repair:
    """Prune a layer until accuracy has fallen, then fine-tune; what is pruned stays silent.

    Args:
        network: B, from a file; it is not changed.
        images: Clean, labelled and already scaled.
        drop: How far accuracy may fall by pruning, percentage points; training wins it back.
        layer: The layer to prune; None for the usual one, see `repair.layers.default_layer`.
        settings: How to run it.

    Raises:
        UsageError: If the drop is not between 0 and 100.
        InvalidInput: If B does not answer the clean images as labelled, the layer does not exist,
            or accuracy never falls so far.
        OverBudget: If the images do not fit in memory.
    """
    since, settings = time.perf_counter(), settings or Settings()
    if not 0 < drop < 100:
        raise UsageError(f"expected a drop between 0 and 100 percentage points, got {drop:g}")
    start = network.spec
    layer = default_layer(network) if layer is None else layer
    clean = prepare(network, images, held_back=settings.held_back, seed=settings.seed)
    with settings.stage(2 * len(clean.train), "pruning") as advance:
        channels = _channels(network, clean, layer=layer, drop=drop, advance=advance)
    found = tune_hard(
        network,
        clean,
        start=start.with_arrays(silence(start, layer, channels)),
        settings=settings,
        held=silent_numbers(start, layer, channels),
    )
    return finish(
        found, "fine-prune", since=since, layer=layer, drop=drop, channels_pruned=channels
    )


def _channels(
    network: Network, clean: CleanImages, *, layer: str, drop: float, advance: Advance
) -> list[int]:
    """The channels to prune, found on the images to train on."""
    train = clean.train
    images = images_from_arrays(train.images, train.labels, layout="NCHW", range="0..255")
    curve = prune_curve(network, images, layer=layer, progress=advance)
    steps = curve.steps_to_drop(drop)
    if steps is None:
        raise InvalidInput(
            f"accuracy never falls by {drop:g} points, not even with all {len(curve.channels)} "
            f"channels of {layer!r} silent; give a smaller drop or another layer"
        )
    return curve.silenced(steps)
