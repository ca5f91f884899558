"""Run folders as facts: whole ones, old ones, and ones that mean harm."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import (
    ACCURACY,
    PIXELS,
    changed,
    compare_run,
    prune_run,
    repair_run,
    scan_run,
    target,
    write,
)
from PIL import Image

from goodnet.errors import InvalidInput
from goodnet.report.folder import PICTURED
from goodnet.report.read import read_run
from goodnet.report.verdict import judge
from goodnet.results import DirectionRecord, ScanRecord
from goodnet.stats import proportion


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    return prune_run(tmp_path / "run")


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


def test_a_pruning_is_read(pruned: Path) -> None:
    run = read_run(pruned)
    assert (run.name, run.command, run.classes) == ("run", "prune", 5)
    assert run.curve is not None
    assert run.curve.accuracy == tuple(proportion(count, 200) for count in ACCURACY)
    assert [share.count for share in run.curve.success["glasses"]] == [100, 100, 100, 80, 0]
    assert [(drop.drop, drop.channels_pruned) for drop in run.curve.drops] == [
        *((2, 2), (10, 3), (90, None))
    ]
    assert run.shown == 1
    assert run.trials[1].repaired is not None
    assert run.trials[1].files == {"model": "model_drop_10.h5"}
    assert run.trials[2].repaired is None
    assert run.trials[2].reason == "accuracy never falls that far"
    assert run.parameters == (2093, 1793)
    assert [layer.name for layer in run.layers] == ["input", "conv", "left", "right", "add", "out"]
    assert len(run.pictures) == 6
    assert run.record.command_line.startswith("goodnet prune")
    assert run.record.seconds == 12.5


def test_files_are_listed_with_their_hashes_and_the_report_is_not(pruned: Path) -> None:
    (pruned / "report.html").write_text("old")
    (pruned / ".hidden").write_text("x")
    (pruned / "link").symlink_to("/etc/passwd")
    os.mkfifo(pruned / "pipe")
    names = {fact.name: fact for fact in read_run(pruned).outputs}
    assert set(names) == {
        "curve.csv",
        "results.json",
        "run.json",
        "model_drop_2.h5",
        "model_drop_10.h5",
        "goodnet_drop_10.keras",
    }
    assert names["model_drop_2.h5"].role == "B'"
    assert len(names["model_drop_2.h5"].sha256) == 64


def test_the_shown_drop_is_the_largest_up_to_ten_else_the_smallest(pruned: Path) -> None:
    found = results(pruned)
    found["drops"][0]["drop"], found["drops"][1]["drop"] = 12.0, 30.0
    assert read_run(changed(pruned, drops=found["drops"])).shown == 0


@pytest.mark.parametrize(
    ("details", "layer"),
    [({"layer": "pool_1", "channels_pruned": [3, 1]}, "pool_1"), ({"layer": "fc", "rank": 1}, "")],
)
def test_only_a_layer_that_was_pruned_is_called_so(
    tmp_path: Path, details: dict[str, Any], layer: str
) -> None:
    """To erase is to change what reads a layer; none of its channels fall silent."""
    folder = repair_run(tmp_path / "run")
    run = read_run(changed(folder, details=details, parameters_left=700))
    assert run.pruned_layer == layer
    assert run.parameters[1] == 700


def test_a_repair_is_read(tmp_path: Path) -> None:
    run = read_run(repair_run(tmp_path / "run"))
    assert (run.command, run.method, run.chosen, len(run.epochs)) == ("repair", "fine-tune", 3, 3)
    assert run.trials[0].guarded is not None
    assert run.trials[0].guarded.detected["glasses"] == proportion(98, 100)
    assert run.options["seed"] == "7"
    assert run.notes == ("B' saw few images",)


def test_a_comparison_is_read_with_what_its_repairs_wrote(tmp_path: Path) -> None:
    run = read_run(compare_run(tmp_path / "run"))
    assert [trial.name for trial in run.trials] == ["erase", "fine-tune", "prune-10", "unlearn"]
    best = run.trials[run.shown or 0]
    assert best.name == "erase"
    assert best.guarded is not None
    assert best.guarded.test == proportion(184, 200)
    assert best.cost.seconds == 1.5
    assert best.files["model"] == "erase/model_repaired.h5"
    assert run.trials[3].reason == "no trigger was given"
    assert run.baseline is not None
    assert len(run.pictures) == 6


def test_a_comparison_of_two_networks_has_a_b_for_each(tmp_path: Path) -> None:
    run = read_run(compare_run(tmp_path / "run", models=("one", "two")))
    assert run.baseline is None
    assert list(run.baselines) == ["one", "two"]
    assert [trial.model for trial in run.trials[:5]] == ["one"] * 4 + ["two"]


def scan_of(folder: Path) -> ScanRecord:
    scan = read_run(folder).scan
    assert scan is not None
    return scan


def test_a_scan_is_read(tmp_path: Path) -> None:
    run = read_run(scan_run(tmp_path / "run", notes=["a note"]))
    assert (run.command, run.method, run.classes, run.trials) == ("scan", "goodnet", 5, ())
    assert (run.baseline, run.shown, run.notes) == (None, None, ("a note",))
    assert run.options["alpha"] == "0.01"
    assert run.options["images judged"] == "30"
    assert [layer.name for layer in run.layers][:2] == ["input", "conv"]
    assert [fact.role for fact in run.inputs] == ["model", "clean"]
    assert {fact.name: fact.role for fact in run.outputs}["triggers/label_0.npz"] == (
        "trigger and direction"
    )
    scan = run.scan
    assert scan is not None
    assert (scan.verdict, scan.p_value, scan.threshold) == ("backdoored", 0.0004, 4.2)
    assert scan.scores == (7.1, 0.2, -0.4, 0.9, 0.1)
    (found,) = scan.targets
    assert (found.label, found.direction) == (0, DirectionRecord("left", 0.1))
    assert found.families == ("painted, 0.44 x 1", "added, 4 x 3")
    assert found.trigger is not None
    assert found.trigger.success == proportion(29, 30)
    names = {found.pictures.trigger, *found.pictures.clean, *found.pictures.stamped}
    assert len(names) == 1 + 2 * len(PIXELS)
    assert set(run.images) == names
    assert all(png.startswith(b"\x89PNG") for png in run.images.values())


def test_a_scan_that_finds_nothing_is_read(tmp_path: Path) -> None:
    folder = scan_run(tmp_path / "run", verdict="no_finding", targets=[])
    scan = scan_of(changed(folder, threshold=None, p_value=None, null=None, notes=None))
    assert (scan.targets, scan.threshold, scan.p_value, scan.null) == ((), None, None, "")


def test_a_target_may_have_neither_trigger_nor_direction(tmp_path: Path) -> None:
    folder = scan_run(tmp_path / "run")
    (found,) = scan_of(
        changed(folder, targets=[{"label": 3, "score": 0.9, "families": []}])
    ).targets
    assert (found.label, found.trigger, found.direction) == (3, None, None)


def test_scores_that_are_no_numbers_are_not_known(tmp_path: Path) -> None:
    folder = scan_run(tmp_path / "run", targets=[], scores=(1.0, None, 2.0))
    assert scan_of(folder).scores == (1.0, None, 2.0)


def test_images_given_tell_how_triggers_were_judged(tmp_path: Path) -> None:
    folder = scan_run(tmp_path / "run")
    assert "clean images it was never searched on are" in judge(read_run(folder)).evidence
    run = read_run(changed(folder, images={"searched": 60, "judged": 60}))
    assert "clean images, the same that it was searched on, are" in judge(run).evidence
    files = results(folder)["inputs"] | {"clean": None}
    run = read_run(changed(folder, inputs=files))
    assert "images made from the network and not searched on are" in judge(run).evidence


def test_of_many_targets_only_the_first_have_pictures(tmp_path: Path) -> None:
    targets = [target(label, 9.0 - label) for label in range(PICTURED + 2)]
    run = read_run(scan_run(tmp_path / "run", targets=targets, scores=[0.5] * 40))
    assert run.scan is not None
    shown = [found.pictures.trigger in run.images for found in run.scan.targets]
    assert shown == [True] * PICTURED + [False] * 2


def test_an_old_folder_gives_what_it_has(pruned: Path) -> None:
    changed(pruned, network=None, poisoned_activation=None, pictures=None)
    for name in ("run.json", "curve.csv"):
        (pruned / name).unlink()
    shutil.rmtree(pruned / "pictures")
    run = read_run(pruned)
    assert (run.curve, run.layers, run.pictures) == (None, (), ())
    assert (run.record.seconds, run.record.command_line) == (None, "")
    assert run.record.versions == {"goodnet": "9.9.9"}
    assert run.trials[1].repaired is not None


def test_a_picture_is_encoded_anew_and_made_smaller(pruned: Path) -> None:
    path = pruned / "pictures" / "0_0.png"
    Image.fromarray(PIXELS[0]).resize((500, 600)).save(path, pnginfo=None)
    path.write_bytes(path.read_bytes() + b"<script>")
    png = read_run(pruned).images["pictures/0_0.png"]
    assert b"<script>" not in png
    assert max(int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == 96


def _file(name: str) -> Callable[[Path], object]:
    def name_it(folder: Path) -> None:
        found = results(folder)["pictures"]
        found["items"][0]["file"] = name
        changed(folder, pictures=found)

    return name_it


def _link(folder: Path) -> None:
    (folder / "pictures" / "0_0.png").unlink()
    (folder / "pictures" / "0_0.png").symlink_to("/etc/passwd")


def _link_folder(folder: Path) -> None:
    (folder / "pictures").rename(folder.parent / "elsewhere")
    (folder / "pictures").symlink_to(folder.parent / "elsewhere")


def _bomb(folder: Path) -> None:
    path = folder / "pictures" / "0_0.png"
    data = bytearray(path.read_bytes())
    data[16:20] = (100_000).to_bytes(4, "big")
    path.write_bytes(data)


def _profile(folder: Path) -> None:
    """A colour profile without anything in it, where Pillow looks only when it decodes."""
    path = folder / "pictures" / "0_0.png"
    data = path.read_bytes()
    end = data.rindex(b"IEND") - 4
    chunk = bytes(4) + b"iCCP" + zlib.crc32(b"iCCP").to_bytes(4, "big")
    path.write_bytes(data[:end] + chunk + data[end:])


def _replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return replace


def _linked(path: Path) -> None:
    path.symlink_to("nowhere")


def _cut(folder: Path) -> None:
    path = folder / "pictures" / "0_0.png"
    path.write_bytes(path.read_bytes()[:60])


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "absolute": (_file("/etc/passwd"), "leads out of the folder"),
    "above": (_file("../secret.png"), "leads out of the folder"),
    "above inside": (_file("pictures/../../x.png"), "leads out of the folder"),
    "drive": (_file("C:\\x.png"), "leads out of the folder"),
    "null": (_file("a\0b"), "leads out of the folder"),
    "missing": (_file("pictures/none.png"), "there is no file"),
    "link": (_link, "is a symbolic link"),
    "linked folder": (_link_folder, "is a symbolic link"),
    "not a picture": (_file("results.json"), "is not a small PNG"),
    "bomb": (_bomb, "is not a small PNG"),
    "cut short": (_cut, "is broken"),
    "empty profile": (_profile, "is broken"),
    **{
        f"{name}, {what}": (_replaced(name, make), f"{what}.*{name}|{name}.*{what}")
        for name in ("results.json", "run.json", "curve.csv")
        for what, make in (
            ("symbolic link", _linked),
            ("named pipe", os.mkfifo),
            ("directory", Path.mkdir),
        )
    },
    "schema": (lambda folder: changed(folder, schema=2), "schema 2, this version reads 1"),
    "command": (lambda folder: changed(folder, command="attack"), "of the command 'attack'"),
    "no curve": (lambda folder: changed(folder, channels=[1]), "asks for more channels"),
    "channels": (lambda folder: changed(folder, channels=[9, 0, 1, 2]), "do not speak of"),
    "drops": (lambda folder: changed(folder, drops=[3]), r"drops\[0\]: expected `object`"),
    "order": (lambda folder: changed(folder, order="up"), "order: invalid enum value 'up'"),
    "csv": (lambda folder: (folder / "curve.csv").write_text("a,b\n1,2\n"), "curve.csv"),
    "csv share": (
        lambda folder: (folder / "curve.csv").write_text(
            (folder / "curve.csv").read_text().replace("0.85", "8.5")
        ),
        "a share outside 0..1",
    ),
    "not json": (lambda folder: (folder / "results.json").write_text("{"), "is not JSON"),
    "run.json": (
        lambda folder: write(folder / "run.json", []),
        "in run.json, the whole: expected `object`",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_folder_that_means_harm_is_one_sentence(case: str, pruned: Path) -> None:
    harm, message = HOSTILE[case]
    harm(pruned)
    with pytest.raises(InvalidInput, match=message) as caught:
        read_run(pruned)
    assert str(pruned) in str(caught.value)
    assert "\n" not in str(caught.value)


def _target(**values: Any) -> Callable[[Path], object]:
    return lambda folder: changed(folder, targets=[target(0, 7.1) | values])


def _found(**values: Any) -> Callable[[Path], object]:
    return _target(trigger=target(0, 7.1)["trigger"] | values)


def _images(**values: Any) -> Callable[[Path], object]:
    return _target(pictures=target(0, 7.1)["pictures"] | values)


HOSTILE_SCANS: dict[str, tuple[Callable[[Path], object], str]] = {
    "trigger above": (_images(trigger="../secret.png"), "leads out of the folder"),
    "clean absolute": (_images(clean=["/etc/passwd"] * 3), "leads out of the folder"),
    "stamped drive": (_images(stamped=["C:\\x.png"] * 3), "leads out of the folder"),
    "not a picture": (_images(trigger="results.json"), "is not a small PNG"),
    "no pair": (_images(clean=[]), "not one stamped picture for each clean one"),
    "pictures of another kind": (
        _target(pictures=[]),
        r"targets\[0\]\.pictures: expected `obj",
    ),
    "names of another kind": (_images(clean="x.png"), r"pictures\.clean: expected `array`"),
    "file above": (_target(file="../../x.npz"), "leads out of the folder"),
    "label too large": (_target(label=5), "a target has no label below 5"),
    "label below 0": (_target(label=-1), r"label: expected `int` >= 0"),
    "label as text": (_target(label="0"), r"targets\[0\]\.label: expected `int`"),
    "no score": (_target(score=None), r"targets\[0\]\.score: expected `float`"),
    "score too large": (_target(score=1e300), r"targets\[0\]\.score: expected `float` <="),
    "p of target": (_target(p_value=2), r"targets\[0\]\.p_value: expected `float` <= 1"),
    "families": (_target(families=[1]), r"families\[0\]: expected `str`"),
    "own": (
        _target(direction={"layer": "a", "own": "b"}),
        r"direction\.own: expected `float",
    ),
    "success": (
        _found(success={"count": 9, "total": 3}),
        "success: expected a count with",
    ),
    "no success": (_found(success=None), "success: expected a count with"),
    "area": (_found(area=1.5), "area: expected `float` <= 1"),
    "changed": (_found(changed=-1), "changed: expected `float` >= 0"),
    "twice": (
        lambda folder: changed(folder, targets=[target(0, 7.1), target(0, 7.0)]),
        "a label stands twice among the targets",
    ),
    "verdict": (
        lambda folder: changed(folder, verdict="clean"),
        "verdict: invalid enum value",
    ),
    "p": (lambda folder: changed(folder, p_value=-0.1), r"p_value: expected `float` >= 0"),
    "threshold": (lambda folder: changed(folder, threshold="x"), "threshold: expected `float"),
    "no classes": (lambda folder: changed(folder, classes=None), "5 scores for None classes"),
    "one class": (
        lambda folder: changed(folder, classes=1, scores=[1.0]),
        "classes: expected `int` >= 2",
    ),
    "too many classes": (
        lambda folder: changed(folder, classes=100_001, scores=[0] * 100_001),
        "classes: expected `int` <= 100000",
    ),
    "too many scores": (
        lambda folder: changed(folder, scores=[0.5] * 6),
        "there are 6 scores for 5 classes",
    ),
    "too few scores": (lambda folder: changed(folder, scores=[]), "there are 0 scores for 5"),
    "scores of another kind": (
        lambda folder: changed(folder, scores=["x"] * 5),
        r"scores\[0\]: expected `float",
    ),
    "notes": (lambda folder: changed(folder, notes="x"), "notes: expected `array`"),
}


@pytest.mark.parametrize("case", HOSTILE_SCANS)
def test_a_scan_that_means_harm_is_one_sentence(case: str, tmp_path: Path) -> None:
    harm, message = HOSTILE_SCANS[case]
    folder = scan_run(tmp_path / "run")
    harm(folder)
    with pytest.raises(InvalidInput, match=message) as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)


def test_a_linked_picture_of_a_scan_is_refused(tmp_path: Path) -> None:
    folder = scan_run(tmp_path / "run")
    path = folder / "pictures" / "label_0_trigger.png"
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match="is a symbolic link"):
        read_run(folder)


def test_options_that_are_nested_deeply_are_one_sentence(tmp_path: Path) -> None:
    folder = repair_run(tmp_path / "run")
    text = json.dumps(results(folder) | {"options": {"a": "HERE"}})
    deep = text.replace('"HERE"', "[" * 900 + "1" + "]" * 900)
    (folder / "results.json").write_text(deep)
    with pytest.raises(InvalidInput, match="nested too deeply"):
        read_run(folder)


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"there is no results\.json in"):
        read_run(tmp_path)


def test_more_values_than_any_run_has_are_one_sentence(tmp_path: Path) -> None:
    text = '{"schema": 1, "command": "prune", "notes": [' + '"",' * 500_001 + '""]}'
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InvalidInput, match=r"results.json may hold at most 500,000 values"):
        read_run(tmp_path)


def test_a_file_larger_than_any_model_has_no_hash(pruned: Path, tmp_path: Path) -> None:
    run = shutil.copytree(pruned, tmp_path / "sparse")
    with (run / "model_sparse.h5").open("wb") as file:
        file.truncate(3 * 2**30)
    assert {fact.name: fact.sha256 for fact in read_run(run).outputs}["model_sparse.h5"] == ""
