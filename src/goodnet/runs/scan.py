"""Scan a file for a backdoor, and leave what was found in one folder."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from goodnet import files
from goodnet.attack.trigger_file import read_trigger, write_trigger
from goodnet.errors import FileError, InvalidInput, NoNumbers, UsageError
from goodnet.formats import load_network
from goodnet.network import RAW, usual_scales
from goodnet.progress import Stage, no_progress
from goodnet.results import ScanRecord, ScanResults, TargetPictures
from goodnet.runs.inputs import Inputs, open_inputs
from goodnet.runs.opening import check_clean_for, open_images_for, to_device
from goodnet.runs.options import InputOptions
from goodnet.runs.pictures import DRAWABLE, PICTURES, picture_bytes, save_picture

if TYPE_CHECKING:
    from goodnet.network import Network
    from goodnet.runs.folder import RunFolder
    from goodnet.scan import Scanner, ScanResult, Target

TRIGGERS = "triggers"

_SHOWN = 4  # clean images that are shown with a trigger and without
_GREY = 128 / 255


def open_suspect(model: Path, clean: Path | None, options: InputOptions) -> Inputs:
    """Open a network and its clean images.

    A network that gives the same or no finite outputs whatever the image is opened all the same:
    the scan says so.

    Raises:
        GoodnetError: If a file cannot be opened, is refused, or does not fit.
    """
    if clean is None:
        check_clean_for(options)
        network = load_network(model, architecture=options.architecture)
        return Inputs(to_device(network, options.device), None, RAW, options)
    try:
        return open_inputs(model, clean, options)
    except InvalidInput as error:
        network = to_device(load_network(model, architecture=options.architecture), options.device)
        silent = isinstance(error, NoNumbers) or not _answers(network)
        if options.says_pixels or not silent:
            raise
        images = open_images_for(network, clean, options)
        network = network.with_preprocessing(RAW.preprocessing(images.range))
        return Inputs(network, images, RAW, options)


def scan(inputs: Inputs, scanner: Scanner, *, stage: Stage = no_progress) -> ScanResult:
    """Run a scanner on a network and its clean images, and on nothing else."""
    return scanner(inputs.network, inputs.given, stage=stage)


def write_scan(inputs: Inputs, result: ScanResult, run: RunFolder) -> ScanResults:
    """Fill a run folder with the result, the triggers, and pictures of them.

    Raises:
        FileError: If something cannot be written.
    """
    told, names = record_scan(inputs, result, run.path)
    own = {field.name: getattr(told, field.name) for field in fields(told)}
    results = ScanResults(**inputs.told(), **own, files=names)
    run.write(results)
    return results


def record_scan(
    inputs: Inputs, result: ScanResult, folder: Path
) -> tuple[ScanRecord, dict[str, str]]:
    """Write the triggers and pictures of them.

    Returns:
        What the results say of the scan, and the names of the trigger files by what they are.

    Raises:
        FileError: If something cannot be written.
    """
    paths, told = save_triggers(result, folder / TRIGGERS), result.to_record()
    targets = tuple(
        replace(
            record,
            file=f"{TRIGGERS}/{paths[target.label].name}",
            pictures=_draw(inputs, target, paths[target.label], folder),
        )
        if target.label in paths
        else record
        for target, record in zip(result.targets, told.targets, strict=True)
    )
    names = {f"trigger_{label}": f"{TRIGGERS}/{path.name}" for label, path in paths.items()}
    return replace(told, targets=targets), names


def save_triggers(result: ScanResult, folder: Path, *, force: bool = False) -> dict[int, Path]:
    """Write the trigger of each target as a file that `repair` and `poison` take.

    Args:
        result: What a scan found.
        folder: Where to; made if it is not there.
        force: Replace files that are already there.

    Returns:
        The files by label.

    Raises:
        UsageError: If a file exists and `force` is not given.
        FileError: If one cannot be written.
    """
    found = {target.label: target.trigger for target in result.targets if target.trigger}
    if found:
        files.make_folder(folder)
    paths = {}
    for label, trigger in found.items():
        paths[label] = folder / f"label_{label}.npz"
        write_trigger(paths[label], **trigger.arrays, force=force)
    return paths


def check_triggers_folder(folder: Path, *, force: bool = False) -> None:
    """See whether triggers can be saved in a folder, before there are any.

    Raises:
        UsageError: If triggers are there already and `force` is not given.
        FileError: If it is no folder, or the system does not let one write to it.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise FileError(f"triggers cannot be written to {str(folder)!r}, name another folder")
    if not force and (first := next(folder.glob("label_*.npz"), None)):
        raise UsageError(f"{first} exists already; name another folder or pass --force")


def _draw(inputs: Inputs, target: Target, file: Path, folder: Path) -> TargetPictures:
    """Pictures of a trigger as its file has it: on grey, and on clean images."""
    shape, clean = inputs.network.input_shape, inputs.given
    if shape[0] not in DRAWABLE:
        return TargetPictures()
    (folder / PICTURES).mkdir(exist_ok=True)
    trigger, name = read_trigger(file), f"label_{target.label}"
    grey = trigger.stamp(np.full((1, *shape), _GREY, np.float32))
    (alone,) = _save(picture_bytes(grey), f"{name}_trigger", folder)
    if clean is None or (clean.labels == target.label).all():
        return TargetPictures(alone)
    others = np.flatnonzero(clean.labels != target.label)[:_SHOWN]
    images = clean.take(others).images
    shown = [
        _save(picture_bytes(each), f"{name}_{kind}", folder)
        for kind, each in (("clean", images), ("stamped", trigger.stamp(images)))
    ]
    return TargetPictures(alone, *shown)


def _save(pictures: NDArray[np.uint8], name: str, folder: Path) -> tuple[str, ...]:
    names = tuple(f"{PICTURES}/{name}_{place}.png" for place in range(len(pictures)))
    for file, pixels in zip(names, pictures, strict=True):
        save_picture(pixels, folder / file)
    return names


def _answers(network: Network) -> bool:
    """Whether a network's outputs are finite and depend on the image at all."""
    random = torch.Generator().manual_seed(0)
    images = torch.rand(8, *network.input_shape, generator=random)
    usual = (scale.preprocessing("0..255") for scale in usual_scales("0..255"))
    outputs = torch.cat([network.with_preprocessing(each)(images).cpu() for each in usual])
    return bool(torch.isfinite(outputs).all()) and not bool((outputs == outputs[:1]).all())
