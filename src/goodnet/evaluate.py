"""Clean accuracy, attack success rate, detection and false alarms, all with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from goodnet.images import Block, ImageSet
from goodnet.network import Network, map_blocks
from goodnet.stats import proportion
from goodnet.types import Evaluation, Integers, SetResult

__all__ = ["agree", "answer", "evaluate_network", "score"]


def answer(network: Network, images: ImageSet) -> Integers:
    """The class the network gives each image of a set, shape (images,)."""

    def run(block: Block) -> Integers:
        return network.answers(block.images)

    blocks = images.blocks(network.block_size)
    return np.concatenate(list(map_blocks(run, blocks, network.device)))


def agree(original: Integers, repaired: Integers, *, num_classes: int) -> Integers:
    """Answers of the GoodNet: the class where both agree, `num_classes` where they differ."""
    return np.where(original == repaired, original, num_classes)


def score(
    answers: Integers,
    labels: Integers,
    *,
    refusal: int | None = None,
    true_labels: Integers | None = None,
) -> SetResult:
    """Compare answers with labels.

    Args:
        answers: Class given to each image, shape (images,).
        labels: Class of each image, or the attacker's target on a poisoned set, shape (images,).
        refusal: The class that means "backdoored", for a network that has one.
        true_labels: On a poisoned set, what the images show, for the robust accuracy.
    """
    total = len(answers)
    correct = int((answers == labels).sum())
    robust = None if true_labels is None else proportion(int((answers == true_labels).sum()), total)
    if refusal is None:
        return SetResult(correct=proportion(correct, total), robust=robust)
    refused = int((answers == refusal).sum())
    return SetResult(
        correct=proportion(correct, total),
        refused=proportion(refused, total),
        accepted_correct=proportion(correct, total - refused),
        robust=robust,
    )


def evaluate_network(
    network: Network,
    clean: ImageSet,
    backdoor: Mapping[str, ImageSet] | None = None,
    *,
    name: str = "B",
    refusal: int | None = None,
) -> Evaluation:
    """Run a network over a clean set and any number of poisoned sets, already scaled.

    Args:
        network: The network.
        clean: Clean labelled images.
        backdoor: Poisoned images by name; their label is the attacker's target.
        name: What to call the network in a table.
        refusal: The class that means "backdoored": N for a GoodNet of N classes.
    """
    poisoned = backdoor or {}
    return Evaluation(
        network=name,
        clean=score(answer(network, clean), clean.labels, refusal=refusal),
        backdoor={
            key: score(
                answer(network, images),
                images.labels,
                refusal=refusal,
                true_labels=images.source_labels,
            )
            for key, images in poisoned.items()
        },
    )
