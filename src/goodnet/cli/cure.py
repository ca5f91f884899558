"""`goodnet cure`: from a suspect file to a cured and guarded one, without a trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import typer

from goodnet.cli import options as opt
from goodnet.cli.method_options import expanded
from goodnet.cli.repair import carried_out, measured
from goodnet.cli.scan import FINDING, INCONCLUSIVE, found_lines
from goodnet.cli.text import note, percent, table
from goodnet.cli.typed import alone
from goodnet.errors import NoNumbers, UsageError
from goodnet.runs.options import InputFiles, InputOptions, Place

if TYPE_CHECKING:
    from goodnet.repair.cured import CureResult
    from goodnet.results import RepairResults


def cure(
    model: opt.Model,
    more: opt.More = None,
    *,
    clean: opt.CleanIfAny = None,
    test: opt.Test = None,
    backdoor: opt.Backdoor = None,
    options: dict[str, Any],
    reading: InputOptions,
    place: Place,
) -> None:
    """Scan a network and remove the backdoors found; write B' and G. No trigger is needed.

    Exit code 0 if nothing is left, 1 if a backdoor is left, 8 if that is inconclusive, as always
    where one is found without clean images.
    """
    from goodnet.repair import Cure
    from goodnet.runs.repair import plan_repair

    if options["form"] == "same" and clean is None:
        raise UsageError("--form same needs --clean")
    files = InputFiles(model, clean, test, opt.named_files(backdoor, more))
    try:
        done, results = carried_out(plan_repair(Cure, options), files, reading, place)
    except NoNumbers as error:
        note(f"inconclusive: {error}")
        raise typer.Exit(INCONCLUSIVE) from error
    found = cast("CureResult", done)
    print(_summary(found, results))
    note(f"written to {place.out}")
    raise typer.Exit(_code(found, sure=clean is not None))


def make_cure() -> Any:
    """The command with its options."""
    from goodnet.repair import Cure

    return alone(expanded(cure, Cure))


def _code(found: CureResult, *, sure: bool) -> int:
    if found.scan.verdict == "inconclusive" or not found.searched:
        return INCONCLUSIVE
    if found.scan.targets and not sure:
        return INCONCLUSIVE
    return 0 if found.removed else FINDING


def _summary(found: CureResult, results: RepairResults) -> str:
    parts = [found_lines(found.scan)]
    if found.scan.targets:
        parts.append(_left(found))
        parts.append(
            f"B' {_done(found)}; accuracy on {found.before.total} clean images "
            f"{percent(found.before)} before, {percent(found.after)} after"
        )
        parts += ["\n".join(lines)] if (lines := _alarms(found)) else []
    parts += measured(results, found)
    return "\n\n".join(parts)


def _done(found: CureResult) -> str:
    weights = found.details.get("weights")
    if weights and weights["method"] == "unlearn":
        return "unlearned what was found"
    if weights:
        layer = weights["layer"]
        return f"lost what triggers add to {layer}" if layer else "is B: nothing did better"
    layers = sorted({unit.layer for one in found.watches for unit in one.units})
    return f"watches {', '.join(layers) or 'no layer'}"


def _alarms(found: CureResult) -> list[str]:
    """What is known of images of the classes that are watched."""
    alike: dict[tuple[float, int], list[int]] = {}
    for one in sorted(found.watches, key=lambda one: one.label):
        if one.units and one.alarms is not None:
            alike.setdefault((one.alarms, one.own), []).append(one.label)
    return [
        f"{'class' if len(labels) == 1 else 'classes'} {', '.join(map(str, labels))}: G refuses at "
        f"most {100 * share:.2g} % of the clean images of "
        f"{'this class' if len(labels) == 1 else 'each'}, according to {own} of them"
        for (share, own), labels in sorted(alike.items(), key=lambda item: item[1])
    ]


def _left(found: CureResult) -> str:
    """What the triggers that were found and those that can still be found do to B'."""
    header = ["label", "found trigger, B", "found trigger, B'", "searched on B'", "innocent labels"]
    rows = [
        [str(one.label), *map(percent, (one.before, one.after, one.again, one.innocent))]
        for one in found.left
    ]
    return table(header, rows)
