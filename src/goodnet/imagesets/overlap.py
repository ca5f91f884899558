"""What sets cannot show: images that two have in common, whatever files they are in; one class."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from goodnet.imagesets.imageset import ImageSet

_BLOCK, _BYTES = 256, 8
# A smaller share of images that two sets have in common is not worth a word.
_SHARED = 0.01


def fingerprints(images: ImageSet) -> NDArray[np.uint64]:
    """A number for each image that only images of the same pixels, as bytes, share; shape (N,).

    Read once, a block at a time.
    """
    found = [
        hashlib.blake2b(pixels.tobytes(), digest_size=_BYTES).digest()
        for block in images.blocks(_BLOCK)
        for pixels in np.rint(255 * block.images).astype(np.uint8)
    ]
    return np.frombuffer(b"".join(found), np.uint64)


def cannot_show(
    clean: ImageSet | None, test: ImageSet | None, backdoor: Mapping[str, ImageSet]
) -> tuple[str, ...]:
    """What sets cannot show because of what is in them.

    Raises:
        InvalidInput: If all images of a poisoned set are clean ones.
    """
    sets = [images for images in (clean, test) if images is not None]
    found = [
        f"{x.name}: all {len(x)} images are of class {x.labels[0]}, which a network that always "
        "answers so gets right"
        for x in sets
        if len(x) > 1 and (x.labels == x.labels[0]).all()
    ]
    if len(sets) + len(backdoor) < 2:
        return tuple(found)
    prints = [fingerprints(images) for images in sets]
    if len(sets) == 2 and (shared := np.isin(prints[1], prints[0])).mean() > _SHARED:
        found.append(
            f"{int(shared.sum())} of {len(shared)} test images are also among the clean images "
            "that choices are made on: what is measured on them is too good"
        )
    clean_ones = [(x.name, known) for x, known in zip(sets, prints, strict=True)]
    for name, images in backdoor.items():
        found += _unpoisoned(name, fingerprints(images), clean_ones)
    return tuple(found)


def _unpoisoned(
    name: str, poisoned: NDArray[np.uint64], clean: Iterable[tuple[str, NDArray[np.uint64]]]
) -> Iterator[str]:
    for other, prints in clean:
        shared = np.isin(poisoned, prints)
        if shared.all():
            raise InvalidInput(
                f"the poisoned set {name}: all {len(shared)} images are also in the clean set "
                f"{other}, so they bear no trigger; give stamped images, labelled with the "
                "attacker's target"
            )
        if shared.mean() > _SHARED:
            yield (
                f"{int(shared.sum())} of {len(shared)} images of the poisoned set {name} are also "
                f"in the clean set {other}: what is measured on them is no attack"
            )
