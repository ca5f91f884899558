"""`goodnet inspect`: what is in a model file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import plain, table
from goodnet.errors import GoodnetError, UsageError

if TYPE_CHECKING:
    from goodnet.runs.inspect import Inspection, LayerRow

_STDOUT = "-"


def inspect(
    model: opt.Model,
    *,
    architecture: opt.Architecture = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    sarif: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|-",
            help="Also write what is odd, or why the file is refused, as SARIF 2.1.0 for code "
            "scanning; - prints only that.",
        ),
    ] = None,
    force: opt.Force = False,
) -> None:
    """Show what is in a model file, without executing any of it."""
    from goodnet.runs.inspect import inspect_file

    alone = str(sarif) == _STDOUT
    if alone and as_json:
        raise UsageError("--sarif - and --json both print to the standard output, give a file")
    if sarif is None:
        found = inspect_file(model, architecture=architecture)
    else:
        found = _with_sarif(model, architecture, None if alone else sarif, force=force)
    if not alone:
        print(json.dumps(found.to_dict(), indent=1, allow_nan=False) if as_json else _text(found))


def _with_sarif(
    model: Path, architecture: Path | None, out: Path | None, *, force: bool
) -> Inspection:
    """Write the findings, also those of a file that is then refused; None for stdout."""
    from goodnet.files import atomic_path, write_json
    from goodnet.runs.sarif import inspect_for_sarif

    if out is None:
        log, found = inspect_for_sarif(model, architecture=architecture)
        print(json.dumps(log, indent=2, allow_nan=False))
    else:
        with atomic_path(out, force=force) as place:
            log, found = inspect_for_sarif(model, architecture=architecture)
            write_json(place, log)
    if isinstance(found, GoodnetError):
        raise found
    return found


def _text(found: Inspection) -> str:
    classes = str(found.classes)
    if found.goodnet and found.classes is not None:
        classes = f"{found.classes - 1} and class {found.classes - 1} = backdoored (a GoodNet)"
    facts = {
        "file": found.path,
        "format": f"{found.format} {found.version}".rstrip(),
        "sha256": found.sha256,
        "model": found.name,
        "classes": classes,
        "parameters": f"{found.parameters:,}",
        "prunes by default": found.default_layer or "no layer",
    }
    head = "\n".join(f"{name + ':':<19}{plain(value)}" for name, value in facts.items())
    header = ["layer", "op", "shape", "parameters", "prunable", "silent channels"]
    parts = [head, table(header, [_row(layer) for layer in found.layers])]
    parts += [_list("notes", found.notes), _list("red flags", found.red_flags or ("none",))]
    return "\n\n".join(part for part in parts if part)


def _row(layer: LayerRow) -> list[str]:
    shape = " x ".join("any" if size is None else str(size) for size in layer.shape)
    silent = "-" if layer.silent_channels is None else str(len(layer.silent_channels))
    prunable = "yes" if layer.prunable else ""
    return [layer.name, layer.op, shape, f"{layer.parameters:,}", prunable, silent]


def _list(title: str, lines: tuple[str, ...]) -> str:
    return "\n".join([f"{title}:", *(f"  {plain(line)}" for line in lines)]) if lines else ""
