"""Measure a network, or a network with its repaired copy and the GoodNet of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from goodnet.errors import InvalidInput
from goodnet.evaluation import agree
from goodnet.guard.form import reject_class_of
from goodnet.network import Network
from goodnet.runs.inputs import Inputs, open_files
from goodnet.runs.opening import open_network, to_device
from goodnet.runs.options import InputFiles, InputOptions
from goodnet.runs.predictions import PairPredictions, Predictions, evaluation, predictions_of
from goodnet.types import Evaluation


def evaluate_files(
    model: Path,
    clean: Path,
    *,
    backdoor: Mapping[str, Path],
    repaired: Path | None = None,
    options: InputOptions,
) -> tuple[Inputs, list[Evaluation]]:
    """Evaluate a model file on a clean set and on poisoned sets.

    Args:
        model: The network B, or a GoodNet.
        clean: Clean labelled images.
        backdoor: Poisoned sets by name.
        repaired: B', if G is to be measured too.
        options: How to read the files.

    Returns:
        The opened inputs, and one evaluation (B), or three (B, B', G).

    Raises:
        GoodnetError: If a file is refused or does not fit the others.
    """
    opened = open_files(InputFiles(model, clean, backdoor=backdoor), options)
    inputs = replace(opened, test=opened.clean)
    network = inputs.network
    if repaired is None:
        reject_class = reject_class_of(network.spec)
        name = "G" if reject_class else "B"
        found = predictions_of(network, inputs)
        return inputs, [evaluation(inputs, found, name, reject_class=reject_class)]
    other = to_device(open_network(repaired, options, clean), options.device)
    check_belongs(network, other)
    other = other.with_preprocessing(network.preprocessing)
    first, second = (predictions_of(each, inputs) for each in (network, other))
    good = both(first, second, num_classes=network.num_classes)
    return inputs, [*PairPredictions(inputs, first, second, good).evaluations]


def both(original: Predictions, repaired: Predictions, *, num_classes: int) -> Predictions:
    """What the GoodNet of two networks answers."""
    return Predictions(
        agree(original.clean, repaired.clean, num_classes=num_classes),
        {
            name: agree(found, repaired.backdoor[name], num_classes=num_classes)
            for name, found in original.backdoor.items()
        },
    )


def check_belongs(network: Network, repaired: Network) -> None:
    """Make sure B' can stand beside B.

    Raises:
        InvalidInput: If it takes other images or has other classes.
    """
    mine, theirs = ((n.input_shape, n.num_classes) for n in (network, repaired))
    if mine != theirs:
        raise InvalidInput(
            f"the repaired network does not belong to the model: it takes images {theirs[0]} and "
            f"has {theirs[1]} classes, expected {mine[0]} and {mine[1]}"
        )
