"""A contact sheet of images, with what networks answer when there are any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.errors import UsageError
from goodnet.imagesets import UNLABELLED, Block, ImageSet
from goodnet.report.contact_sheet import MAX_IMAGES, Mark, contact_sheet
from goodnet.runs.pictures import picture_bytes
from goodnet.runs.predict import PredictedClasses, Predictor

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class ShowOptions:
    """What to show.

    Attributes:
        count: Images at most, spread evenly over the set.
        columns: Images in a row; None to choose.
        poisoned: The labels are the attacker's targets, not what the images show.
    """

    count: int = 40
    columns: int | None = None
    poisoned: bool = False


def draw_sheet(
    images: ImageSet, options: ShowOptions, *, predictor: Predictor | None = None
) -> Image:
    """Draw images of a set with their labels and what a network answers.

    Raises:
        UsageError: If the number of images or columns does not make a sheet.
        GoodnetError: If an image cannot be read, or the answers depend on an unknown scale.
    """
    if not 1 <= options.count <= MAX_IMAGES:
        raise UsageError(f"expected 1 to {MAX_IMAGES} images on a sheet, got {options.count}")
    block = images.sample(options.count)
    poisoned = options.poisoned or block.source_labels is not None
    captions = [_labels(images, block, i, poisoned=poisoned) for i in range(len(block.labels))]
    marks: list[Mark | None] | None = None
    if predictor is not None:
        answers = predictor.predict(block, images)
        for name, found in answers.by_network.items():
            for caption, answer in zip(captions, found, strict=True):
                said = "backdoored" if answer == answers.reject_class else str(answer)
                caption.append(f"{name} says {said}")
        marks = [_mark(block, i, answers, poisoned=poisoned) for i in range(len(captions))]
    shown = len(block.labels)
    return contact_sheet(
        picture_bytes(block.images),
        captions,
        marks=marks,
        columns=options.columns,
        title=f"{images.name}: {shown} of {len(images)} images",
    )


def _labels(images: ImageSet, block: Block, index: int, *, poisoned: bool) -> list[str]:
    label = int(block.labels[index])
    if label == UNLABELLED:
        return ["no label"]
    names = images.class_names or ()
    name = names[label] if label < len(names) else str(label)
    if not poisoned:
        return [f"label {name}"]
    lines = [] if block.source_labels is None else [f"shows {block.source_labels[index]}"]
    return [*lines, f"target {name}"]


def _mark(block: Block, index: int, answers: PredictedClasses, *, poisoned: bool) -> Mark | None:
    answer, label = answers.final[index], block.labels[index]
    if answer == answers.reject_class:
        return "refused"
    if label == UNLABELLED:
        return None
    if not poisoned:
        return "right" if answer == label else "wrong"
    if answer == label:
        return "target"
    if block.source_labels is None:
        return None
    return "right" if answer == block.source_labels[index] else "wrong"
