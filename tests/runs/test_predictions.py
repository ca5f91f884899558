from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.network import RAW
from goodnet.runs.evaluate import both
from goodnet.runs.inputs import Inputs
from goodnet.runs.options import InputOptions
from goodnet.runs.predictions import PairPredictions, Predictions, evaluation
from goodnet.stats import proportion
from goodnet.types import Integers


def images(labels: list[int], source: list[int] | None = None) -> ImageSet:
    return images_from_arrays(np.zeros((len(labels), 3, 8, 8), np.uint8), labels, source)


def answers(clean: list[int], poisoned: list[int]) -> Predictions:
    def found(values: list[int]) -> Integers:
        return np.array(values, dtype=np.int64)

    return Predictions(found(clean), {"toy": found(poisoned)})


def opened(test: ImageSet | None) -> Inputs:
    network = cast("Any", SimpleNamespace(num_classes=3))
    return Inputs(
        network,
        images([0, 1, 2, 0]),
        RAW,
        InputOptions(),
        test=test,
        backdoor={"toy": images([1, 1, 1], [0, 2, 2])},
    )


def test_the_goodnet_refuses_where_b_and_its_repair_differ() -> None:
    test = images([0, 1, 2, 2])
    first, second = answers([0, 1, 2, 1], [1, 1, 1]), answers([0, 2, 2, 1], [1, 2, 2])
    guarded = both(first, second, num_classes=3)
    assert guarded.clean.tolist() == [0, 3, 2, 1]
    assert guarded.backdoor["toy"].tolist() == [1, 3, 3]
    pair = PairPredictions(opened(test), first, second, guarded)
    assert list(pair.by_network) == ["B", "B'", "G"]
    original, repaired, good = pair.evaluations
    assert [e.network for e in pair.evaluations] == ["B", "B'", "G"]
    assert original.clean
    assert original.clean.correct == proportion(3, 4)
    assert repaired.backdoor["toy"].correct == proportion(1, 3)
    assert repaired.backdoor["toy"].robust == proportion(2, 3)
    assert good.clean
    assert (good.clean.refused, good.clean.accepted_correct) == (proportion(1, 4), proportion(2, 3))


def test_answers_to_the_validation_set_are_not_an_evaluation() -> None:
    job = opened(None)
    assert job.judged is job.clean
    found = evaluation(job, answers([0, 1, 2, 0], [1, 1, 0]), "B")
    assert found.clean is None
    assert found.backdoor["toy"].correct == proportion(2, 3)
