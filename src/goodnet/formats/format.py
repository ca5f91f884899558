"""What a format of model files says of itself, the formats there are, and writing by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from goodnet.errors import InvalidInput, UsageError
from goodnet.files import atomic_path
from goodnet.formats import budgets, foreign
from goodnet.formats.safe_file import open_regular
from goodnet.quarantine import quarantined

if TYPE_CHECKING:
    from goodnet.formats.spec import Array, NetworkSpec, SourceFile
    from goodnet.network import Network

# From a file, and another one to take the layers from if there is one, to the network.
Reader = Callable[[Path, "Path | None"], "NetworkSpec"]


@dataclass(frozen=True, eq=False)
class Format:
    """A format of model files.

    Attributes:
        name: As `SourceFile.format` has it.
        suffix: Of the files that are written.
        write: Writes a network anew to a path, over a file that is there if `force` is set.
        starts: The first bytes of such a file; empty for a format that is not read.
        read: Reads a file, with the layers of another file where one is given, and runs none of
            it; what it parses it parses in a child process. None for a format that is not read.
        patch: The bytes of a copy of the file a network came from in which some arrays differ;
            None where there is no such copy.
        holds: Whether a file is of the format, by its first bytes, where not all have the same; it
            is asked before `starts`.
        holds_folder: Whether a folder is of the format.
        only_copies: Whether networks with other layers than their file are written in another
            format.
        anew: The suffix of that format, and of a GoodNet that is written beside such a file;
            where a kind of layers has no spelling in ONNX, it is `.safetensors` instead.
    """

    name: str
    suffix: str
    write: Callable[[NetworkSpec, Path, bool], None]
    starts: bytes = b""
    read: Reader | None = None
    patch: Callable[[SourceFile, Mapping[str, Array]], bytes] | None = None
    holds: Callable[[bytes], bool] | None = None
    holds_folder: Callable[[Path], bool] | None = None
    only_copies: bool = False
    anew: str = ".onnx"


@cache
def formats() -> Mapping[str, Format]:
    """The formats by name. A new one is a module that makes a `Format`, and its line here."""
    from goodnet.formats import keras, onnx, state_dict

    every = (*keras.FORMATS, onnx.FORMAT, *state_dict.FORMATS)
    return MappingProxyType({each.name: each for each in every})


def reader_of(path: Path) -> Reader:
    """What reads a file, told by its first bytes, or a folder, told by what is in it.

    Of a file of no format it is the reader of the first format, which says what is wrong.

    Raises:
        InvalidInput: If it is known to be something else.
        GoodnetError: As `safe_file.open_regular`.
    """
    head, readers = b"", [(x, x.read) for x in formats().values() if x.read is not None]
    if path.is_dir():
        told = [read for each, read in readers if each.holds_folder and each.holds_folder(path)]
    else:
        with open_regular(path, what="model file", limit=budgets.MODEL_BYTES) as file:
            head = file.read(foreign.HEAD)
        told = [read for each, read in readers if each.holds and each.holds(head)]
    if told:
        return told[0]
    other = foreign.named(path, head)
    if other is not None:
        raise InvalidInput(other)
    starting = (read for each, read in readers if each.starts and head.startswith(each.starts))
    return next(starting, readers[0][1])


def in_child(read: Reader) -> Reader:
    """A reader that parses its file in a child process, see `goodnet.quarantine`."""

    def reader(path: Path, architecture: Path | None) -> NetworkSpec:
        from goodnet.formats.spec import KINDS

        subject = f"the model file {str(path)!r}"
        return quarantined(read, path, architecture, subject=subject, kinds=KINDS)

    return reader


def file_suffix(spec: NetworkSpec, source: SourceFile) -> str:
    """The suffix of a repaired network that is written beside the file of another, or as a copy."""
    chosen = formats()[source.format]
    is_copy = not chosen.only_copies or spec.file is not None
    return chosen.suffix if is_copy else goodnet_suffix(spec, source)


def goodnet_suffix(spec: NetworkSpec, source: SourceFile) -> str:
    """The suffix of a network with other layers, or a GoodNet, that is written beside a file.

    Args:
        spec: Such a network, or one with the same kinds of layers.
        source: The file.
    """
    from goodnet.ops import OPS

    suffix, (_, *layers) = formats()[source.format].anew, spec.layers
    unsaid = suffix == ".onnx" and any(OPS[layer.op].to_onnx is None for layer in layers)
    return ".safetensors" if unsaid else suffix


def save_network(network: Network, path: Path, *, force: bool = False) -> None:
    """Write a network, see `Network.save`."""
    from goodnet.formats.build import extract

    save_spec(extract(network), path, force=force)


def save_spec(spec: NetworkSpec, path: Path, *, force: bool = False) -> None:
    """Write a network from its description: into a copy of its file where the suffix is the same.

    Raises:
        UsageError: If the suffix is of no format, or the file exists and `force` is not set.
        InvalidInput: If the format cannot say what the network does.
        FileError: If the file cannot be written.
    """
    suffix = path.suffix.lower()
    known = {each.suffix: each for each in formats().values()}
    if suffix not in known:
        raise UsageError(
            f"a model is written as {' or '.join(known)}, got the file name {path.name!r}"
        )
    chosen, source = known[suffix], spec.file
    own = formats()[source.format] if source else None
    if source and own and own.patch and own.suffix == suffix:
        stored = {key: array for key, array in spec.arrays.items() if key in source.origins}
        subject = f"the model file {str(source.path)!r}"
        with atomic_path(path, force=force) as place:
            place.write_bytes(quarantined(own.patch, source, stored, subject=subject))
    else:
        chosen.write(spec, path, force)
