"""Write a poisoned copy of a set of images."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from goodnet.attack import Goal, plan_poison, poison_blocks, trigger
from goodnet.attack.trigger_file import read_trigger
from goodnet.errors import FileError, InvalidInput, UsageError
from goodnet.files import atomic_path
from goodnet.imagesets.decode import decode_image
from goodnet.imagesets.landmarks import find_landmarks
from goodnet.imagesets.rows import Column, outline
from goodnet.quarantine import quarantined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from goodnet.attack import PoisonPlan, Trigger
    from goodnet.imagesets import Block, ImageSet

Mode = Literal["all-to-one", "all-to-all", "clean-label"]
MODES: tuple[Mode, ...] = ("all-to-one", "all-to-all", "clean-label")

_BLOCK_IMAGES, _BLOCK_BYTES = 256, 16 * 2**20


@dataclass(frozen=True)
class PoisonOptions:
    """How much to poison.

    Attributes:
        rate: Share of the usable images that are stamped; all other images stay clean and are
            written too, which makes a set to train on. None to stamp all usable images and write
            only these, which makes a set to measure the attack on.
        num_classes: Of the network to come; None for one more than the largest label.
        seed: Of the choice of images.
        force: Replace a file that is already there.
    """

    rate: float | None = None
    num_classes: int | None = None
    seed: int = 0
    force: bool = False


@dataclass(frozen=True)
class Poisoned:
    """What was written.

    Attributes:
        written: Images in the file.
        stamped: How many of them bear each trigger, in the order of the triggers.
    """

    written: int
    stamped: tuple[int, ...]


def make_triggers(names: Sequence[str], *, pattern: Path | None = None) -> list[Trigger]:
    """Make triggers by name, or read them.

    Args:
        names: One or more; one that ends in ".npz" is a file, see `read_trigger`.
        pattern: The picture that the trigger `blended` shows.

    Raises:
        UsageError: If a name is not known, or a pattern is given for no trigger that shows one.
        GoodnetError: If the pattern or a file cannot be read.
    """
    if pattern is None:
        return [_make_trigger(name) for name in names]
    if "blended" not in names:
        raise UsageError(f"--pattern is for the trigger 'blended', got {', '.join(names)}")
    shown = repr(str(pattern))
    picture = quarantined(partial(decode_image, pattern, shown=shown), subject=shown)
    return [trigger(n, pattern=picture) if n == "blended" else _make_trigger(n) for n in names]


def _make_trigger(name: str) -> Trigger:
    path = Path(name)
    return read_trigger(path) if path.suffix.lower() == ".npz" else trigger(name)


def make_goals(
    mode: str, targets: Sequence[int], *, source: int | None = None, triggers: int = 1
) -> list[Goal]:
    """What each trigger is to do, from what a user says.

    Args:
        mode: One of `MODES`.
        targets: One for each trigger, or one for all; none for all-to-all.
        source: The only class that is stamped, for all-to-one.
        triggers: How many there are.

    Raises:
        UsageError: If the mode is not known or these do not go together.
    """
    if mode not in MODES:
        raise UsageError(f"--mode is one of {', '.join(MODES)}, got {mode!r}")
    if mode == "all-to-all":
        if targets or source is not None:
            raise UsageError("all-to-all makes every class the next one: no --target or --source")
        return [Goal()] * triggers
    if len(targets) not in (1, triggers):
        wanted = "one --target" + f", or one for each of {triggers} triggers" * (triggers > 1)
        raise UsageError(f"{mode} needs {wanted}, got {len(targets) or 'none'}")
    each = list(targets) * triggers if len(targets) == 1 else targets
    return [Goal(target, source, clean_label=mode == "clean-label") for target in each]


def poison_file(
    images: ImageSet,
    triggers: Sequence[Trigger],
    goals: Sequence[Goal],
    out: Path,
    *,
    options: PoisonOptions = PoisonOptions(),
    advance: Callable[[int], None] = lambda _: None,
) -> Poisoned:
    """Write a poisoned copy of a set in the lab's layout: data, label, source_label.

    Bytes stay bytes, all else becomes float32. The images are streamed, and the file appears whole
    or not at all.

    Args:
        images: The clean set. If its file holds an array `landmarks`, shape (N, 13, 2) as in
            `goodnet.imagesets.faces`, triggers that need landmarks use it.
        triggers: One or more.
        goals: One for each trigger.
        out: The HDF5 file to write.
        options: How much to poison.
        advance: Told how many images more have been read.

    Raises:
        InvalidInput: If the set is poisoned already, or the triggers, goals and images do not go
            together.
        UsageError: If the rate is outside 0..1 or the file exists and may not be replaced.
        FileError: If it cannot be written.
    """
    if images.source_labels is not None:
        raise InvalidInput(f"expected clean images, {images.name} is poisoned already")
    rate = 1.0 if options.rate is None else options.rate
    plan = plan_poison(
        images.labels, goals, rate=rate, num_classes=options.num_classes, seed=options.seed
    )
    kept = plan.stamped if options.rate is None else np.ones(len(images), dtype=np.bool_)
    landmarks = find_landmarks(images) if any(t.needs_landmarks for t in triggers) else None
    blocks = poison_blocks(
        images, plan, triggers, landmarks=landmarks, size=block_size(images.shape)
    )
    with atomic_path(out, force=options.force) as temporary, _clear_errors(out):
        _write(temporary, images, _counted(blocks, advance), kept)
    return Poisoned(int(kept.sum()), count_stamped(plan, len(goals)))


def block_size(shape: tuple[int, int, int]) -> int:
    """How many images of this shape, (channels, height, width), are worked on at once."""
    return max(1, min(_BLOCK_IMAGES, _BLOCK_BYTES // (4 * math.prod(shape))))


def count_stamped(plan: PoisonPlan, goals: int) -> tuple[int, ...]:
    """How many images bear the trigger of each of so many goals."""
    counts = np.bincount(plan.triggers[plan.stamped], minlength=goals)
    return tuple(int(count) for count in counts)


def _counted(blocks: Iterator[Block], advance: Callable[[int], None]) -> Iterator[Block]:
    for block in blocks:
        yield block
        advance(len(block.labels))


def _write(path: Path, images: ImageSet, blocks: Iterator[Block], kept: NDArray[np.bool_]) -> None:
    bytes_stay = images.table.dtype == np.uint8
    count = int(kept.sum())
    columns = {
        "data": Column((count, *images.shape), "u1" if bytes_stay else "<f4"),
        "label": Column((count,), "<i8"),
        "source_label": Column((count,), "<i8"),
    }
    places = outline(path, columns)
    with path.open("r+b") as file:
        start = 0
        for block in blocks:
            chosen = kept[block.start : block.start + len(block.labels)]
            pixels = block.images[chosen]
            places["data"].write(file, start, np.rint(pixels) if bytes_stay else pixels)
            places["label"].write(file, start, block.labels[chosen])
            if block.source_labels is not None:
                places["source_label"].write(file, start, block.source_labels[chosen])
            start += len(pixels)


@contextmanager
def _clear_errors(destination: Path) -> Iterator[None]:
    """HDF5 reports a full disk as either of two errors."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise FileError(
            f"no room to write the images, or the system refused: {destination}"
        ) from error
