"""Fine-tune on clean images: the baseline for every other repair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.repair.clean import prepare
from goodnet.repair.method import Context, Trained

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.repair.result import RepairResult


@dataclass(frozen=True)
class FineTune(Trained):
    """Fine-tune a network on clean images.

    References:
        Liu, Dolan-Gavitt and Garg, Fine-Pruning, RAID 2018, which shows where it fails.
    """

    name = "fine-tune"
    summary = "fine-tune on clean images"
    paper = "the baseline of Liu, Dolan-Gavitt, Garg, RAID 2018"

    def _repair(self, network: Network, images: ImageSet, context: Context) -> RepairResult:
        from goodnet.repair.effort import tune_hard

        clean = prepare(network, images, context.training)
        return tune_hard(network, clean, start=network.spec, context=context)
