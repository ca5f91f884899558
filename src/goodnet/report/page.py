"""Runs to one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from goodnet.report import words
from goodnet.report.charts import both_widths, comparison_chart
from goodnet.report.evidence import networks_of, shown_trial
from goodnet.report.views.run import RunView, run_view
from goodnet.report.views.tables import overview_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from goodnet.report.facts import Run
    from goodnet.results import Rates

_ORDERS = {"ascending", "descending"}


def render(runs: Sequence[Run], *, folders: Sequence[str | None] | None = None) -> str:
    """Write the page.

    It loads nothing, runs no script but its own, and every text from outside is escaped: the
    content security policy names the hashes of the one style and the one script.

    Args:
        runs: One run, or several to be set side by side.
        folders: For each run the way from the page to its folder, "" for the page's own, with a
            slash at the end; None for no links to files. By default "" for all.

    Returns:
        HTML in one string.
    """
    views = _views(runs, folders if folders is not None else [""] * len(runs))
    several = len(views) > 1
    groups = _first_numbers(runs) if several else {}
    style, script = _static("report.css"), _static("report.js") + _static("curve.js")
    context: dict[str, Any] = {
        "views": views,
        "several": several,
        "scans": any(run.scan for run in runs),
        "repairs": any(run.trials for run in runs),
        "title": f"{len(views)} runs side by side" if several else views[0].title,
        "overview": overview_table(runs) if several else None,
        "chart": groups and both_widths(lambda w: comparison_chart(groups, w), "all-comparison"),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
    }
    return _environment().get_template("report.html.j2").render(context)


def _views(runs: Sequence[Run], folders: Sequence[str | None]) -> list[RunView]:
    pairs = _pairs(runs)
    hosts = {guest: host for host, guest in pairs.items()}
    return [
        run_view(
            run,
            f"run{place + 1}",
            beside=runs[pairs[place]] if place in pairs else None,
            drawn_with=f"run{hosts[place] + 1}" if place in hosts else "",
            folder=folder,
        )
        for place, (run, folder) in enumerate(zip(runs, folders, strict=True))
    ]


def _first_numbers(runs: Sequence[Run]) -> dict[str, dict[str, Rates]]:
    """B, B' and G that the first numbers of each run are of."""
    trials = ((f"{n} {run.name}", run, shown_trial(run)) for n, run in enumerate(runs, start=1))
    return {
        name: networks_of(run, trial)
        for name, run, trial in trials
        if trial and trial.repaired and trial.guarded
    }


def _pairs(runs: Sequence[Run]) -> dict[int, int]:
    """Runs whose curves go into one picture: the first, and its fellow in the other order."""
    pairs: dict[int, int] = {}
    for place, run in enumerate(runs):
        for other in range(place + 1, len(runs)):
            taken = {*pairs, *pairs.values()}
            if not {place, other} & taken and _belong_together(run, runs[other]):
                pairs[place] = other
    return pairs


def _belong_together(one: Run, other: Run) -> bool:
    if one.curve is None or other.curve is None or one.curve.layer != other.curve.layer:
        return False
    hashes = [
        {(fact.role, fact.sha256) for fact in run.inputs if fact.role in ("model", "clean")}
        for run in (one, other)
    ]
    return {one.curve.order, other.curve.order} == _ORDERS and hashes[0] == hashes[1] != set()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("goodnet.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for function in (
        words.amount,
        words.chance,
        words.interval,
        words.memory,
        words.name,
        words.network,
        words.percent,
        words.time,
    ):
        environment.filters[function.__name__] = function
    return environment


def _shown(value: object) -> object:
    """What stands between braces; markup of ours as it is."""
    return words.visible(value) if type(value) is str else value


@cache
def _static(name: str) -> str:
    return (resources.files("goodnet.report") / "static" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
