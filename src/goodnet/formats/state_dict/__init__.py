"""Files of weights, of PyTorch: arrays by key, and the known architecture they fit.

What is written is a `.safetensors` file with the keys that torchvision or timm give the arrays. Of
other layers it holds a description, too, by which it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import hugging_face, safetensors
from goodnet.formats.description import Description
from goodnet.formats.format import Format
from goodnet.formats.hugging_face import CONFIG
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.spec import Array, NetworkSpec, Origin, SourceFile
from goodnet.formats.state_dict import pytorch
from goodnet.formats.state_dict.known import by_arrays, by_config
from goodnet.formats.state_dict.weights import Weights, read_weights, weights_in
from goodnet.formats.stored import Stored
from goodnet.ops.layouts import to_file

__all__ = ["FORMATS", "Weights", "read_weights", "weights_in"]

# Types of numbers that are not float32, in words.
_TYPES: Mapping[str, str] = {"F64": "float64", "F16": "float16", "BF16": "bfloat16"}


def _read(path: Path, architecture: Path | None) -> NetworkSpec:
    weights = read_weights(path)
    if weights.description is not None:
        if architecture is not None:
            raise UsageError("the file describes its layers itself: leave out --architecture")
        return _as_described(weights, weights.description, path)
    config = weights.config if architecture is None else _told(architecture)
    if config is not None:
        return _described(weights, config, path)
    try:
        return _described(weights, None if architecture is None else str(architecture), path)
    except InvalidInput:
        config = _beside(path) if architecture is None else None
        if config is None:
            raise
    return _described(weights, config, path)


def _described(weights: Weights, told: Mapping[str, Any] | str | None, path: Path) -> NetworkSpec:
    """The network with the numbers of a file.

    Args:
        weights: What the file holds.
        told: A configuration or the name of an architecture; None where the arrays tell it.
        path: Of the file.
    """
    config = told if isinstance(told, Mapping) else None
    shapes = weights.shapes
    known = by_config(shapes, told) if isinstance(told, Mapping) else by_arrays(shapes, told)
    arrays = {}
    for key, (origin, shape) in known.places.items():
        array = weights.arrays[origin].array(origin)
        arrays[key] = array if shape is None else array.reshape(shape)
    origins = {key: origin for key, (origin, _) in known.places.items()}
    used = {weights.arrays[origin].type for origin in origins.values()}
    converted = [f"{_TYPES[x]} weights converted to float32" for x in sorted(used & set(_TYPES))]
    source = SourceFile(
        path=path,
        format=weights.format,
        sha256=weights.sha256,
        notes=(*known.notes, *weights.notes, *converted),
        origins={key: Origin(origin, "as-is") for key, origin in origins.items()},
        size=known.size and (weights.size or known.size),
        class_names=known.class_names,
        config=config,
    )
    spec = NetworkSpec(known.layers, arrays, known.output, name=known.name, source=source)
    outputs = layer_shapes(spec)[spec.output][-1]
    if known.classes not in (None, outputs):
        raise InvalidInput(
            f"{CONFIG} tells of {known.classes:,} classes, but the network has {outputs} outputs"
        )
    return spec


def _told(architecture: Path) -> Mapping[str, Any] | None:
    """The configuration of Hugging Face in a file or folder; None for the name of a network.

    Raises:
        UsageError: If it is another file.
    """
    if not architecture.exists():
        return None
    config = _config_at(architecture / CONFIG if architecture.is_dir() else architecture)
    if config is None:
        raise UsageError(
            "for weights of PyTorch --architecture takes a name, as in --architecture resnet18, or "
            f"the {CONFIG} of a Hugging Face model, got {str(architecture)!r}"
        )
    return config


def _config_at(path: Path) -> Mapping[str, Any] | None:
    """The configuration of Hugging Face in a file; None if it holds something else."""
    try:
        config = hugging_face.read_config_file(path)
    except InvalidInput:
        return None
    return config if hugging_face.is_config(config) else None


def _beside(path: Path) -> Mapping[str, Any] | None:
    """The configuration of Hugging Face in the folder of a file; None if there is none."""
    place = path.with_name(CONFIG)
    is_there = place.is_file() and place.resolve().parent == path.resolve().parent
    return _config_at(place) if is_there else None


def _as_described(weights: Weights, description: Description, path: Path) -> NetworkSpec:
    """The network whose layers the file itself describes."""
    source = SourceFile(
        path=path,
        format=weights.format,
        sha256=weights.sha256,
        version="goodnet",
        origins={key: Origin(key, "as-is") for key in weights.arrays},
    )
    return NetworkSpec(
        description.layers,
        {key: stored.array(key) for key, stored in weights.arrays.items()},
        description.output,
        name=description.name,
        source=source,
    )


def _patch(source: SourceFile, changed: Mapping[str, Array]) -> bytes:
    weights = read_weights(source.path)
    if weights.sha256 != source.sha256:
        raise InvalidInput(f"the file has changed since it was read: {str(source.path)!r}")
    arrays, written = dict(weights.arrays), dict[str, Stored]()
    for key, array in changed.items():
        origin = source.origins[key]
        old = weights.arrays[origin.path]
        new = to_file(array, origin.layout, old.shape).reshape(old.shape)
        same = np.array_equal(new, old.array(origin.path))
        put = old if same else old.replaced(new)
        if written.setdefault(origin.path, put).data != put.data:
            raise InvalidInput(
                f"several layers share the array {origin.path!r}, so that no copy can be made in "
                "which it differs for one of them"
            )
    texts = dict(weights.texts)
    if source.config is not None:
        texts[CONFIG] = json.dumps(source.config, separators=(",", ":"))
    return safetensors.packed(arrays | written, texts)


FORMATS = tuple(
    Format(
        name,
        ".safetensors",
        safetensors.write,
        read=_read,
        patch=_patch,
        holds=holds,
        holds_folder=holds_folder,
        only_copies=True,
    )
    for name, holds, holds_folder in (
        ("pytorch", pytorch.holds, None),
        ("safetensors", safetensors.holds, None),
        ("hugging-face", None, hugging_face.holds),
    )
)
