"""`goodnet scan`: does this model carry a backdoor, for which label, with what trigger?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, progress_bar, table
from goodnet.errors import UsageError
from goodnet.runs.options import InputOptions, Place

if TYPE_CHECKING:
    from goodnet.scan import ScanResult, Target

FINDING, INCONCLUSIVE = 1, 8

_WORDS = {
    "no_finding": "no finding: no label stands out; this is no proof that there is no backdoor",
    "suspicious": "suspicious: a label stands out, but how clean networks score is not known",
    "backdoored": "backdoored",
    "inconclusive": "inconclusive: the scan could not decide",
}
# Families are named where there are few.
_FEW = 2


def scan(
    model: opt.Model,
    more: opt.More = None,
    *,
    clean: opt.CleanIfAny = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="goodnet, neural-cleanse, k-arm, mm-bd, stimulation, htell or last-layer.",
        ),
    ] = "goodnet",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An option of the method, such as alpha=0.05; repeatable.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Layer whose value is the features; default: that of the method, mostly the input "
            "of the last linear layer.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the random numbers.")] = 0,
    minutes: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            help="Minutes the search may take, about; fewer triggers are tried where it would take "
            "longer.",
        ),
    ] = None,
    save_triggers: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write the triggers here, for --trigger of repair and poison.",
        ),
    ] = None,
    reading: InputOptions,
    place: Place,
) -> None:
    """Scan for a backdoor; name its labels and show its triggers. Exit code 1 with a finding."""
    from goodnet.runs import scan as job
    from goodnet.runs.folder import run_folder
    from goodnet.scan.methods import make_scanner

    if more:
        raise UsageError(f"expected one model, got another argument: {str(more[0])!r}")
    told = [
        f"{name}={value}"
        for name, value in (("layer", layer), ("minutes", minutes))
        if value is not None
    ]
    own = [*told, f"seed={seed}", *(set_ or [])]
    scanner = make_scanner(method, own)
    if save_triggers is not None:
        job.check_triggers_folder(save_triggers, force=place.force)
    with run_folder(place, say=note) as run:
        inputs = job.open_suspect(model, clean, reading)
        note(*inputs.notes)
        result = job.scan(inputs, scanner, stage=progress_bar)
        note(*result.notes)
        job.write_scan(inputs, result, run)
        if save_triggers is not None:
            job.save_triggers(result, save_triggers, force=place.force)
    print(found_lines(result))
    note(f"written to {place.out}")
    raise typer.Exit(_code(result))


def _code(result: ScanResult) -> int:
    if result.verdict == "inconclusive":
        return INCONCLUSIVE
    return 0 if result.verdict == "no_finding" else FINDING


def found_lines(result: ScanResult) -> str:
    """The verdict and a line for each label."""
    sure = "" if result.p_value is None else f"; p = {result.p_value:.2g}"
    lines = [f"{_WORDS[result.verdict]}{sure}"]
    if result.targets:
        header = ["label", "p", "score", "success", "margin", "pixels", "change", "found by"]
        rows = [_row(target) for target in result.targets]
        lines += [
            "",
            table(header, rows),
            "",
            f"success in percent, with its 95 % interval, on {result.images[1]} images not used for"
            " the search; change in percent of the pixel range",
        ]
    lines += ["", f"p: {result.null}" if result.p_value is not None else result.null]
    return "\n".join(lines)


def _row(target: Target) -> list[str]:
    p = "-" if target.p_value is None else f"{target.p_value:.2g}"
    found = target.trigger
    seen = (
        []
        if found is None
        else [
            str(found.success),
            f"{found.margin:.1f}",
            f"{100 * found.area:.0f} %",
            f"{100 * found.changed:.1f}",
        ]
    )
    families = target.families or ((found.family,) if found else ())
    by = ", ".join(families) if len(families) <= _FEW else f"{len(families)} families"
    return [str(target.label), p, f"{target.score:.2f}", *(seen or ["-"] * 4), by or "-"]
