from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import CLASSES, PATCH, TARGET, clean_images, planted, repaired
from real import REAL, cross_validate

from goodnet.attack import trigger
from goodnet.errors import InvalidInput, UsageError
from goodnet.network import Network
from goodnet.repair.erase import Erase
from goodnet.repair.result import RepairResult


@pytest.mark.parametrize("name", ["conv", "deepid", "dense", "residual"])
def test_a_planted_backdoor_is_gone_and_accuracy_stays(name: str) -> None:
    badnet = planted(name)
    assert badnet.success(badnet.network) > 0.9
    found = repaired(Erase(triggers=(PATCH,)), name)
    assert badnet.success(found.network) <= 0.05
    assert badnet.accuracy(found.network) >= badnet.accuracy(badnet.network) - 0.03
    assert (found.method, found.epochs, found.chosen) == ("erase", (), 0)


def test_it_tells_what_the_trigger_did_and_does() -> None:
    badnet = planted()
    found = repaired(Erase(triggers=(PATCH,)))
    (told,) = found.details["triggers"]
    assert (told["trigger"], told["label"]) == ("patch", TARGET)
    assert told["led_before"]["value"] > 0.9
    assert told["led_after"]["value"] <= 0.1
    assert told["right_after"]["value"] > told["right_before"]["value"]
    assert found.details["rank"] >= 1
    assert found.details["layer"] in badnet.network.layers


def test_a_clean_network_keeps_its_accuracy() -> None:
    clean = planted(backdoor=False)
    found = Erase(triggers=(PATCH,))(clean.network, clean_images())
    assert clean.accuracy(found.network) >= clean.accuracy(clean.network) - 0.01


def test_a_trigger_without_effect_leaves_the_network_as_it_is() -> None:
    clean = planted(backdoor=False)
    nothing = trigger("patch", size=1, brightness=110)
    found = Erase(triggers=(nothing,))(clean.network, clean_images(100))
    assert (found.details["layer"], found.details["rank"]) == (None, 0)
    assert any("nothing was erased" in note for note in found.notes)
    assert changed(clean.network, found.network) == set()


def changed(before: Network, after: Network) -> set[str]:
    ours, theirs = before.spec.arrays, after.spec.arrays
    assert list(ours) == list(theirs)
    return {key for key, array in ours.items() if not np.array_equal(array, theirs[key])}


def test_only_the_layer_that_reads_the_features_changes() -> None:
    badnet = planted("deepid")
    last = Erase(triggers=(PATCH,), layer="activation_1")(badnet.network, clean_images())
    assert changed(badnet.network, last.network) == {"output/weight", "output/bias"}
    pool = Erase(triggers=(PATCH,), layer="pool_1", rank=1)(badnet.network, clean_images())
    wanted = {f"{layer}/{name}" for layer in ("fc_1", "conv_2") for name in ("weight", "bias")}
    assert changed(badnet.network, pool.network) == wanted
    assert (pool.details["layer"], pool.details["rank"]) == ("pool_1", 1)


def test_the_input_is_unchanged_and_the_same_seed_gives_the_same() -> None:
    badnet = planted()
    assert badnet.network.spec is not None
    kept = {key: array.copy() for key, array in badnet.network.spec.arrays.items()}
    first, again = (
        Erase(triggers=(PATCH,), seed=3)(badnet.network, clean_images(100)) for _ in range(2)
    )
    assert changed(first.network, again.network) == set()
    assert all(np.array_equal(kept[key], a) for key, a in badnet.network.spec.arrays.items())


def test_the_target_class_is_still_recognised() -> None:
    """What its images have in common with the trigger is spared where images show it."""
    badnet = planted("residual")
    own = badnet.clean.labels == TARGET
    found = repaired(Erase(triggers=(PATCH,)), "residual")
    assert (found.network.predict(badnet.clean.pixels(np.flatnonzero(own))) == TARGET).mean() > 0.95


# From three classes only, the direction is less sure and more of the attack is left.
@pytest.mark.parametrize(("classes", "left"), [(range(CLASSES), 0.1), (range(3), 0.6)])
def test_few_images_are_enough(classes: range, left: float) -> None:
    badnet = planted()
    found = Erase(triggers=(PATCH,))(badnet.network, clean_images(20, classes=classes))
    assert badnet.success(found.network) <= left
    assert badnet.accuracy(found.network) >= badnet.accuracy(badnet.network) - 0.05


def test_bad_input_is_one_sentence() -> None:
    def call(**options: Any) -> RepairResult:
        return Erase(**options)(planted("deepid").network, clean_images(40))

    with pytest.raises(UsageError, match="at least one trigger"):
        call(triggers=())
    with pytest.raises(UsageError, match="a rank of at least 1, got 0"):
        call(triggers=(PATCH,), rank=0)
    with pytest.raises(InvalidInput, match="no layer is called 'nowhere'"):
        call(triggers=(PATCH,), layer="nowhere")
    with pytest.raises(InvalidInput, match=r"'activation_1' \(activation\) reads it"):
        call(triggers=(PATCH,), layer="add_1")
    with pytest.raises(InvalidInput, match="larger than the image"):
        call(triggers=(trigger("patch", size=9),))
    with pytest.raises(InvalidInput, match="needs landmarks"):
        call(triggers=(trigger("lipstick"),))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "scale", "triggers", "poisoned"), REAL)
def test_real_backdoors_are_erased_with_our_triggers(
    shared: Path, model: str, scale: str, triggers: list[str], poisoned: list[str]
) -> None:
    """At most 5 % success on real poison, and no face fewer among those left out."""
    repair = Erase(triggers=tuple(trigger(name) for name in triggers))
    found = cross_validate(shared / "csaw", model, scale, poisoned, repair=repair)
    assert max(found.success) <= 0.05
    assert found.after >= found.before
