"""The files a job starts from: a network, a clean labelled set, and sets that must fit them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import load_network
from goodnet.imagesets import ImageSet, check_fits, images_from_arrays, load_images
from goodnet.network import RAW, Network, Scale, calibrate
from goodnet.scan.case import open_case

__all__ = [
    "InputOptions",
    "Inputs",
    "invent_inputs",
    "open_images_for",
    "open_inputs",
    "to_device",
]


@dataclass(frozen=True)
class InputOptions:
    """How to read what the user gave.

    Attributes:
        architecture: Where a weights-only file finds its layers.
        scale: What stored pixels are multiplied by, as text ("1/255"); None to find out.
        layout: "NCHW" or "NHWC"; None to find out.
        range: "0..255", "0..1" or "-1..1"; None to find out.
        device: Where to compute, as PyTorch names it.
    """

    architecture: Path | None = None
    scale: str | None = None
    layout: str | None = None
    range: str | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Inputs:
    """A network and the clean set it was tried on.

    Attributes:
        network: The suspect network, which knows how it wants its images.
        clean: The clean set; images made from the network where none were given.
        scale: What the network wants the pixels of that set multiplied by, as they are stored.
        notes: One sentence per thing that was detected.
        invented: Whether the clean set was made here.
    """

    network: Network
    clean: ImageSet
    scale: Scale
    options: InputOptions
    notes: tuple[str, ...]
    invented: bool = False

    @property
    def given(self) -> ImageSet | None:
        """The clean set if it was given."""
        return None if self.invented else self.clean

    def open(self, path: Path, *, name: str | None = None) -> ImageSet:
        """Open another set for the same network.

        Raises:
            InvalidInput: If the images or labels do not fit the network.
        """
        return open_images_for(self.network, path, self.options, name=name)


def open_inputs(model: Path, clean: Path, options: InputOptions) -> Inputs:
    """Open a network and a clean labelled set, and find the scale that fits them.

    Raises:
        GoodnetError: If a file cannot be opened, is refused, or does not fit.
    """
    network = load_network(model, architecture=options.architecture)
    network = to_device(network, options.device)
    images = open_images_for(network, clean, options)
    notes = [images.describe()]
    if options.scale is not None:
        scale = Scale.parse(options.scale)
        notes.append(f"pixels are multiplied by {scale}, as asked")
    else:
        choice = calibrate(network, images)
        scale = choice.scale
        notes.append(choice.sentence())
    return Inputs(
        network=network.with_preprocessing(scale.preprocessing(images.range)),
        clean=images,
        scale=scale,
        options=options,
        notes=tuple(notes),
    )


def invent_inputs(model: Path, options: InputOptions) -> Inputs:
    """Open a network that there are no clean images for, and make some from it.

    Their labels are what the network answers, and pixels are in the range it seems to want.

    Raises:
        GoodnetError: If the file cannot be opened or is refused.
        UsageError: If a scale was asked for.
    """
    if options.scale is not None:
        raise UsageError("--scale is of the pixels of --clean, which is not given")
    network = to_device(load_network(model, architecture=options.architecture), options.device)
    case = open_case(network, None, layer=None, generator=torch.Generator().manual_seed(0))
    shown, network = case.everything, case.subject.network
    pixels, labels = shown.images.cpu().numpy(), shown.truth.cpu().numpy()
    low, high = network.preprocessing.ends
    images = images_from_arrays(
        2 * pixels - 1 if low < 0 else (255 * pixels).round(),
        labels,
        layout="NCHW",
        range="-1..1" if low < 0 else "0..255",
        name="made from the network",
    )
    scale = Scale.parse("1/255") if (low, high) == (0, 1) else RAW
    # The scan says that they were made.
    return Inputs(network, images, scale, options, (), invented=True)


def to_device(network: Network, device: str) -> Network:
    """Move a network to a device that exists.

    Raises:
        UsageError: If PyTorch does not know or does not have the device.
    """
    try:
        return network if device == "cpu" else network.to(torch.device(device))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"cannot compute on the device {device!r} ({reason}); use --device cpu"
        ) from error


def open_images_for(
    network: Network, path: Path, options: InputOptions, *, name: str | None = None
) -> ImageSet:
    """Open a set that a network can be run on.

    Raises:
        InvalidInput: If the images or labels do not fit the network.
    """
    images = load_images(path, layout=options.layout, range=options.range, name=name)
    shape = network.input_shape
    if len(shape) != 3:
        raise InvalidInput(f"expected a network that takes images, got one that takes {shape}")
    check_fits(images, shape=shape, num_classes=network.num_classes)
    return images
