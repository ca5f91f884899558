"""A network in another format, known to answer as it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.difference import compare_outputs, fed_alike
from goodnet.errors import InvalidInput
from goodnet.files import atomic_path
from goodnet.formats import read_spec
from goodnet.formats.build import build
from goodnet.formats.format import save_spec
from goodnet.runs.diff import as_needed, check_two, open_first
from goodnet.runs.options import InputOptions

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.results import OutputDifference


def convert_file(
    model: Path, out: Path, clean: Path | None, *, options: InputOptions, force: bool = False
) -> tuple[OutputDifference, tuple[str, ...]]:
    """Write a network in another format, open what was written and compare what both answer.

    Args:
        model: The file to read.
        out: The file to write, in the format that its suffix says.
        clean: Clean labelled images to compare on; None to make some from a seed.
        options: How to read the files.
        force: Replace a file that is there.

    Returns:
        The difference, and what was detected, a sentence each.

    Raises:
        UsageError: If the suffix is of no format that is written, the file is there, or it is the
            one that is read.
        InvalidInput: If the format cannot say what the network does, or what was written answers
            differently; nothing is left behind.
        GoodnetError: If a file is refused, or cannot be written.
    """
    check_two(model, out, "convert writes another file than it reads")
    with atomic_path(out, force=force) as place:
        network, images, notes = open_first(model, clean, options)
        spec = read_spec(model, architecture=options.architecture)
        save_spec(spec, place, force=True)
        written = read_spec(place, architecture=as_needed(place, options).architecture)
        found = _compared(network, written, images)
        if not found.alike:
            raise InvalidInput(
                f"what was written as {out.name!r} does not answer like the network and was "
                f"removed: {found}"
            )
    return found, notes


def _compared(network: Network, written: NetworkSpec, images: ImageSet | None) -> OutputDifference:
    sized = written.sized(network.input_shape[1:]) if None in written.input_shape else written
    other = build(replace(sized, preprocessing=network.preprocessing)).to(network.device)
    first, second = (network, other) if images is not None else fed_alike(network, other)
    return compare_outputs(first, second, images)
