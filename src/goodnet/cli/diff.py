"""`goodnet diff`: are two model files the same function?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli.text import note, plain, table
from goodnet.runs.options import InputOptions

if TYPE_CHECKING:
    from goodnet.results import DiffResults, LayerDifference, LayerRecord

_DIFFERENT = 1


def diff(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="A model file of any format.", show_default=False)
    ],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.", show_default=False)],
    *,
    clean: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGES",
            help="Clean labelled images to compare the answers on; default: made from a seed.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    reading: InputOptions,
) -> None:
    """Tell whether two models are the same function, and where they differ.

    Exit code 0 if they are the same, 1 if they are not, or not shown to be.
    """
    from goodnet.runs.diff import diff_files
    from goodnet.typed_json import plain as plain_data

    found = diff_files(first, second, clean, options=reading)
    note(*found.notes)
    print(json.dumps(plain_data(found), allow_nan=False, indent=1) if as_json else _text(found))
    raise typer.Exit(0 if found.same else _DIFFERENT)


def _text(found: DiffResults) -> str:
    parts = [found.sentence, plain(f"{found.layers} layers are in both; {found.outputs}")]
    if found.changed:
        header = ["layer", "in B", "op", "numbers", "changed", "channels", "largest", "mean"]
        parts.append(table([*header, "relative"], [_row(x) for x in found.changed]))
    for which, layers in (("A", found.only_first), ("B", found.only_second)):
        if layers:
            parts.append(
                f"only in {which}:\n\n"
                + table(["layer", "op", "shape", "numbers"], [_layer(x) for x in layers])
            )
    if found.structure:
        parts.append("\n".join(["built differently:", *(f"  {plain(x)}" for x in found.structure)]))
    return "\n\n".join(parts)


def _row(layer: LayerDifference) -> list[str]:
    channels = f"{layer.changed_channels} of {layer.channels}" if layer.channels else "-"
    relative = "-" if layer.relative is None else f"{layer.relative:.2g}"
    numbers = (f"{layer.numbers:,}", f"{layer.changed:,}", channels)
    apart = (f"{layer.largest:.3g}", f"{layer.mean:.3g}", relative)
    second = "" if layer.second == layer.first else layer.second
    return [layer.first, second, layer.op, *numbers, *apart]


def _layer(layer: LayerRecord) -> list[str]:
    shape = " x ".join("any" if size is None else str(size) for size in layer.shape)
    return [layer.name, layer.op, shape, f"{layer.parameters:,}"]
