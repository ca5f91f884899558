"""What a network answers on images when nothing may be known about the scale of the pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goodnet.errors import GoodnetError, UsageError
from goodnet.evaluate import agree, answer
from goodnet.formats import open_network
from goodnet.images import ImageSet, Scale, check_fits, find_scale, open_images, usual_scales
from goodnet.jobs.evaluate import check_belongs
from goodnet.jobs.inputs import InputOptions, to_device
from goodnet.network import Network
from goodnet.types import Integers

__all__ = ["Predictor", "open_predictor"]


@dataclass(frozen=True)
class Predictor:
    """A network, or a GoodNet of two, and the scale it wants as far as it is known.

    Attributes:
        network: B, or any network.
        repaired: B'; the answers are then those of the GoodNet of both.
        options: How to read images.
        scale: What to multiply pixels by; None where nothing tells.
        note: Where the scale comes from.
    """

    network: Network
    repaired: Network | None
    options: InputOptions
    scale: Scale | None
    note: str

    @property
    def classes(self) -> int:
        """Classes of the network itself, the GoodNet's class N not counted."""
        return self.network.num_classes

    def open(self, path: Path) -> ImageSet:
        """Open images for this network; labels are not needed.

        Raises:
            GoodnetError: If they cannot be read or have another size.
        """
        images = open_images(path, layout=self.options.layout, range=self.options.range)
        shape = self.network.input_shape
        check_fits(images, shape=shape, num_classes=self.classes, labels=False)
        return images

    def answers(self, images: ImageSet, network: Network | None = None) -> Integers:
        """The class of each image.

        Where the scale is not known, an answer that is the same at every usual scale is given.

        Args:
            images: What `open` returned.
            network: One of the two networks; None for the GoodNet of both, or the only one.

        Raises:
            UsageError: If the answer depends on a scale that nothing tells.
        """
        scales = usual_scales(images.range) if self.scale is None else (self.scale,)
        found = [self._at(images.scaled(scale), network) for scale in scales]
        for scale, other in zip(scales[1:], found[1:], strict=True):
            self._same(images, found[0], other, scales=(scales[0], scale))
        return found[0]

    def _at(self, images: ImageSet, network: Network | None) -> Integers:
        if network is not None or self.repaired is None:
            return answer(network or self.network, images)
        both = (answer(self.network, images), answer(self.repaired, images))
        return agree(*both, num_classes=self.classes)

    def _same(
        self, images: ImageSet, first: Integers, other: Integers, *, scales: Sequence[Scale]
    ) -> None:
        differs = np.flatnonzero(first != other)
        if differs.size:
            at = int(differs[0])
            where = f"image {at} of {images.name}" if len(images) > 1 else images.name
            raise UsageError(
                f"{where}: the answer depends on the scale of the pixels ({scales[0]}: "
                f"{first[at]}, {scales[1]}: {other[at]}); pass --scale {scales[0]} or "
                f"--scale {scales[1]}, or --clean with labelled images to find out"
            )


def open_predictor(
    model: Path,
    options: InputOptions,
    *,
    repaired: Path | None = None,
    clean: Path | None = None,
) -> Predictor:
    """Open a network for single images.

    The scale is the one in `options`, else the one at which the network recognises the `clean`
    set, else the one in the run folder the model lies in.

    Raises:
        GoodnetError: If a file is refused or does not fit.
    """
    network = to_device(open_network(model, architecture=options.architecture), options.device)
    second = None
    if repaired is not None:
        second = open_network(repaired, architecture=options.architecture)
        check_belongs(network, second)
        second = to_device(second, options.device)
    predictor = Predictor(network, second, options, scale=None, note="")
    scale, note = _scale(predictor, model, clean)
    return Predictor(network, second, options, scale=scale, note=note)


def _scale(predictor: Predictor, model: Path, clean: Path | None) -> tuple[Scale | None, str]:
    if predictor.options.scale is not None:
        return Scale.parse(predictor.options.scale), ""
    if clean is not None:
        choice = find_scale(predictor.network.answers, predictor.open(clean))
        return choice.scale, choice.sentence()
    return _from_run_folder(model)


def _from_run_folder(model: Path) -> tuple[Scale | None, str]:
    path = model.parent / "results.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["scale"]
        return Scale.parse(found), f"pixels are multiplied by {found}, as in {path}"
    except (OSError, ValueError, TypeError, KeyError, RecursionError, GoodnetError):
        # No run folder, or another program's results: then nothing is known.
        return None, ""
