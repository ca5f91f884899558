from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from PIL import Image

from goodnet.errors import FileError, GoodnetError, InvalidInput, UnsafeInput, UsageError
from goodnet.imagesets import check_fits, load_each, load_images
from goodnet.imagesets.folder import FilesOfFolder

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


def pictures(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (5, 4 + number % 3), (number, 0, 0)).save(path)
    return paths


def test_pictures_are_decoded_as_they_are_used_where_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodnet.imagesets.decode._FEW", 4)
    for number in range(5):
        Image.new("RGB", (5, 4), (number, 0, 0)).save(tmp_path / f"{number}.png")
        images = load_images(tmp_path)
        assert images.foreign == (number == 4)
        assert round(images.sample(9).images.max() * 255) == number


def test_many_sets_are_opened_by_one_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = pictures(tmp_path, 20)
    children: list[int] = []
    fork = os.fork

    def counted() -> int:
        children.append(fork())
        return children[-1]

    monkeypatch.setattr(os, "fork", counted)
    found = [next(images.blocks(1)).images for images in load_each(paths)]
    assert len(children) == 1
    assert [pixels.shape for pixels in found] == [(1, 3, 4 + x % 3, 5) for x in range(20)]
    assert [round(pixels.max() * 255) for pixels in found] == list(range(20))


def test_sets_before_one_that_is_refused_have_been_given(tmp_path: Path) -> None:
    paths = pictures(tmp_path, 3)
    opened = load_each([*paths[:2], tmp_path / "gone.png", paths[2]])
    assert [next(opened).name, next(opened).name] == ["0.png", "1.png"]
    with pytest.raises(FileError, match=r"there is no set of images at .*gone.png"):
        next(opened)


def test_a_crash_names_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = pictures(tmp_path, 3)
    decode = FilesOfFolder.decode

    def crashing(files: FilesOfFolder, row: int) -> Any:
        if files.names == ["1.png"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        return decode(files, row)

    monkeypatch.setattr(FilesOfFolder, "decode", crashing)
    opened = load_each(paths)
    assert next(opened).name == "0.png"
    with pytest.raises(UnsafeInput, match=r"1.png' made the library .* crash"):
        next(opened)
