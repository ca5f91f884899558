"""Fine-tune where the loss is largest nearby: weights of a backdoor are large and move most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.errors import UsageError
from goodnet.repair.clean import prepare
from goodnet.repair.effort import tune_hard
from goodnet.repair.method import Context, Trained
from goodnet.training import sharpness_aware

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.repair.result import RepairResult

__all__ = ["FtSam"]


@dataclass(frozen=True)
class FtSam(Trained):
    """Fine-tune by steps that minimise the largest loss nearby.

    Attributes:
        radius: How far is nearby, in the size of the weights; above 0.

    Raises:
        UsageError: If the radius is not above 0.

    References:
        Zhu et al., Enhancing Fine-Tuning Based Backdoor Defense with Sharpness-Aware Minimization,
        ICCV 2023. Departures: Adam in one cycle, trained as hard as clean accuracy bears, instead
        of SGD for a fixed time; no label smoothing.
    """

    name = "ft-sam"
    summary = "fine-tune where the loss is largest nearby"
    paper = "Zhu et al., ICCV 2023"

    radius: float = 2.0

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise UsageError(f"expected a radius above 0, got {self.radius:g}")

    def _repair(self, network: Network, images: ImageSet, context: Context) -> RepairResult:
        clean = prepare(network, images, context.training)
        step = sharpness_aware(self.radius)
        label = f"sharpness-aware {self.radius:g}"
        return tune_hard(
            network, clean, start=network.spec, context=context, step=step, label=label
        )
