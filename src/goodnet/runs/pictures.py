"""Pictures for the report: images of each set as PNG files, and what B, B' and G answer to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.results import PictureRecord, Pictures, Why

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.runs.predictions import PairPredictions
    from goodnet.types import Integers

PICTURES = "pictures"

# Of each set: spread evenly over it, and as many that G took wrongly.
_SHOWN = 8
# Grey, colour, colour with transparency: what a PNG can hold.
DRAWABLE = (1, 3, 4)


@dataclass(frozen=True, eq=False)
class _Shown:
    """What is shown of one set.

    Attributes:
        name: "clean", or that of the poisoned set.
        files: How the names of its files begin; names of sets come from outside and stay out.
        images: The set.
        answers: By network.
        places: Indices of images by the reason to show them.
    """

    name: str
    files: str
    images: ImageSet
    answers: Mapping[str, Integers]
    places: Mapping[Why, Integers]

    def file(self, place: int) -> str:
        return f"{PICTURES}/{self.files}_{place}.png"


def write_pictures(pair: PairPredictions, folder: Path, *, drop: float | None = None) -> Pictures:
    """Write some images of each set, and those by which G can be seen to fail.

    Of each set some are spread evenly over it; of the clean set some that G refused are added, of
    each poisoned set some that G let through as the target. No network is run.

    Args:
        pair: What B, B' and G answer.
        folder: A run folder that is being filled.
        drop: The drop that B' was pruned to.

    Raises:
        OSError: If a file cannot be written.
    """
    items: list[PictureRecord] = []
    if pair.inputs.clean.shape[0] in DRAWABLE:
        (folder / PICTURES).mkdir()
        for shown in _sets(pair):
            _write(shown, folder)
            items += _items(shown)
    return Pictures(drop, tuple(items))


def picture_bytes(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bytes to draw.

    Args:
        images: Pixels 0..1, shape (images, channels, height, width).

    Returns:
        0..255, shape (images, height, width, channels).
    """
    count, channels, height, width = images.shape
    found = np.empty((count, height, width, channels), dtype=np.uint8)
    for image, pixels in zip(images, found, strict=True):
        for channel in range(channels):  # what is made on the way to a large picture stays small
            values = image[channel] * np.float32(255)
            pixels[..., channel] = values.round(out=values).clip(0, 255, out=values)
    return found


def _sets(pair: PairPredictions) -> Iterator[_Shown]:
    answers, good = pair.by_network, pair.goodnet
    yield _Shown(
        "clean",
        "clean",
        pair.inputs.judged,
        {name: found.clean for name, found in answers.items()},
        _places("refused", good.clean == pair.reject_class),
    )
    for number, (key, images) in enumerate(pair.inputs.backdoor.items(), start=1):
        yield _Shown(
            key,
            f"poisoned_{number}",
            images,
            {name: found.backdoor[key] for name, found in answers.items()},
            _places("passed", good.backdoor[key] == images.labels),
        )


def _places(why: Why, failed: NDArray[np.bool_]) -> dict[Why, Integers]:
    """Some places for each reason; none has both where there are enough others."""
    samples, found = _spread(np.arange(len(failed))), np.flatnonzero(failed)
    others = np.setdiff1d(found, samples)
    return {"sample": samples, why: _spread(others if len(others) >= _SHOWN else found)}


def _spread(places: Integers) -> Integers:
    """A few of the places, evenly."""
    count = min(_SHOWN, len(places))
    return places[np.arange(count) * len(places) // max(count, 1)]


def save_picture(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write one of `picture_bytes` as PNG."""
    from PIL import Image

    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(path, format="PNG")


def _write(shown: _Shown, folder: Path) -> None:
    places = np.unique(np.concatenate(list(shown.places.values())))
    for place, pixels in zip(places, picture_bytes(shown.images.take(places).images), strict=True):
        save_picture(pixels, folder / shown.file(int(place)))


def _items(shown: _Shown) -> Iterator[PictureRecord]:
    source = shown.images.source_labels
    for why, places in shown.places.items():
        for place in map(int, places):
            yield PictureRecord(
                file=shown.file(place),
                set=shown.name,
                index=place,
                label=int(shown.images.labels[place]),
                source_label=None if source is None else int(source[place]),
                answers={name: int(found[place]) for name, found in shown.answers.items()},
                why=why,
            )
