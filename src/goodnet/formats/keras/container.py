"""An opened Keras file of either format: its configuration, its version, and its HDF5 part."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import h5py

from goodnet.errors import InvalidInput
from goodnet.formats import budgets, foreign, safe_hdf5, safe_zip
from goodnet.formats.keras.configuration import parse_json
from goodnet.formats.safe_file import open_regular, sha256

_WHAT = "model file"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_VERSION = 40  # letters that are shown


@dataclass(frozen=True, slots=True)
class Container:
    """A Keras file, open.

    Attributes:
        format: "keras-h5" or "keras-zip".
        sha256: Of the whole file.
        config: The model's configuration; None in a file of weights alone.
        version: Version of Keras that wrote the file; "" if it does not say.
        notes: What was left unread.
        file: The HDF5 file, or the one inside the archive.
        arrays: Its data sets by path; not yet checked one by one.
        raw: The bytes `file` was opened from.
    """

    format: Literal["keras-h5", "keras-zip"]
    sha256: str
    config: Mapping[str, Any] | None
    version: str
    notes: tuple[str, ...]
    file: h5py.File
    arrays: Mapping[str, h5py.Dataset]
    raw: BinaryIO


@contextmanager
def open_container(path: Path | str) -> Iterator[Container]:
    """Open a Keras file; what it is, is decided by its first bytes.

    Raises:
        GoodnetError: As `safe_file.open_regular`, `safe_hdf5.open_hdf5` and `safe_zip` say.
    """
    with open_regular(path, what=_WHAT, limit=budgets.MODEL_BYTES) as file:
        head = file.read(len(safe_hdf5.SIGNATURE))
        opener = _open_zip if safe_zip.SIGNATURE.startswith(head[:4]) else _open_h5
        if opener is _open_h5 and not safe_hdf5.SIGNATURE.startswith(head):
            raise InvalidInput(
                f"expected {foreign.MODEL}, got a file whose first bytes are "
                f"{head.hex(' ')}: {str(path)!r}"
            )
        with opener(file) as container:
            yield container


def read_configuration(path: Path | str) -> tuple[Mapping[str, Any], str]:
    """The model configuration in a Keras JSON file or in another model file, and its version.

    Raises:
        InvalidInput: If the file holds no configuration.
        GoodnetError: As `open_container`.
    """
    with open_regular(path, what="architecture file", limit=budgets.MODEL_BYTES) as file:
        is_text = file.read(64).lstrip()[:1] == b"{"
        if is_text:
            file.seek(0)
            text = file.read(budgets.JSON_BYTES + 1)
            config = parse_json(text, what=f"architecture file {str(path)!r}")
            return config, _version(config.get("keras_version"))
    with open_container(path) as container:
        if container.config is None:
            raise InvalidInput(f"the architecture file holds only weights: {str(path)!r}")
        return container.config, container.version


@contextmanager
def _open_h5(file: BinaryIO) -> Iterator[Container]:
    with safe_hdf5.open_hdf5(file, what=_WHAT) as h5:
        arrays = safe_hdf5.datasets(h5)
        text = safe_hdf5.text(h5, "model_config", file=file)
        weights = h5.get("model_weights", h5)
        versions = [safe_hdf5.text(item, "keras_version", file=file) for item in (h5, weights)]
        notes = []
        if "training_config" in h5.attrs:
            notes.append("training configuration not read")
        if "optimizer_weights" in h5:
            notes.append("optimizer weights not read")
        config = None if text is None else parse_json(text.encode(), what="model configuration")
        yield Container(
            "keras-h5",
            sha256(file),
            config,
            _version(*versions),
            tuple(notes),
            file=h5,
            arrays=arrays,
            raw=file,
        )


@contextmanager
def _open_zip(file: BinaryIO) -> Iterator[Container]:
    members = safe_zip.list_members(file)
    missing = [name for name in (_CONFIG, _WEIGHTS) if name not in members]
    if missing:
        raise InvalidInput(
            f"expected {_CONFIG} and {_WEIGHTS} in the .keras archive, got "
            f"{', '.join(sorted(members)[:8]) or 'nothing'}; save the model again"
        )
    config = _read_json(file, members[_CONFIG])
    metadata = _read_json(file, members[_METADATA]) if _METADATA in members else {}
    memory = io.BytesIO(safe_zip.read_member(file, members[_WEIGHTS]))
    notes = ["training configuration not read"] if config.get("compile_config") else []
    if any(name.startswith("assets/") for name in members):
        notes.append("assets not read")
    with safe_hdf5.open_hdf5(memory, what=f"{_WEIGHTS} in the .keras archive") as h5:
        arrays = safe_hdf5.datasets(h5)
        if any(path.startswith("optimizer/") for path in arrays):
            notes.append("optimizer weights not read")
        yield Container(
            "keras-zip",
            sha256(file),
            config,
            _version(metadata.get("keras_version")),
            tuple(notes),
            file=h5,
            arrays=arrays,
            raw=memory,
        )


def _version(*said: object) -> str:
    """The first version that is said, as far as it may be one."""
    return str(next(filter(None, said), ""))[:_VERSION]


def _read_json(file: BinaryIO, member: safe_zip.Member) -> dict[str, Any]:
    data = safe_zip.read_member(file, member, limit=budgets.JSON_BYTES)
    return parse_json(data, what=f"{member.name} in the .keras archive")
