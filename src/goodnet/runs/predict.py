"""What a network answers on images when nothing may be known about the scale of the pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import GoodnetError, UsageError
from goodnet.evaluation import agree
from goodnet.files import RESULTS
from goodnet.formats import load_network
from goodnet.guard.form import reject_class_of
from goodnet.imagesets import Block, ClassNames, ImageSet, PixelRange, fitted, load_each
from goodnet.network import Network, Scale, calibrate, check_pair, said_by_file, takes, usual_scales
from goodnet.preprocessing import PRESETS, Preprocessing
from goodnet.results import PreprocessingRecord
from goodnet.run_folder import read_object
from goodnet.runs.evaluate import check_belongs
from goodnet.runs.opening import (
    classes_of,
    load_set,
    open_images_for,
    own_names,
    said_beside_model,
    to_device,
)
from goodnet.runs.options import InputOptions
from goodnet.typed_json import Unreadable
from goodnet.types import Integers


@dataclass(frozen=True)
class PredictedClasses:
    """Classes of some images, by network: "B" or "G", or "B", "B'" and "G".

    Attributes:
        by_network: Shape (images,) each; the last is the answer that counts.
        reject_class: The class that means "backdoored"; None where there is none.
    """

    by_network: Mapping[str, Integers]
    reject_class: int | None

    @property
    def final(self) -> Integers:
        """The answers that count, shape (images,)."""
        return list(self.by_network.values())[-1]


@dataclass(frozen=True)
class Predictor:
    """A network, or a GoodNet of two, and the scale it wants as far as it is known.

    Attributes:
        network: B, or any network.
        repaired: B'; the answers are then those of the GoodNet of both.
        options: How to read images.
        wants: What the network is given for images 0..1, or what stored pixels are multiplied by;
            None where nothing tells.
        note: Where that comes from.
        names: What each class is called; empty where nothing says it.
    """

    network: Network
    repaired: Network | None
    options: InputOptions
    wants: Preprocessing | Scale | None = None
    note: str = ""
    names: tuple[str, ...] = ()

    @property
    def reject_class(self) -> int | None:
        """The class that means "backdoored"; None where there is none."""
        if self.repaired is not None:
            return self.network.num_classes
        return reject_class_of(self.network.spec)

    @property
    def name(self) -> str:
        """What to call the only network."""
        return "B" if self.reject_class is None else "G"

    def open(self, path: Path) -> ImageSet:
        """Open images for this network, with their labels if they have some.

        Raises:
            GoodnetError: If they cannot be read or do not fit.
        """
        return self._fitted(load_set(path, self.options), labels=True)

    def open_each(self, paths: Iterable[Path]) -> Iterator[ImageSet]:
        """Open images one after another, whose labels are of no interest.

        Raises:
            GoodnetError: At those that cannot be read or do not fit.
        """
        options = self.options
        for images in load_each(paths, layout=options.layout, range=options.range):
            yield self._fitted(images, labels=False)

    def _fitted(self, images: ImageSet, *, labels: bool) -> ImageSet:
        images = fitted(images, self.network.input_shape, sizing=self.options.sizing)
        check_pair(
            self.network,
            images,
            labels=labels and images.labelled,
            rejects=self.repaired is None and self.reject_class is not None,
        )
        return images

    def called(self, answer: int) -> str:
        """A class as it is printed: with its name where that is known."""
        if answer < len(self.names):
            return f"{answer} {self.names[answer]}"
        return f"{answer} backdoored" if self.names else str(answer)

    def predict(self, block: Block, images: ImageSet) -> PredictedClasses:
        """What each network says of some images.

        Where it is not known what the network takes, only answers are given that are the same
        whatever usual thing it is.

        Args:
            block: Images of the set.
            images: The set they are from, as `open` returned it.

        Raises:
            UsageError: If an answer depends on what nothing tells.
        """
        usual = self._usual(images)
        found = [self._at(each, block.images) for each in usual.values()]
        first, *others = usual
        for other, answers in zip(others, found[1:], strict=True):
            differs = np.flatnonzero(found[0].final != answers.final)
            if differs.size:
                at = int(differs[0])
                where = f"image {block.start + at} of " if len(images) > 1 else ""
                raise UsageError(
                    f"{where}{images.name}: the answer depends on what the network takes "
                    f"({first}: {found[0].final[at]}, {other}: {answers.final[at]}); pass "
                    f"{first} or {other}, or --clean with labelled images to find out"
                )
        return found[0]

    def _usual(self, images: ImageSet) -> dict[str, Preprocessing]:
        """What the network may take, by the option that says so."""
        if self.wants is not None:
            return {"": _for(self.wants, images.range)}
        scales = usual_scales(images.range)
        found = {f"--scale {each}": each.preprocessing(images.range) for each in scales}
        channels = images.shape[0]
        more = (x for x in PRESETS.items() if takes(x[1], channels) and x[1] not in found.values())
        return found | {f"--preprocess {name}": each for name, each in more}

    @cached_property
    def _ready(self) -> dict[Preprocessing, list[Network]]:
        """The networks behind each preprocessing that was needed."""
        return {}

    def _at(self, preprocessing: Preprocessing, images: NDArray[np.float32]) -> PredictedClasses:
        if preprocessing not in self._ready:
            networks = [each for each in (self.network, self.repaired) if each is not None]
            self._ready[preprocessing] = [x.with_preprocessing(preprocessing) for x in networks]
        first, *others = [network.predict(images) for network in self._ready[preprocessing]]
        if not others:
            return PredictedClasses({self.name: first}, self.reject_class)
        (second,) = others
        both = agree(first, second, num_classes=self.network.num_classes)
        return PredictedClasses({"B": first, "B'": second, "G": both}, self.reject_class)


def open_predictor(
    model: Path,
    options: InputOptions,
    *,
    repaired: Path | None = None,
    clean: Path | None = None,
) -> Predictor:
    """Open a network for single images.

    The preprocessing is the one in `options`, else the one with which the network recognises the
    `clean` set, else the one in the run folder the model lies in, else the one that a preprocessor
    configuration beside it says, else the one that the network's first layer is made for.

    Raises:
        GoodnetError: If a file is refused or does not fit.
    """
    network = to_device(load_network(model, architecture=options.architecture), options.device)
    second = None
    if repaired is not None:
        second = load_network(repaired, architecture=options.architecture)
        check_belongs(network, second)
        second = to_device(second, options.device)
    told = None if options.classes is None else ClassNames.read(options.classes).names
    names = own_names(network) if told is None else told
    beside, said = said_beside_model(model, options)
    predictor = Predictor(network, second, beside, names=names)
    if options.says_pixels:
        scale = None if options.scale is None else Scale.parse(options.scale)
        return replace(predictor, wants=scale or options.preprocessing)
    if clean is not None:
        images = open_images_for(network, clean, beside)
        if beside.preprocessing is not None:
            network = network.with_preprocessing(beside.preprocessing)
        found, names = calibrate(network, images), images.class_names or names
        note = f"{classes_of(network, images)}; {said}{found.sentence()}"
        return replace(predictor, wants=found.preprocessing, note=note, names=names)
    wants, note = _from_run_folder(model)
    if wants is None:
        wants, note = beside.preprocessing or said_by_file(network.spec), said.rstrip("; ")
    return replace(predictor, wants=wants, note=note)


def _for(wants: Preprocessing | Scale, stored: PixelRange) -> Preprocessing:
    return wants.preprocessing(stored) if isinstance(wants, Scale) else wants


@dataclass(frozen=True)
class _Said:
    """What the results beside a model say of its pixels."""

    scale: str | None = None
    preprocessing: PreprocessingRecord | None = None


def _from_run_folder(model: Path) -> tuple[Preprocessing | Scale | None, str]:
    shown = model.parent / RESULTS
    try:
        found = read_object(model.parent, RESULTS, _Said)
        if found.scale is not None:
            return Scale.parse(
                found.scale
            ), f"pixels are multiplied by {found.scale}, as in {shown}"
        text = "" if found.preprocessing is None else found.preprocessing.text
        return Preprocessing.parse(text), f"pixels x from 0..255 become {text}, as in {shown}"
    except (Unreadable, GoodnetError):
        # No run folder, or another program's results: then nothing is known.
        return None, ""
