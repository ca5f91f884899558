"""What methods are given: networks, sets that fit them, and arrays as users have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import module_network, pictures
from torch import nn

import goodnet as gn
from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets import ImageSet, images_from_arrays

NETWORK = module_network()
PIXELS = np.abs(pictures(24, 1))
LABELS = NETWORK.predict(PIXELS)


def images(pixels: NDArray[Any] = PIXELS, labels: NDArray[Any] = LABELS) -> ImageSet:
    return images_from_arrays(pixels, labels, range="0..1", layout="NCHW")


# Everything a user calls with a network and a set.
METHODS: dict[str, Callable[[Any, Any], object]] = {
    "evaluate": gn.evaluate,
    "evaluate poisoned": lambda network, given: gn.evaluate(network, images(), {"bd": given}),
    "prune": gn.Prune(),
    "fine-tune": gn.FineTune(),
    "cure": gn.Cure(),
    "scan": gn.Scan(),
    "confidence": gn.Confidence().fit,
    "prune_curve": gn.prune_curve,
    "calibrated": lambda network, given: NETWORK.calibrated(given),
}
WHOLE = [name for name in METHODS if name != "calibrated"]
# Without images these are made or are refused by another sentence.
GIVEN = [name for name in METHODS if name not in ("prune", "fine-tune", "cure", "scan")]
LABELLED = [name for name in METHODS if name != "confidence"]
CHOOSING = ["prune", "fine-tune", "cure", "prune_curve"]


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("other", [nn.Linear(3, 2), None, "net.h5", 3])
def test_what_is_no_network_is_refused(name: str, other: object) -> None:
    how = "wrap" if isinstance(other, nn.Module) else "load"
    with pytest.raises(UsageError, match=rf"expected a Network, which goodnet\.{how}\(.* got "):
        METHODS[name](other, images())


@pytest.mark.parametrize(
    ("name", "other"),
    [(name, other) for name in METHODS for other in (PIXELS, "valid.h5", 3)]
    + [(name, None) for name in GIVEN],
)
def test_what_is_no_set_is_refused(name: str, other: object) -> None:
    with pytest.raises(UsageError, match=r"expected a set of images, which goodnet\.images"):
        METHODS[name](NETWORK, other)


@pytest.mark.parametrize("name", METHODS)
def test_images_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"holds images of 1x8x8 .* the network takes 3x8x8"):
        METHODS[name](NETWORK, images(PIXELS[:, :1]))


@pytest.mark.parametrize("name", LABELLED)
def test_labels_that_are_no_classes_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"the network has the classes 0\.\.4, the labels of"):
        METHODS[name](NETWORK, images(labels=LABELS + 7))


@pytest.mark.parametrize("name", CHOOSING)
def test_images_of_one_class_tell_nothing_to_choose_by(name: str) -> None:
    with pytest.raises(InvalidInput, match="all 24 clean images are of class 2, which a network"):
        METHODS[name](NETWORK, images(labels=np.full(24, 2)))


def test_poisoned_sets_have_names() -> None:
    for given in (images(), [images()], PIXELS, "bd"):
        with pytest.raises(UsageError, match="expected poisoned sets by name, got"):
            gn.evaluate(NETWORK, images(), given)  # type: ignore[arg-type]


def test_a_goodnet_is_made_of_networks() -> None:
    with pytest.raises(UsageError, match="expected a Network"):
        gn.GoodNet(NETWORK, nn.Linear(3, 2))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected a Network"):
        gn.silence_channels(None, "stem", [0])  # type: ignore[arg-type]


@pytest.mark.parametrize("open_file", [gn.load, gn.load_images])
@pytest.mark.parametrize("path", [None, 3, PIXELS])
def test_what_is_no_path_is_refused(open_file: Callable[[Any], object], path: object) -> None:
    with pytest.raises(UsageError, match="expected the path of a file or folder, got "):
        open_file(path)


BYTES = (255 * PIXELS).round().astype(np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        PIXELS.transpose(0, 2, 3, 1),
        PIXELS.astype(np.float64),
        PIXELS.astype(">f4"),
        np.ascontiguousarray(PIXELS[:, ::-1])[:, ::-1],
        torch.from_numpy(PIXELS).double(),
        torch.from_numpy(PIXELS).permute(0, 2, 3, 1),
        PIXELS[0],
        PIXELS[0].transpose(1, 2, 0),
    ],
)
def test_arrays_are_taken_as_users_have_them(given: Any) -> None:
    wanted = NETWORK.outputs(PIXELS if given.ndim == 4 else PIXELS[:1])
    assert torch.equal(NETWORK.outputs(given), wanted)
    assert torch.equal(NETWORK(given), wanted)


@pytest.mark.parametrize("given", [BYTES, torch.from_numpy(BYTES), BYTES.transpose(0, 2, 3, 1)])
def test_bytes_are_divided(given: Any) -> None:
    assert torch.equal(NETWORK.outputs(given), NETWORK.outputs(np.float32(BYTES) / 255))


def test_grey_images_may_have_no_channel() -> None:
    network = gn.wrap(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), (1, 8, 8))
    grey = PIXELS[:, :1]
    for given, wanted in ((grey[:, 0], grey), (grey[0, 0], grey[:1]), (grey[0], grey[:1])):
        assert torch.equal(network.outputs(given), network.outputs(wanted))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (PIXELS[:, :1], InvalidInput, r"shape \(batch, 3, 8, 8\), got \(24, 1, 8, 8\)"),
        (PIXELS[0, 0], InvalidInput, r"shape \(batch, 3, 8, 8\), got \(8, 8\)"),
        (LABELS, InvalidInput, r"as floats 0\.\.1 or as bytes \(uint8\), got int64"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.int64), InvalidInput, "got int64"),
        (np.array(["a"]), InvalidInput, r"as bytes \(uint8\), got <U1"),
        ([1, 2], UsageError, "expected images as an array or a tensor, got list"),
        (None, UsageError, "expected images as an array or a tensor, got None"),
        (images(), UsageError, "expected images as an array or a tensor, got ImageSet"),
    ],
)
def test_what_are_no_images_is_refused(given: Any, error: type[Exception], message: str) -> None:
    for method in (NETWORK.predict, NETWORK.outputs, NETWORK):
        with pytest.raises(error, match=message):
            method(given)
