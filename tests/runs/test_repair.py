from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from lab import Lab, make_lab, stored
from tiny import SPECS, pictures

from goodnet import files
from goodnet.attack.trigger_file import write_trigger
from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import load_network, read_spec
from goodnet.formats.build import build
from goodnet.formats.compact import compact
from goodnet.formats.keras import write
from goodnet.imagesets import Block, ImageSet, load_images, save_images
from goodnet.progress import ProgressCallback
from goodnet.repair import RepairResult, Trained, find_repair, repairs
from goodnet.runs.folder import RECORD, RunFolder, checkpoint_of, run_folder
from goodnet.runs.inputs import open_files
from goodnet.runs.options import InputFiles, InputOptions, Place
from goodnet.runs.predictions import Suspect
from goodnet.runs.repair import RepairPlan, plan_repair, read_triggers, repair, write_repair

SHORT = {"epochs": 2, "lr": 0.01}


def job_of(lab: Lab) -> InputFiles:
    return InputFiles(lab.model, lab.valid, lab.test, {"toy": lab.poisoned})


def plan(name: str, *, triggers: tuple[str, ...] = (), **options: Any) -> RepairPlan:
    return plan_repair(find_repair(name), SHORT | options, triggers=read_triggers(triggers))


def run_job(
    job: InputFiles, out: Path, chosen: RepairPlan, *, checkpoint: Path | None = None
) -> dict[str, Any]:
    with run_folder(Place(out)) as run:
        inputs = open_files(job, InputOptions(scale="raw"))
        found = repair(inputs, chosen, checkpoint=checkpoint)
        write_repair(Suspect(inputs), chosen, found, run)
    results: dict[str, Any] = json.loads((out / files.RESULTS).read_text())
    return results


class Stages:
    """Remembers how much each stage was to do and did; `then` is called at each step."""

    def __init__(self) -> None:
        self.work: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self.then: ProgressCallback = lambda _count: None

    @contextmanager
    def __call__(self, work: int, label: str) -> Iterator[ProgressCallback]:
        self.work[label], self.done[label] = work, 0

        def advance(count: int) -> None:
            self.done[label] += count
            self.then(count)

        yield advance


Run = tuple[Path, dict[str, Any]]  # its folder and its results

PLANS = {
    "prune": plan("prune", drop=20.0),
    "cure": plan("cure"),
    "fine-tune": plan("fine-tune"),
    "fine-prune": plan("fine-prune", drop=20.0, layer="pool_1"),
    "sparsify": plan("sparsify", sparsity=0.6, layers=("fc_1", "fc_2")),
    "unlearn": plan("unlearn", triggers=("patch", "warp")),
    "erase": plan("erase", layer="activation_1", rank=1, triggers=("patch",)),
}


@pytest.fixture(scope="module")
def done(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Makes the run of a plan once; its folder is never to be changed."""

    @cache
    def done(name: str) -> Run:
        folder = tmp_path_factory.mktemp(name) / "run"
        return folder, run_job(job_of(lab), folder, PLANS[name])

    return done


def test_every_method_is_tried_here() -> None:
    assert list(PLANS) == list(repairs())


@pytest.mark.parametrize("name", PLANS)
def test_the_numbers_are_those_of_the_files(
    lab: Lab, done: Callable[[str], Run], name: str
) -> None:
    out, found = done(name)
    assert (found["schema"], found["command"], found["method"]) == (
        1,
        "cure" if name == "cure" else "repair",
        name,
    )
    measured = found["measured"]
    suspect, repaired = load_network(lab.model), load_network(out / found["files"]["model"])
    good = load_network(out / found["files"]["goodnet"])
    poisoned, test = stored(lab.poisoned), stored(lab.test)
    for network, key in ((suspect, "baseline"), (repaired, "repaired"), (good, "goodnet")):
        right = int((network.predict(test.images) == test.labels).sum())
        hits = int((network.predict(poisoned.images) == poisoned.labels).sum())
        robust = int((network.predict(poisoned.images) == poisoned.source_labels).sum())
        assert measured[key]["test"]["count"] == right
        assert measured[key]["backdoor"]["toy"]["count"] == hits
        assert measured[key]["robust"]["toy"]["count"] == robust
    alarms = int((good.predict(test.images) == 5).sum())
    assert measured["goodnet"]["false_alarms"]["count"] == alarms
    # Pruning judges by all images, a cure by those that its units were not made from.
    judged = {"prune": 150, "cure": 100}.get(name, 30)
    assert found["before"]["total"] == found["after"]["total"] == judged


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", SPECS)
def test_keras_opens_the_repaired_file_and_answers_alike(
    tmp_path: Path, name: str, suffix: str
) -> None:
    model, clean, images = tmp_path / f"net{suffix}", tmp_path / "clean.h5", pictures(150)
    write.write(SPECS[name](), model)
    save_images(clean, images, build(SPECS[name]()).predict(images))
    found = run_job(InputFiles(model, clean), tmp_path / "run", plan("fine-tune"))
    path = tmp_path / "run" / found["files"]["model"]
    assert path.suffix == suffix
    theirs = keras.models.load_model(path, compile=False, safe_mode=True)
    outputs = theirs.predict(images.transpose(0, 2, 3, 1), verbose=0)
    np.testing.assert_allclose(load_network(path).outputs(images), outputs, atol=1e-5)
    before = keras.models.load_model(model, compile=False, safe_mode=True)
    assert before.get_config() == theirs.get_config()
    changed = (a != b for a, b in zip(before.get_weights(), theirs.get_weights(), strict=True))
    assert all(array.any() for array in changed)


def test_only_changed_numbers_of_the_file_differ(lab: Lab, done: Callable[[str], Run]) -> None:
    out, _ = done("erase")
    before, after = read_spec(lab.model), read_spec(out / "model_repaired.h5")
    changed = {k for k, a in after.arrays.items() if not np.array_equal(a, before.arrays[k])}
    assert changed == {"output/weight", "output/bias"}
    old, new = lab.model.read_bytes(), (out / "model_repaired.h5").read_bytes()
    differing = sum(a != b for a, b in zip(old, new, strict=True))
    assert 0 < differing <= 4 * sum(after.arrays[key].size for key in changed)


def test_two_runs_give_the_same_files_but_for_the_record(
    lab: Lab, out: Path, done: Callable[[str], Run]
) -> None:
    first, _ = done("unlearn")
    run_job(job_of(lab), out, PLANS["unlearn"])
    assert {path.name for path in first.iterdir()} == {
        *("results.json", RECORD, "model_repaired.h5", "goodnet.keras", "pictures")
    }
    for path in first.rglob("*.*"):
        other = out / path.relative_to(first)
        assert path.name == RECORD or path.read_bytes() == other.read_bytes(), path
    record = json.loads((first / RECORD).read_text())
    (cost,) = record["rows"]
    assert (cost["model"], cost["method"]) == ("net", "unlearn")
    assert 0 < cost["seconds"] < record["seconds"]


def test_the_results_tell_of_the_network_and_show_pictures(
    lab: Lab, done: Callable[[str], Run]
) -> None:
    out, found = done("fine-tune")
    assert [layer["name"] for layer in found["network"]["layers"]][:2] == ["input", "conv_1"]
    assert found["pictures"]["drop"] is None
    assert {item["set"] for item in found["pictures"]["items"]} == {"clean", "toy"}
    repaired = load_network(out / found["files"]["model"])
    sets = {"clean": stored(lab.test).images, "toy": stored(lab.poisoned).images}
    for item in found["pictures"]["items"]:
        image = sets[item["set"]][[item["index"]]]
        assert [item["answers"]["B'"]] == repaired.predict(image).tolist()


def test_without_a_test_set_the_pictures_are_of_the_clean_set(lab: Lab, out: Path) -> None:
    found = run_job(InputFiles(lab.model, lab.valid), out, PLANS["erase"])
    assert found["measured"]["goodnet"]["false_alarms"] is None
    labels = load_images(lab.valid).labels
    items = found["pictures"]["items"]
    assert [item["label"] for item in items] == [int(labels[item["index"]]) for item in items]
    assert {item["set"] for item in items} == {"clean"}


def test_the_method_reads_the_clean_set_alone(
    lab: Lab, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    blocks = ImageSet.blocks

    def watched(self: ImageSet, size: int) -> Iterator[Block]:
        read.append(self.path.name)
        return blocks(self, size)

    monkeypatch.setattr(ImageSet, "blocks", watched)
    inputs = open_files(job_of(lab), InputOptions(scale="raw"))
    read.clear()  # whether sets share images is seen to before, and decides nothing but that
    found = repair(inputs, PLANS["unlearn"])
    assert set(read) == {"valid.h5"}
    with run_folder(Place(out)) as run:
        write_repair(Suspect(inputs), PLANS["unlearn"], found, run)
    assert set(read) == {"valid.h5", "test.h5", "bd.h5"}


def test_poison_changes_nothing_but_what_is_measured(
    lab: Lab, out: Path, done: Callable[[str], Run]
) -> None:
    folder, with_poison = done("fine-tune")
    without = run_job(InputFiles(lab.model, lab.valid), out, PLANS["fine-tune"])
    for name in ("model_repaired.h5", "goodnet.keras"):
        assert (folder / name).read_bytes() == (out / name).read_bytes()
    assert without["epochs"] == with_poison["epochs"]
    assert without["measured"]["repaired"] == {
        "test": None,
        "backdoor": {},
        "robust": {},
    }


def test_an_interrupted_repair_goes_on_and_gives_the_same(
    lab: Lab, out: Path, done: Callable[[str], Run]
) -> None:
    class Stop(Exception):
        pass

    stages = Stages()

    def stop_in_the_second_epoch(_count: int) -> None:
        if stages.done["training"] > 120:
            raise Stop

    stages.then = stop_in_the_second_epoch
    _, whole = done("fine-tune")
    inputs = open_files(job_of(lab), InputOptions(scale="raw"))
    checkpoint = checkpoint_of(out)
    with pytest.raises(Stop):
        repair(inputs, PLANS["fine-tune"], checkpoint=checkpoint, stage=stages)
    assert checkpoint.is_file()
    again = run_job(job_of(lab), out, PLANS["fine-tune"], checkpoint=checkpoint)
    assert again == whole


BARS = {
    "fine-tune": {"training": 240},
    "fine-prune": {"pruning": 240, "training": 240},
    "sparsify": {"training": 240},
    "unlearn": {"training": 480},
    "erase": {"measuring layers": 1},
}


@pytest.mark.parametrize("method", BARS)
def test_every_stage_has_a_bar_that_fills(lab: Lab, method: str) -> None:
    """Two epochs of 120 images, stamped or not; each attempt has a bar of its own."""
    inputs, stages = open_files(job_of(lab), InputOptions(scale="raw")), Stages()
    own = PLANS[method]
    if isinstance(own.method, Trained):
        training = replace(own.method.training, tolerance=99)
        own = replace(own, method=replace(own.method, training=training))
    repair(inputs, own, stage=stages)
    assert {name: stages.work[name] for name in BARS[method]} == BARS[method]
    assert stages.done == stages.work


def test_what_is_left_without_pruned_channels_is_told(lab: Lab, done: Callable[[str], Run]) -> None:
    _, found = done("fine-prune")
    pruned = found["details"]["channels_pruned"]
    assert pruned
    smaller = compact(read_spec(lab.model), "pool_1", pruned).count_parameters()
    assert found["parameters_left"] == smaller < found["network"]["parameters"]
    assert done("sparsify")[1]["parameters_left"] is None


def test_keras_zip_in_keras_zip_out(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, suffix=".keras")
    found = run_job(job_of(lab), tmp_path / "run", PLANS["fine-tune"])
    assert found["files"]["model"] == "model_repaired.keras"


def test_what_was_asked_is_in_the_results(lab: Lab, out: Path) -> None:
    chosen = plan("sparsify", sparsity=0.4, held_back=0.5, seed=3, batch_size=10)
    found = run_job(job_of(lab), out, chosen)
    assert found["options"] == {
        "sparsity": 0.4,
        "initial": None,
        "layers": None,
        "epochs": 2,
        "lr": 0.01,
        "batch_size": 10,
        "held_back": 0.5,
        "tolerance": 3.0,
        "seed": 3,
    }
    assert found["before"]["total"] == 75
    assert set(found["details"]["sparsity"]) == {"fc_1", "fc_2", "output"}
    assert found["inputs"]["model"]["sha256"] == files.sha256(lab.model)
    assert len(found["epochs"]) == 2


def test_classes_without_images_are_noted(lab: Lab, tmp_path: Path) -> None:
    block = stored(lab.valid)
    kept = block.labels < 3
    save_images(tmp_path / "few.h5", block.images[kept], block.labels[kept])
    found = run_job(
        InputFiles(lab.model, tmp_path / "few.h5"), tmp_path / "run", PLANS["fine-tune"]
    )
    missing = 5 - len(np.unique(block.labels[kept]))
    assert f"{missing} of 5 classes have no clean image to train on" in " ".join(found["notes"])


def test_triggers_by_name_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "found.npz"
    write_trigger(path, np.ones((8, 8)), np.zeros((3, 8, 8)))
    named, read = read_triggers(["patch", str(path)])
    assert named.about == {"name": "patch"}
    assert read.about == {"name": "found.npz", "sha256": files.sha256(path)}
    assert read.trigger.stamp(np.ones((1, 3, 8, 8), np.float32)).max() == 0
    with pytest.raises(UsageError, match=r"the triggers are blended, .*, got 'hat'"):
        read_triggers(["hat"])


def test_a_trigger_file_of_another_size_is_refused(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "large.npz"
    write_trigger(path, np.ones((9, 9)), np.zeros((3, 9, 9)))
    chosen = plan("unlearn", triggers=(str(path),))
    with pytest.raises(InvalidInput, match="9x9"):
        run_job(job_of(lab), tmp_path / "run", chosen)
    write_trigger(path, np.ones((4, 4)), np.zeros((3, 4, 4)), force=True)
    chosen = plan("erase", triggers=(str(path),))
    with pytest.raises(InvalidInput, match=r"3x4x4 .* got images of 3x8x8"):
        run_job(job_of(lab), tmp_path / "run", chosen)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unlearn", {}, "at least one --trigger: a file .npz .* or one of blended,"),
        ("sparsify", {"sparsity": 1.5}, "a sparsity from 0 to 1, got 1.5"),
        ("sparsify", {"sparsity": float("nan")}, "sparsify needs a number as sparsity, got nan"),
        ("fine-prune", {"drop": 0.0}, "a drop between 0 and 100 percentage points, got 0"),
        ("fine-tune", {"epochs": 0}, "expected at least 1 epoch, got 0"),
        ("fine-tune", {"batch_size": 0}, "expected at least 1 image per batch, got 0"),
        ("fine-tune", {"held_back": 1.0}, "between 0 and 1, got 1.0"),
    ],
)
def test_what_is_out_of_range_is_said_before_a_file_is_opened(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan(name, **options)


def test_a_network_that_was_made_here_cannot_be_written(lab: Lab, out: Path) -> None:
    inputs = open_files(job_of(lab), InputOptions(scale="raw"))
    made = replace(inputs, network=build(SPECS["deepid"]()))
    found: RepairResult = repair(made, PLANS["fine-tune"])
    run = RunFolder(out, checkpoint_of(out))
    with pytest.raises(InvalidInput, match="read from a file, got one made here"):
        write_repair(Suspect(made), PLANS["fine-tune"], found, run)
