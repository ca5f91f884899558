"""Clean accuracy, attack success rate, detection and false alarms, all with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from goodnet.guard.form import reject_class_of
from goodnet.imagesets import Block, ImageSet
from goodnet.network import Network, map_blocks
from goodnet.stats import proportion
from goodnet.types import Evaluation, Integers, SetResult

__all__ = ["agree", "answer", "evaluate", "score"]


def answer(network: Network, images: ImageSet) -> Integers:
    """The class the network gives each image of a set, shape (images,)."""

    def run(block: Block) -> Integers:
        return network.predict(block.images)

    blocks = images.blocks(network.block_size)
    return np.concatenate(list(map_blocks(run, blocks, network.device)))


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
    """Run a network over a clean set and any number of poisoned sets.

    Args:
        network: The network.
        clean: Clean labelled images.
        backdoor: Poisoned images by name; their label is the attacker's target.
        name: What to call the network in a table; by default "G" for a GoodNet, whose class N is
            not an answer but a refusal, and "B" for any other.

    Example:
        `evaluate(network, test, {"sunglasses": poisoned}).backdoor["sunglasses"].correct` is the
        attack success rate with its interval.
    """
    poisoned, reject_class = backdoor or {}, reject_class_of(network.spec)
    return Evaluation(
        network=name or ("B" if reject_class is None else "G"),
        clean=score(answer(network, clean), clean.labels, reject_class=reject_class),
        backdoor={
            key: score(
                answer(network, images),
                images.labels,
                reject_class=reject_class,
                true_labels=images.source_labels,
            )
            for key, images in poisoned.items()
        },
    )
