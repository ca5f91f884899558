"""Labels, classes and sets as a user has them: the right number, or a true sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import Lab
from PIL import Image
from tiny import conv, dense, image

from goodnet.cli.main import run
from goodnet.formats import load_network
from goodnet.formats.keras import write
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec
from goodnet.imagesets import save_images

CLASSES, STEP, PER_CLASS = 12, 20, 6
NAMES = [f"class_{place}" for place in range(CLASSES)]
NUMBERS = [str(place) for place in range(CLASSES)]


def brightness(order: list[int], *, single: bool = False) -> NetworkSpec:
    """A network that tells classes by brightness, pixels 0..255; its outputs are in this order.

    One with a single output tells the darker from the brighter half.
    """
    steps = np.array(order, np.float32)
    weight = np.repeat(2 * steps[:, None] / STEP / 3, 3, 1)
    bias = -(steps**2)
    if single:
        weight, bias = np.full((1, 3), 1 / STEP / 3, np.float32), np.full(1, -5.5, np.float32)
    arrays: dict[str, Array] = {
        "conv/weight": np.eye(3, dtype=np.float32)[:, :, None, None],
        "conv/bias": np.zeros(3, np.float32),
        "output/weight": weight.astype(np.float32),
        "output/bias": bias.astype(np.float32),
    }
    end = Activation("sigmoid" if single else "softmax")
    layers = (
        image(),
        conv("conv", "input"),
        Layer("pool", "global_avg_pool2d", ("conv",), {"keepdims": False}),
        dense("output", "pool", activation=end),
    )
    return NetworkSpec(layers, arrays, "output")


def pixels(labels: list[int], seed: int = 0) -> Array:
    """Images of a brightness that says their class, no two alike."""
    noise = np.random.default_rng(seed).integers(-3, 4, (len(labels), 3, 8, 8))
    found = (STEP * np.array(labels)[:, None, None, None] + 3 + noise).clip(0, 255)
    return found.astype(np.uint8)


def folders(path: Path, names: list[str], *, flat: bool = False) -> Path:
    """A folder of pictures for each name that is not empty, as bright as its place says."""
    for place, name in enumerate(names):
        folder = path if flat else path / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pixels([place] * PER_CLASS, place)):
            if name:
                Image.fromarray(picture.transpose(1, 2, 0)).save(folder / f"{name}_{number}.png")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks in natural and in text order, and folders by names and by numbers."""
    path = tmp_path_factory.mktemp("classes")
    write.write(brightness([*range(CLASSES)]), path / "natural.h5")
    write.write(brightness(sorted(range(CLASSES), key=str)), path / "text.h5")
    write.write(brightness([], single=True), path / "single.h5")
    folders(path / "names", NAMES)
    folders(path / "numbers", NUMBERS)
    labels = [*range(CLASSES)] * PER_CLASS
    save_images(path / "halves.h5", pixels(labels), np.array(labels) > 5)
    return path


def evaluated(capsys: pytest.CaptureFixture[str], *given: object, code: int = 0) -> tuple[str, str]:
    assert run(["evaluate", *map(str, given)]) == code
    captured = capsys.readouterr()
    return captured.out.partition("\n")[0], captured.err


@pytest.mark.parametrize("kind", ["names", "numbers"])
def test_the_classes_are_shown_and_kept(
    made: Path, out: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    given = ["prune", made / "natural.h5", "--clean", made / kind, "--drop", "50", "--out", out]
    assert run([*map(str, given)]) == 0
    first, how = ("class_0", " in natural order") if kind == "names" else ("0", "")
    last = first.replace("0", "11")
    line = f"classes of {kind}: {first} = 0, ..., {last} = 11 (12 folders{how})"
    assert line in capsys.readouterr().err.splitlines()
    found = json.loads((out / "results.json").read_text())
    names = NAMES if kind == "names" else NUMBERS
    assert found["inputs"]["clean"]["classes"] == {name: i for i, name in enumerate(names)}
    assert found["inputs"]["clean"]["order"] == ("natural" if kind == "names" else "numbers")
    assert found["class_names"] == (NAMES if kind == "names" else [])


@pytest.mark.parametrize("scale", [[], ["--scale", "raw"]])
@pytest.mark.parametrize("kind", ["names", "numbers"])
@pytest.mark.parametrize("option", ["--class-order", "--order"])
def test_another_order_stops_the_run_and_its_option_takes_it(
    made: Path, capsys: pytest.CaptureFixture[str], kind: str, scale: list[str], option: str
) -> None:
    given = [made / "text.h5", "--clean", made / kind, *scale]
    _, said = evaluated(capsys, *given, code=4)
    assert "12 of 72 images are right with the classes as they are" in said
    assert "72 in text order" in said
    assert "--class-order text" in said
    found, _ = evaluated(capsys, *given, option, "text")
    assert found == "Clean Classification accuracy: 100.0"


def test_the_order_as_it_is_can_be_insisted_on(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [made / "text.h5", "--clean", made / "names", "--scale", "raw"]
    found, _ = evaluated(capsys, *given, "--class-order", "natural")
    assert found == "Clean Classification accuracy: 16.67"


def test_labels_that_count_from_1_stop_the_run_and_an_option_takes_them(
    made: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them, and so many that none is outside the classes; those of other sets, too."""
    every, some = [*range(CLASSES)] * PER_CLASS, [2, 3, 4, 5, 7, 9] * PER_CLASS
    for name, labels in (("every", every), ("some", some), ("bad", [8] * 4)):
        save_images(tmp_path / f"{name}.h5", pixels(labels, 7), np.array(labels) + 1)
    model = made / "natural.h5"
    for name, sentence in (
        ("every", "they seem to count from 1: pass --class-order from-1"),
        ("some", "0 of 36 images are right with the classes as they are"),
    ):
        given = [model, "--clean", tmp_path / f"{name}.h5"]
        _, said = evaluated(capsys, *given, code=4)
        assert sentence in said
        assert "pass --class-order from-1" in said
        found, _ = evaluated(capsys, *given, "--class-order", "from-1")
        assert found == "Clean Classification accuracy: 100.0"
    given = ["prune", model, "--clean", tmp_path / "some.h5", "--backdoor", tmp_path / "bad.h5"]
    asked = ["--class-order", "from-1", "--drop", "50", "--out", out]
    assert run([*map(str, [*given, *asked])]) == 0
    found = json.loads((out / "results.json").read_text())
    assert found["inputs"]["clean"]["order"] == "from-1"
    assert found["inputs"]["backdoor"]["bad"]["classes"] == {"9": 8}
    assert found["baseline"]["backdoor"]["bad"]["value"] == 1.0


def test_prune_has_an_order_of_channels_too(
    made: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["prune", made / "text.h5", "--clean", made / "names", "--drop", "50", "--out", out]
    assert run([*map(str, given), "--order", "text"]) == 2
    assert "the order of class folders is --class-order" in capsys.readouterr().err
    assert run([*map(str, given), "--order", "descending", "--class-order", "text"]) == 0


def test_a_class_without_a_folder_stops_the_run_and_a_list_takes_it(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders(tmp_path / "images", ["" if name == "class_5" else name for name in NAMES])
    given = [made / "natural.h5", "--clean", tmp_path / "images"]
    _, said = evaluated(capsys, *given, code=4)
    assert "11 folders for 12 classes: which is which" in said
    assert "'class_5' seems to be missing" in said
    (tmp_path / "list").write_text("\ufeff" + "\n".join(NAMES), encoding="utf-8")
    found, said = evaluated(capsys, *given, "--classes", tmp_path / "list")
    assert found == "Clean Classification accuracy: 100.0"
    assert "(11 folders of 12 classes)" in said


def test_poisoned_folders_have_the_classes_of_the_clean_ones(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders(tmp_path / "bd", ["class_7"])
    given = [made / "natural.h5", "--clean", made / "names", "--backdoor", tmp_path / "bd"]
    _, said = evaluated(capsys, *given, code=4)
    assert "all 6 images are also in the clean set names, so they bear no trigger" in said
    for file in (tmp_path / "bd" / "class_7").iterdir():
        Image.fromarray(np.full((8, 8, 3), 7 * STEP + 3, np.uint8)).save(file)
    assert run(["evaluate", *map(str, given)]) == 0
    captured = capsys.readouterr()
    assert "classes of bd: class_7 = 7 (1 folder of 12 classes)" in captured.err
    assert "Attack Success Rate: 100.0" in captured.out


def test_predict_names_files_and_classes(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = folders(tmp_path / "flat", ["a", "b"], flat=True)
    given = ["predict", str(made / "natural.h5"), str(flat), "--scale", "raw"]
    assert run(given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{flat / 'a_0.png'}\t0"
    assert lines[-1] == f"{flat / 'b_5.png'}\t1"
    (tmp_path / "list").write_text("\n".join([*NAMES[:11], "large dog"]))
    assert run([*given, "--classes", str(tmp_path / "list")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{flat / 'b_5.png'}\t1 class_1"
    picture = str(flat / "b_5.png")
    assert run(["predict", str(made / "natural.h5"), picture, "--scale", "raw"]) == 0
    assert capsys.readouterr().out == "1\n"


def test_a_single_output_is_two_classes_for_every_command(
    made: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, clean = made / "single.h5", made / "halves.h5"
    found, _ = evaluated(capsys, model, "--clean", clean)
    assert found == "Clean Classification accuracy: 100.0"
    given = ["prune", str(model), "--clean", str(clean), "--drop", "40", "--out", str(out)]
    assert run(given) == 0
    results: dict[str, Any] = json.loads((out / "results.json").read_text())
    assert results["notes"][0].startswith("the file has one output, which is taken for two classes")
    names = results["drops"][0]["files"]
    assert load_network(out / names["goodnet"]).num_classes == 3
    assert load_network(out / names["model"]).num_classes == 2
    capsys.readouterr()
    assert run(["inspect", str(model)]) == 0
    assert "its one output, class 1 above 0.5, is taken for" in capsys.readouterr().out
    scan = ["scan", str(model), "--clean", str(clean), "--out", str(out.with_name("scan"))]
    assert run(scan) in (0, 1, 8)
    assert len(json.loads((out.with_name("scan") / "results.json").read_text())["scores"]) == 2


def test_one_class_is_nothing_to_choose_on(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_images(tmp_path / "one.h5", pixels([3] * 20), np.full(20, 3))
    given = [str(lab.model), "--clean", str(tmp_path / "one.h5"), "--scale", "raw"]
    for command in (["prune"], ["repair", "fine-tune"], ["cure"]):
        assert run([*command, *given, "--out", str(out)]) == 4
        assert "one.h5: all 20 clean images are of class 3" in capsys.readouterr().err
    assert not out.exists()
    assert run(["evaluate", *given]) == 0
    assert "all 20 images are of class 3, which a network" in capsys.readouterr().err


def test_images_that_two_sets_share_are_said_and_kept(
    made: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told by what they show: the files are of two kinds."""
    labels = [place for place in range(CLASSES) for _ in range(PER_CLASS)]
    shown = np.concatenate([pixels([place] * PER_CLASS, place) for place in range(CLASSES)])
    save_images(tmp_path / "test.h5", (shown[:40] / 255).astype(np.float32), np.array(labels[:40]))
    given = ["prune", made / "natural.h5", "--clean", made / "numbers", "--drop", "50"]
    given += ["--test", tmp_path / "test.h5", "--out", out]
    assert run([*map(str, given)]) == 0
    sentence = "40 of 40 test images are also among the clean images that choices are made on"
    assert sentence in capsys.readouterr().err
    assert sentence in json.loads((out / "results.json").read_text())["notes"][0]
    assert sentence in (out / "report.html").read_text()


def test_a_list_of_channels_may_begin_with_a_mark(made: Path, tmp_path: Path, out: Path) -> None:
    (tmp_path / "channels.csv").write_text("\ufeff2,0,1", encoding="utf-8")
    given = ["prune", made / "natural.h5", "--clean", made / "numbers", "--drop", "50"]
    given += ["--channels", tmp_path / "channels.csv", "--out", out]
    assert run([*map(str, given)]) == 0
    assert json.loads((out / "results.json").read_text())["channels"] == [2, 0, 1]


def test_a_sheet_is_no_jpeg(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", str(lab.test), "--out", str(tmp_path / "sheet.jpg")]) == 2
    assert "a sheet is written as PNG, got the file name 'sheet.jpg'" in capsys.readouterr().err


def test_where_triggers_go_is_looked_at_first(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "label_1.npz").write_text("")
    given = ["scan", str(lab.model), "--out", str(out), "--save-triggers"]
    assert run([*given, str(tmp_path / "file")]) == 6
    assert "triggers cannot be written to" in capsys.readouterr().err
    assert run([*given, str(tmp_path / "full")]) == 2
    assert "label_1.npz exists already" in capsys.readouterr().err
    assert not out.exists()
