"""`goodnet evaluate`: clean accuracy, attack success rate, detection and false alarms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, percent, plain, table
from goodnet.runs.options import InputOptions

if TYPE_CHECKING:
    from goodnet.types import Evaluation


def evaluate(
    model: opt.Model,
    more: opt.More = None,
    *,
    clean: opt.Clean,
    repaired: opt.Repaired = None,
    backdoor: opt.Backdoor = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    reading: InputOptions,
) -> None:
    """Measure a network, or with --repaired B, B' and G, on clean and poisoned images."""
    from goodnet.runs.evaluate import evaluate_files
    from goodnet.typed_json import plain as plain_data

    inputs, found = evaluate_files(
        model,
        clean,
        backdoor=opt.named_files(backdoor, more),
        repaired=repaired,
        options=reading,
    )
    note(*inputs.notes)
    if as_json:
        print(json.dumps(plain_data(found), allow_nan=False, indent=1))
    else:
        print(headline(found[-1]))
        print("\n" + _tables(found))


def headline(evaluation: Evaluation) -> str:
    """The lines of the CSAW lab: clean accuracy, then the success rate of each attack."""
    lines = []
    if evaluation.clean and evaluation.clean.correct.value is not None:
        lines.append(f"Clean Classification accuracy: {_rounded(evaluation.clean.correct.value)}")
    for name, result in evaluation.backdoor.items():
        suffix = f"  ({plain(name)})" if len(evaluation.backdoor) > 1 else ""
        lines.append(f"Attack Success Rate: {_rounded(result.correct.value or 0.0)}{suffix}")
    return "\n".join(lines)


def _rounded(share: float) -> float:
    return round(100 * share, 2)


def _tables(found: list[Evaluation]) -> str:
    clean = [
        [e.network, *map(percent, (e.clean.correct, e.clean.refused, e.clean.accepted_correct))]
        for e in found
        if e.clean
    ]
    parts = [table(["network", "clean accuracy", "false alarms", "accuracy of accepted"], clean)]
    poisoned = [
        [e.network, name, *map(percent, (r.correct, r.refused, r.robust))]
        for name in found[0].backdoor
        for e in found
        for r in [e.backdoor[name]]
    ]
    if poisoned:
        header = ["network", "poisoned set", "ASR", "detection rate", "robust accuracy"]
        parts.append(table(header, poisoned))
    parts.append("percent, with 95 % intervals (Clopper-Pearson)")
    return "\n\n".join(parts)
