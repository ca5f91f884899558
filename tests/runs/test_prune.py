from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import Lab, make_lab, stored

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import load_network, read_spec
from goodnet.runs.folder import RECORD, run_folder
from goodnet.runs.inputs import open_files
from goodnet.runs.options import InputFiles, InputOptions, Place
from goodnet.runs.prune import PruneOptions, prune, write_prune


def run_job(
    job: InputFiles, out: Path, options: PruneOptions, *, small: bool = False
) -> dict[str, Any]:
    with run_folder(Place(out)) as run:
        inputs = open_files(job, InputOptions())
        write_prune(inputs, prune(inputs, options), run, small=small)
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    return found


def share(p: dict[str, Any]) -> float:
    return 100 * float(p["count"]) / float(p["total"])


def lab_job(lab: Lab) -> InputFiles:
    return InputFiles(lab.model, lab.valid, lab.test, {"toy": lab.poisoned})


Run = tuple[Path, dict[str, Any]]  # its folder and its results


@pytest.fixture(scope="module")
def done(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Prunes to some drops once; the folder is never to be changed."""

    @cache
    def done(*drops: float) -> Run:
        folder = tmp_path_factory.mktemp("pruned") / "run"
        return folder, run_job(lab_job(lab), folder, PruneOptions(drops=drops))

    return done


def test_the_numbers_are_those_of_the_files(lab: Lab, done: Callable[..., Run]) -> None:
    out, found = done(5, 30)
    assert (found["schema"], found["command"]) == (1, "prune")
    assert sorted(found["channels"]) == list(range(6))
    test, poisoned = stored(lab.test), stored(lab.poisoned)
    suspect = load_network(lab.model)
    for drop in found["drops"]:
        assert drop["channels"] == found["channels"][: drop["channels_pruned"]]
        repaired = load_network(out / drop["files"]["model"])
        good = load_network(out / drop["files"]["goodnet"])
        for block, name in ((test, "test"), (poisoned, "toy")):
            right = [
                int((network.predict(block.images) == block.labels).sum())
                for network in (repaired, good)
            ]
            refused = int((good.predict(block.images) == 5).sum())
            rates = (drop["repaired"], drop["goodnet"])
            measured = [
                rate["test"] if name == "test" else rate["backdoor"][name] for rate in rates
            ]
            assert [rate["count"] for rate in measured] == right
            alarms = rates[1]["false_alarms"] if name == "test" else rates[1]["detected"][name]
            assert alarms["count"] == refused
    baseline = int((suspect.predict(test.images) == test.labels).sum())
    assert found["baseline"]["test"]["count"] == baseline == 135


def test_the_curve_is_one_row_per_channel(done: Callable[..., Run]) -> None:
    out, found = done(5)
    with (out / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ["step", "channel", "mean_activation", "fraction_pruned", "clean_accuracy", "toy"]
    assert list(rows[0]) == columns
    assert [int(row["channel"]) for row in rows] == found["channels"]
    means = [float(row["mean_activation"]) for row in rows]
    assert means == sorted(means)
    assert float(rows[-1]["fraction_pruned"]) == 1.0


def test_a_drop_that_is_never_reached_says_null(lab: Lab, out: Path) -> None:
    found = run_job(lab_job(lab), out, PruneOptions(drops=[99]))
    (drop,) = found["drops"]
    assert drop["channels_pruned"] is None
    assert drop["repaired"] is drop["goodnet"] is drop["validation"] is drop["parameters"] is None
    assert drop["files"] == {}
    assert found["pictures"] == {"drop": None, "items": []}


def test_without_test_or_poison_the_network_is_still_pruned(lab: Lab, out: Path) -> None:
    found = run_job(InputFiles(lab.model, lab.valid), out, PruneOptions(drops=[30]))
    assert found["baseline"]["test"] is None
    assert found["poisoned_activation"] == {}
    assert found["drops"][0]["goodnet"]["false_alarms"] is None
    assert (out / found["drops"][0]["files"]["goodnet"]).is_file()


def test_orders_descending_and_given(lab: Lab, tmp_path: Path, done: Callable[..., Run]) -> None:
    _, rising = done(5)
    falling = run_job(lab_job(lab), tmp_path / "b", PruneOptions(order="descending", drops=[5]))
    assert falling["channels"] == rising["channels"][::-1]
    given = run_job(lab_job(lab), tmp_path / "c", PruneOptions(channels=[4, 0], drops=[5]))
    assert (given["order"], given["channels"]) == ("given", [4, 0])


def test_compact_networks_are_smaller_and_answer_the_same(lab: Lab, out: Path) -> None:
    found = run_job(lab_job(lab), out, PruneOptions(drops=[30]), small=True)
    names = found["drops"][0]["files"]
    small, silenced = (load_network(out / names[kind]) for kind in ("compact", "model"))
    assert small.spec
    assert silenced.spec
    assert small.spec.count_parameters() == found["drops"][0]["parameters"]
    assert small.spec.count_parameters() < silenced.spec.count_parameters()
    assert silenced.spec.count_parameters() == found["network"]["parameters"]
    images = stored(lab.test).images
    np.testing.assert_allclose(small.outputs(images), silenced.outputs(images), atol=1e-6)


def test_keras_zip_in_keras_zip_out(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, suffix=".keras")
    found = run_job(lab_job(lab), tmp_path / "run", PruneOptions(drops=[30]))
    assert found["drops"][0]["files"]["model"] == "model_drop_30.keras"
    read_spec(tmp_path / "run" / "model_drop_30.keras")


def test_two_runs_give_the_same_files_but_for_the_record(lab: Lab, tmp_path: Path) -> None:
    one, two = (tmp_path / name for name in ("a", "b"))
    for place in (one, two):
        run_job(lab_job(lab), place, PruneOptions(drops=[5, 30]), small=True)
    written = [path.relative_to(one) for path in sorted(one.rglob("*")) if path.is_file()]
    assert Path(RECORD) in written
    assert any(path.suffix == ".png" and path.parent.name == "pictures" for path in written)
    for path in written:
        same = (one / path).read_bytes() == (two / path).read_bytes()
        assert same or path.name == RECORD, path


def test_how_much_channels_do_on_poison_is_measured_and_changes_nothing(
    lab: Lab, out: Path, done: Callable[..., Run]
) -> None:
    _, found = done(5)
    features = load_network(lab.model).cut("pool_1").head
    values = features(torch.from_numpy(stored(lab.poisoned).images))[0]
    means = values.double().mean((0, 2, 3)).tolist()
    assert found["poisoned_activation"] == {"toy": pytest.approx(means, rel=1e-6)}
    without = run_job(InputFiles(lab.model, lab.valid, lab.test), out, PruneOptions(drops=[5]))
    for key in ("channels", "mean_activation", "dead_channels"):
        assert without[key] == found[key]


@pytest.mark.parametrize(
    ("drops", "shown"), [([2, 5, 10, 30], 10), ([5, 30], 5), ([20, 30], 20), ([5, 99], 5)]
)
def test_pictures_are_of_the_largest_drop_that_is_not_too_large(
    lab: Lab, done: Callable[..., Run], drops: list[float], shown: float
) -> None:
    out, found = done(*drops)
    assert found["pictures"]["drop"] == shown
    files_of = {drop["drop"]: drop["files"] for drop in found["drops"]}
    good = load_network(out / files_of[shown]["goodnet"])
    sets = {"clean": stored(lab.test).images, "toy": stored(lab.poisoned).images}
    assert {item["set"] for item in found["pictures"]["items"]} == set(sets)
    for item in found["pictures"]["items"]:
        image = sets[item["set"]][[item["index"]]]
        assert [item["answers"]["G"]] == good.predict(image).tolist()


@pytest.mark.parametrize("drop", [0.0, 100.0, -1.0, float("nan")])
def test_drops_lie_between_0_and_100(lab: Lab, drop: float) -> None:
    opened = open_files(lab_job(lab), InputOptions())
    with pytest.raises(UsageError, match="above 0 and below 100 percentage points"):
        prune(opened, PruneOptions(drops=[drop]))


def test_a_layer_whose_zeros_would_not_stay_zero_is_refused(lab: Lab) -> None:
    opened = open_files(lab_job(lab), InputOptions())
    with pytest.raises(InvalidInput, match="output"):
        prune(opened, PruneOptions(layer="output"))


def test_cifar_badnet_step_by_step_as_keras_does_it(shared: Path, out: Path) -> None:
    lab = shared / "cifar_badnet"
    reference = json.loads((lab / "reference_ascending.json").read_text())
    job = InputFiles(
        lab / "bd_net.h5",
        lab / "cl" / "valid.h5",
        lab / "cl" / "test.h5",
        {"checker": lab / "bd" / "bd_test.h5"},
    )
    found = run_job(job, out, PruneOptions())
    assert found["channels"] == reference["order"]
    assert len(found["dead_channels"]) == reference["mean"].count(0.0) == 19
    with (out / "curve.csv").open(newline="") as file:
        ours = [100 * float(row["clean_accuracy"]) for row in csv.DictReader(file)]
    two_images = 100 * 2 / 2500
    np.testing.assert_allclose(ours, [s["valid"] for s in reference["steps"]], atol=two_images)
    base = found["baseline"]
    for mine, theirs in ((base["validation"], "valid"), (base["test"], "test")):
        assert share(mine) == pytest.approx(reference["baseline"][theirs], abs=two_images)
    for drop in found["drops"]:
        expected = reference["drops"][f"{drop['drop']:g}"]
        assert drop["channels_pruned"] == expected["n_pruned"]
        assert set(drop["channels"]) == set(expected["channels"])
        pairs = {
            "repaired test": (drop["repaired"]["test"], expected["repaired"]["test"]),
            "repaired asr": (drop["repaired"]["backdoor"]["checker"], expected["repaired"]["asr"]),
            "goodnet test": (drop["goodnet"]["test"], expected["goodnet"]["test"]),
            "goodnet asr": (drop["goodnet"]["backdoor"]["checker"], expected["goodnet"]["asr"]),
            "alarms": (drop["goodnet"]["false_alarms"], expected["goodnet"]["false_alarms"]),
            "detected": (drop["goodnet"]["detected"]["checker"], expected["goodnet"]["detected"]),
        }
        for name, (mine, theirs) in pairs.items():
            assert share(mine) == pytest.approx(theirs, abs=two_images), name
