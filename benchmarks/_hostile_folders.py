"""Folders of Hugging Face: configurations that lie, code beside them, names that lead out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _hostile_case import ANY, UNSAFE, Case, Runs, touch
from safetensors.numpy import save_file

from goodnet.formats.hugging_face import read_config

__all__ = ["cases"]

_CONFIGS = "Hugging Face: configurations that lie"
_NAMES = "Hugging Face: names and links that lead out"
_WEIGHTS = "Hugging Face: weights that lie"
_RUN = "evaluate x --clean ../good/clean.h5 --scale 1/255"
_FILE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_GOOD: Mapping[str, Any] = {
    "model_type": "vit",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": 16,
    "patch_size": 8,
}
_INVALID, _TOO_MUCH, _MISSING = (4,), (5,), (6,)


def cases() -> Iterator[Case]:
    for name, changed in _CHANGED.items():
        make = partial(_folder, changed=changed)
        # `inspect` lists the arrays of what it cannot describe; others refuse.
        yield Case(_CONFIGS, name, "inspect x", make, ANY)
        yield Case(_CONFIGS, f"{name}, run", _RUN, make, _CODES.get(name, (4, 5)))
    for name, (content, codes) in _TEXTS.items():
        yield Case(_CONFIGS, name, "inspect x", partial(_text, content=content), codes)
    for name, (spoil, codes) in _SPOILT.items():
        kind = _NAMES if codes == UNSAFE and "program" not in name else _WEIGHTS
        yield Case(kind, name, "inspect x", partial(_spoilt, spoil=spoil), codes)


_CHANGED: Mapping[str, Mapping[str, Any]] = {
    "code instead of the library's": {"model_type": "own", "auto_map": {"AutoModel": "own.Net"}},
    "sizes below zero": {"hidden_size": -8},
    "no sizes": {"hidden_size": 0, "num_attention_heads": 0},
    "sizes that are text": {"image_size": "224"},
    "a billion layers": {"num_hidden_layers": 10**9},
    "as many layers as may be": {"num_hidden_layers": 512},
    "images as large as may be": {"image_size": 8192, "patch_size": 1},
    "stages without end": {"model_type": "resnet", "depths": [512] * 16, "hidden_sizes": [8] * 16},
    "widths beyond all": {"model_type": "convnext", "hidden_sizes": [2**60] * 4},
    "a multiplier of nothing": {"model_type": "mobilenet_v2", "depth_multiplier": 1e-300},
    "a billion classes": {"num_labels": 10**9},
    "classes with gaps": {"id2label": {"0": "a", "7": "b"}},
    "a path as architecture": {"model_type": "", "architecture": "../../secret.txt"},
    "markup as a kind": {"model_type": "<script>\x1b[2J" * 1000},
}
_CODES = {"code instead of the library's": UNSAFE}
_TEXTS: Mapping[str, tuple[bytes, tuple[int, ...]]] = {
    "nested without end": (b'{"a":' + b"[" * 3_000_000 + b"]" * 3_000_000 + b"}", _TOO_MUCH),
    "a million keys": (
        b"{" + b",".join(b'"%d":0' % x for x in range(400_000)) + b"}",
        (0, 4, *_TOO_MUCH),
    ),
    "a number of a million digits": (b'{"hidden_size": 1' + b"0" * 1_000_000 + b"}", _INVALID),
    "no text": (bytes(range(256)), _INVALID),
    "nothing": (b" ", _INVALID),
}


def _folder(folder: Path, *, changed: Mapping[str, Any] | None = None) -> Path:
    """A good folder but for some fields."""
    place = folder / "x"
    place.mkdir()
    drawing = read_config(_GOOD).drawing
    assert drawing is not None
    arrays = {x.key: np.zeros(x.shape, np.float32) for x in drawing.places.values()}
    save_file(arrays, place / _FILE, {"format": "pt"})
    (place / "config.json").write_text(json.dumps({**_GOOD, **(changed or {})}), encoding="utf-8")
    (place / "own.py").write_text(f"import os\nos.system({touch(folder)!r})\n", encoding="utf-8")
    return place


def _text(folder: Path, *, content: bytes) -> None:
    (_folder(folder) / "config.json").write_bytes(content)


def _spoilt(folder: Path, *, spoil: Callable[[Path], object]) -> None:
    spoil(_folder(folder))


def _linked(name: str, target: str) -> Callable[[Path], None]:
    def spoil(place: Path) -> None:
        (place / name).unlink()
        (place / name).symlink_to(target)

    return spoil


def _indexed(shard: object) -> Callable[[Path], None]:
    def spoil(place: Path) -> None:
        (place / _FILE).unlink()
        (place / _INDEX).write_text(json.dumps({"weight_map": {"a": shard}}), encoding="utf-8")

    return spoil


def _pickled(place: Path) -> None:
    """A program in the place of the weights that transformers would load without safetensors."""
    torch.save({"a": Runs(os.system, touch(place.parent))}, place / "pytorch_model.bin")


def _others(place: Path) -> None:
    """Other weights for those who do not read safetensors."""
    torch.save({"classifier.weight": torch.ones(2, 8)}, place / "pytorch_model.bin")


_SPOILT: Mapping[str, tuple[Callable[[Path], object], tuple[int, ...]]] = {
    "a configuration elsewhere": (_linked("config.json", "../../secret.txt"), UNSAFE),
    "weights elsewhere": (_linked(_FILE, "../../secret.txt"), UNSAFE),
    "weights without end": (_linked(_FILE, "/dev/zero"), UNSAFE),
    "an index that climbs": (_indexed("../../secret.txt"), UNSAFE),
    "an index of the root": (_indexed("/etc/passwd"), UNSAFE),
    "an index of itself": (_indexed(_INDEX), _INVALID),
    "an index of a folder": (_indexed("."), UNSAFE),
    "an index of numbers": (_indexed(3), _INVALID),
    "a missing shard": (_indexed("model-00001-of-00002.safetensors"), _INVALID),
    "a configuration of a gigabyte": (
        lambda place: os.truncate(place / "config.json", 2**30),
        _TOO_MUCH,
    ),
    "weights of three gigabytes": (lambda place: os.truncate(place / _FILE, 3 * 2**30), _TOO_MUCH),
    "a program beside the weights": (_pickled, UNSAFE),
    "two files that differ": (_others, _INVALID),
    "no weights": (lambda place: (place / _FILE).unlink(), _INVALID),
    "no configuration": (lambda place: (place / "config.json").unlink(), _MISSING),
}
