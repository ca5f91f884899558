"""Erase what triggers add to the features of a network, in closed form, without training.

A trigger shifts the features of an image. The mean of stamped minus clean features is a direction
for each trigger. Once it is removed from the value of a layer, the layers behind it cannot tell a
stamped image from a clean one by it. The repair changes a few weights only (see `repair.fold`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.attack import Trigger
from goodnet.errors import UsageError
from goodnet.repair.clean import count_right, prepare
from goodnet.repair.fold import readers
from goodnet.repair.method import Context, Repair
from goodnet.repair.result import RepairResult
from goodnet.repair.stamped import check_triggers, effects, stamp_clean, target_notes
from goodnet.training import TrainingConfig

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network

_RANKS = (1, 2)
_NOTHING = "nothing was erased: nothing did better than the network as it is"


@dataclass(frozen=True)
class Erase(Repair[RepairResult]):
    """Remove the directions that triggers add to a layer's value from the layers that read it.

    Options left open are chosen by five-fold cross-validation on the images not held back: the
    layer, from the last one backwards; the rank; the strength; and, where the readers give the
    logits, whether only the triggers' target labels lose the directions or all labels do (see
    `repair.erasure.choose`). The network stays as it is if no choice improves it. Landmarks stored
    with the images place triggers on faces.

    `details` of the result holds the layer, the rank, the strength, the labels whose logits were
    changed (None for all), and the effect of each trigger on the images held back
    (`repair.stamped.effects`).

    Attributes:
        triggers: Triggers to erase, all at once.
        layer: Layer in whose value to erase, a vector or a channel map; None to choose.
        rank: Directions per trigger: the mean difference, then principal directions of the
            remaining difference; None to choose.
        held_back: Share of the clean images to hold back for validation, 0..1.
        seed: Seed of the random numbers.

    Raises:
        UsageError: If there is no trigger, or the rank is below 1.

    References:
        Belrose et al., LEACE, NeurIPS 2023, for the projection; see `repair.directions`.
    """

    name = "erase"
    summary = "remove from the features what triggers add to them, without training"
    paper = "ours, after Belrose et al., NeurIPS 2023"
    needs = "clean images and triggers"
    output = "B', no training"

    triggers: tuple[Trigger, ...]
    layer: str | None = None
    rank: int | None = None
    held_back: float = 0.2
    seed: int = 0

    def _check(self) -> None:
        check_triggers(self.triggers)
        if self.rank is not None and self.rank < 1:
            raise UsageError(f"expected a rank of at least 1, got {self.rank}")
        TrainingConfig(held_back=self.held_back, seed=self.seed)

    @property
    def _training(self) -> TrainingConfig:
        return TrainingConfig(held_back=self.held_back, seed=self.seed)

    def _repair(self, network: Network, images: ImageSet, context: Context) -> RepairResult:
        from goodnet.formats.build import build
        from goodnet.repair.erasure import candidates, choose

        spec = network.spec
        layers = candidates(network) if self.layer is None else [self.layer]
        for name in layers:
            readers(spec, name)
        clean = prepare(network, images, context.training)
        stamped = stamp_clean(
            network, clean, images, triggers=self.triggers, training=context.training
        )
        with context.stage(len(layers), "measuring layers") as advance:
            found = choose(
                network,
                clean,
                stamped,
                layers=layers,
                ranks=_RANKS if self.rank is None else (self.rank,),
                forced=(self.layer, self.rank) != (None, None),
                advance=advance,
            )
        choice, arrays = found or (None, {})
        repaired = build(spec.with_arrays(arrays)).to(network.device)
        notes = target_notes(network, repaired, stamped) if choice else (_NOTHING,)
        result = RepairResult(
            "",
            repaired,
            before=clean.before,
            after=count_right(repaired, clean.held_back),
            notes=(*clean.notes, *notes),
            details={
                "layer": choice.layer if choice else None,
                "rank": choice.rank if choice else 0,
                "strength": choice.strength if choice else 0.0,
                "labels": list(choice.labels) if choice and choice.labels else None,
                "triggers": effects(network, repaired, stamped),
            },
        )
        return result.with_warning(context.training.tolerance)
