"""`goodnet prune`: the pruning curve, the repaired networks B', and a GoodNet for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.report import add_report
from goodnet.cli.text import note, percent, progress_bar, table
from goodnet.cli.typed import typed
from goodnet.errors import UsageError

if TYPE_CHECKING:
    from goodnet.jobs.prune.run import PruneResult
    from goodnet.repair.prune import Order
    from goodnet.types import Evaluation

__all__ = ["prune"]


def prune(
    context: typer.Context,
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
    report: opt.Report = True,
    force: opt.Force = False,
) -> None:
    """Prune the channels clean images hardly use; write B' and G for each allowed drop."""
    from goodnet import files
    from goodnet.jobs.inputs import InputOptions
    from goodnet.jobs.prune.folder import write_run
    from goodnet.jobs.prune.run import DEFAULT_DROPS, PruneJob, PruneOptions, check_drops, open_job
    from goodnet.jobs.prune.run import prune as run
    from goodnet.jobs.run_record import Began

    began = Began(typed(context))
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
        write_run(opened, result, folder, began=began, small=compact)
        if report:
            add_report(folder, out)
    print(_summary(result))
    note(f"written to {out}")


def _order(text: str) -> Order:
    known: dict[str, Order] = {"ascending": "ascending", "descending": "descending"}
    if text not in known:
        raise UsageError(f"expected --order ascending or descending, got {text!r}")
    return known[text]


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
    from goodnet.stats import proportion

    curve = result.curve
    first = (
        f"layer {curve.layer}: {len(curve.mean_activation)} channels, "
        f"{len(curve.dead_channels)} of them dead (never active on {curve.total} clean images); "
        f"validation accuracy {proportion(int(curve.correct[0]), curve.total)}"
    )
    parts = [first, _clean_table(result)]
    if result.baseline.backdoor:
        parts.append(_poisoned_table(result))
    parts.append("percent, with 95 % intervals (Clopper-Pearson)")
    return "\n\n".join(parts)


def _clean_table(result: PruneResult) -> str:
    def clean(evaluation: Evaluation | None, share: str = "correct") -> str:
        known = evaluation.clean if evaluation else None
        return percent(getattr(known, share)) if known else "-"

    rows = [["none", "0", "", clean(result.baseline), "", ""]]
    for drop in result.drops:
        channels = "not reached" if drop.steps is None else str(drop.steps)
        row = [f"{drop.drop:g}", channels, percent(drop.validation), clean(drop.repaired)]
        rows.append([*row, clean(drop.goodnet), clean(drop.goodnet, "refused")])
    header = ["X", "channels", "B' validation", "B' test", "G test", "G false alarms"]
    return table(header, rows)


def _poisoned_table(result: PruneResult) -> str:
    rows = []
    for name, attack in result.baseline.backdoor.items():
        rows.append(["none", name, percent(attack.correct), "", ""])
        for drop in result.drops:
            if drop.repaired and drop.goodnet:
                repaired, good = drop.repaired.backdoor[name], drop.goodnet.backdoor[name]
                shares = (repaired.correct, good.correct, good.refused)
                rows.append([f"{drop.drop:g}", name, *map(percent, shares)])
    return table(["X", "poisoned set", "B' ASR", "G ASR", "G detection rate"], rows)
