from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import PATCH, TARGET, Planted, clean_images, planted, repaired, told
from real import REAL, cross_validate
from tiny import Weights
from torch.nn import functional as F  # noqa: N812

from goodnet.attack import trigger
from goodnet.errors import InvalidInput, UsageError
from goodnet.formats.build import build
from goodnet.imagesets import images_from_arrays
from goodnet.network import Network
from goodnet.repair.unlearn import Unlearn, _where_right
from goodnet.training import Examples, TrainingConfig

HARD = "labels, shifts 1"


@pytest.mark.parametrize("name", ["conv", "deepid", "dense", "residual"])
def test_a_planted_backdoor_is_gone_and_accuracy_stays(name: str) -> None:
    badnet = planted(name)
    assert badnet.success(badnet.network) > 0.9
    found = repaired(Unlearn(triggers=(PATCH,)), name)
    assert badnet.success(found.network) <= 0.05
    assert badnet.accuracy(found.network) >= badnet.accuracy(badnet.network) - 0.02
    assert found.method == "unlearn"
    assert 0 < found.chosen <= len(found.epochs)


def test_it_tells_what_the_trigger_did_and_does() -> None:
    found = repaired(Unlearn(triggers=(PATCH,)))
    (told,) = found.details["triggers"]
    assert (told["trigger"], told["label"]) == ("patch", TARGET)
    assert told["led_before"]["value"] > 0.9
    assert told["led_after"]["value"] <= 0.05
    assert told["right_after"]["value"] > 0.9 > told["right_before"]["value"]


def test_several_triggers_are_unlearned_at_once() -> None:
    badnet = planted()
    other = trigger("checkerboard", size=3, margin=0)
    found = Unlearn(triggers=(PATCH, other))(badnet.network, clean_images())
    assert [told["trigger"] for told in found.details["triggers"]] == ["patch", "checkerboard"]
    assert badnet.success(found.network) <= 0.05
    assert badnet.accuracy(found.network) >= badnet.accuracy(badnet.network) - 0.02


def test_a_clean_network_keeps_its_accuracy() -> None:
    clean = planted(backdoor=False)
    found = Unlearn(triggers=(PATCH,))(clean.network, clean_images())
    assert clean.accuracy(found.network) >= clean.accuracy(clean.network) - 0.01


def test_few_images_are_enough() -> None:
    badnet = planted()
    found = Unlearn(triggers=(PATCH,))(badnet.network, clean_images(30))
    assert badnet.success(found.network) <= 0.05
    assert badnet.accuracy(found.network) >= badnet.accuracy(badnet.network) - 0.05


def changed(before: Network, after: Network) -> dict[str, list[int]]:
    """By array: the rows in which it differs."""
    assert before.spec is not None
    assert after.spec is not None
    ours, theirs = before.spec.arrays, after.spec.arrays
    found = {
        key: np.flatnonzero((array != theirs[key]).reshape(len(array), -1).any(1)).tolist()
        for key, array in ours.items()
    }
    return {key: rows for key, rows in found.items() if rows}


def many_classes(badnet: Planted) -> Network:
    """The same network with 40 more classes, which it never answers."""
    spec = badnet.network.spec
    assert spec is not None
    weights = Weights(1)
    weights.linear("output", 40, spec.arrays["output/weight"].shape[1])
    arrays = dict(spec.arrays)
    for name, array in (("weight", 0.1 * weights.arrays["output/weight"]), ("bias", -20)):
        key = f"output/{name}"
        more = np.broadcast_to(array, (40, *spec.arrays[key].shape[1:])).astype(np.float32)
        arrays[key] = np.concatenate([spec.arrays[key], more])
    return build(replace(spec, arrays=arrays, source=None))


def test_with_fewer_images_than_classes_only_the_answer_it_leads_to_changes() -> None:
    network = many_classes(planted("dense"))
    found = Unlearn(triggers=(PATCH,))(network, clean_images(30))
    assert changed(network, found.network) == {"output/weight": [TARGET], "output/bias": [TARGET]}


def test_the_input_is_unchanged_and_the_same_seed_gives_the_same() -> None:
    badnet, settings = planted(), TrainingConfig(seed=3, epochs=3)
    assert badnet.network.spec is not None
    kept = {key: array.copy() for key, array in badnet.network.spec.arrays.items()}
    first, again = (
        Unlearn(triggers=(PATCH,), training=settings)(badnet.network, clean_images(100))
        for _ in range(2)
    )
    assert changed(first.network, again.network) == {}
    assert changed(badnet.network, first.network) != {}
    assert all(np.array_equal(kept[key], a) for key, a in badnet.network.spec.arrays.items())


class Stop(Exception):
    """An interruption."""


def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    badnet, done = planted(), 0
    method = Unlearn(triggers=(PATCH,), training=TrainingConfig(epochs=5))
    run = partial(method, badnet.network, clean_images(100))

    def stop(count: int) -> None:
        nonlocal done
        done += count
        if done > 500:
            raise Stop

    straight = run()
    checkpoint = tmp_path / "state"
    with pytest.raises(Stop):
        run(checkpoint=checkpoint, stage=told(stop))
    assert checkpoint.is_file()
    resumed = run(checkpoint=checkpoint)
    assert changed(straight.network, resumed.network) == {}
    assert resumed.epochs == straight.epochs


def test_a_teacher_is_heeded_only_where_it_is_right() -> None:
    logits, wanted = torch.randn(2, 4), torch.tensor([[9.0, 0, 0, 0], [0, 9.0, 0, 0]])
    labels = torch.tensor([0, 2])
    found = _where_right(lambda _: wanted, weight=1.0)(logits, labels, torch.zeros(2, 1))
    student, teacher = logits.log_softmax(1), wanted.log_softmax(1)
    right = F.kl_div(student[0], teacher[0], reduction="sum", log_target=True)
    torch.testing.assert_close(found, right - student[1, 2])


def test_the_gentle_way_is_enough_where_it_costs_nothing() -> None:
    found = repaired(Unlearn(triggers=(PATCH,)))
    assert found.details["attempts"] == 1
    assert found.details["training"].startswith("labels, learning rate")


def test_where_it_is_not_what_does_better_on_images_held_back_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of all ways, by clean accuracy and what the trigger still does."""
    badnet, module = planted(), sys.modules[Unlearn.__module__]
    method = Unlearn(triggers=(PATCH,), training=TrainingConfig(epochs=5))
    monkeypatch.setattr(module, "_enough", lambda _: False)
    both = []
    for rates in ((1e-6, 1e-6, 1e-2), (1e-3, 0.5, 0.5)):
        levels = [replace(old, rate=rate) for old, rate in zip(module._LEVELS, rates, strict=True)]
        with monkeypatch.context() as changed_levels:
            changed_levels.setattr(module, "_LEVELS", tuple(levels))
            both.append(method(badnet.network, clean_images(100)))
    assert [found.details["attempts"] for found in both] == [3, 3]
    assert [HARD in found.details["training"] for found in both] == [True, False]
    assert all(badnet.success(found.network) <= 0.05 for found in both)


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="at least one trigger"):
        Unlearn(triggers=())
    with pytest.raises(InvalidInput, match="larger than the image"):
        Unlearn(triggers=(trigger("patch", size=9),))(planted().network, clean_images(40))
    block = clean_images(40).sample(40)
    wrong = Examples(block.images, (block.labels + 1) % 5)
    images = images_from_arrays(wrong.images, wrong.labels, layout="NCHW", range="0..1")
    with pytest.raises(InvalidInput, match="answers only 0 of 40 clean images"):
        Unlearn(triggers=(PATCH,))(planted().network, images)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "scale", "triggers", "poisoned"), REAL)
def test_real_backdoors_are_unlearned_with_our_triggers(
    shared: Path, model: str, scale: str, triggers: list[str], poisoned: list[str]
) -> None:
    """At most 1 % success on real poison, and no face fewer among those left out."""
    repair = Unlearn(triggers=tuple(trigger(name) for name in triggers))
    csaw = shared / "csaw"
    found = cross_validate(csaw, model, scale, poisoned, repair=repair, folds=2, left_out=1)
    assert max(found.success) <= 0.01
    assert found.after >= found.before
