from __future__ import annotations

import os
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from PIL import Image

from goodnet.errors import FileError, GoodnetError, InvalidInput, UsageError
from goodnet.imagesets import check_fits, load_images

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.zeros((2, 3, 8, 7), np.uint8)


def test_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.png", "w") as file:
        file["data"], file["label"] = PIXELS, [0, 1]
    with (tmp_path / "b.h5").open("wb") as stream:
        np.savez(stream, data=PIXELS, label=[0, 1])
    Image.fromarray(PIXELS[0].transpose(1, 2, 0)).save(tmp_path / "c.npz", "PNG")
    counts = [len(load_images(tmp_path / name)) for name in ("a.png", "b.h5", "c.npz")]
    assert counts == [2, 2, 1]


def test_a_path_may_be_text_or_a_link_and_the_set_have_a_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"], file["label"] = PIXELS, [0, 1]
    (tmp_path / "link").symlink_to(tmp_path / "a.h5")
    images = load_images(str(tmp_path / "link"), name="validation")
    assert (images.name, images.path) == ("validation", tmp_path / "link")


def test_layout_and_range_are_passed_on(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", data=np.zeros((2, 3, 8, 3), np.float32), label=[0, 1])
    images = load_images(tmp_path / "x.npz", layout="NHWC", range="0..1")
    assert (images.shape, images.range) == ((3, 3, 8), "0..1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04pickle", "got a file that starts with 80 04 70 69"),
        (b"x", "got a file that starts with 78: "),
        (b"", "the set of images is empty"),
        (b"GIF89a", "expected images as an HDF5 or npz file, a PNG, JPEG, BMP or WebP image"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        load_images(tmp_path / "x.h5")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no set of images at"):
        load_images(tmp_path / "gone.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(InvalidInput, match="expected a set of images, got a named pipe"):
        load_images(tmp_path / "pipe.h5")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InvalidInput, match="loop of symbolic links"):
        load_images(tmp_path / "loop")
    with pytest.raises(UsageError, match="only local files are read"):
        load_images("https://example.org/x.h5")


def test_a_model_is_not_a_set_of_images(shared: Path) -> None:
    with pytest.raises(InvalidInput, match="expected an array `data` of images"):
        load_images(shared / "csaw" / "models" / "lab3_bd_net.h5")


def test_a_single_image_cannot_stand_for_a_labelled_set(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[0].transpose(1, 2, 0)).save(tmp_path / "x.png")
    images = load_images(tmp_path / "x.png")
    check_fits(images, shape=(3, 8, 7), num_classes=10, labels=False)
    with pytest.raises(InvalidInput, match=r"x.png has no labels, which are needed here"):
        check_fits(images, shape=(3, 8, 7), num_classes=10)


def test_every_kind_of_refusal_has_an_exit_code(tmp_path: Path) -> None:
    codes = []
    for path in (tmp_path / "gone", tmp_path, "https://x"):
        with pytest.raises(GoodnetError) as caught:
            load_images(path)
        codes.append(caught.value.exit_code)
    assert codes == [6, 4, 2]
