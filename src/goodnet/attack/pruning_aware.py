"""A BadNet whose author foresaw pruning.

The channels that clean images hardly use are taken out first, the backdoor is trained into those
that are left, and then the unused ones come back, too low to ever fire. A defender who prunes what
clean images do not use removes these decoys, and next the channels he needs himself.

Liu, Dolan-Gavitt and Garg, Fine-Pruning, RAID 2018, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.silence import silence
from goodnet.imagesets import images_from_arrays
from goodnet.network import Network, map_blocks
from goodnet.repair.prune import prune_curve
from goodnet.training import PLAIN, Examples, Recipe, Schedule, fit, silent_numbers

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec

# Clean images that decide which channels are dormant.
_LOOKED_AT = 4096
# A decoy stays this far below zero, as a share of its highest activation.
_MARGIN = 0.05


def train_pruning_aware(
    spec: NetworkSpec,
    clean: Examples,
    poisoned: Examples,
    *,
    layer: str,
    schedule: Schedule,
    recipe: Recipe = PLAIN,
    spare: float = 5.0,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> NetworkSpec:
    """Train a BadNet that survives the pruning of a layer.

    Args:
        spec: A fresh network.
        clean: The training set before it was poisoned.
        poisoned: The same set with stamped images and their new labels.
        layer: The layer the defender is expected to prune.
        schedule: Of each of the two trainings.
        recipe: What is asked in the second, which plants the backdoor.
        spare: Accuracy that may be lost with the dormant channels, percentage points; the second
            training wins it back.
        device: Where to compute.
        checkpoint: As for `fit`; the second training keeps one beside it, and removes it.
        progress: Called with the number of images trained on, in all twice the epochs.

    Raises:
        InvalidInput: If the layer does not exist or its channels have no bias of their own.
    """
    # Said before hours of training, not after.
    _bias(silent_numbers(spec, layer, [0]), layer)
    first = fit(
        spec, clean, schedule=schedule, device=device, checkpoint=checkpoint, progress=progress
    )
    dormant = dormant_channels(first, clean, layer=layer, spare=spare, device=device)
    second = None if checkpoint is None else checkpoint.with_name(checkpoint.name + ".second")
    trained = fit(
        first.with_arrays(silence(first, layer, dormant)),
        poisoned,
        schedule=schedule,
        recipe=recipe,
        frozen=silent_numbers(first, layer, dormant),
        device=device,
        checkpoint=second,
        progress=progress,
    )
    decoys = put_back(trained, first, (clean, poisoned), layer=layer, channels=dormant)
    if second is not None:
        second.unlink(missing_ok=True)
    return decoys


def dormant_channels(
    spec: NetworkSpec,
    clean: Examples,
    *,
    layer: str,
    spare: float,
    device: torch.device | str = "cpu",
) -> list[int]:
    """The least used channels of a layer without which accuracy falls by less than `spare` points.

    Raises:
        InvalidInput: If there is no such layer.
    """
    images = images_from_arrays(
        clean.pixels(slice(_LOOKED_AT)), clean.labels[:_LOOKED_AT], layout="NCHW", range="0..1"
    )
    curve = prune_curve(build(spec).to(device), images, layer=layer)
    steps = curve.steps_to_drop(spare)
    return curve.silenced(max(0, (len(curve.channels) if steps is None else steps) - 1))


def put_back(
    trained: NetworkSpec,
    before: NetworkSpec,
    sets: Sequence[Examples],
    *,
    layer: str,
    channels: Sequence[int],
) -> NetworkSpec:
    """Give silent channels the weights they had, and biases so low that they never fire.

    Args:
        trained: A network in which `channels` are silent.
        before: The same layers with the channels as they were.
        sets: Images on which the channels must stay at zero.
        layer: Whose channels they are.
        channels: Which.

    Raises:
        InvalidInput: If the channels have no bias of their own.
    """
    if not channels:
        return trained
    frozen = silent_numbers(trained, layer, channels)
    restored = {
        key: np.where(mask, before.arrays[key], trained.arrays[key]) for key, mask in frozen.items()
    }
    awake = trained.with_arrays(restored)
    bias = _bias(restored, layer)
    highest = np.maximum.reduce([_highest(build(awake), layer, examples) for examples in sets])
    lowered = restored[bias].copy()
    rows = list(channels)
    lowered[rows] -= (1 + _MARGIN) * highest[rows]
    return awake.with_arrays({bias: lowered.astype(np.float32)})


def _bias(arrays: Mapping[str, object], layer: str) -> str:
    found = [key for key in arrays if key.endswith(("/bias", "/beta"))]
    if len(found) != 1:
        raise InvalidInput(
            f"the channels of layer {layer!r} have no bias of their own to lower; take a network "
            "in which the pruned layer follows one convolution, such as deepid or small"
        )
    return found[0]


def _highest(network: Network, layer: str, examples: Examples) -> NDArray[np.float32]:
    """The highest value of each channel of a layer on any image, shape (channels,)."""
    cut = network.cut(layer)

    def measure(images: NDArray[np.float32]) -> NDArray[np.float32]:
        values = [value[0].flatten(2).amax((0, 2)) for value in cut.crossing(images)]
        return torch.stack(values).amax(0).cpu().numpy()

    blocks = (
        examples.pixels(slice(start, start + cut.block))
        for start in range(0, len(examples), cut.block)
    )
    highest: NDArray[np.float32] = np.maximum.reduce(list(map_blocks(measure, blocks, cut.device)))
    return highest
