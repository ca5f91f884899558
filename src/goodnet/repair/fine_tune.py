"""Train on, on clean images: the control that every other repair has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.repair.clean import prepare
from goodnet.repair.effort import tune_hard
from goodnet.repair.method import Context, Trained

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.repair.result import RepairResult

__all__ = ["FineTune"]


@dataclass(frozen=True)
class FineTune(Trained):
    """Train a network on clean images.

    References:
        Liu, Dolan-Gavitt and Garg, Fine-Pruning, RAID 2018, which shows why it is not enough.
    """

    name = "fine-tune"
    summary = "train on, on clean images"
    paper = "the control of Liu, Dolan-Gavitt, Garg, RAID 2018"

    def _repair(self, network: Network, images: ImageSet, context: Context) -> RepairResult:
        clean = prepare(network, images, context.training)
        return tune_hard(network, clean, start=network.spec, context=context)
