"""`goodnet prune`: the pruning curve, the repaired networks B', and a GoodNet for each."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, percent, progress_bar, table
from goodnet.errors import UsageError
from goodnet.runs.options import InputFiles, InputOptions, Place

if TYPE_CHECKING:
    from goodnet.repair.prune import Order
    from goodnet.results import PruneResults

_MOST_CHANNELS = 2**31


def prune(
    model: opt.Model,
    more: opt.More = None,
    *,
    clean: opt.Clean,
    test: opt.Test = None,
    backdoor: opt.Backdoor = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X",
            help="Allowed drop of clean accuracy in percentage points, repeatable; default: "
            "2, 4, 10, 30.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Layer to prune; default: the last pooling layer."),
    ] = None,
    order: Annotated[
        str, typer.Option(metavar="ascending|descending", help="Order by mean activation.")
    ] = "ascending",
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="C,C,...|FILE", help="An explicit order instead; channels count from 0."
        ),
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Also write networks without the channels.")
    ] = False,
    reading: InputOptions,
    place: Place,
) -> None:
    """Prune the channels least active on clean images; write B' and G for each allowed drop."""
    from goodnet.runs import prune as job
    from goodnet.runs.folder import run_folder
    from goodnet.runs.inputs import open_files

    what = "a drop in percentage points"
    drops = job.check_drops(opt.numbers(drop, what=what) if drop else job.DEFAULT_DROPS)
    chosen = job.PruneOptions(
        layer=layer, order=_order(order), channels=_channels(channels), drops=drops
    )
    files = InputFiles(model, clean, test, opt.named_files(backdoor, more))
    with run_folder(place, say=note) as run:
        inputs = open_files(files, reading)
        note(*inputs.notes)
        work = 2 * len(inputs.clean) + sum(map(len, inputs.backdoor.values()))
        with progress_bar(work, "pruning") as advance:
            pruned = job.prune(inputs, chosen, progress=advance)
        found = job.write_prune(inputs, pruned, run, small=compact, stage=progress_bar)
    print(_summary(found))
    note(f"written to {place.out}")


def _order(text: str) -> Order:
    known: dict[str, Order] = {"ascending": "ascending", "descending": "descending"}
    if text not in known:
        raise UsageError(
            f"expected --order ascending or descending, got {text!r}; the order of class folders "
            "is --class-order"
        )
    return known[text]


def _channels(text: str | None) -> list[int] | None:
    from goodnet.formats.budgets import MIB
    from goodnet.formats.safe_file import open_regular

    if text is None:
        return None
    given = text
    try:
        if _is_file(text):
            with open_regular(text, what="file of channels", limit=MIB) as file:
                given = file.read().decode("utf-8-sig")
        listed = given.lstrip().startswith("[")
        parts = json.loads(given) if listed else given.replace(",", " ").split()
        return [_channel(part) for part in parts]
    except (ValueError, RecursionError) as error:
        raise UsageError(
            "expected --channels as numbers with commas between, or a file of them, "
            f"got {given[:60]!r}"
        ) from error


def _channel(part: object) -> int:
    """A channel from a list in JSON or from a word; whether the layer has it is seen later."""
    number = int(part) if type(part) is int or isinstance(part, str) else -1
    if not 0 <= number < _MOST_CHANNELS:
        raise ValueError(part)
    return number


def _is_file(text: str) -> bool:
    """Whether it is the path of a file; numbers may be too long for one."""
    with suppress(OSError, ValueError):
        return Path(text).is_file()
    return False


def _summary(found: PruneResults) -> str:
    validation = found.baseline.validation
    first = (
        f"layer {found.layer}: {len(found.mean_activation)} channels, "
        f"{len(found.dead_channels)} of them dead (never active on "
        f"{validation.total if validation else 0} clean images); validation accuracy {validation}"
    )
    parts = [first, _clean_table(found)]
    if found.baseline.backdoor:
        parts.append(_poisoned_table(found))
    parts.append("percent, with 95 % intervals (Clopper-Pearson)")
    return "\n\n".join(parts)


def _clean_table(found: PruneResults) -> str:
    from goodnet.results import GuardedRates, Rates

    rows = [["none", "0", "", percent(found.baseline.test), "", ""]]
    for drop in found.drops:
        channels = "not reached" if drop.channels_pruned is None else str(drop.channels_pruned)
        after, good = drop.repaired or Rates(), drop.goodnet or GuardedRates()
        shares = (drop.validation, after.test, good.test, good.false_alarms)
        rows.append([f"{drop.drop:g}", channels, *map(percent, shares)])
    header = ["X", "channels", "B' validation", "B' test", "G test", "G false alarms"]
    return table(header, rows)


def _poisoned_table(found: PruneResults) -> str:
    rows = []
    for name, success in found.baseline.backdoor.items():
        rows.append(["none", name, percent(success), "", ""])
        for drop in found.drops:
            if drop.repaired and drop.goodnet:
                after, good = drop.repaired.backdoor, drop.goodnet
                shares = (after[name], good.backdoor[name], good.detected[name])
                rows.append([f"{drop.drop:g}", name, *map(percent, shares)])
    return table(["X", "poisoned set", "B' ASR", "G ASR", "G detection rate"], rows)
