"""Which class is which: orders, lists of names, and what a network's answers say of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets import (
    ClassNames,
    ImageSet,
    check_fits,
    check_order,
    images_from_arrays,
    load_images,
)

if TYPE_CHECKING:
    from pathlib import Path

    from goodnet.types import Integers

TWELVE = [f"class_{place}" for place in range(12)]
IN_TEXT_ORDER = sorted(range(12), key=str)


def folders(path: Path, names: list[str]) -> Path:
    """A folder with a picture of each class."""
    from PIL import Image

    for place, name in enumerate(names):
        (path / name).mkdir(parents=True)
        Image.fromarray(np.full((4, 4, 3), 9 * place, np.uint8)).save(path / name / "x.png")
    return path


def by_folder(images: ImageSet) -> dict[str, int]:
    return {
        name.split("/")[0]: int(label)
        for name, label in zip(images.files, images.labels, strict=True)
    }


def numbered(labels: list[int]) -> ImageSet:
    return images_from_arrays(np.zeros((len(labels), 1, 5, 5), np.uint8), labels, name="valid.h5")


def test_numbers_in_names_are_numbers(tmp_path: Path) -> None:
    images = load_images(folders(tmp_path, TWELVE))
    assert by_folder(images) == {name: place for place, name in enumerate(TWELVE)}
    assert images.class_names == (*TWELVE,)
    assert images.labelling.describe(12) == (
        "class_0 = 0, ..., class_11 = 11 (12 folders in natural order)"
    )


def test_the_order_of_text_is_asked_for(tmp_path: Path) -> None:
    images = load_images(folders(tmp_path, TWELVE), order="text")
    assert by_folder(images) == {TWELVE[at]: place for place, at in enumerate(IN_TEXT_ORDER)}
    with pytest.raises(UsageError, match="numbers or from-1 or natural or text, got 'size'"):
        load_images(tmp_path, order="size")


def test_numbers_by_their_place(tmp_path: Path) -> None:
    folders(tmp_path, [str(number) for number in range(1, 13)])
    assert by_folder(load_images(tmp_path))["12"] == 12
    assert by_folder(load_images(tmp_path, order="natural"))["12"] == 11
    assert by_folder(load_images(tmp_path, order="text"))["12"] == 3


def test_numbers_are_asked_for_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="its folders have no numbers to take as classes"):
        load_images(folders(tmp_path, TWELVE), order="numbers")


def test_places_need_a_folder_for_each_class(tmp_path: Path) -> None:
    images = load_images(folders(tmp_path, [name for name in TWELVE if name != "class_5"]))
    with pytest.raises(InvalidInput, match=r"11 folders for 12 classes: which .* 'class_5' seems"):
        check_fits(images, shape=(3, 4, 4), num_classes=12)
    check_fits(images, shape=(3, 4, 4), num_classes=12, rejects=True)


def test_few_numbers_of_many_are_no_fault(tmp_path: Path) -> None:
    images = load_images(folders(tmp_path, ["3", "12", "1277"]))
    check_fits(images, shape=(3, 4, 4), num_classes=1283)
    assert images.labelling.describe(1283) == (
        "3 = 3, ..., 1277 = 1277 (3 folders of 1283 classes)"
    )
    assert numbered([3, 12, 1277]).labelling.describe(1283).endswith("(3 labels of 1283 classes)")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\nlarge dog\n", ("cat", "large dog")),
        ("\ufeffcat\r\nlarge dog\r\n\r\n", ("cat", "large dog")),
        ('["cat", "large dog"]', ("cat", "large dog")),
        ('{"1": "large dog", "0": "cat"}', ("cat", "large dog")),
        ('{"0": ["n01", "cat"], "1": ["n02", "large dog"]}', ("cat", "large dog")),
        ('{"cat": 0, "large dog": 1}', ("cat", "large dog")),
    ],
)
def test_lists_of_names(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    (tmp_path / "classes").write_bytes(text.encode())
    found = ClassNames.read(tmp_path / "classes")
    assert found.names == names
    assert found.places["large dog"] == 1
    assert ("n01" in found.places) == ("n01" in text)


@pytest.mark.parametrize(
    "text", ["a\n\nb", "[1, 2]", '{"0": "a", "2": "b"}', '{"0": []}', "{", "[]"]
)
def test_what_is_no_list_of_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes").write_text(text)
    with pytest.raises(InvalidInput, match="expected the names of classes, one a line, or JSON"):
        ClassNames.read(tmp_path / "classes")


def test_a_name_of_two_classes(tmp_path: Path) -> None:
    (tmp_path / "classes").write_text("a\nb\na\n")
    with pytest.raises(InvalidInput, match="two classes are called 'a'"):
        ClassNames.read(tmp_path / "classes")


def test_folders_by_a_list(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"0": ["n2", "b"], "1": ["n3", "c"], "2": "a"}))
    folders(tmp_path / "images", ["a", "n3"])
    images = load_images(tmp_path / "images", classes=tmp_path / "index.json")
    assert by_folder(images) == {"a": 2, "n3": 1}
    assert images.class_names == ("b", "c", "a")
    assert images.labelling.describe(3) == "n3 = 1 (c), a = 2 (2 folders of 3 classes)"
    check_fits(images, shape=(3, 4, 4), num_classes=3)
    folders(tmp_path / "images", ["d"])
    with pytest.raises(InvalidInput, match=r"index.json has no class called 'd'; it has 'n2', 'b'"):
        load_images(tmp_path / "images", classes=tmp_path / "index.json")


def test_numbers_that_are_no_names_stay_and_those_that_are_go_by_the_list(tmp_path: Path) -> None:
    folders(tmp_path / "images", ["0", "1"])
    (tmp_path / "names").write_text("cat\ndog")
    images = load_images(tmp_path / "images", classes=tmp_path / "names")
    assert (by_folder(images), images.class_names) == ({"0": 0, "1": 1}, ("cat", "dog"))
    (tmp_path / "names").write_text("1\n0")
    images = load_images(tmp_path / "images", classes=tmp_path / "names")
    assert by_folder(images) == {"0": 1, "1": 0}


def test_numbers_that_count_from_1(tmp_path: Path) -> None:
    images = load_images(folders(tmp_path / "images", ["1", "3", "10"]), order="from-1")
    assert by_folder(images) == {"1": 0, "3": 2, "10": 9}
    assert images.labelling.describe(12) == "1 = 0, ..., 10 = 9 (3 folders of 12 classes)"
    assert images.class_names is None
    with pytest.raises(InvalidInput, match=r"do not count from 1 \(0 = 0, 1 = 1, ...\)"):
        load_images(folders(tmp_path / "zero", ["0", "1"]), order="from-1")
    with pytest.raises(InvalidInput, match="its folders have no numbers to take as classes"):
        load_images(folders(tmp_path / "names", ["a", "b"]), order="from-1")


def shuffled(labels: Integers, order: list[int]) -> Integers:
    """What a network answers whose classes are numbers in this order, wrong on one in twenty."""
    answers = np.argsort(order)[labels]
    answers[::20] = (answers[::20] + 5) % len(order)
    return answers


@pytest.mark.parametrize(
    ("how", "stored", "answers", "option"),
    [
        ("natural", range(12), IN_TEXT_ORDER, "--class-order text"),
        ("numbers", range(12), IN_TEXT_ORDER, "--class-order text"),
        ("numbers", [x for x in range(12) if x != 7], IN_TEXT_ORDER, "--classes FILE"),
        ("numbers", range(12), np.argsort(IN_TEXT_ORDER), "--classes FILE"),
        (
            "numbers",
            range(1, 12),
            [*range(1, 12), 0],
            "if they count from 1; pass --class-order from-1",
        ),
        ("numbers", range(11), [11, *range(11)], "too low; pass --classes FILE"),
    ],
)
def test_an_order_that_fits_better_is_said(
    tmp_path: Path, how: str, stored: list[int], answers: list[int], option: str
) -> None:
    labels = np.repeat([*stored], 4)
    named = folders(tmp_path, TWELVE)
    images = load_images(named) if how == "natural" else numbered([*stored])
    given = [np.zeros_like(labels), shuffled(labels, [*answers])]
    with pytest.raises(InvalidInput, match=f"{option}.* --class-order {how} to leave them"):
        check_order(images, labels, given, num_classes=12)
    check_order(load_images(named, order="natural"), labels, given, num_classes=12)


def test_any_order_that_most_images_fit_is_said() -> None:
    """Two classes exchanged, and two of six; of few images none is looked for."""
    for count, exchanged, said in (
        (2, [1, 0], "0 is 1, 1 is 0"),
        (6, [0, 4, 2, 3, 1, 5], "1 is 4"),
    ):
        labels = np.repeat(np.arange(count), 24)
        answers = np.array(exchanged)[labels]
        answers[::20] = 0
        images = numbered(labels.tolist())
        with pytest.raises(InvalidInput, match=rf"if {said}.*; pass --classes FILE"):
            check_order(images, labels, [answers], num_classes=count)
        check_order(images, labels[::3], [answers[::3]], num_classes=count)


@pytest.mark.parametrize("classes", [2, 12, 1283])
@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.5, 0.95, 1.0])
def test_answers_that_are_right_or_wrong_by_chance_are_no_other_order(
    classes: int, accuracy: float
) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, 300)
    answers = np.where(random.random(300) < accuracy, labels, random.integers(0, classes, 300))
    images = numbered(labels.tolist())
    constant = np.full(300, labels[0])
    check_order(images, labels, [answers, constant], num_classes=classes)


def test_the_folders_of_one_set_tell_those_of_another(tmp_path: Path) -> None:
    from goodnet.imagesets import by_names, names_of

    clean = load_images(folders(tmp_path / "clean", TWELVE), order="text")
    poisoned = by_names(load_images(folders(tmp_path / "bd", ["class_10"])), names_of(clean))
    assert by_folder(poisoned) == {"class_10": 2}
    assert names_of(numbered([0, 1])) is None
