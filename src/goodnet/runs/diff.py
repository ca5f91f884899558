"""Whether two model files are the same function."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.difference import diff
from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import read_spec
from goodnet.formats.build import build
from goodnet.runs.inputs import open_inputs
from goodnet.runs.opening import check_clean_for, to_device
from goodnet.runs.options import InputOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.formats.spec import NetworkSpec
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.results import DiffResults


def diff_files(
    first: Path, second: Path, clean: Path | None, *, options: InputOptions
) -> DiffResults:
    """Compare two model files.

    Args:
        first: The one, whose pixels are determined.
        second: The other, which is given the same.
        clean: Clean labelled images; None to make some from a seed.
        options: How to read the files; `architecture` is for those of them that hold weights only.

    Raises:
        UsageError: If it is the same file twice.
        GoodnetError: If a file is refused, or takes other images or has other classes.
    """
    check_two(first, second, "compare a file with another one")
    other = read_spec(second, architecture=as_needed(second, options).architecture)
    opened = open_first(first, clean, as_needed(first, options), size=_size(other))
    network, images, notes = opened
    if None in other.input_shape[1:]:
        other = other.sized(network.input_shape[1:])
    other = replace(other, preprocessing=network.preprocessing)
    found = diff(network, to_device(build(other), options.device), images)
    return replace(found, notes=(*notes, *found.notes))


def open_first(
    model: Path, clean: Path | None, options: InputOptions, *, size: Sequence[int | None] = ()
) -> tuple[Network, ImageSet | None, tuple[str, ...]]:
    """Open a network to compare another with, the images if some are given, and what to say.

    Args:
        model: The file.
        clean: Clean labelled images.
        options: How to read the files.
        size: Of the images that are made for a network that takes any, where nothing else tells.

    Raises:
        GoodnetError: If a file is refused, or does not fit.
        UsageError: If a preprocessing is asked for without images.
    """
    if clean is not None:
        inputs = open_inputs(model, clean, options)
        return inputs.network, inputs.clean, inputs.notes
    check_clean_for(options)
    spec = read_spec(model, architecture=options.architecture).usually_sized
    network = build(spec.sized(size) if size and None in spec.input_shape[1:] else spec)
    return to_device(network, options.device), None, ()


def check_two(first: Path, second: Path, wanted: str) -> None:
    """See that two paths are not of the same file.

    Raises:
        UsageError: If they are.
    """
    if first.exists() and second.exists() and first.samefile(second):
        raise UsageError(f"the same file is given twice, {wanted}: {str(second)!r}")


def _size(spec: NetworkSpec) -> Sequence[int | None]:
    """Of the images that a network takes."""
    return spec.usually_sized.input_shape[1:]


def as_needed(path: Path, options: InputOptions) -> InputOptions:
    """The options, without an architecture that is told where this file is read without."""
    if options.architecture is None:
        return options
    try:
        read_spec(path)
    except InvalidInput:
        return options
    return replace(options, architecture=None)
