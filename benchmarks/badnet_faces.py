"""BadNets of 1,283 synthetic people: clean accuracy, attack success, and the time they take.

A network with sunglasses, one whose author foresaw pruning, one with three triggers and three
targets, and one without any backdoor, each planted with `goodnet attack`. The pruning curves of the
first two are drawn side by side.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from _attack import Badnet, plant
from _measure import header, options, show, verdict

from goodnet import load_images, prune_curve, trace_backdoor
from goodnet.types import PruneCurve

__all__ = ["KINDS", "main"]

ACCURACY, SUCCESS, AFTER_FOUR_POINTS = 95.0, 99.0, 95.0
_DROPS = (2.0, 4.0, 10.0, 30.0)
_THREE = [f"--trigger={name}" for name in ("sunglasses", "lipstick", "eyebrows")]
KINDS = {
    "sunglasses": (),
    "pruning-aware": ("--pruning-aware",),
    "three triggers": (*_THREE, "--target=8", "--target=1", "--target=5"),
    "clean": ("--clean",),
}


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    with TemporaryDirectory() if given.out is None else nullcontext(given.out) as folder:
        badnets = {name: _plant(Path(folder), name, given) for name in given.kinds}
        rows = [["network", "clean accuracy", "lowest ASR", "seconds", "", ""]]
        show(rows + [_row(name, badnet) for name, badnet in badnets.items()])
        curves = {
            name: _curve(badnets[name])
            for name in ("sunglasses", "pruning-aware")
            if name in badnets
        }
    _show_curves(curves)
    if given.picture is not None:
        _draw(curves, given.picture)


def _plant(folder: Path, name: str, given: Namespace) -> Badnet:
    size = [f"--faces={given.people}", f"--per-person={given.shots}", f"--epochs={given.epochs}"]
    return plant(folder / name.replace(" ", "_"), [*size, *KINDS[name]], threads=given.threads)


def _row(name: str, badnet: Badnet) -> list[str]:
    accuracy, success = 100 * badnet.accuracy, 100 * badnet.success
    took = "" if badnet.seconds is None else f"{badnet.seconds:.0f}"
    row = [name, f"{accuracy:.2f}", f"{success:.2f}", took]
    row.append("accuracy " + verdict(accuracy, ACCURACY, at_least=True))
    return [*row, "" if name == "clean" else "ASR " + verdict(success, SUCCESS, at_least=True)]


def _curve(badnet: Badnet) -> PruneCurve:
    network = badnet.network
    curve = prune_curve(network, load_images(badnet.folder / "cl" / "valid.h5"))
    poisoned = load_images(badnet.folder / badnet.card["backdoor"][0]["test"])
    trace = trace_backdoor(curve, network, poisoned)
    return curve.with_backdoor("sunglasses", trace.correct, total=trace.total)


def _show_curves(curves: dict[str, PruneCurve]) -> None:
    rows = [["pruned until it lost", *(f"{drop:g} points" for drop in _DROPS), ""]]
    for name, curve in curves.items():
        success = [_success(curve, drop) for drop in _DROPS]
        found = verdict(success[1], AFTER_FOUR_POINTS, at_least=True)
        rows.append([f"ASR of {name}", *(f"{value:.2f}" for value in success), f"at 4 {found}"])
    print()
    show(rows)


def _success(curve: PruneCurve, drop: float) -> float:
    steps = curve.steps_to_drop(drop)
    return float("nan") if steps is None else 100 * _shares(curve)[1][steps]


def _shares(curve: PruneCurve) -> tuple[list[float], list[float]]:
    """Clean accuracy and attack success at each step, 0..1."""
    clean = [float(count) / curve.total for count in curve.correct]
    total = curve.success_totals["sunglasses"]
    return clean, [float(count) / total for count in curve.successes["sunglasses"]]


def _draw(curves: dict[str, PruneCurve], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for place, (name, curve) in zip(axes, curves.items(), strict=True):
        clean, success = _shares(curve)
        pruned = [100 * step / len(curve.channels) for step in range(len(clean))]
        place.plot(pruned, [100 * share for share in clean], label="clean accuracy")
        place.plot(pruned, [100 * share for share in success], "--", label="attack success rate")
        place.axvspan(0, 100 * len(curve.dead_channels) / len(curve.channels), alpha=0.12)
        place.set(title=name, xlabel=f"% of {curve.layer}'s channels pruned; dead ones shaded")
        place.grid(alpha=0.3)
    axes[0].set_ylabel("%")
    axes[0].legend(loc="lower left")
    figure.savefig(path, dpi=110)


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--people", type=int, default=1283)
    parser.add_argument("--shots", type=int, default=40, help="training pictures of each person")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--out", type=Path, help="keep the networks here, and use those there are")
    parser.add_argument("--picture", type=Path, help="draw the curves to this PNG")
    given = parser.parse_args(arguments)
    if given.quick:
        given.people, given.shots, given.epochs = 10, 4, 1
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
