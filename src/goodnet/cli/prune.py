"""`goodnet prune`: the pruning curve, the repaired networks B', and a GoodNet for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, percent, progress_bar, table
from goodnet.errors import UsageError

if TYPE_CHECKING:
    from goodnet.jobs.prune import PruneResult

__all__ = ["prune"]


def prune(
    model: opt.Model,
    more: opt.More = None,
    *,
    clean: opt.Clean,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run folder to make.")],
    test: Annotated[
        Path | None, typer.Option(metavar="IMAGES", help="Clean labelled test images.")
    ] = None,
    backdoor: opt.Backdoor = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X", help="Allowed drop in percentage points, repeatable; default 2, 4, 10, 30."
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Layer to prune; default: last pooling.")
    ] = None,
    order: Annotated[
        str, typer.Option(metavar="ascending|descending", help="By mean activation.")
    ] = "ascending",
    channels: Annotated[
        str | None,
        typer.Option(metavar="C,C,...|FILE", help="An explicit order instead, channels from 0."),
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Also write networks with the channels removed.")
    ] = False,
    scale: opt.Scale = None,
    layout: opt.Layout = None,
    range: opt.Range = None,  # noqa: A002
    architecture: opt.Architecture = None,
    device: opt.Device = "cpu",
    force: opt.Force = False,
) -> None:
    """Prune the channels clean images hardly use; write B' and G for each allowed drop."""
    from goodnet import files
    from goodnet.jobs.inputs import InputOptions
    from goodnet.jobs.prune import DEFAULT_DROPS, PruneJob, PruneOptions, check_drops, open_job
    from goodnet.jobs.prune import prune as run
    from goodnet.jobs.run_folder import write_run

    what = "a drop in percentage points"
    drops = check_drops(opt.numbers(drop, what=what) if drop else DEFAULT_DROPS)
    chosen = PruneOptions(
        layer=layer, order=_order(order), channels=_channels(channels), drops=drops
    )
    job = PruneJob(model, clean, test, opt.named_files(backdoor, more))
    with files.run_folder(out, force=force) as folder:
        opened = open_job(job, InputOptions(architecture, scale, layout, range, device))
        note(*opened.inputs.notes)
        with progress_bar(opened.work, "pruning") as advance:
            result = run(opened, chosen, progress=advance)
        write_run(opened, result, folder, small=compact)
    print(_summary(result))
    note(f"written to {out}")


def _order(text: str) -> str:
    if text not in ("ascending", "descending"):
        raise UsageError(f"expected --order ascending or descending, got {text!r}")
    return text


def _channels(text: str | None) -> list[int] | None:
    if text is None:
        return None
    path = Path(text)
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    try:
        parts = (
            json.loads(text) if text.lstrip().startswith("[") else text.replace(",", " ").split()
        )
        return [int(part) for part in parts]
    except ValueError as error:
        raise UsageError(
            "expected --channels as numbers with commas between, or a file of them, "
            f"got {text[:60]!r}"
        ) from error


def _summary(result: PruneResult) -> str:
    names = list(result.curve.hits)
    header = ["X", "channels", "B' test", "G test", "G false alarms"]
    for name in names:
        header += [f"B' ASR {name}", f"G ASR {name}", f"G detects {name}"]
    base = result.baseline
    rows = [
        ["none", "0", percent(base.clean.correct if base.clean else None), "-", "-"]
        + [cell for name in names for cell in (percent(base.backdoor[name].correct), "-", "-")]
    ]
    for drop in result.drops:
        if drop.repaired is None or drop.goodnet is None:
            rows.append([f"{drop.drop:g}", "not reached", *["-"] * (3 + 3 * len(names))])
            continue
        repaired, good = drop.repaired, drop.goodnet
        row = [f"{drop.drop:g}", str(drop.steps)]
        row += [percent(e.clean.correct if e.clean else None) for e in (repaired, good)]
        row += [percent(good.clean.refused if good.clean else None)]
        for name in names:
            row += [
                percent(repaired.backdoor[name].correct),
                percent(good.backdoor[name].correct),
                percent(good.backdoor[name].refused),
            ]
        rows.append(row)
    curve = result.curve
    dead = len(curve.dead_channels)
    first = (
        f"layer {curve.layer}: {len(curve.mean_activation)} channels, {dead} of them dead "
        f"(never active on {curve.total} clean images); validation accuracy "
        f"{100 * curve.correct[0] / curve.total:.2f}"
    )
    return f"{first}\n\n{table(header, rows)}"
