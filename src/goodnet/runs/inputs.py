"""The files a command starts from: a network, a clean labelled set, and sets that must fit them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from goodnet import results
from goodnet.errors import InvalidInput
from goodnet.formats import load_network
from goodnet.formats.compact import compact
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.spec import NetworkSpec
from goodnet.formats.two_classes import has_one_output
from goodnet.imagesets import (
    ImageSet,
    cannot_show,
    check_order,
    images_from_arrays,
)
from goodnet.network import NO_ANSWER, Calibration, Network, Scale, calibrate, recognised
from goodnet.runs.opening import (
    asked_by,
    check_clean_for,
    classes_of,
    open_images_for,
    open_network,
    own_names,
    said_beside_model,
    to_device,
)
from goodnet.runs.options import InputFiles, InputOptions
from goodnet.types import Proportion

# Images on which the order of the classes is looked at.
_SAMPLE = 512
_ONE_OUTPUT = (
    "the file has one output, which is taken for two classes: a B' of the same layers has it, too; "
    "what is written anew (G, a clamped or a compact B') has an output for each class"
)


@dataclass(frozen=True)
class Inputs:
    """A network and its images, opened and known to fit together.

    Attributes:
        network: The suspect network, which knows how it wants its images.
        given: The clean set; None where none was given.
        scale: What the network wants the pixels of that set multiplied by, as they are stored; None
            where it wants more than that.
        options: How the files were read.
        calibration: How it was found what the network wants; None where it was told.
        notes: One sentence per thing that was detected.
        warnings: Those of the notes that belong into the results.
        invented: Images made from the network, where none were given and some are needed.
        test: Clean labelled images that nothing is chosen on.
        backdoor: Poisoned sets by name, only ever measured on.
    """

    network: Network
    given: ImageSet | None
    scale: Scale | None
    options: InputOptions
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    invented: ImageSet | None = None
    test: ImageSet | None = None
    backdoor: Mapping[str, ImageSet] = field(default_factory=dict)

    @property
    def clean(self) -> ImageSet:
        """The clean set, given or made.

        Raises:
            InvalidInput: If there is neither.
        """
        images = self.invented if self.given is None else self.given
        if images is None:
            raise InvalidInput("expected clean images, got none; give them with --clean")
        return images

    @property
    def judged(self) -> ImageSet:
        """The clean images whose answers are looked at one by one: the test set if there is one."""
        return self.clean if self.test is None else self.test

    def open(self, path: Path, *, name: str | None = None) -> ImageSet:
        """Open another set for the same network.

        Raises:
            InvalidInput: If the images or labels do not fit the network.
        """
        return open_images_for(self.network, path, self.options, name=name, like=self.given)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What each class is called, from 0 on; empty where nothing says it."""
        sets = (self.given, self.test, *self.backdoor.values())
        known = [images.class_names for images in sets if images is not None]
        return tuple(map(_text, next(filter(None, [*known, own_names(self.network)]), ())))

    def record(self) -> results.Inputs:
        """Names and hashes of the files, and how many images each set has."""
        source = self.network.spec.file
        return results.Inputs(
            model=results.ModelFile(source.path.name, source.sha256) if source else None,
            clean=None if self.given is None else _record(self.given),
            test=None if self.test is None else _record(self.test),
            backdoor={name: _record(images) for name, images in self.backdoor.items()},
        )

    def told(self) -> dict[str, Any]:
        """What the results of a command on one network say of it, by field."""
        images = self.invented if self.given is None else self.given
        return {
            "inputs": self.record(),
            "scale": None if images is None or self.scale is None else str(self.scale),
            "preprocessing": None if images is None else self._preprocessing(),
            "classes": self.network.num_classes,
            "class_names": self.class_names,
            "device": self.options.device,
            "network": network_record(self.network.spec),
        }

    def _preprocessing(self) -> results.PreprocessingRecord:
        wants, found = self.network.preprocessing, self.calibration
        return results.PreprocessingRecord(
            wants.text,
            {key: Proportion(*counts) for key, counts in found.accuracies.items()} if found else {},
        )


def _record(images: ImageSet) -> results.ImagesFile:
    known = images.labelling
    return results.ImagesFile(
        images.path.name,
        images.sha256,
        len(images),
        {_text(name): place for name, place in known.by_name.items()},
        known.order,
    )


def _text(name: str) -> str:
    """A name of a folder without bytes that are no text."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def open_files(files: InputFiles, options: InputOptions) -> Inputs:
    """Open every file of a command, so that what is wrong shows before the work begins.

    Without clean images some are made from the network.

    Raises:
        GoodnetError: If an input is refused or does not fit the network.
        InvalidInput: If all poisoned images of a set are clean ones.
    """
    inputs = (
        invent_inputs(files.model, options)
        if files.clean is None
        else open_inputs(files.model, files.clean, options)
    )
    test = inputs.open(files.test) if files.test else None
    backdoor = {name: inputs.open(path, name=name) for name, path in files.backdoor.items()}
    opened = [images for images in (test, *backdoor.values()) if images is not None]
    warnings = (*inputs.warnings, *cannot_show(inputs.given, test, backdoor))
    if has_one_output(inputs.network.spec):
        warnings = (*warnings, _ONE_OUTPUT)
    notes = (*inputs.notes, *(classes_of(inputs.network, x) for x in opened), *warnings)
    return replace(inputs, test=test, backdoor=backdoor, notes=notes, warnings=warnings)


def open_inputs(model: Path, clean: Path, options: InputOptions) -> Inputs:
    """Open a network and a clean labelled set, and find the scale that fits them.

    Raises:
        GoodnetError: If a file cannot be opened, is refused, or does not fit.
    """
    beside, said_beside = said_beside_model(model, options)
    network = to_device(open_network(model, beside, clean), options.device)
    images = open_images_for(network, clean, beside)
    calibration = None
    if options.scale is not None:
        asked = Scale.parse(options.scale)
        preprocessing = asked.preprocessing(images.range)
        said = f"pixels are multiplied by {asked}, as asked"
    elif options.preprocessing is not None:
        preprocessing = options.preprocessing
        said = f"pixels x from 0 to 255 become {preprocessing.text}, as asked"
    else:
        if beside.preprocessing is not None:
            network = network.with_preprocessing(beside.preprocessing)
        calibration = calibrate(network, images)
        preprocessing, said = calibration.preprocessing, said_beside + calibration.sentence()
    fed = network.with_preprocessing(preprocessing)
    warnings = () if calibration else _check_told(fed, images, asked_by(options))
    return Inputs(
        fed,
        images,
        Scale.of(preprocessing, images.range),
        beside,
        calibration,
        (images.describe(), classes_of(network, images), said),
        warnings,
    )


def _check_told(network: Network, images: ImageSet, option: str) -> tuple[str, ...]:
    """A warning where a network that was told how it wants its images recognises few.

    Raises:
        InvalidInput: If another order of the classes fits better.
    """
    block = images.sample(_SAMPLE)
    answers = network.answers(block.images)
    if (answers == NO_ANSWER).any():
        return ()  # said where the network is judged
    check_order(images, block.labels, [answers], num_classes=network.num_classes)
    if recognised(answers, block.labels):
        return ()
    right = int((answers == block.labels).sum())
    return (
        f"with {option} the network is right on {right} of {len(answers)} clean images, on fewer "
        "than a trained one should be; without it, the usual ones are tried",
    )


def invent_inputs(model: Path, options: InputOptions) -> Inputs:
    """Open a network that there are no clean images for, and make some from it.

    Their labels are what the network answers, and pixels are in the range it seems to want.

    Raises:
        GoodnetError: If the file cannot be opened or is refused.
        UsageError: If a preprocessing was asked for.
    """
    from goodnet.scan.case import open_case

    check_clean_for(options)
    network = to_device(load_network(model, architecture=options.architecture), options.device)
    case = open_case(network, None, layer=None, generator=torch.Generator().manual_seed(0))
    shown, network = case.everything, case.subject.network
    pixels, labels = shown.images.cpu().numpy(), shown.truth.cpu().numpy()
    low, _ = network.preprocessing.ends
    images = images_from_arrays(
        2 * pixels - 1 if low < 0 else (255 * pixels).round(),
        labels,
        layout="NCHW",
        range="-1..1" if low < 0 else "0..255",
        name="made from the network",
    )
    # The scan says that they were made.
    scale = Scale.of(network.preprocessing, images.range)
    return Inputs(network, None, scale, options, invented=images)


def network_record(spec: NetworkSpec) -> results.NetworkRecord:
    """A network as the results tell of it."""
    shapes = layer_shapes(spec)
    return results.NetworkRecord(
        spec.name,
        spec.count_parameters(),
        tuple(
            results.LayerRecord(
                layer.name,
                layer.op,
                tuple(layer.inputs),
                tuple(shapes[layer.name]),
                sum(int(a.size) for a in spec.parameters(layer.name).values()),
            )
            for layer in spec.layers
        ),
    )


def compact_parameters(spec: NetworkSpec, layer: str, channels: Iterable[int]) -> int | None:
    """Stored numbers of the network without some channels; None if they can only be silenced."""
    try:
        return compact(spec, layer, channels).count_parameters()
    except InvalidInput:
        return None
