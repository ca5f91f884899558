"""Write a network as a Keras file made of built-in layers, without Keras.

`.keras` files load in Keras 3 with safe mode on; `.h5` files in Keras 2 and 3. Values are channels
last. The same network always gives the same bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

from goodnet.errors import UsageError
from goodnet.files import atomic_path
from goodnet.formats.keras.writing.config import h5_config, keras_config
from goodnet.formats.keras.writing.graph import keras_graph
from goodnet.formats.keras.writing.hdf5 import legacy_file, weights_file

if TYPE_CHECKING:
    from pathlib import Path

    from goodnet.formats.spec import NetworkSpec

__all__ = ["write"]

# The first Keras that reads what is written here.
_KERAS_VERSION = "3.0.0"
# The earliest date a zip archive can say; a real one would make every file different.
_DATE = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = 0o600 << 16


def write(spec: NetworkSpec, destination: Path, *, force: bool = False) -> None:
    """Write a network; the suffix says as what.

    Args:
        spec: The network.
        destination: A name that ends in `.keras` (Keras 3) or `.h5` (Keras 2 and 3).
        force: Replace an existing file.

    Raises:
        UsageError: If the suffix is another one, or the file exists and `force` is not given.
        InvalidInput: If the network's layers do not fit together or built-in layers cannot say
            what one of them does.
        FileError: If the system refuses to write.
    """
    suffix = destination.suffix.lower()
    if suffix not in _WRITERS:
        raise UsageError(
            f"a model is written as {' or '.join(_WRITERS)}, got the file name {destination.name!r}"
        )
    content = _WRITERS[suffix](spec)
    with atomic_path(destination, force=force) as path:
        path.write_bytes(content)


def _h5_bytes(spec: NetworkSpec) -> bytes:
    graph = keras_graph(spec, "h5")
    return legacy_file(graph, json.dumps(h5_config(graph), allow_nan=False))


def _keras_bytes(spec: NetworkSpec) -> bytes:
    graph = keras_graph(spec, "keras")
    members = {
        "metadata.json": json.dumps({"keras_version": _KERAS_VERSION}).encode(),
        "config.json": json.dumps(keras_config(graph), allow_nan=False).encode(),
        "model.weights.h5": weights_file(graph),
    }
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system, info.external_attr = 3, _PLAIN_FILE
            archive.writestr(info, content)
    return memory.getvalue()


_WRITERS = {".keras": _keras_bytes, ".h5": _h5_bytes}
