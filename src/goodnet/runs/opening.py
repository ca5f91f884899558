"""Opening one network or one set of images as the options of a command say."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import read_spec
from goodnet.formats.build import build
from goodnet.guard.form import reject_class_of
from goodnet.imagesets import (
    ClassNames,
    ImageSet,
    by_names,
    check_fits,
    fitted,
    load_images,
    names_of,
)
from goodnet.network import Network
from goodnet.processor_config import processor_config_beside
from goodnet.runs.options import InputOptions


def open_network(model: Path, options: InputOptions, clean: Path) -> Network:
    """Open a network; one that takes images of any size takes that of the clean set.

    Where images are brought to the size of the network, it is what it is usually used for.

    Raises:
        GoodnetError: If a file cannot be opened or is refused.
    """
    spec = read_spec(model, architecture=options.architecture)
    if options.sizing is not None:
        spec = spec.usually_sized
    if None in spec.input_shape[1:]:
        images = load_images(clean, layout=options.layout, range=options.range)
        spec = spec.sized(images.shape[1:])
    return build(spec)


def to_device(network: Network, device: str) -> Network:
    """Move a network to a device that exists.

    Raises:
        UsageError: If PyTorch does not know or does not have the device.
    """
    try:
        if device == "cpu":
            return network
        moved = network.to(torch.device(device))
        torch.zeros(1, device=device).cpu()  # a device may be known, and yet give nothing back
        return moved
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"cannot compute on the device {device[:60]!r} ({reason[:200]}); use --device cpu"
        ) from error


def open_images_for(
    network: Network,
    path: Path,
    options: InputOptions,
    *,
    name: str | None = None,
    like: ImageSet | None = None,
    labels: bool = True,
) -> ImageSet:
    """Open a set that a network can be run on; grey and colour are converted.

    Args:
        network: The network.
        path: The images.
        options: How to read them.
        name: What to call the set.
        like: A set that is open already: folders of the same names are the same classes.
        labels: Whether the labels will be used.

    Raises:
        InvalidInput: If the images or labels do not fit the network.
    """
    if labels:
        images = load_set(path, options, name=name, like=like)
        images = images if like or options.says_classes else _named_by(network, images)
    else:
        images = load_images(path, layout=options.layout, range=options.range, name=name)
    shape = network.input_shape
    if len(shape) != 3:
        raise InvalidInput(f"expected a network that takes images, got one that takes {shape}")
    images = fitted(images, shape, sizing=options.sizing)
    rejects = reject_class_of(network.spec) is not None
    check_fits(images, shape=shape, num_classes=network.num_classes, labels=labels, rejects=rejects)
    return images


def _named_by(network: Network, images: ImageSet) -> ImageSet:
    """The set with its folders as the classes of these names, where the network has all of them."""
    names = own_names(network)
    once = {name for name, count in Counter(names).items() if count == 1}
    places = {name: place for place, name in enumerate(names) if name in once}
    if not images.labelling.by_place or not places.keys() >= images.labelling.by_name.keys():
        return images
    return by_names(images, ClassNames(names, places, "the model"))


def own_names(network: Network) -> tuple[str, ...]:
    """What the file of a network calls its classes; empty where it does not say."""
    return network.spec.file.class_names if network.spec.file else ()


def load_set(
    path: Path, options: InputOptions, *, name: str | None = None, like: ImageSet | None = None
) -> ImageSet:
    """Open a set with its classes as the options, or else a set that is like it, say.

    Raises:
        GoodnetError: If it cannot be read, or its folders are not among the classes.
        UsageError: If the options say two things of the classes.
    """
    if options.classes is not None and options.class_order is not None:
        raise UsageError("--classes says which class is which, it does not go with --class-order")
    names = names_of(like) if like is not None and options.classes is None else None
    images = load_images(
        path,
        layout=options.layout,
        range=options.range,
        name=name,
        classes=options.classes,
        order=None if names else options.class_order,
    )
    return by_names(images, names) if names else images


def classes_of(network: Network, images: ImageSet) -> str:
    """One line: which folders or labels of a set are which classes."""
    reject_class = reject_class_of(network.spec)
    count = network.num_classes if reject_class is None else reject_class
    return f"classes of {images.name}: {images.labelling.describe(count)}"


def said_beside_model(model: Path, options: InputOptions) -> tuple[InputOptions, str]:
    """The options with what a preprocessor configuration in the model's folder says, and a note.

    What the user says takes its place.
    """
    if options.preprocess is not None or options.scale is not None:
        return options, ""
    found = processor_config_beside(model)
    if found is None:
        return options, ""
    text, path = found
    return replace(options, preprocess=text), f"{path.name} beside the model says {text}; "


def check_clean_for(options: InputOptions) -> None:
    """See that a preprocessing is not asked for where there are no clean images.

    Raises:
        UsageError: If it is.
    """
    if options.says_pixels:
        raise UsageError(f"{asked_by(options)} is of the pixels of --clean, which is not given")


def asked_by(options: InputOptions) -> str:
    """The option by which it was said what a network takes."""
    return "--scale" if options.scale is not None else "--preprocess"
