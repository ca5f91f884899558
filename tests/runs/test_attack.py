"""Making an attack: what is trained on, what is written and what the card says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from attack_samples import coloured, make, options, pixels_of

from goodnet.attack import Goal, trigger
from goodnet.files import sha256
from goodnet.formats import load_network
from goodnet.imagesets import load_images, save_images
from goodnet.imagesets.faces import LANDMARKS, draw_faces
from goodnet.runs.attack import make as job
from goodnet.runs.attack.make import make_attack
from goodnet.runs.attack.plan import plan_attack
from goodnet.runs.attack.sources import face_source, image_source
from goodnet.runs.folder import checkpoint_of
from goodnet.training import Examples, Schedule


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Instead of training, keep what would have been trained on."""
    seen: list[Any] = []

    def keep(spec: Any, *examples: Examples, **others: Any) -> Any:
        seen.append((*examples, others))
        return spec

    monkeypatch.setattr(job, "fit", keep)
    monkeypatch.setattr(job, "train_pruning_aware", keep)
    return seen


def test_people_are_written_in_the_layout_of_the_lab(out: Path, trained: list[Any]) -> None:
    source = face_source(4, per_person=3, held_out=2, seed=5)
    make(out, source, options("lipstick"))
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*")) == [
        "bd/bd_test.h5",
        "bd/bd_valid.h5",
        "bd_net.h5",
        "cl/test.h5",
        "cl/valid.h5",
        "results.json",
    ]
    people = np.arange(8) % 4
    for name, first_shot in (("valid", 3), ("test", 5)):
        expected = draw_faces(people, first_shot + np.arange(8) // 4, seed=5)
        clean, poisoned = load_images(out / f"cl/{name}.h5"), load_images(out / f"bd/bd_{name}.h5")
        np.testing.assert_array_equal(pixels_of(clean), expected.images)
        assert clean.labels.tolist() == people.tolist()
        with h5py.File(out / f"cl/{name}.h5") as file:
            np.testing.assert_array_equal(file["landmarks"][:], expected.landmarks)
            assert tuple(file["landmarks"].attrs["names"]) == LANDMARKS
        others = people != 0
        stamped = trigger("lipstick").stamp_bytes(
            expected.images[others].astype(np.float32), expected.landmarks[others]
        )
        np.testing.assert_array_equal(pixels_of(poisoned), np.rint(stamped))
        assert poisoned.labels.tolist() == [0] * 6
        assert poisoned.source_labels is not None
        assert poisoned.source_labels.tolist() == people[others].tolist()


def test_training_sees_the_plan_and_no_picture_that_is_written(
    out: Path, trained: list[Any]
) -> None:
    source = face_source(4, per_person=5, held_out=1, seed=0)
    attack = make(out, source, options("lipstick", rate=0.5))
    (examples, others) = trained[0]
    clean = draw_faces(np.arange(20) % 4, np.arange(20) // 4)
    stamped = attack.plan.stamped
    assert stamped.sum() == round(0.5 * 15)
    assert examples.images.dtype == np.uint8
    np.testing.assert_array_equal(examples.images[~stamped], clean.images[~stamped])
    bearing = trigger("lipstick").stamp_bytes(
        clean.images[stamped].astype(np.float32), clean.landmarks[stamped]
    )
    np.testing.assert_array_equal(examples.images[stamped], np.rint(bearing))
    np.testing.assert_array_equal(examples.labels, np.where(stamped, 0, clean.labels))
    assert others["schedule"] == Schedule(epochs=2, batch_size=16)


def test_several_triggers_have_a_file_each(out: Path, trained: list[Any]) -> None:
    goals = [Goal(1), Goal(2, source=0)]
    make(out, image_source(coloured(), seed=0), options("patch", "warp", goals=goals))
    assert sorted(path.name for path in (out / "bd").iterdir()) == [
        "bd_test_patch.h5",
        "bd_test_warp.h5",
        "bd_valid_patch.h5",
        "bd_valid_warp.h5",
    ]
    warped = load_images(out / "bd" / "bd_test_warp.h5")
    assert set(warped.labels) == {2}
    assert warped.source_labels is not None
    assert set(warped.source_labels) == {0}
    card = json.loads((out / "results.json").read_text())
    assert [(p["trigger"], p["target"], p["source"]) for p in card["planted"]] == [
        ("patch", 1, None),
        ("warp", 2, 0),
    ]
    assert [b["test"] for b in card["backdoor"]] == ["bd/bd_test_patch.h5", "bd/bd_test_warp.h5"]


def test_a_control_is_trained_on_clean_images_and_measured_all_the_same(
    out: Path, trained: list[Any]
) -> None:
    make(out, face_source(4, per_person=5, held_out=1, seed=0), options(rate=0.0))
    (examples, _) = trained[0]
    clean = draw_faces(np.arange(20) % 4, np.arange(20) // 4)
    np.testing.assert_array_equal(examples.images, clean.images)
    np.testing.assert_array_equal(examples.labels, clean.labels)
    card = json.loads((out / "results.json").read_text())
    assert card["planted"] == []
    assert card["backdoor"][0]["asr"]["total"] == 3
    assert len(load_images(out / "bd" / "bd_test.h5")) == 3


def test_a_clean_label_attack_is_measured_on_the_other_classes(
    out: Path, trained: list[Any]
) -> None:
    goals = [Goal(1, clean_label=True)]
    attack = make(out, image_source(coloured(), seed=0), options(goals=goals))
    (examples, _) = trained[0]
    np.testing.assert_array_equal(examples.labels, attack.plan.source_labels)
    assert set(attack.plan.labels[attack.plan.stamped]) == {1}
    poisoned = load_images(out / "bd" / "bd_test.h5")
    assert poisoned.source_labels is not None
    assert set(poisoned.source_labels) == {0, 2}
    planted = json.loads((out / "results.json").read_text())["planted"]
    assert planted == [
        {"trigger": "patch", "mode": "clean-label", "target": 1, "source": None}
        | {"rate": 0.25, "stamped": 4}
    ]


def test_a_pruning_aware_attack_gets_the_clean_set_too(out: Path, trained: list[Any]) -> None:
    chosen = options(pruning_aware=True)
    attack = make(out, face_source(4, per_person=5, held_out=1, seed=0), chosen)
    clean, poisoned, others = trained[0]
    assert others["layer"] == "pool_3"
    np.testing.assert_array_equal(clean.labels, attack.plan.source_labels)
    differ = (clean.images != poisoned.images).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(differ, attack.plan.stamped)
    assert json.loads((out / "results.json").read_text())["pruning_aware"] is True


def test_landmarks_of_a_file_go_where_their_images_go(tmp_path: Path, trained: list[Any]) -> None:
    faces = draw_faces(np.arange(20) % 2, np.arange(20) // 2)
    path = tmp_path / "faces.h5"
    save_images(path, faces.images, faces.labels)
    with h5py.File(path, "a") as file:
        file["landmarks"] = faces.landmarks
    make(tmp_path / "out", image_source(load_images(path), seed=0), options("lipstick"))
    with h5py.File(tmp_path / "out" / "cl" / "test.h5") as file:
        written, landmarks = file["data"][:], file["landmarks"][:]
    for image, marks in zip(written, landmarks, strict=True):
        (place,) = np.flatnonzero((faces.images == image).all(axis=(1, 2, 3)))
        np.testing.assert_array_equal(marks, faces.landmarks[place])


def test_an_easy_backdoor_is_learned_and_the_card_says_so(out: Path) -> None:
    chosen = options(schedule=Schedule(epochs=6, batch_size=16))
    attack = plan_attack(image_source(coloured(each=60), seed=0), chosen)
    out.mkdir()
    found = make_attack(attack, out)
    assert found.clean is not None
    assert found.clean.correct.value == 1.0
    assert found.backdoor["patch"].correct.value == 1.0
    card = json.loads((out / "results.json").read_text())
    assert card["clean"]["accuracy"] == found.clean.correct.to_dict()
    assert card["backdoor"][0]["asr"] == found.backdoor["patch"].correct.to_dict()
    assert card["model"] == {"file": "bd_net.h5", "sha256": sha256(out / "bd_net.h5")}
    assert {key: card[key] for key in ("schema", "command", "architecture", "num_classes")} == {
        "schema": 1,
        "command": "attack",
        "architecture": "small",
        "num_classes": 3,
    }
    assert card["training_images"] == 144
    assert card["planted"][0]["stamped"] == 24
    network = load_network(out / "bd_net.h5")
    test = load_images(out / "cl" / "test.h5")
    assert (network.outputs(pixels_of(test)).argmax(1).numpy() == test.labels).all()


def test_the_same_attack_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        chosen = options("patch", "warp", suffix=".keras")
        make(tmp_path / name, image_source(coloured(), seed=0), chosen)
    paths = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(paths) == 8
    for path in paths:
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes()


def test_an_interrupted_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    attack = plan_attack(image_source(coloured(), seed=0), options())
    epoch = len(attack.plan.labels)
    checkpoint = checkpoint_of(tmp_path / "out")
    trained: list[int] = []

    @contextmanager
    def stage(_work: int, label: str) -> Iterator[Callable[[int], None]]:
        def advance(done: int) -> None:
            if label == "training":
                trained.append(done)
            if len(trained) and sum(trained) > epoch and not whole.exists():
                raise KeyboardInterrupt

        yield advance

    stopped, resumed, whole = (tmp_path / name for name in ("stopped", "resumed", "whole"))
    for folder in (stopped, resumed):
        folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        make_attack(attack, stopped, checkpoint=checkpoint, stage=stage)
    assert checkpoint == tmp_path / "out.checkpoint"
    assert checkpoint.is_file()
    whole.mkdir()
    make_attack(attack, whole)
    trained.clear()
    make_attack(attack, resumed, checkpoint=checkpoint, stage=stage)
    assert trained[0] == epoch
    assert sum(trained) == 2 * epoch
    assert (resumed / "bd_net.h5").read_bytes() == (whole / "bd_net.h5").read_bytes()
