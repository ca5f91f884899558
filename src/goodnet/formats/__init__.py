"""Model file <-> network, one file or folder per format, see `formats.format`.

Opening a file never executes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.network import Network

__all__ = ["load_network", "read_spec"]


def read_spec(path: Path | str, *, architecture: Path | str | None = None) -> NetworkSpec:
    """Read a model file into plain data, without torch.

    A network with one output, behind a sigmoid or linear, is read as one with two classes.

    Args:
        path: A Keras `.h5` or `.keras` file; the format is determined by its content.
        architecture: For a file that holds weights only: a Keras model JSON, or another model
            file to take the layers from.

    Raises:
        FileError: If a file cannot be read.
        UnsafeInput: If it would execute code or read another file.
        InvalidInput: If it is broken, holds an unknown layer, or has one output that does not tell
            two classes apart.
        OverBudget: If it declares more than the budgets allow.
    """
    from goodnet.formats.format import reader_of
    from goodnet.formats.safe_file import as_path
    from goodnet.formats.two_classes import two_classes

    given = as_path(path)
    layers = None if architecture is None else as_path(architecture)
    return two_classes(reader_of(given)(given, layers))


def load_network(path: Path | str, *, architecture: Path | str | None = None) -> Network:
    """Open a model file as a network that can be run; raises the same errors as `read_spec`."""
    from goodnet.formats.build import build

    return build(read_spec(path, architecture=architecture))
