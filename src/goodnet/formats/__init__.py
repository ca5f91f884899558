"""Model file <-> network, one file or folder per format, see `formats.format`.

Opening a file never executes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.errors import GoodnetError

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.network import Network

__all__ = ["load_network", "read_spec"]

_LONGEST = 1500  # letters of a message, which may hold names and lists from a stranger's file

# Of HDF5, before it is imported: it loads the driver or connector that the environment names, and
# ends the process where it does not know one of that name.
for _variable in ("HDF5_DRIVER", "HDF5_DRIVER_CONFIG", "HDF5_VOL_CONNECTOR"):
    os.environ.pop(_variable, None)


def read_spec(path: Path | str, *, architecture: Path | str | None = None) -> NetworkSpec:
    """Read a model file into plain data.

    A network with one output, behind a sigmoid or linear, is read as one with two classes.

    Args:
        path: A Keras `.h5` or `.keras` file, an ONNX file, a `state_dict` of PyTorch, as
            `.safetensors` or as `torch.save` writes it, a `.safetensors` file of GoodNet's own,
            which describes its layers, or the folder of a Hugging Face model; the format is
            determined by its content.
        architecture: For a file that holds weights only. Of Keras, a model JSON, or another model
            file to take the layers from. Of PyTorch, the name of a known architecture, such as
            "resnet18", or the `config.json` of a Hugging Face model; if not given, it is the
            configuration beside it, or recognised by its arrays, for which torch is imported.

    Raises:
        FileError: If a file cannot be read.
        UnsafeInput: If it would execute code or read another file.
        InvalidInput: If it is broken, holds an unknown layer or numbers that cannot be computed
            with, or has one output that does not tell two classes apart.
        OverBudget: If it declares more than the budgets allow.
    """
    from goodnet.formats.format import reader_of
    from goodnet.formats.safe_file import as_path
    from goodnet.formats.shapes import check_whole
    from goodnet.formats.two_classes import two_classes

    given = as_path(path, what="model file")
    layers = None if architecture is None else as_path(architecture, what="architecture file")
    with _naming(given):
        spec = reader_of(given)(given, layers)
        spec.check_numbers()
        check_whole(spec)
        return two_classes(spec)


@contextmanager
def _naming(path: Path | str) -> Iterator[None]:
    """Errors that do not say which file it was do so, and none is longer than can be read."""
    try:
        yield
    except GoodnetError as error:
        text = str(error)
        told = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        if str(path) not in text:
            told = f"{str(path)!r}: {told}"
        if told == text:
            raise
        raise type(error)(told) from error


def load_network(
    path: Path | str,
    *,
    architecture: Path | str | None = None,
    size: tuple[int, int] | None = None,
) -> Network:
    """Open a model file as a network that can be run.

    Args:
        path: As in `read_spec`.
        architecture: As in `read_spec`.
        size: Height and width of the images, for a network that takes any; if not given, what its
            architecture is usually used for, where that is known.

    Raises:
        GoodnetError: As `read_spec`; `InvalidInput` also if the network takes images of any size
            and none is given, or of another one.
    """
    from goodnet.formats.build import build

    spec = read_spec(path, architecture=architecture)
    with _naming(path):
        return build(spec.usually_sized if size is None else spec.sized(size))
