"""What a network wants and what its images are, each with each: the right number, or a refusal."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import goodnet as gn
from goodnet.errors import InvalidInput
from goodnet.formats import load_network
from goodnet.imagesets import ImageSet, images_from_arrays, load_images
from goodnet.network import Network, calibrate
from goodnet.preprocessing import PRESETS, Preprocessing

CLASSES, SIDE = 6, 12
Bytes = NDArray[np.uint8]
WANTS = {
    **{name: each for name, each in PRESETS.items() if name != "mnist"},
    "x,order=BGR": Preprocessing(255, order="BGR"),
}
LUMA = np.array([0.299, 0.587, 0.114])


def pictures(count: int, seed: int) -> tuple[Bytes, NDArray[np.int64]]:
    """Noisy patterns, one for each class, that no turning and no grey leaves alike."""
    random, patterns = np.random.default_rng(seed), np.random.default_rng(99).random((CLASSES, 27))
    labels = np.arange(count) % CLASSES
    cells = patterns[labels].reshape(count, 3, 3, 3).repeat(4, 2).repeat(4, 3)
    pixels = (0.5 * cells + random.normal(0.2, 0.5, cells.shape)).clip(0, 1)
    return (255 * pixels).round().astype(np.uint8), labels


@cache
def trained() -> nn.Sequential:
    """A network that takes 0..1."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(200, CLASSES)
    )
    pixels, labels = pictures(480, 0)
    images, truth = torch.from_numpy(pixels).float() / 255, torch.from_numpy(labels)
    optimizer = torch.optim.Adam(module.parameters(), 0.005)
    for epoch in range(10):
        random = torch.Generator().manual_seed(epoch)
        for rows in torch.randperm(len(images), generator=random).reshape(-1, 48):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(module(images[rows]), truth[rows])
            torch.autograd.backward(loss)
            optimizer.step()
    return module.eval()


def network(wants: Preprocessing) -> Network:
    """The same network, whose first layer undoes a preprocessing."""
    module = copy.deepcopy(trained())
    convolution = module[0]
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    mean, std = (torch.tensor(each).expand(3).view(1, 3, 1, 1) for each in (wants.mean, wants.std))
    with torch.no_grad():
        weight = convolution.weight / float(wants.factor)
        weight = weight.flip(1) if wants.order == "BGR" else weight
        convolution.bias += (weight * mean).sum((1, 2, 3))
        convolution.weight.copy_(weight * std)
    return gn.wrap(module, (3, SIDE, SIDE))


def stored(kind: str) -> ImageSet:
    """240 images as users have them."""
    pixels, labels = pictures(240, 1)
    unit = pixels.astype(np.float32) / 255
    kinds = {
        "0..255": pixels,
        "0..1": unit,
        "-1..1": 2 * unit - 1,
        "-0.5..0.5": unit - 0.5,
        "NHWC": pixels.transpose(0, 2, 3, 1),
        "BGR": pixels[:, ::-1],
        "BGR -1..1": 2 * unit[:, ::-1] - 1,
        "turned": pixels.transpose(0, 1, 3, 2),
        "negative": 255 - pixels,
        "standardised": (unit - 0.45) / 0.225,
        "16 bit": pixels.astype(np.uint16) * 257,
        "grey": np.tensordot(pixels, LUMA, (1, 0))[:, None].repeat(3, 1).astype(np.uint8),
    }
    return images_from_arrays(kinds[kind], labels, name=kind)


@cache
def truth() -> int:
    pixels, labels = pictures(240, 1)
    answers = trained()(torch.from_numpy(pixels).float() / 255).argmax(1).numpy()
    return int((answers == labels).sum())


@pytest.mark.parametrize("wants", WANTS)
@pytest.mark.parametrize(
    "kind", ["0..255", "0..1", "-1..1", "-0.5..0.5", "NHWC", "BGR", "BGR -1..1"]
)
def test_the_right_number(wants: str, kind: str) -> None:
    assert truth() in range(200, 240)
    given, images = network(WANTS[wants]), stored(kind)
    found = given.calibrated(images)
    block = images.sample(240)
    assert int((found.predict(block.images) == block.labels).sum()) == truth()
    wanted = WANTS[wants].reversed if kind.startswith("BGR") else WANTS[wants]
    assert found.preprocessing == wanted


Refused = Literal["turned", "negative", "standardised", "16 bit", "grey"]
REFUSED: dict[Refused, str] = {
    "turned": r"height and width .* seem to be swapped; pass --layout NCWH \(.* with height and",
    "negative": r"light and dark .* seem to be swapped; subtract .* with light and dark swapped",
    "standardised": "a mean seems to be taken from them: convert them back",
    "16 bit": "16-bit pixels, divide them by 257",
    "grey": "does not recognise .*; all the pictures are grey, it may want colours",
}


@pytest.mark.parametrize("wants", WANTS)
@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_that_names_the_cause(wants: str, kind: Refused) -> None:
    with pytest.raises(InvalidInput, match=f"{kind}: .*{REFUSED[kind]}"):
        calibrate(network(WANTS[wants]), stored(kind))


def test_the_layout_that_is_named_turns_the_images() -> None:
    pixels, labels = pictures(240, 1)
    images = images_from_arrays(pixels.transpose(0, 1, 3, 2), labels, layout="NCWH")
    assert calibrate(network(PRESETS["x"]), images).accuracies["raw"] == (truth(), 240)


def test_the_sentence_says_what_was_tried() -> None:
    reversed_ = calibrate(network(PRESETS["x"]), stored("BGR")).sentence()
    count = truth()
    assert reversed_.startswith(
        "pixels 0..255 are fed as they are with their channels reversed (raw with channels "
        f"reversed {count}/240 right, "
    )
    centred = calibrate(network(PRESETS["x/127.5-1"]), stored("0..255"))
    assert centred.sentence().startswith(
        f"pixels 0..255 become x/127.5-1, where x is a pixel from 0 to 255 (x/127.5-1 {count}/240 "
    )
    assert centred.scale is None


def test_a_preprocessing_that_is_there_stays_where_nothing_is_better() -> None:
    own = Preprocessing(mean=(0.3, 0.5, 0.7), std=0.1)
    given = network(own).with_preprocessing(own)
    assert given.calibrated(stored("0..255")).preprocessing == own
    worse = network(PRESETS["x"]).with_preprocessing(own)
    assert worse.calibrated(stored("0..1")).preprocessing == PRESETS["x"]


@pytest.mark.parametrize(("scale", "wanted"), [(1 / 255, "x"), (1.0, "x/255")])
def test_what_the_file_says_counts_first(scale: float, wanted: str) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = trained()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.inner(images * scale)
            return found

    given = gn.wrap(Scaled(), (3, SIDE, SIDE))
    assert given.spec.layers[1].op == "rescale"
    found = calibrate(given, stored("0..1"))
    assert found.preprocessing == PRESETS[wanted]


def test_what_the_file_says_does_not_count_where_another_is_better() -> None:
    """Rescaling that takes -1..1 back to 0..1, as in a network for pixels x/127.5-1."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = trained()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.inner(images * 0.5 + 0.5)
            return found

    given = gn.wrap(Scaled(), (3, SIDE, SIDE))
    assert calibrate(given, stored("0..255")).preprocessing == PRESETS["x/127.5-1"]


class Two(nn.Module):
    """Wrong on some of 8 labels for pixels 0..255, and on others for 0..1.

    Attributes:
        wrong: Those labels, for either.
        sureness: Height of the logit that wins, for either.
    """

    def __init__(self, wrong: tuple[list[int], list[int]], sureness: tuple[float, float]) -> None:
        super().__init__()
        self.wrong, self.sureness = [torch.tensor(each) for each in wrong], sureness

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = images.amax((1, 2, 3))[:, None]
        label = (images.mean((1, 2, 3))[:, None] / bright * 20).round() % 8
        first, second = [(label == each).any(1, keepdim=True) for each in self.wrong]
        shown = torch.where(torch.where(bright > 2, first, second), label + 4, label) % 8
        high, low = self.sureness
        logits: torch.Tensor = (torch.arange(8) == shown) * torch.where(bright > 2, high, low)
        return logits


def told_by_brightness(count: int) -> ImageSet:
    labels = np.arange(count) % 8
    pixels = np.zeros((count, 1, 4, 5), np.float32)
    pixels.reshape(count, 20)[:] = np.arange(20) < labels[:, None] + 8
    return images_from_arrays(255 * pixels, labels, range="0..255")


def test_two_that_fit_but_are_not_alike_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"two ways .* fit alike, .* --preprocess x or --pre"):
        calibrate(gn.wrap(Two(([0, 1], [2, 3]), (10.0, 10.0)), (1, 4, 5)), told_by_brightness(304))


def test_few_images_tell_by_how_surely_they_are_answered() -> None:
    found = calibrate(gn.wrap(Two(([0, 1], [2]), (2.0, 10.0)), (1, 4, 5)), told_by_brightness(24))
    assert found.preprocessing == PRESETS["x/255"]
    assert found.accuracies["raw"] == (18, 24)
    assert found.accuracies["1/255"] == (21, 24)


REAL = {
    "csaw/models/lab3_bd_net.h5": ("csaw/cl/faces.h5", 59),
    "csaw/models/sunglasses_bd_net.h5": ("csaw/cl/faces.h5", 56),
    "csaw/models/multi_trigger_multi_target_bd_net.h5": ("csaw/cl/faces.h5", 53),
    "cifar_badnet/bd_net.h5": ("cifar_badnet/cl/valid.h5", None),
}


@pytest.mark.parametrize("model", REAL)
def test_real_networks(shared: Path, model: str) -> None:
    """Each way: the same number as from the file's own pixels, or refused."""
    file, right = REAL[model]
    network, images = load_network(shared / model), load_images(shared / file)
    block = next(images.blocks(100, stored=True))
    pixels, labels = block.images, block.labels
    unit = pixels / 255

    def count(given: NDArray[np.floating]) -> int:
        found = calibrate(network, images_from_arrays(given, labels, layout="NCHW"))
        return next(iter(found.accuracies.values()))[0]

    wanted = count(pixels)
    assert right in (None, wanted)
    for same in (unit, 2 * unit - 1, pixels[:, ::-1], np.ascontiguousarray(unit[:, ::-1])):
        assert count(same) == wanted
    grey = np.tensordot(pixels, LUMA.astype(np.float32), (1, 0))[:, None].repeat(3, 1)
    for wrong in (255 - pixels, grey, (unit - 0.45) / 0.225, pixels.swapaxes(2, 3)):
        with pytest.raises(InvalidInput):
            count(wrong)


@pytest.mark.parametrize("model", REAL)
def test_no_part_of_a_good_set_is_refused(shared: Path, model: str) -> None:
    network, images = load_network(shared / model), load_images(shared / REAL[model][0])
    found = {calibrate(network, images).preprocessing}
    for part in range(5):
        block = images.take(range(part * 7, part * 7 + 32))
        some = images_from_arrays(block.images, block.labels)
        found.add(calibrate(network, some).preprocessing)
    assert len(found) == 1
