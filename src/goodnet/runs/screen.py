"""Score incoming images: which of them look as if they bore a trigger?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.errors import UsageError
from goodnet.guard.methods import detectors
from goodnet.imagesets import Block, ImageSet
from goodnet.network import NO_ANSWER
from goodnet.options import from_texts
from goodnet.runs.inputs import open_inputs
from goodnet.runs.opening import open_images_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.guard.detector import Detector, Fitted
    from goodnet.progress import Stage
    from goodnet.runs.options import InputOptions


@dataclass(frozen=True)
class Screened:
    """What is said of one image.

    Attributes:
        file: The file it is from; of a picture in a folder, its own.
        index: Its place in there, from 0.
        answer: The class that the network gives it; None where it gives no numbers.
        score: How suspicious it is; None, above all others, where the network gives no numbers.
        suspicious: Whether the score lies above the threshold.
    """

    file: str
    index: int
    answer: int | None
    score: float | None
    suspicious: bool


@dataclass(frozen=True)
class Screen:
    """A detector that is ready, and the images that come in.

    Attributes:
        fitted: The detector.
        images: To be scored.
        limit: Above it an image is suspicious.
        held: The rate of false alarms that the limit holds.
        notes: One sentence per thing that was detected.
    """

    fitted: Fitted
    images: tuple[ImageSet, ...]
    limit: float
    held: float
    notes: tuple[str, ...]


def make_detector(name: str, options: Sequence[str] = ()) -> Detector:
    """A detector with its options as a user writes them, "NAME=VALUE".

    Raises:
        UsageError: If there is no such detector or option, or a value is not one.
    """
    known = detectors()
    if name not in known:
        raise UsageError(f"the detectors are {', '.join(known)}, got {name!r}")
    found: Detector = from_texts(known[name], options, what=f"--detector {name}")
    return found


def open_screen(
    images: Sequence[Path],
    model: Path,
    clean: Path,
    *,
    detector: Detector,
    false_alarms: float,
    reading: InputOptions,
    stage: Stage,
) -> Screen:
    """Open everything and fit the detector.

    Args:
        images: To be scored; labels are not needed.
        model: The network.
        clean: Clean labelled images.
        detector: Of those that `detectors` lists.
        false_alarms: Wanted share of clean images that are taken for suspicious, above 0, below 1.
        reading: How to read the files.
        stage: Shows the progress.

    Raises:
        GoodnetError: If a file is refused or does not fit.
        UsageError: If the share is out of range.
    """
    if not 0 < false_alarms < 1:
        raise UsageError(f"expected --false-alarms between 0 and 1, got {false_alarms:g}")
    inputs = open_inputs(model, clean, reading)
    network = inputs.network
    coming = [open_images_for(network, path, reading, labels=False) for path in images]
    fitted = detector.fit(network, inputs.clean, stage=stage)
    limit, held = fitted.threshold(false_alarms)
    notes = list(inputs.notes)
    if held > false_alarms:
        count, asked = len(fitted.readings), f"{100 * false_alarms:.2g} % were asked for"
        notes.append(
            f"{count} clean images cannot hold a rate of false alarms below 1 in {count + 1} "
            f"({100 * held:.2g} %); {asked}"
        )
    return Screen(fitted, tuple(coming), limit, held, tuple(notes))


def screen(ready: Screen) -> Iterator[Screened]:
    """Score the images in their order, a block at a time."""
    for images in ready.images:
        for block in images.blocks(ready.fitted.network.block_size):
            yield from _block(ready, block, images)


def _block(ready: Screen, block: Block, images: ImageSet) -> Iterator[Screened]:
    scores = ready.fitted.score_block(block)
    answers = ready.fitted.network.answers(block.images)
    for place, (score, answer) in enumerate(zip(scores, answers, strict=True), start=block.start):
        value = float(score)
        told = value if math.isfinite(value) else None
        known = None if answer == NO_ANSWER else int(answer)
        yield Screened(images.file_of(place), place, known, told, value > ready.limit)
