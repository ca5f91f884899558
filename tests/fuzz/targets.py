"""The parsers that strangers' files reach, good files for each, and how these are damaged."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import mutations as m
import numpy as np
import torch
from PIL import Image

__all__ = ["TARGETS", "Target"]

# Where the good files come from.
sys.path += [str(Path(__file__).parent.parent / room) for room in ("", "formats", "report")]


@dataclass(frozen=True)
class Target:
    """A parser.

    Attributes:
        corpus: Makes good files, in a folder that is its own.
        mutation: What is done to one.
        parse: Reads a file as the commands do.
        name: Of the file, where the parser looks for one of a name; it is then given the folder.
    """

    corpus: Callable[[Path], Sequence[bytes]]
    mutation: m.Mutation
    parse: Callable[[Path], object]
    name: str = ""


# -- networks ------------------------------------------------------------------------------------


def _read_spec(path: Path) -> object:
    from goodnet.formats import read_spec

    return read_spec(path)


def _read_weights(path: Path) -> object:
    from goodnet.formats.state_dict import read_weights

    weights = read_weights(path)
    return [stored.array(name) for name, stored in weights.arrays.items()]


def _keras_h5(folder: Path) -> list[bytes]:
    from keras_samples import functional, sequential, small_layers, write_small
    from tiny import SPECS

    from goodnet.formats.keras.write import write

    found = [
        write_small(folder / f"{x}.h5", of(small_layers()))
        for x, of in enumerate((functional, sequential))
    ]
    for name, spec in SPECS.items():
        found.append(folder / f"{name}.h5")
        write(spec(), found[-1])
    return [path.read_bytes() for path in found]


def _keras_zip(folder: Path) -> list[bytes]:
    from tiny import SPECS

    from goodnet.formats.keras.write import write

    for name, spec in SPECS.items():
        write(spec(), folder / f"{name}.keras")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def _of_keras_zip(name: str) -> m.Mutation:
    return m.json_text if name.endswith(".json") else m.scratched


def _onnx(folder: Path) -> list[bytes]:
    from onnx_samples import activating, everyday, export, normalizing

    makers = {"everyday": everyday, "normalizing": normalizing, "activating": activating}
    paths = [
        export(make(), folder / f"{name}.onnx", shape=(3, 16, 16)) for name, make in makers.items()
    ]
    return [path.read_bytes() for path in paths]


def _weights() -> dict[str, torch.Tensor]:
    from weights_samples import small_resnet, state_dict

    return dict(list(state_dict(small_resnet()).items())[:12])


def _safetensors(_: Path) -> list[bytes]:
    from safetensors.torch import save

    halves = {key: value.to(torch.bfloat16) for key, value in _weights().items()}
    return [save(_weights(), {"format": "pt"}), save(halves)]


def _pytorch(_: Path, *, zipped: bool) -> list[bytes]:
    found = []
    for state in (_weights(), {"state_dict": _weights(), "epoch": 3}):
        memory = io.BytesIO()
        torch.save(state, memory, _use_new_zipfile_serialization=zipped)
        found.append(memory.getvalue())
    return found


def _of_pytorch_zip(name: str) -> m.Mutation:
    return m.pickles if name.endswith(".pkl") else m.scratched


# -- images --------------------------------------------------------------------------------------

_PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def _read_images(path: Path) -> object:
    from goodnet.imagesets import load_images

    images = load_images(path)
    return [block.images.shape for block in images.blocks(4)]


def _read_picture(path: Path) -> object:
    from goodnet.imagesets.decode import decode_image

    return decode_image(path, shown="x")


def _hdf5_images(_: Path) -> list[bytes]:
    found = []
    for options in ({}, {"chunks": (2, 8, 8, 3), "compression": "gzip", "shuffle": True}):
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            file.create_dataset("data", data=_PIXELS, **options)
            file["label"] = np.arange(6) % 3
        found.append(memory.getvalue())
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver="latest") as file:
        file.create_dataset(
            "data", data=_PIXELS, chunks=(4, 8, 8, 3), compression="lzf", fletcher32=True
        )
        file["label"] = np.arange(6.0)
    return [*found, memory.getvalue()]


def _npz(_: Path) -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        memory = io.BytesIO()
        save(memory, data=_PIXELS, label=np.arange(6))
        found.append(memory.getvalue())
    return found


def _pictures(_: Path, *, kinds: Sequence[str]) -> list[bytes]:
    found = []
    for kind in kinds:
        for mode in ("RGB", "L", "P") if kind != "WEBP" else ("RGB", "RGBA"):
            memory = io.BytesIO()
            image = Image.fromarray(_PIXELS.reshape(24, 16, 3)).convert(mode)
            if mode == "P" and kind == "JPEG":
                image = image.convert("CMYK")
            image.save(memory, kind, **({"progressive": True} if kind == "JPEG" else {}))
            found.append(memory.getvalue())
    return found


def _tar(folder: Path) -> list[bytes]:
    pictures = _pictures(folder, kinds=("PNG", "JPEG"))
    path = folder / "x.tar.xz"
    with tarfile.open(path, "w:xz", preset=0) as archive:
        for number, data in enumerate(pictures[:4]):
            entry = tarfile.TarInfo(f"set/{number % 2}/{number}.png")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return [path.read_bytes()]


def _read_trigger(path: Path) -> object:
    from goodnet.attack.trigger_file import read_trigger

    return read_trigger(path)


def _triggers(_: Path) -> list[bytes]:
    patterns = _PIXELS[0].transpose(2, 0, 1).astype(np.float32)
    found = []
    for arrays in ({"mask": patterns[0] / 255, "pattern": patterns}, {"added": patterns / 2}):
        memory = io.BytesIO()
        np.savez(memory, **arrays)
        found.append(memory.getvalue())
    return found


# -- runs, and what lies beside networks ---------------------------------------------------------


def _read_run(folder: Path) -> object:
    from goodnet.report.read import read_run

    return read_run(folder)


def _results(folder: Path) -> list[bytes]:
    from made_runs import compare_run, cure_run, prune_run, repair_run, scan_run

    makers = (prune_run, repair_run, compare_run, scan_run, cure_run)
    found = []
    for make in makers:
        with TemporaryDirectory() as home:
            run = make(Path(home) / "run")
            shutil.copytree(run, folder, dirs_exist_ok=True)  # the files that results speak of
            found.append((run / "results.json").read_bytes())
    return found


def _curves(folder: Path) -> list[bytes]:
    from made_runs import prune_run

    with TemporaryDirectory() as home:
        shutil.copytree(prune_run(Path(home) / "run"), folder, dirs_exist_ok=True)
    return [(folder / "curve.csv").read_bytes()]


def _read_checkpoint(path: Path) -> object:
    from goodnet.training.checkpoint import Checkpoint

    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    return Checkpoint(path, "same").load(network, optimizer)


def _checkpoints(folder: Path) -> list[bytes]:
    from goodnet.training.checkpoint import Checkpoint

    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    Checkpoint(folder / "x", "same").save(network, optimizer, 2, watch={"best": 0.5})
    return [(folder / "x").read_bytes()]


def _read_processor(path: Path) -> object:
    from goodnet.processor_config import read_processor_config

    return read_processor_config(path)


_PROCESSORS = (
    {"do_resize": True, "size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224},
    {
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    },
    {
        "pretrained_cfg": {
            "mean": [0.4] * 3,
            "std": [0.2] * 3,
            "crop_pct": 0.9,
            "input_size": [3, 8, 8],
        }
    },
)


def _processors(_: Path) -> list[bytes]:
    return [json.dumps({"do_normalize": True, **each}).encode() for each in _PROCESSORS]


def _read_classes(path: Path) -> object:
    from goodnet.imagesets import ClassNames

    return ClassNames.read(path)


def _classes(_: Path) -> list[bytes]:
    lists: list[object] = [
        ["cat", "dog"],
        {"cat": 0, "dog": 1},
        {"0": ["n1", "cat"], "1": ["n2", "dog"]},
    ]
    return [b"cat\ndog\nbird\n", *(json.dumps(each).encode() for each in lists)]


_RAW = m.scratched
TARGETS: Mapping[str, Target] = {
    "keras-h5": Target(_keras_h5, m.either(_RAW, m.keras_h5), _read_spec),
    "keras-zip": Target(_keras_zip, m.either(_RAW, m.zipped(_of_keras_zip)), _read_spec),
    "onnx": Target(_onnx, m.either(_RAW, m.protobuf, m.protobuf), _read_spec),
    "safetensors": Target(_safetensors, m.either(_RAW, m.safetensors), _read_weights),
    "pytorch-zip": Target(
        partial(_pytorch, zipped=True), m.either(_RAW, m.zipped(_of_pytorch_zip)), _read_weights
    ),
    "pytorch-legacy": Target(
        partial(_pytorch, zipped=False), m.either(_RAW, m.pickles), _read_weights
    ),
    "hdf5-images": Target(_hdf5_images, _RAW, _read_images),
    "npz": Target(_npz, m.either(_RAW, m.zipped(lambda _: _RAW)), _read_images),
    "png": Target(partial(_pictures, kinds=("PNG",)), m.either(_RAW, m.png, m.png), _read_picture),
    "pictures": Target(partial(_pictures, kinds=("JPEG", "BMP", "WEBP")), _RAW, _read_picture),
    "tar-xz": Target(_tar, m.either(_RAW, m.tar_xz, m.tar_xz), _read_images),
    "triggers": Target(_triggers, m.either(_RAW, m.zipped(lambda _: _RAW)), _read_trigger),
    "results": Target(
        _results, m.either(_RAW, m.json_text, m.json_text), _read_run, "results.json"
    ),
    "curves": Target(_curves, _RAW, _read_run, "curve.csv"),
    "checkpoints": Target(
        _checkpoints, m.either(_RAW, m.zipped(_of_pytorch_zip)), _read_checkpoint
    ),
    "processor-configs": Target(_processors, m.either(_RAW, m.json_text), _read_processor),
    "class-lists": Target(_classes, m.either(_RAW, m.json_text), _read_classes),
}
