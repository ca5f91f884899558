from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets import ImageSet, Sizing, check_fits, fitted, images_from_arrays, load_images


def make(shape: tuple[int, ...], labels: list[int], layout: str | None = None) -> ImageSet:
    pixels = np.zeros((len(labels), *shape), np.uint8)
    return images_from_arrays(pixels, labels, layout=layout, name="valid.h5")


def test_what_fits_passes() -> None:
    check_fits(make((3, 55, 47), [0, 9]), shape=(3, 55, 47), num_classes=10)
    check_fits(make((3, 55, 47), [0, 9]), shape=(3, None, None), num_classes=10)


@pytest.mark.parametrize(
    ("stored", "layout", "message"),
    [
        ((3, 32, 32), None, "images of 3x32x32 .channels x height x width., the network takes"),
        (
            (3, 32, 32),
            None,
            "takes 3x55x47; --preprocess resize or --preprocess center-crop brings",
        ),
        ((1, 55, 47), None, "images of 1x55x47 .* takes 3x55x47$"),
        ((3, 47, 55), None, "3x55x47; height and width seem .* fit with --layout NCWH"),
        ((55, 47, 3), "NCHW", "images of 55x47x3 .* they would fit with --layout NHWC"),
        ((3, 55, 47), "NHWC", "images of 47x3x55 .* they would fit with --layout NCHW"),
    ],
)
def test_another_shape_shows_both(stored: tuple[int, ...], layout: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        check_fits(make(stored, [0], layout), shape=(3, 55, 47), num_classes=10)


def test_sizes_the_network_leaves_open_are_shown_as_such() -> None:
    with pytest.raises(InvalidInput, match="the network takes 3xanyxany"):
        check_fits(make((1, 8, 8), [0]), shape=(3, None, None), num_classes=10)


def test_labels_outside_the_classes_are_shown_with_the_first() -> None:
    images = make((3, 8, 8), [2, 5, 12, 11])
    message = (
        r"classes 0\.\.9, the labels of valid\.h5 go from 2 to 12; the first outside is 12 at "
        r"image 2$"
    )
    with pytest.raises(InvalidInput, match=message):
        check_fits(images, shape=(3, 8, 8), num_classes=10)
    check_fits(images, shape=(3, 8, 8), num_classes=10, labels=False)


def test_labels_that_count_from_1_are_recognised() -> None:
    with pytest.raises(InvalidInput, match="they seem to count from 1"):
        check_fits(make((3, 8, 8), [1, 10]), shape=(3, 8, 8), num_classes=10)


def test_source_labels_are_checked_too() -> None:
    images = images_from_arrays(np.zeros((1, 3, 8, 8), np.uint8), [0], [77], name="bd")
    with pytest.raises(InvalidInput, match="the source labels of bd go from 77 to 77"):
        check_fits(images, shape=(3, 8, 8), num_classes=10)


def noise(shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def as_pillow(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], *modes: str) -> object:
    image = Image.fromarray(picture)
    for mode in modes:
        image = image.convert(mode)
    return np.asarray(image)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NCWH", "NWHC"])
def test_colours_become_grey_as_pillow_makes_them(layout: str) -> None:
    pictures = noise((5, 6, 7, 3))
    stored = pictures.transpose(["NHWC".index(axis) for axis in layout])
    found = fitted(images_from_arrays(stored, np.zeros(5), layout=layout), (1, 6, 7))
    assert (found.shape, found.converted) == ((1, 6, 7), "colours taken as grey")
    assert found.describe().endswith("colours taken as grey")
    block = found.take([4, 1])
    for picture, image in zip(pictures[[4, 1]], block.images, strict=True):
        np.testing.assert_array_equal(as_pillow(picture, "L"), (255 * image[0]).round())


@pytest.mark.parametrize("shape", [(4, 6, 7), (4, 1, 6, 7)])
def test_grey_becomes_colours(shape: tuple[int, ...]) -> None:
    pictures = noise(shape)
    found = fitted(images_from_arrays(pictures, np.zeros(4)), (3, None, None))
    assert (found.shape, found.converted) == ((3, 6, 7), "grey taken as colours")
    for channel in range(3):
        wanted = pictures.reshape(4, 6, 7) / np.float32(255)
        np.testing.assert_array_equal(found.sample(4).images[:, channel], wanted)


def test_fractions_become_grey_too() -> None:
    pictures = np.random.default_rng(0).random((4, 3, 6, 7)).astype(np.float32)
    found = fitted(images_from_arrays(pictures, np.zeros(4)), (1, 6, 7)).sample(4).images
    wanted = np.tensordot(pictures, [0.299, 0.587, 0.114], (1, 0))
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-4)


def test_what_fits_stays_as_it_is() -> None:
    images = images_from_arrays(noise((4, 3, 6, 7)), np.zeros(4))
    assert fitted(images, (3, 6, 7), sizing=Sizing()) is images
    assert fitted(images, (3, 9, 9)) is images
    assert fitted(images, (4, 6, 7)) is images
    assert fitted(images, (20,)) is images


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_another_size_is_resized_as_pillow_does(dtype: type) -> None:
    pictures: NDArray[Any] = noise((2, 12, 9, 3)).astype(dtype)
    found = fitted(images_from_arrays(pictures, [0, 1]), (3, 6, 7), sizing=Sizing())
    assert found.converted == "brought to 6x7"
    for picture, image in zip(pictures.astype(np.uint8), found.sample(2).images, strict=True):
        wanted = Image.fromarray(picture).resize((7, 6), Image.Resampling.BILINEAR)
        shown = 255 * image.transpose(1, 2, 0)
        np.testing.assert_allclose(shown, np.asarray(wanted), atol=1)


def test_the_middle_is_cut_out() -> None:
    pictures = noise((2, 3, 12, 9))
    images = images_from_arrays(pictures, [0, 1])
    found = fitted(images, (3, 6, 7), sizing=Sizing(crop=True)).sample(2).images
    np.testing.assert_array_equal(found, pictures[:, :, 3:9, 1:8] / np.float32(255))
    halved = fitted(images, (3, 4, 4), sizing=Sizing(crop=True, side=5))
    assert halved.sample(2).images.shape == (2, 3, 4, 4)
    with pytest.raises(InvalidInput, match="cannot cut 20x6 pixels out of a picture of 9x12"):
        fitted(images, (3, 6, 20), sizing=Sizing(crop=True)).sample(1)


def folder(path: Path, sizes: list[tuple[int, int]], mode: str) -> Path:
    for place, (height, width) in enumerate(sizes):
        (path / f"{place % 2}").mkdir(exist_ok=True)
        pixels = noise((height, width) if mode == "L" else (height, width, 3))
        Image.fromarray(pixels).save(path / f"{place % 2}" / f"{place}.png")
    return path


def test_picture_files_of_several_sizes_are_brought_to_one(tmp_path: Path) -> None:
    path = folder(tmp_path, [(12, 9), (9, 12), (20, 20)], "L")
    with pytest.raises(InvalidInput, match=r"same size .*; --preprocess resize brings all to one"):
        load_images(path).sample(3)
    found = load_images(path, shape=(1, 6, 7))
    assert found.describe().endswith("colours taken as grey, brought to 6x7")
    (picture, *_) = noise((12, 9))[None]
    wanted = np.asarray(Image.fromarray(picture).resize((7, 6), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal((255 * found.take([0]).images[0, 0]).round(), wanted)


def test_pictures_on_their_side_are_turned(tmp_path: Path) -> None:
    path = folder(tmp_path, [(12, 9)] * 3, "RGB")
    upright, turned = load_images(path), load_images(path, layout="NCWH")
    assert turned.shape == (3, 9, 12)
    wanted = upright.sample(3).images.swapaxes(2, 3)
    np.testing.assert_array_equal(turned.sample(3).images, wanted)
    grey = fitted(turned, (1, 6, 8), sizing=Sizing(crop=True))
    assert grey.sample(3).images.shape == (3, 1, 6, 8)


@pytest.mark.parametrize(
    ("text", "sizing", "rest"),
    [
        ("imagenet", None, "imagenet"),
        ("resize", Sizing(), ""),
        ("x/255,resize", Sizing(), "x/255"),
        ("center-crop", Sizing(crop=True), ""),
        ("resize=256,center-crop,x,mean=1,2,3", Sizing(crop=True, side=256), "x,mean=1,2,3"),
    ],
)
def test_the_size_is_told_apart_from_the_pixels(
    text: str, sizing: Sizing | None, rest: str
) -> None:
    assert Sizing.split(text) == (sizing, rest)


def test_two_ways_to_change_the_size_are_refused() -> None:
    with pytest.raises(UsageError, match="takes resize, or center-crop, or resize=N,center-crop"):
        Sizing.split("resize,center-crop")
