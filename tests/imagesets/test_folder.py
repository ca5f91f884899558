from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from goodnet.errors import FileError, InvalidInput, OverBudget
from goodnet.imagesets import ImageSet, folder, load_images

if TYPE_CHECKING:
    from pathlib import Path


def paint(path: Path, value: int, size: tuple[int, int] = (5, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path, "PNG")


def values(images: ImageSet) -> list[int]:
    """The brightness of each image, which says where it came from."""
    return [int(255 * x) for block in images.blocks(2) for x in block.images[:, 0, 0, 0]]


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    paint(tmp_path / "dog" / "b.png", 3)
    paint(tmp_path / "dog" / "a.png", 2)
    paint(tmp_path / "Zebra" / "x", 0)
    paint(tmp_path / "cat" / "1.png", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("found on the street")
    images = load_images(tmp_path)
    assert images.class_names == ("Zebra", "cat", "dog", "empty")
    assert images.labels.tolist() == [0, 1, 2, 2]
    assert values(images) == [0, 1, 2, 3]
    assert images.describe() == (
        f"{tmp_path.name}: 4 images 3x5x4, labels 0..2, pixels 0..255 (uint8), layout NHWC, "
        "passed over 1 other files"
    )


def test_numbered_folders_are_their_own_labels(tmp_path: Path) -> None:
    for number in (0, 2, 10):
        paint(tmp_path / str(number) / "x.png", number)
    images = load_images(tmp_path)
    assert dict(zip(values(images), images.labels.tolist(), strict=True)) == {0: 0, 2: 2, 10: 10}
    assert images.class_names is None
    paint(tmp_path / "02" / "x.png", 1)
    with pytest.raises(InvalidInput, match="two sub-folders have the same number, 2"):
        load_images(tmp_path)


def test_what_is_no_image_is_passed_over_and_counted(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "x.png", 1)
    paint(tmp_path / "loose.png", 9)
    paint(tmp_path / "a" / "deep" / "x.png", 9)
    paint(tmp_path / ".hidden" / "x.png", 9)
    (tmp_path / "a" / ".DS_Store").touch()
    (tmp_path / "a" / "Thumbs.db").touch()
    (tmp_path / "a" / "link.png").symlink_to(tmp_path / "loose.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "a" / "pipe.png")
    images = load_images(tmp_path)
    assert values(images) == [1]
    assert images.describe().endswith(
        "passed over 1 files, 1 folders, 3 hidden, 3 links, 1 pipes or devices"
    )


@pytest.mark.parametrize("prepare", ["nothing", "no pictures", "empty class"])
def test_a_folder_without_classes_says_what_is_expected(tmp_path: Path, prepare: str) -> None:
    if prepare == "no pictures":
        (tmp_path / "x.txt").write_text("nothing")
    elif prepare == "empty class":
        (tmp_path / "a").mkdir()
    with pytest.raises(InvalidInput, match="one sub-folder of images per class, got no images in"):
        load_images(tmp_path)


def test_a_folder_of_pictures_is_a_set_without_labels(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt"):
        paint(tmp_path / name, 7)
    (tmp_path / "empty").mkdir()
    images = load_images(tmp_path)
    assert (images.labels.tolist(), images.files) == ([-1, -1], ["a.JPG", "b.png"])
    assert images.describe().endswith("passed over 1 files, 1 folders")


def test_another_size_names_both_files_when_it_is_reached(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "1.png", 1)
    paint(tmp_path / "a" / "2.png", 1, (5, 9))
    images = load_images(tmp_path)
    with pytest.raises(InvalidInput, match=r"'a/1.png', 4x5 pixels; 'a/2.png' has 9x5 pixels"):
        values(images)


def test_a_file_that_is_no_image_is_named_with_odd_letters_escaped(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "1.png", 1)
    (tmp_path / "a" / "2\x1b[31m\n.png").write_text("no image")
    with pytest.raises(InvalidInput, match=r"got something else .*: 'a/2\\x1b\[31m\\n.png'$"):
        values(load_images(tmp_path))


def test_names_that_are_no_text_are_read(tmp_path: Path) -> None:
    paint(tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xff.png"), 7)
    images = load_images(tmp_path)
    assert values(images) == [7]
    assert len(images.sha256) == 64


def test_the_hash_is_that_of_the_list_of_files(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "1.png", 1)
    paint(tmp_path / "b" / "2.png", 2)
    lines = [
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("a/1.png", "b/2.png")
    ]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert load_images(tmp_path).sha256 == expected


def test_more_files_than_meant_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MAX_IMAGES", 1)
    paint(tmp_path / "a" / "1.png", 1)
    paint(tmp_path / "a" / "2.png", 1)
    with pytest.raises(OverBudget, match="at most 1 images are read"):
        load_images(tmp_path)


def test_a_folder_that_cannot_be_listed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(FileError, match="the folder cannot be read"):
        load_images(tmp_path)


def test_a_single_file_is_a_set_without_labels(shared: Path) -> None:
    path = shared / "csaw" / "png" / "clean_test__test_823_2.png"
    images = load_images(path)
    assert (len(images), images.shape, images.labels.tolist()) == (1, (3, 55, 47), [-1])
    assert not images.labelled
    assert "no labels" in images.describe()
    expected = np.asarray(Image.open(path)).transpose(2, 0, 1)
    np.testing.assert_array_equal(255 * images.sample(1).images[0], expected)
    assert images.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
