"""Measure a network, or a network with its repaired copy and the GoodNet of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goodnet.errors import InvalidInput
from goodnet.evaluation import agree, answer, score
from goodnet.formats import load_network
from goodnet.guard.form import reject_class_of
from goodnet.imagesets import ImageSet
from goodnet.jobs.inputs import InputOptions, Inputs, open_inputs, to_device
from goodnet.network import Network
from goodnet.types import Evaluation, Integers, SetResult

__all__ = ["check_belongs", "evaluate_files", "to_dict"]


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
    inputs = open_inputs(model, clean, options)
    sets = {name: inputs.open(path, name=name) for name, path in backdoor.items()}
    network = inputs.network
    if repaired is None:
        reject_class = reject_class_of(network.spec)
        found = _answers(network, inputs.clean, sets)
        return inputs, [
            _evaluation("G" if reject_class else "B", found, inputs.clean, sets, reject_class)
        ]
    other = to_device(load_network(repaired, architecture=options.architecture), options.device)
    check_belongs(network, other)
    other = other.with_preprocessing(network.preprocessing)
    first, second = (_answers(each, inputs.clean, sets) for each in (network, other))
    classes = network.num_classes
    guarded = [agree(a, b, num_classes=classes) for a, b in zip(first, second, strict=True)]
    return inputs, [
        _evaluation("B", first, inputs.clean, sets, None),
        _evaluation("B'", second, inputs.clean, sets, None),
        _evaluation("G", guarded, inputs.clean, sets, classes),
    ]


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


def _answers(network: Network, clean: ImageSet, sets: Mapping[str, ImageSet]) -> list[Integers]:
    return [answer(network, images) for images in (clean, *sets.values())]


def _evaluation(
    name: str,
    answers: list[Integers],
    clean: ImageSet,
    sets: Mapping[str, ImageSet],
    reject_class: int | None,
) -> Evaluation:
    poisoned = zip(sets.items(), answers[1:], strict=True)
    return Evaluation(
        network=name,
        clean=score(answers[0], clean.labels, reject_class=reject_class),
        backdoor={
            key: score(
                found, images.labels, reject_class=reject_class, true_labels=images.source_labels
            )
            for (key, images), found in poisoned
        },
    )


def to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Plain data for `--json`."""
    return {
        "network": evaluation.network,
        "clean": _set(evaluation.clean) if evaluation.clean else None,
        "backdoor": {name: _set(result) for name, result in evaluation.backdoor.items()},
    }


def _set(result: SetResult) -> dict[str, Any]:
    shares = {
        "correct": result.correct,
        "refused": result.refused,
        "accepted_correct": result.accepted_correct,
        "robust": result.robust,
    }
    return {name: share.to_dict() if share else None for name, share in shares.items()}
