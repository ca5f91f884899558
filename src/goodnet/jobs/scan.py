"""Scan a file for a backdoor, and leave what was found in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import goodnet
from goodnet import files
from goodnet.attack.trigger_file import read_trigger, write_trigger
from goodnet.errors import InvalidInput
from goodnet.formats import load_network
from goodnet.jobs.inputs import InputOptions, open_images_for, open_inputs, to_device
from goodnet.jobs.network_facts import network_facts
from goodnet.jobs.pictures import PICTURES, picture_bytes
from goodnet.jobs.run_record import Began, write_record
from goodnet.network import RAW, usual_scales
from goodnet.progress import Stage, no_progress

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network, Scale
    from goodnet.scan import Scanner, ScanResult, Target

__all__ = [
    "TRIGGERS",
    "Suspect",
    "open_suspect",
    "save_triggers",
    "scan",
    "scan_facts",
    "write_scan",
]

SCHEMA = 1
TRIGGERS = "triggers"

_SHOWN = 4  # clean images that are shown with a trigger and without
_GREY = 128 / 255
_DRAWABLE = (1, 3, 4)


@dataclass(frozen=True)
class Suspect:
    """A network to scan, with clean images where there are any.

    Attributes:
        network: The network.
        clean: Its clean images; None where there are none.
        device: Where it computes, as PyTorch names it.
        notes: One sentence per thing that was detected.
        scale: What it wants the pixels of the clean images multiplied by, as they are stored.
    """

    network: Network
    clean: ImageSet | None
    device: str
    notes: tuple[str, ...] = ()
    scale: Scale = RAW


def open_suspect(model: Path, clean: Path | None, options: InputOptions) -> Suspect:
    """Open a network and its clean images.

    A network that gives the same or no finite outputs whatever the image is opened all the same:
    the scan says so.

    Raises:
        GoodnetError: If a file cannot be opened, is refused, or does not fit.
    """
    if clean is None:
        network = load_network(model, architecture=options.architecture)
        return Suspect(to_device(network, options.device), None, options.device)
    try:
        inputs = open_inputs(model, clean, options)
    except InvalidInput:
        network = to_device(load_network(model, architecture=options.architecture), options.device)
        if options.scale is not None or _answers(network):
            raise
        images = open_images_for(network, clean, options)
        network = network.with_preprocessing(RAW.preprocessing(images.range))
        return Suspect(network, images, options.device)
    return Suspect(inputs.network, inputs.clean, options.device, inputs.notes, inputs.scale)


def scan(suspect: Suspect, scanner: Scanner, *, stage: Stage = no_progress) -> ScanResult:
    """Run a scanner on a network and its clean images, and on nothing else."""
    return scanner(suspect.network, suspect.clean, stage=stage)


def write_scan(suspect: Suspect, result: ScanResult, folder: Path, *, began: Began) -> None:
    """Fill an empty folder with the result, the triggers, and pictures of them.

    Raises:
        FileError: If something cannot be written.
    """
    spec = suspect.network.spec
    source = spec.file
    told, names = scan_facts(suspect, result, folder)
    clean = suspect.clean
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "command": "scan",
        "goodnet": goodnet.__version__,
        "inputs": {
            "model": {"name": source.path.name, "sha256": source.sha256} if source else None,
            "clean": None
            if clean is None
            else {"name": clean.path.name, "sha256": clean.sha256, "images": len(clean)},
        },
        "scale": None if clean is None else str(suspect.scale),
        "classes": suspect.network.num_classes,
        "device": suspect.device,
        **told,
        "network": network_facts(spec) if spec else None,
        "files": names,
    }
    files.write_json(folder / files.RESULTS, results)
    write_record(folder, began)


def scan_facts(
    suspect: Suspect, result: ScanResult, folder: Path
) -> tuple[dict[str, Any], dict[str, str]]:
    """Write the triggers and pictures of them; what the results say of the scan.

    Returns:
        Plain data, and the names of the trigger files by what they are.

    Raises:
        FileError: If something cannot be written.
    """
    triggers, told = save_triggers(result, folder / TRIGGERS), result.to_dict()
    for target, each in zip(result.targets, told["targets"], strict=True):
        if target.label in triggers:
            each["file"] = f"{TRIGGERS}/{triggers[target.label].name}"
            each["pictures"] = _draw(suspect, target, triggers[target.label], folder)
    return told, {f"trigger_{label}": f"{TRIGGERS}/{path.name}" for label, path in triggers.items()}


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


def _draw(suspect: Suspect, target: Target, file: Path, folder: Path) -> dict[str, Any]:
    """Pictures of a trigger as its file has it: on grey, and on clean images."""
    shape = suspect.network.input_shape
    if shape[0] not in _DRAWABLE:
        return {"trigger": None, "clean": [], "stamped": []}
    (folder / PICTURES).mkdir(exist_ok=True)
    trigger, name = read_trigger(file), f"label_{target.label}"
    grey = np.full((1, *shape), _GREY, np.float32)
    shown = {"trigger": trigger.stamp(grey)}
    if suspect.clean is not None:
        others = np.flatnonzero(suspect.clean.labels != target.label)[:_SHOWN]
        if len(others):
            images = suspect.clean.take(others).images
            shown |= {"clean": images, "stamped": trigger.stamp(images)}
    told: dict[str, Any] = {"trigger": None, "clean": [], "stamped": []}
    for kind, pixels in shown.items():
        names = _save(picture_bytes(pixels), f"{name}_{kind}", folder)
        told[kind] = names[0] if kind == "trigger" else names
    return told


def _save(pictures: np.ndarray[Any, np.dtype[np.uint8]], name: str, folder: Path) -> list[str]:
    from PIL import Image

    names = []
    for place, pixels in enumerate(pictures):
        names.append(f"{PICTURES}/{name}_{place}.png")
        flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
        Image.fromarray(flat).save(folder / names[-1], format="PNG")
    return names


def _answers(network: Network) -> bool:
    """Whether a network's outputs are finite and depend on the image at all."""
    random = torch.Generator().manual_seed(0)
    images = torch.rand(8, *network.input_shape, generator=random)
    usual = (scale.preprocessing("0..255") for scale in usual_scales("0..255"))
    outputs = torch.cat([network.with_preprocessing(each)(images).cpu() for each in usual])
    return bool(torch.isfinite(outputs).all()) and not bool((outputs == outputs[:1]).all())
