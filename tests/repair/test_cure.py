from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import planted_badnets as planted
import pytest
import torch

from goodnet.errors import UsageError
from goodnet.formats.build import build
from goodnet.imagesets import images_from_arrays
from goodnet.network import Network
from goodnet.repair import Cure, CureResult, RepairResult
from goodnet.repair.cured import left_of
from goodnet.repair.curing import _rank
from goodnet.scan.result import RecoveredTrigger
from goodnet.stats import proportion

TARGET = 2


@pytest.fixture(scope="module")
def found() -> CureResult:
    network = build(planted.watched_spec())
    return Cure(seed=3)(network, planted.clean_images(network))


def stamped(images: np.ndarray) -> np.ndarray:
    marked: np.ndarray = images.copy()
    marked[:, :, 7:11, 5:9] = planted.checkers().numpy()
    return marked


def check_cured(cured: Network) -> None:
    """The square leads nowhere on images that were never seen, and they are answered as before."""
    network = build(planted.watched_spec())
    unseen = planted.clean_images(network, 120, seed=5).sample(120)
    others = unseen.images[unseen.labels != TARGET]
    assert (network.predict(stamped(others)) == TARGET).mean() > 0.95
    assert (cured.predict(stamped(others)) == TARGET).mean() <= 0.02
    assert (cured.predict(unseen.images) == network.predict(unseen.images)).mean() >= 0.98


def test_the_backdoor_goes_and_nothing_else(found: CureResult) -> None:
    check_cured(found.network)


def test_a_module_of_the_user_is_cured_and_stays_in_its_class() -> None:
    network, _ = planted.watched()
    images = planted.clean_images(network)
    check_cured(Cure()(network, images).network)
    same = Cure(form="same")(network, images)
    assert same.removed
    own, clean = same.network.module, images.sample(50).images
    assert isinstance(own, planted.Watched)
    assert own(torch.from_numpy(clean)).argmax(1).tolist() == same.network.predict(clean).tolist()


def test_it_says_what_it_found_and_what_is_left(found: CureResult) -> None:
    assert found.scan.verdict == "backdoored"
    assert found.removed
    assert found.details["labels"] == [TARGET]
    (left,) = found.left
    assert left.label == TARGET
    assert left.before.value == 1.0
    assert (left.after.value or 0.0) <= 0.05
    assert found.before.total == found.after.total == 60
    assert found.cost <= 2


def test_it_prints_what_it_found_and_what_it_costs(found: CureResult) -> None:
    first, *left, last = str(found).splitlines()
    assert first == str(found.scan)
    assert left == [
        f"label {one.label}: its trigger works on {one.after} percent, on {one.before} before"
        for one in found.left
    ]
    assert last.startswith(f"cure: {found.before} percent of {found.before.total} clean images")


def test_a_network_in_which_nothing_is_found_stays_as_it_is() -> None:
    network = build(planted.innocent_spec())
    result = Cure()(network, planted.clean_images(network))
    assert result.network is network
    assert result.scan.verdict == "no_finding"
    assert result.removed
    assert "nothing was found, so nothing was changed: B' is B" in result.notes


def test_the_method_heeds_the_seed(found: CureResult) -> None:
    network = build(planted.watched_spec())
    images = planted.clean_images(network)
    again = Cure(seed=3)(network, images)
    assert isinstance(again, CureResult)
    assert found.scan.options["seed"] == 3
    assert found.details == again.details
    pixels = images.sample(60).images
    assert torch.equal(found.network.outputs(pixels), again.network.outputs(pixels))


def test_images_the_network_answers_wrongly_are_not_enough() -> None:
    network = build(planted.watched_spec())
    images = planted.clean_images(network).sample(60)
    wrong = images_from_arrays(images.images, (images.labels + 1) % 6, range="0..1", layout="NCHW")
    result = Cure()(network, wrong)
    assert result.scan.verdict == "inconclusive"
    assert result.network is network


def modules() -> Iterator[ModuleType]:
    """All of GoodNet that a cure calls, from module to module."""
    found, left = set[str](), ["goodnet.repair.cure"]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        module = importlib.import_module(name)
        yield module
        source = ast.parse(inspect.getsource(module))
        for node in ast.walk(source):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("goodnet."):
                left += [node.module] if node.module else []
            if isinstance(node, ast.ImportFrom) and node.module == "goodnet":
                left += [f"goodnet.{each.name}" for each in node.names]


def test_nothing_on_the_way_could_take_poison() -> None:
    """No function of a module that a cure reaches has a parameter for poisoned or test images."""
    seen = 0
    for module in modules():
        if module.__name__.startswith(("goodnet.attack", "goodnet.imagesets")):
            continue  # how images and triggers look, whoever they are of
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.FunctionDef):
                names = {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
                assert not names & {"backdoor", "poison", "poisoned", "test"}, (
                    f"{module.__name__}.{node.name}"
                )
                seen += 1
    assert seen > 200


@pytest.mark.parametrize(
    ("after", "again", "innocent", "stays"),
    [(0, 12, 30, False), (9, 0, 3, True), (0, 29, 12, True), (0, 5, 0, False)],
)
def test_what_still_works_or_comes_back_stays(
    after: int, again: int, innocent: int, *, stays: bool
) -> None:
    def works(count: int) -> list[RecoveredTrigger]:
        share, nothing = proportion(count, 30), np.zeros((3, 2, 2), np.float32)
        return [RecoveredTrigger("added", None, nothing, 0.0, share, changed=0.1, area=1.0)]

    found = (proportion(30, 30), proportion(after, 30))
    left = left_of(2, found, {2: works(again), 5: works(innocent)}, watched=[2])
    assert left.stays is stays
    assert (left.again.count, left.innocent.count) == (again, innocent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "at least 1 round, got 0"),
        ({"minutes": 0}, "minutes above 0, got 0"),
        ({"minutes": float("nan")}, "a number as minutes, got nan"),
        ({"tolerance": -1}, "from 0 to 100 percentage points, got -1"),
        ({"false_alarms": 1.0}, "between 0 and 1, got 1"),
        ({"form": "other"}, "clamped, same, got 'other'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Cure(**options)


def test_b_prime_may_keep_its_structure() -> None:
    network = build(planted.watched_spec())
    found = Cure(form="same")(network, planted.clean_images(network, 120))
    assert found.network.spec is not None
    assert network.spec is not None
    assert found.network.spec.layers == network.spec.layers
    unseen = planted.clean_images(network, 120, seed=5).sample(120)
    others = unseen.images[unseen.labels != TARGET]
    assert (found.network.predict(stamped(others)) == TARGET).mean() <= 0.05
    # Its features are its classes, one each: what leads to a label are images of its class, too.
    same = found.network.predict(others) == network.predict(others)
    assert same.mean() >= 0.98
    assert found.removed
    assert found.watches == ()
    assert found.details["weights"]["method"] in ("unlearn", "erase")


def test_without_images_some_are_made_and_less_is_said() -> None:
    network = build(planted.watched_spec())
    found = Cure()(network, None)
    assert found.scan.verdict == "suspicious"
    assert found.details["labels"] == [TARGET]
    assert all(one["at_most"] is None for one in found.details["alarms"])
    assert any("no clean image of" in note for note in found.notes)
    check_cured(found.network)


def test_of_two_ways_the_one_that_leaves_less_and_costs_less_is_taken() -> None:
    def result(led: float, kept: int) -> RepairResult:
        network = build(planted.watched_spec())
        told = {"triggers": [{"led_after": {"value": 0.0}}, {"led_after": {"value": led}}]}
        return RepairResult("", network, proportion(99, 100), proportion(kept, 100), details=told)

    def order(*results: RepairResult) -> list[int]:
        ranks = [_rank(each, 1.0) for each in results]
        return sorted(range(len(ranks)), key=ranks.__getitem__)

    works, costs, both = result(0.4, 99), result(0.0, 90), result(0.02, 98)
    assert order(works, costs, both) == [2, 1, 0]
    assert order(both, both) == [0, 1]


def test_the_same_structure_needs_images() -> None:
    with pytest.raises(UsageError, match="needs clean images, got none"):
        Cure(form="same")(build(planted.watched_spec()), None)


def test_without_time_nothing_is_searched_again() -> None:
    network = build(planted.watched_spec())
    found = Cure(minutes=1e-6)(network, planted.clean_images(network))
    (left,) = found.left
    assert left.again.total == 0
    assert not found.searched
    assert not found.removed
    assert not left.stays
    assert any("the time was over" in note for note in found.notes)
    check_cured(found.network)
