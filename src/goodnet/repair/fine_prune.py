"""Prune the channels least active on clean images, then fine-tune without them.

Liu, Dolan-Gavitt and Garg, Fine-Pruning, RAID 2018.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from goodnet.formats.silence import silence
from goodnet.imagesets import images_from_arrays
from goodnet.repair.clean import prepare
from goodnet.repair.layers import default_layer
from goodnet.repair.method import Context, Trained
from goodnet.repair.prune import check_drop, pruned_channels
from goodnet.training import silent_numbers

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.repair.result import RepairResult


@dataclass(frozen=True)
class FinePrune(Trained):
    """Prune a layer until accuracy has fallen, then fine-tune; pruned channels stay silent.

    Attributes:
        drop: Drop of clean accuracy to prune to, in percentage points, before fine-tuning.
        layer: The layer to prune; None for the last pooling layer, else the last convolution, else
            the last hidden dense layer.

    Raises:
        UsageError: If the drop is not between 0 and 100.
    """

    name = "fine-prune"
    summary = "prune the channels least active on clean images, then fine-tune"
    paper = "Liu, Dolan-Gavitt, Garg, RAID 2018"
    output = "B' with silent channels"

    drop: float = 10.0
    layer: str | None = None

    def _check(self) -> None:
        check_drop(self.drop)

    def _repair(self, network: Network, images: ImageSet, context: Context) -> RepairResult:
        from goodnet.repair.effort import tune_hard

        layer = default_layer(network) if self.layer is None else self.layer
        clean = prepare(network, images, context.training)
        train = clean.train
        block = images_from_arrays(train.images, train.labels, layout="NCHW", range="0..1")
        with context.stage(2 * len(train), "pruning") as advance:
            curve, channels = pruned_channels(
                network, block, layer=layer, drop=self.drop, progress=advance
            )
        found = tune_hard(
            network,
            clean,
            start=network.spec.with_arrays(silence(network.spec, layer, channels)),
            context=context,
            frozen=silent_numbers(network.spec, layer, channels),
        )
        own = {"layer": layer, "drop": self.drop, "channels_pruned": channels}
        return replace(found, details={**found.details, **own}, curve=curve)
