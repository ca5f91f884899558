"""Whether what a user gives is a network, and images that it takes: asked where methods begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets import ImageSet, check_fits

if TYPE_CHECKING:
    from goodnet.network.network import Network


def check_network(network: object) -> None:
    """See whether something is a network.

    Raises:
        UsageError: If it is not.
    """
    from goodnet.network.network import Network

    if isinstance(network, Network):
        return
    how = "goodnet.load(path)"
    if isinstance(network, nn.Module):
        how = "goodnet.wrap(module, (channels, height, width))"
    raise UsageError(f"expected a Network, which {how} makes, got {_told(network)}")


def check_pair(
    network: Network,
    images: ImageSet,
    *,
    labels: bool = True,
    several: bool = False,
    rejects: bool = False,
) -> None:
    """See whether a method can run a network on a set of images.

    Args:
        network: The network.
        images: The set.
        labels: Whether its labels will be used.
        several: Whether something is chosen by them, so that they have to differ.
        rejects: Whether the network's last class is that of a GoodNet.

    Raises:
        UsageError: If these are not a network and a set.
        InvalidInput: If the images, or their labels, do not fit the network, or all are of one
            class where they have to differ.
    """
    check_network(network)
    if not isinstance(images, ImageSet):
        raise UsageError(
            "expected a set of images, which goodnet.images(pixels, labels) or "
            f"goodnet.load_images(path) makes, got {_told(images)}"
        )
    check_fits(
        images,
        shape=network.input_shape,
        num_classes=network.num_classes,
        labels=labels,
        rejects=rejects,
    )
    if several and (images.labels == images.labels[0]).all():
        raise InvalidInput(
            f"{images.name}: all {len(images)} clean images are of class {images.labels[0]}, which "
            "a network that always answers so gets right; give images of several classes"
        )


def as_images(given: object, shape: tuple[int, ...]) -> Tensor:
    """Images as a network takes them, shape (batch, *shape), of an array as a user has it.

    Bytes are divided by 255, channels that are last come first, and one image or grey images may
    lack the axis of one.

    Raises:
        UsageError: If it is no array.
        InvalidInput: If it has another shape, or does not hold bytes or floats.
    """
    if isinstance(given, Tensor) and given.is_floating_point() and given.shape[1:] == shape:
        return given.float()
    if not isinstance(given, Tensor | np.ndarray):
        raise UsageError(f"expected images as an array or a tensor, got {_told(given)}")
    return _in_shape(_floats(given), shape)


def _floats(given: Tensor | np.ndarray[Any, Any]) -> Tensor:
    if given.dtype in (np.uint8, torch.uint8):
        return torch.as_tensor(given).float() / 255
    kind = str(given.dtype).removeprefix("torch.")
    if "float" not in str(getattr(given.dtype, "name", kind)):
        raise InvalidInput(f"expected images as floats 0..1 or as bytes (uint8), got {kind}")
    if isinstance(given, Tensor):
        return given.float()
    values = np.asarray(given, dtype=np.float32)
    # PyTorch takes no array that runs backwards.
    return torch.from_numpy(values.copy() if min(values.strides, default=0) < 0 else values)


def _in_shape(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    found = tuple(values.shape)
    if found[1:] == shape:
        return values
    if found == shape:
        return values[None]
    if len(shape) == 3:
        channels, *size = shape
        last = (*size, channels)
        if last in (found, found[1:]):
            return values.reshape(-1, *last).permute(0, 3, 1, 2)
        if channels == 1 and tuple(size) in (found, found[1:]):
            return values.reshape(-1, *shape)
    wanted = ", ".join(map(str, ("batch", *shape)))
    raise InvalidInput(f"expected images of the shape ({wanted}), got {found}")


def _told(value: object) -> str:
    """What something is, for messages."""
    if isinstance(value, Tensor | np.ndarray):
        return f"{type(value).__name__} of the shape {tuple(value.shape)}"
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    return type(value).__name__
