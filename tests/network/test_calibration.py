from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from goodnet.errors import InvalidInput, NoNumbers, UsageError
from goodnet.formats.torch import wrap
from goodnet.imagesets import ImageSet, images_from_arrays, load_images
from goodnet.network import Calibration, Network, Scale, calibrate, calibration
from goodnet.preprocessing import IDENTITY, Preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodnet.imagesets import PixelRange

CLASSES = 10


def make(count: int = 300, *, top: float = 255, classes: int = CLASSES) -> ImageSet:
    """Images whose brightness, from dark to `top`, says the class; one corner is always bright."""
    labels = np.arange(count) % classes
    shown = np.broadcast_to(labels[:, None, None, None] / (classes - 1), (count, 1, 6, 6))
    pixels = (shown * top).astype(np.float32)
    pixels[:, :, 0, 0] = top
    return images_from_arrays(pixels, labels, name="valid.h5")


class Brightness(nn.Module):
    """Says how bright an image is, of what a function makes of it."""

    def __init__(self, relative: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.relative = relative

    def forward(self, images: Tensor) -> Tensor:
        brightness = self.relative(images[:, :, 1:].mean((1, 2, 3))[:, None])
        return -(brightness * (CLASSES - 1) - torch.arange(CLASSES)).abs()


class Shares(nn.Module):
    """Says how bright an image is next to its corner: the scale does not matter."""

    def forward(self, images: Tensor) -> Tensor:
        brightness = images[:, :, 1:].mean((1, 2, 3)) / images[:, 0, 0, 0]
        return -(brightness[:, None] * (CLASSES - 1) - torch.arange(CLASSES)).abs()


class Constant(nn.Module):
    """Always answers the same."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.label = label

    def forward(self, images: Tensor) -> Tensor:
        return 0 * images.flatten(1)[:, :CLASSES] + nn.functional.one_hot(
            torch.tensor(self.label), CLASSES
        )


def network(top: float) -> Network:
    """A network that expects pixels from 0 to `top`."""
    return wrap(Brightness(lambda brightness: brightness / top), (1, 6, 6))


def constant(label: int) -> Network:
    return wrap(Constant(label), (1, 6, 6))


@pytest.mark.parametrize(
    ("stored", "wanted", "scale", "sentence"),
    [
        (255, 255, "raw", "pixels 0..255 are fed as they are (raw 300/300 right"),
        (255, 1, "1/255", "pixels 0..255 are divided by 255 (1/255 300/300 right"),
        (1, 255, "255", "pixels 0..1 are multiplied by 255 (255 300/300 right"),
        (1, 1, "raw", "pixels 0..1 are fed as they are (raw 300/300 right"),
    ],
)
def test_the_more_accurate_scale_is_taken(
    stored: float, wanted: float, scale: str, sentence: str
) -> None:
    given, images = network(wanted), make(top=stored)
    found = calibrate(given, images)
    assert str(found.scale) == scale
    assert found.sentence().startswith(sentence)
    calibrated = given.calibrated(images)
    assert calibrated.preprocessing == found.preprocessing == Preprocessing(wanted)
    assert given.preprocessing == IDENTITY
    block = images.sample(300)
    assert (calibrated.predict(block.images) == block.labels).all()


def test_the_sentence_shows_the_evidence_with_the_chosen_first() -> None:
    accuracies = {"raw": (2, 60), "1/255": (56, 60)}
    found = Calibration(IDENTITY, "0..255", accuracies)
    assert found.sentence() == "pixels 0..255 are divided by 255 (1/255 56/60 right, raw 2/60)"


def test_a_scale_that_makes_outputs_nan_is_not_right() -> None:
    found = calibrate(
        wrap(Brightness(lambda x: torch.where(x > 2, torch.nan, x)), (1, 6, 6)), make()
    )
    assert str(found.scale) == "1/255"
    assert found.accuracies["raw"][0] < 60, "dark ones alone are answered"


def test_a_network_that_never_answers_is_refused_as_such() -> None:
    broken = wrap(Brightness(lambda x: x * torch.nan), (1, 6, 6))
    with pytest.raises(NoNumbers, match=r"^valid\.h5: .* NaN or infinity on 300 of 300 images"):
        calibrate(broken, make())


def test_pixels_around_zero_are_only_fed_as_they_are() -> None:
    labels = np.arange(100) % 2
    pixels = np.broadcast_to((labels * 2.0 - 1)[:, None, None, None], (100, 1, 6, 6))
    images = images_from_arrays(pixels.astype(np.float32), labels)
    signs = wrap(nn.Sequential(nn.AvgPool2d(6), nn.Flatten(), nn.Linear(1, 2)), (1, 6, 6))
    signs.layer("2").load_state_dict(
        {"weight": torch.tensor([[-1.0], [1.0]]), "bias": torch.zeros(2)}
    )
    found = calibrate(signs, images)
    assert found.sentence() == "pixels -1..1 are fed as they are (raw 100/100 right)"
    assert found.preprocessing == Preprocessing(2, mean=1)


def test_what_the_network_has_is_ignored() -> None:
    odd = network(255).with_preprocessing(Preprocessing(7, mean=3))
    assert odd.calibrated(make()).preprocessing == Preprocessing(255)


def test_of_equally_good_scales_the_smaller_pixels_are_taken() -> None:
    found = calibrate(wrap(Shares(), (1, 6, 6)), make())
    assert str(found.scale) == "1/255"
    assert found.accuracies == {"raw": (300, 300), "1/255": (300, 300)}


def test_a_network_that_recognises_nothing_is_refused_with_the_evidence() -> None:
    message = (
        r"valid\.h5: the network does not recognise .* \(raw 30/300 right, 1/255 30/300, .* and 11 "
        r"more no better, where one constant answer gets 30 and 165 are expected\); .* pass "
        r"--scale raw or --scale 1/255, or another --preprocess, to go on"
    )
    with pytest.raises(InvalidInput, match=message):
        calibrate(constant(3), make())
    with pytest.raises(InvalidInput, match=message):
        constant(3).calibrated(make())


def test_a_majority_class_is_no_evidence() -> None:
    pixels = np.full((300, 1, 6, 6), 200, np.uint8)
    images = images_from_arrays(pixels, np.arange(300) > 240)
    with pytest.raises(InvalidInput, match="raw 241/300 right"):
        calibrate(constant(0), images)


@pytest.mark.parametrize(("count", "classes"), [(1, 10), (2, 10), (300, 1)])
def test_too_little_to_tell_is_refused(count: int, classes: int) -> None:
    pixels = np.full((count, 1, 6, 6), 200, np.uint8)
    images = images_from_arrays(pixels, np.arange(count) % classes, name="valid.h5")
    most = count // min(count, classes)
    message = rf"too few images or labels .*tried {count}, {most} of them .* --scale raw or"
    with pytest.raises(InvalidInput, match=message):
        calibrate(constant(0), images)


def test_images_without_labels_cannot_tell(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 6), 200, np.uint8)).save(tmp_path / "x.png")
    with pytest.raises(InvalidInput, match=r"without labels the scale .* pass --scale raw or"):
        calibrate(constant(0), load_images(tmp_path / "x.png"))


def test_at_most_as_many_images_as_asked_are_tried_in_bounded_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration, "_BLOCK_BYTES", 4 * 36 * 7)
    sizes: list[int] = []
    outputs = Network.outputs

    def counted(self: Network, images: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Tensor:
        sizes.append(len(images))
        return outputs(self, images)

    monkeypatch.setattr(Network, "outputs", counted)
    found = calibrate(network(255), make(), count=50)
    assert found.accuracies["raw"] == (50, 50)
    assert max(sizes) == 7


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("raw", "raw"),
        ("1", "raw"),
        ("255/255", "raw"),
        ("1/255", "1/255"),
        ("255", "255"),
        ("0.5", "1/2"),
        ("2.5/10", "1/4"),
    ],
)
def test_scales_are_read_as_fractions(text: str, shown: str) -> None:
    assert str(Scale.parse(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "0", "0.0", "-1", "1/0", "x", "nan", "inf", "1e999999999", "1/255/2", "1/-3", "٣"]
)
def test_what_is_no_scale_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--scale is raw, a fraction such as 1/255, .* got "):
        Scale.parse(text)


@pytest.mark.parametrize("stored", ["0..255", "0..1", "-1..1"])
@pytest.mark.parametrize("text", ["raw", "1/255", "2/3"])
def test_a_scale_is_the_same_for_images_0_to_1(stored: PixelRange, text: str) -> None:
    low, high = map(int, stored.split(".."))
    pixels = np.linspace(low, high, 60, dtype=np.float32).reshape(5, 3, 2, 2)
    images = images_from_arrays(pixels, np.zeros(5), layout="NCHW", range=stored)
    scale = Scale.parse(text)
    given = scale.preprocessing(stored)(torch.from_numpy(images.sample(5).images))
    wanted = pixels * np.float32(scale.factor)
    np.testing.assert_allclose(given.numpy(), wanted, rtol=1e-6, atol=1e-6)
    assert isinstance(scale.preprocessing(stored).factor, Fraction)
