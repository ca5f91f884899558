"""Erase what triggers add to the features of a network, in closed form, without training.

A trigger moves the features of an image. The mean of stamped minus clean features is a direction
for each trigger; taken out of the value of a layer, the layers behind it cannot tell a stamped
image from a clean one by it. Repair is then a change of a few numbers (see `repair.fold`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from goodnet.errors import UsageError
from goodnet.formats.build import build
from goodnet.repair.clean import count_right, prepare
from goodnet.repair.erasure import candidates, choose
from goodnet.repair.fold import readers
from goodnet.repair.result import Repair, Settings
from goodnet.repair.stamped import effects, stamp_clean, target_notes
from goodnet.repair.tune import finish

if TYPE_CHECKING:
    from goodnet.attack import Landmarks, Trigger
    from goodnet.images import ImageSet
    from goodnet.network import Network

__all__ = ["erase"]

_RANKS = (1, 2)
_NOTHING = "nothing was erased: nothing did better than the network as it is"


def erase(
    network: Network,
    images: ImageSet,
    *,
    triggers: Sequence[Trigger],
    layer: str | None = None,
    rank: int | None = None,
    landmarks: Landmarks | None = None,
    settings: Settings | None = None,
) -> Repair:
    """Take the directions triggers add to a layer's value out of the layers that read it.

    What is left open is chosen by measuring on the images to train on, each time on a fifth that
    the directions were not taken from: the layer, from the last one backwards; the rank; the
    strength; and, where the readers give the answers, whether only the answers the triggers lead to
    lose the directions or all do (see `repair.erasure.choose`). The network stays as it is if
    nothing is better.

    Args:
        network: B, from a file; it is not changed.
        images: Clean, labelled and already scaled.
        triggers: What to erase, all at once.
        layer: Whose value to erase in, a vector or a channel map; None to choose.
        rank: Directions for each trigger: the mean difference, then the principal directions of
            what differs beside it; None to choose.
        landmarks: Of all images, for triggers that lie on faces, shape (N, 13, 2); None for those
            of an aligned crop.
        settings: Of these the seed and the share held back.

    Returns:
        The repair. `details` has the layer, the rank, the strength, the labels whose answers were
        changed (None for all), and what each trigger does to the images held back
        (`repair.stamped.effects`).

    Raises:
        InvalidInput: If B does not answer the clean images as labelled, a trigger does not fit
            them, or directions cannot be erased in the layer.
        OverBudget: If the images do not fit in memory.
        UsageError: If there is no trigger, or the rank is below 1.

    References:
        Belrose et al., LEACE, NeurIPS 2023, for the projection; see `repair.directions`.
    """
    since, settings = time.perf_counter(), settings or Settings()
    spec = network.spec
    if rank is not None and rank < 1:
        raise UsageError(f"expected a rank of at least 1, got {rank}")
    layers = candidates(network) if layer is None else [layer]
    for name in layers:
        readers(spec, name)
    clean = prepare(network, images, held_back=settings.held_back, seed=settings.seed)
    stamped = stamp_clean(
        network, clean, images, triggers=triggers, landmarks=landmarks, settings=settings
    )
    with settings.stage(len(layers), "measuring layers") as advance:
        found = choose(
            network,
            clean,
            stamped,
            layers=layers,
            ranks=_RANKS if rank is None else (rank,),
            forced=(layer, rank) != (None, None),
            advance=advance,
        )
    choice, arrays = found or (None, {})
    repaired = build(spec.with_arrays(arrays)).to(network.device)
    notes = target_notes(network, repaired, stamped) if choice else (_NOTHING,)
    repair = Repair(
        "",
        repaired,
        before=clean.before,
        after=count_right(repaired, clean.held_back),
        notes=(*clean.notes, *notes),
    )
    return finish(
        repair.with_warning(settings.tolerance),
        "erase",
        since=since,
        layer=choice.layer if choice else None,
        rank=choice.rank if choice else 0,
        strength=choice.strength if choice else 0.0,
        labels=list(choice.labels) if choice and choice.labels else None,
        triggers=effects(network, repaired, stamped),
    )
