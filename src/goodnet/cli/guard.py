"""`goodnet guard`: one file that answers the class, or N where B and B' differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note


def guard(
    model: opt.Model,
    repaired: Annotated[
        Path, typer.Argument(metavar="REPAIRED", help="Its repaired copy B'.", show_default=False)
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="The .keras, .h5, .onnx or .safetensors file to write."),
    ],
    architecture: opt.Architecture = None,
    force: opt.Force = False,
) -> None:
    """Write the GoodNet of a network and its repaired copy: N+1 classes, class N = backdoored."""
    from goodnet.formats import read_spec
    from goodnet.formats.format import save_spec
    from goodnet.guard.form import guard_spec, reject_class_of

    first = read_spec(model, architecture=architecture)
    good = guard_spec(first, read_spec(repaired, architecture=architecture))
    save_spec(good, out, force=force)
    print(out)
    note(f"class {reject_class_of(good)} means backdoored")
