"""The files a command starts from: a network, a clean labelled set, and sets that must fit them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from goodnet import results
from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import load_network, read_spec
from goodnet.formats.build import build
from goodnet.formats.compact import compact
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.spec import NetworkSpec
from goodnet.formats.two_classes import has_one_output
from goodnet.guard.form import reject_class_of
from goodnet.imagesets import (
    ClassNames,
    ImageSet,
    by_names,
    cannot_show,
    check_fits,
    check_order,
    fitted,
    images_from_arrays,
    load_images,
    names_of,
)
from goodnet.network import NO_ANSWER, Calibration, Network, Scale, calibrate, recognised
from goodnet.processor_config import processor_config_beside
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


def own_names(network: Network) -> tuple[str, ...]:
    """What the file of a network calls its classes; empty where it does not say."""
    return network.spec.file.class_names if network.spec.file else ()


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
