"""Clean accuracy, attack success rate, detection and false alarms, all with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from goodnet.errors import UsageError
from goodnet.guard.form import reject_class_of
from goodnet.imagesets import Block, ImageSet
from goodnet.network import (
    Network,
    answers,
    check_answered,
    check_network,
    check_pair,
    map_blocks,
)
from goodnet.stats import proportion
from goodnet.types import Evaluation, Integers, SetResult


def predict_set(network: Network, images: ImageSet) -> Integers:
    """The class the network gives each image of a set, shape (images,).

    Raises:
        InvalidInput: If its outputs are NaN or infinite on some.
    """

    def run(block: Block) -> Integers:
        return network.answers(block.images)

    blocks = images.blocks(network.block_size)
    found = np.concatenate(list(map_blocks(run, blocks, network.device)))
    return check_answered(found, images=images.name)


def predict_inside(network: Network, layer: str, images: ImageSet) -> tuple[Integers, Integers]:
    """The classes by the value of a layer and by the network's output, shape (images,) each.

    Both come from one pass, as those of B' and of the G that holds it.

    Raises:
        InvalidInput: If the value or the outputs are NaN or infinite on some images.
    """
    cut = network.cut(layer)

    def run(block: Block) -> tuple[Integers, Integers]:
        parts = [(answers(x[0]), cut.predict(x)) for x in cut.crossing(block.images)]
        inner, outer = (torch.cat(found).cpu().numpy() for found in zip(*parts, strict=True))
        return inner, outer

    blocks = images.blocks(network.block_size)
    inner, outer = map(np.concatenate, zip(*map_blocks(run, blocks, network.device), strict=True))
    check_answered(inner, who="the repaired network", images=images.name)
    return inner, check_answered(outer, who="the GoodNet", images=images.name)


def agree(original: Integers, repaired: Integers, *, num_classes: int) -> Integers:
    """Answers of the GoodNet: the class where both agree, `num_classes` where they differ."""
    return np.where(original == repaired, original, num_classes)


def score(
    answers: Integers,
    labels: Integers,
    *,
    reject_class: int | None = None,
    true_labels: Integers | None = None,
) -> SetResult:
    """Compare answers with labels.

    Args:
        answers: Class given to each image, shape (images,).
        labels: Class of each image, or the attacker's target on a poisoned set, shape (images,).
        reject_class: The class that means "backdoored", for a network that has one.
        true_labels: On a poisoned set, what the images show, for the robust accuracy.
    """
    total = len(answers)
    correct = int((answers == labels).sum())
    robust = None if true_labels is None else proportion(int((answers == true_labels).sum()), total)
    if reject_class is None:
        return SetResult(correct=proportion(correct, total), robust=robust)
    refused = int((answers == reject_class).sum())
    return SetResult(
        correct=proportion(correct, total),
        refused=proportion(refused, total),
        accepted_correct=proportion(correct, total - refused),
        robust=robust,
    )


def evaluate(
    network: Network,
    clean: ImageSet,
    backdoor: Mapping[str, ImageSet] | None = None,
    *,
    name: str = "",
) -> Evaluation:
    """Measure a network on a clean set and any number of poisoned sets.

    Args:
        network: The network.
        clean: Clean labelled images.
        backdoor: Poisoned sets by name, labelled with the attacker's target.
        name: Name of the network in tables; by default "G" for a GoodNet, whose class N means
            "backdoored", and "B" for any other.

    Raises:
        UsageError: If these are not a network and sets of images.
        InvalidInput: If images or labels do not fit the network.

    Example:
        `evaluate(network, test, {"sunglasses": poisoned}).backdoor["sunglasses"].correct` is the
        attack success rate with its interval.
    """
    check_network(network)
    sets = {} if backdoor is None else backdoor
    reject_class = reject_class_of(network.spec)
    if not isinstance(sets, Mapping):
        raise UsageError(f"expected poisoned sets by name, got {type(sets).__name__}")
    for images in (clean, *sets.values()):
        check_pair(network, images, rejects=reject_class is not None)
    return evaluated(
        name or ("B" if reject_class is None else "G"),
        (predict_set(network, clean), clean),
        {key: (predict_set(network, images), images) for key, images in sets.items()},
        reject_class=reject_class,
    )


def evaluated(
    name: str,
    clean: tuple[Integers, ImageSet] | None,
    backdoor: Mapping[str, tuple[Integers, ImageSet]],
    *,
    reject_class: int | None = None,
) -> Evaluation:
    """What answers amount to.

    Args:
        name: What to call the network.
        clean: Its answers to a clean set, shape (images,), and the set; None where there is none.
        backdoor: The same of poisoned sets, by name.
        reject_class: The class that means "backdoored"; None for a network without it.
    """
    return Evaluation(
        network=name,
        clean=score(clean[0], clean[1].labels, reject_class=reject_class) if clean else None,
        backdoor={
            key: score(
                answers, images.labels, reject_class=reject_class, true_labels=images.source_labels
            )
            for key, (answers, images) in backdoor.items()
        },
    )
