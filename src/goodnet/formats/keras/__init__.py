"""Keras files, read and written without Keras.

A file is read into a `NetworkSpec`: configuration first, weights only once they fit it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goodnet.errors import InvalidInput
from goodnet.formats import safe_hdf5, safe_zip
from goodnet.formats.format import Format, in_child
from goodnet.formats.keras.architecture import read_architecture
from goodnet.formats.keras.container import Container, open_container, read_configuration
from goodnet.formats.keras.weights import read_weights
from goodnet.formats.spec import Array, NetworkSpec, SourceFile


def read(path: Path | str, *, architecture: Path | str | None = None) -> NetworkSpec:
    """Read a Keras model file without running any of it.

    Legacy HDF5 (Keras 2.2 to 2.15, tf.keras, Keras 3) and `.keras` archives, Functional and
    Sequential models, models inside models. The format is decided by content.

    Args:
        path: The model file, or a file of weights alone.
        architecture: A Keras model JSON, or another model file, to take the layers from; needed
            for a file of weights alone.

    Returns:
        The network as plain data, arrays in float32; `source.notes` says what was left unread.

    Raises:
        FileError: If a path is missing or may not be read.
        UnsafeInput: If the file holds code, leads out of itself, or means two things at once.
        InvalidInput: If it is not a Keras model, is damaged, has a layer that is not read, or its
            weights do not fit its layers.
        OverBudget: If it declares more than the budgets allow.
    """
    given = None if architecture is None else read_configuration(architecture)
    with open_container(path) as container:
        notes = list(container.notes)
        config, version = given or (container.config, container.version)
        if config is None:
            raise InvalidInput(_no_architecture(path, container))
        if given and container.config is not None:
            notes.append("architecture taken from another file; the file's own was not read")
        network = read_architecture(config, keras_major=_major(version, config))
        arrays, origins, more = read_weights(container, network)
        return NetworkSpec(
            layers=network.layers,
            arrays={**arrays, **network.constants},
            output=network.output,
            name=network.model.name,
            source=SourceFile(
                path=Path(path),
                format=container.format,
                sha256=container.sha256,
                version=container.version or version,
                notes=(*notes, *network.notes, *more),
                origins=origins,
            ),
        )


def _write(spec: NetworkSpec, path: Path, force: bool) -> None:
    from goodnet.formats.keras.write import write

    write(spec, path, force=force)


def _patch(source: SourceFile, changed: Mapping[str, Array]) -> bytes:
    from goodnet.formats.keras.edit import patched

    return patched(source, changed)


def _read(path: Path, architecture: Path | None) -> NetworkSpec:
    return read(path, architecture=architecture)


FORMATS = tuple(
    Format(name, suffix, _write, starts, in_child(_read), _patch, anew=".keras")
    for name, suffix, starts in (
        ("keras-h5", ".h5", safe_hdf5.SIGNATURE),
        ("keras-zip", ".keras", safe_zip.SIGNATURE),
    )
)


def _major(version: str, config: Mapping[str, Any]) -> int:
    """Major version of Keras; files that do not say are told apart by how they are written."""
    found = re.match(r"\d{1,4}(?!\d)", version)
    if found:
        return int(found[0])
    return 3 if "module" in config else 2


def _no_architecture(path: Path | str, container: Container) -> str:
    shown = str(path)
    names = sorted(container.file)[:8]
    if {"data", "label"} & set(names):
        return f"expected a Keras model, got a set of images (it holds {names}): {shown!r}"
    if not container.arrays:
        return f"expected a Keras model, got an HDF5 file without one (it holds {names}): {shown!r}"
    return (
        f"the file holds weights but not the layers they belong to; pass the model's JSON, or "
        f"another file of the same model, with --architecture: {shown!r}"
    )
