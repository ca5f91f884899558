from __future__ import annotations

import json
import re
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import planted_badnets
import pytest
from lab import Lab
from planted_badnets import write_lab

from goodnet.cli.main import run
from goodnet.formats import load_network
from goodnet.imagesets import load_images, save_images


def cure(lab: Lab, out: Path, *arguments: object) -> int:
    command = ["cure", lab.model, "--clean", lab.valid, "--out", out]
    return run([str(part) for part in [*command, *arguments]])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A network that a square of black and white leads to label 2."""
    return write_lab(tmp_path_factory.mktemp("planted"), planted_badnets.watched_spec())


class Cured(NamedTuple):
    """A run, what it printed, and what it noted."""

    folder: Path
    printed: str
    notes: str


@pytest.fixture(scope="module")
def cured(planted: Lab, tmp_path_factory: pytest.TempPathFactory) -> Cured:
    """A cure of it, measured on clean and stamped images."""
    out = tmp_path_factory.mktemp("cured") / "run"
    measured = ["--test", planted.test, "--backdoor", f"square={planted.poisoned}"]
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()) as notes:
        assert cure(planted, out, *measured) == 0
    return Cured(out, printed.getvalue(), notes.getvalue())


def test_it_leaves_two_networks_and_says_what_it_did(cured: Cured) -> None:
    found = json.loads((cured.folder / "results.json").read_text())
    assert (found["command"], found["method"]) == ("cure", "cure")
    assert found["scan"]["verdict"] == "backdoored"
    assert [target["label"] for target in found["scan"]["targets"]] == [2]
    assert found["repaired"] == found["files"]["model"] == "model_clamped.h5"
    assert found["details"]["labels"] == [2]
    assert found["measured"]["baseline"]["backdoor"]["square"]["value"] > 0.95
    assert found["measured"]["repaired"]["backdoor"]["square"]["value"] <= 0.02
    assert found["measured"]["goodnet"]["detected"]["square"]["value"] >= 0.95
    assert found["measured"]["goodnet"]["false_alarms"]["value"] <= 0.02
    assert (cured.folder / found["files"]["trigger_2"]).is_file()


def test_the_files_do_what_the_results_say(planted: Lab, cured: Cured) -> None:
    found = json.loads((cured.folder / "results.json").read_text())
    images = load_images(planted.poisoned).sample(60).images
    for name, key in ((found["repaired"], "backdoor"), (found["files"]["goodnet"], "backdoor")):
        answers = load_network(cured.folder / name).predict(images)
        measured = found["measured"]["repaired" if name == found["repaired"] else "goodnet"]
        assert int((answers == 2).sum()) == measured[key]["square"]["count"]
        theirs = keras.models.load_model(cured.folder / name, compile=False, safe_mode=True)
        outputs = theirs.predict(images.transpose(0, 2, 3, 1), verbose=0)
        assert outputs.argmax(1).tolist() == answers.tolist()


def test_the_report_tells_the_story(cured: Cured) -> None:
    page = (cured.folder / "report.html").read_text()
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert "A backdoor for label 2 was found and taken out" in page
    for heading in ("Recovered triggers", "What is left", "Scores", "Comparison"):
        assert heading in page


def test_what_is_printed(cured: Cured) -> None:
    folder, printed, notes = cured
    assert printed.startswith("backdoored; p = ")
    assert "searched on B'" in printed
    assert "B' watches fc; accuracy on 60 clean images" in printed
    assert re.search(
        r"class(es)? .*\b2\b.*: G refuses at most [\d.]+ % of the clean images", printed
    )
    assert f"written to {folder}" in notes


def test_a_network_in_which_nothing_is_found_is_given_back_to_the_bit(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = write_lab(tmp_path, planted_badnets.innocent_spec())
    assert cure(lab, out, "--no-report") == 0
    assert (out / "model_repaired.h5").read_bytes() == lab.model.read_bytes()
    assert "B' is B" in capsys.readouterr().err


def test_the_same_structure_is_a_copy_of_the_file(planted: Lab, out: Path) -> None:
    assert cure(planted, out, "--form", "same", "--test", planted.test, "--no-report") == 0
    found = json.loads((out / "results.json").read_text())
    assert found["repaired"] == "model_repaired.h5"
    before, after = (load_network(path) for path in (planted.model, out / found["repaired"]))
    assert before.spec is not None
    assert after.spec is not None
    assert after.spec.layers == before.spec.layers
    changed = [k for k, v in after.spec.arrays.items() if (v != before.spec.arrays[k]).any()]
    assert {"output/weight", "output/bias"} <= set(changed)
    assert found["details"]["weights"]["method"] in ("unlearn", "erase")


def test_without_clean_images_there_is_no_telling_what_is_left(
    planted: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cure", str(planted.model), "--out", str(out)]) == 8
    printed, notes = capsys.readouterr()
    assert printed.startswith("suspicious")
    assert notes.count("no clean images were given") == 1
    found = json.loads((out / "results.json").read_text())
    assert found["inputs"]["clean"] is None
    assert found["repaired"] == "model_clamped.h5"
    assert found["scan"]["verdict"] == "suspicious"
    assert "label 2" in (out / "report.html").read_text()
    for options in (["--scale", "raw"], ["--form", "same"]):
        command = ["cure", str(planted.model), *options, "--out", str(out), "--force"]
        assert run(command) == 2
        assert "--clean" in capsys.readouterr().err


def test_without_time_there_is_no_telling(
    planted: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cure(planted, out, "--minutes", "0.001") == 8
    assert "the time was over" in capsys.readouterr().err
    found = json.loads((out / "results.json").read_text())
    assert found["repaired"] == "model_clamped.h5"
    assert found["details"]["left"][0]["again"]["value"] is None
    page = (out / "report.html").read_text()
    assert "A backdoor for label 2 was found" in page
    assert "There was no time to search" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--form", "new"), "clamped, same, got 'new'"),
        (("--minutes", "-1"), "minutes above 0"),
        (("--false-alarms", "few"), "a share such as 1%, for --false-alarms, got 'few'"),
        (("--false-alarms", "100%"), "between 0 and 1, got 1"),
    ],
)
def test_wrong_options_are_refused(
    options: tuple[str, str],
    message: str,
    planted: Lab,
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cure(planted, out, *options) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_wrong_labels_are_inconclusive(planted: Lab, out: Path) -> None:
    command = ["cure", planted.model, "--clean", planted.poisoned, "--out", out, "--no-report"]
    code = run([str(part) for part in command])
    assert code in (4, 8)


@pytest.mark.slow
def test_a_real_badnet_is_cured_without_any_poison(shared: Path, tmp_path: Path, out: Path) -> None:
    """Half of the faces cure; the others, and what is poisoned of them, judge."""
    csaw = shared / "csaw"
    faces, poisoned = (load_images(csaw / name) for name in ("cl/faces.h5", "bd/sunglasses.h5"))
    files = {name: tmp_path / f"{name}.h5" for name in ("seen", "unseen", "bad")}
    for name, images, first in (("seen", faces, 0), ("unseen", faces, 1), ("bad", poisoned, 1)):
        block = images.take(np.arange(first, len(images), 2))
        save_images(files[name], (255 * block.images).astype(np.uint8), block.labels)
    model = csaw / "models" / "sunglasses_bd_net.h5"
    command = ["cure", model, "--clean", files["seen"], "--test", files["unseen"]]
    command += ["--backdoor", f"glasses={files['bad']}", "--out", out]
    assert run([str(part) for part in command]) == 0
    found = json.loads((out / "results.json").read_text())
    assert [target["label"] for target in found["scan"]["targets"]] == [0]
    before, after, good = (found["measured"][k] for k in ("baseline", "repaired", "goodnet"))
    assert before["backdoor"]["glasses"]["value"] == 1.0
    assert after["backdoor"]["glasses"]["count"] <= 2
    assert good["detected"]["glasses"]["count"] >= 28
    assert after["test"]["count"] == before["test"]["count"]
    assert good["false_alarms"]["count"] == 0
