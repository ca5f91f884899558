"""The whole 60-step pruning curve on the lab's size, against two peers.

One is the loop of the lab as one writes it in Keras, which predicts everything at every step, on
an install of TensorFlow of its own. The other is one plain pass of GoodNet over the same images.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from _deepid import CONVOLUTION, POOL
from _faces import write_faces
from _lab import find_lab
from _measure import header, in_turn, options, ratios, seconds, show, spread, verdict
from _peer import KerasLoop, Steps

from goodnet import Network, load_images, prune_curve, trace_backdoor
from goodnet.evaluation import predict_set
from goodnet.imagesets import ImageSet
from goodnet.types import PruneCurve

__all__ = ["main"]

AGAINST_KERAS, AGAINST_PLAIN = 50.0, 3.0
# Of the images: two ways of computing in float32 may part where two classes are nearly equal.
_TOLERANCE = 0.001


@dataclass(frozen=True)
class Case:
    """A suspect network and what to prune it on."""

    model: Path
    network: Network
    clean: ImageSet
    poisoned: ImageSet

    def curve(self) -> PruneCurve:
        """Clean accuracy and attack success at every step."""
        found = prune_curve(self.network, self.clean, layer=POOL)
        trace = trace_backdoor(found, self.network, self.poisoned)
        return found.with_backdoor("poisoned", trace.correct, total=trace.total)

    def plain_pass(self) -> list[int]:
        """Images of each set that the untouched network answers as labelled."""
        return [
            int((predict_set(self.network, images) == images.labels).sum())
            for images in (self.clean, self.poisoned)
        ]


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    torch.set_num_threads(given.threads)
    with TemporaryDirectory() as folder:
        case = _prepare(Path(folder), given)
        header(given.threads)
        print(
            f"{case.model.name}: {case.network.channels(POOL)} channels of {POOL} on "
            f"{len(case.clean):,} clean and {len(case.poisoned):,} poisoned images"
        )
        layer = ["--layer", CONVOLUTION, "--batch", str(given.peer_batch)]
        files = (case.model, case.clean.path, case.poisoned.path)
        with (
            nullcontext()
            if given.no_peer
            else KerasLoop(*files, *layer, "--threads", str(given.threads))
        ) as peer:
            _compare(case, peer, given)


def _compare(case: Case, peer: KerasLoop | None, given: Namespace) -> None:
    curve, plain = case.curve(), case.plain_pass()  # off the clock: everything is warm after it
    if plain != [curve.correct[0], curve.successes["poisoned"][0]]:
        raise SystemExit(f"the curve starts elsewhere than the plain pass: {plain}")
    count = len(curve.channels)
    steps = sorted({round(s) for s in np.linspace(1, count, min(given.peer_steps, count))})
    measured: list[Steps] = []

    def keras() -> float:
        assert peer is not None
        measured.append(peer.run(curve.silenced(count), steps))
        return mean(measured[-1].seconds) * count

    jobs = {"curve": lambda: seconds(case.curve), "plain": lambda: seconds(case.plain_pass)}
    times = in_turn(jobs | ({"keras": keras} if peer else {}), given.repeats, progress=True)
    _report(times, count)
    if peer:
        print(
            f"\nKeras loop: {peer.versions}, batches of {given.peer_batch}, "
            f"{len(steps)} of {count} steps timed and scaled to {count}"
        )
        _check_answers(curve, steps, measured[-1])


def _report(times: dict[str, list[float]], count: int) -> None:
    curve, plain = times["curve"], times["plain"]
    rows = [
        [f"medians of {len(curve)}", "seconds", "ratio", "", "target"],
        [f"GoodNet, all {count} steps", spread(curve), "", "", ""],
    ]
    against = ratios(curve, plain)
    found = verdict(median(against), AGAINST_PLAIN)
    rows.append(["GoodNet, one plain pass", spread(plain), "curve / pass", spread(against), found])
    if "keras" in times:
        against = ratios(times["keras"], curve)
        found = verdict(median(against), AGAINST_KERAS, at_least=True)
        cells = [spread(times["keras"]), "Keras / curve", spread(against), found]
        rows.append([f"Keras loop, all {count} steps", *cells])
    show(rows)


def _check_answers(curve: PruneCurve, steps: list[int], peer: Steps) -> None:
    worst = {
        "clean": np.abs(curve.correct[steps] - peer.clean).max(),
        "poisoned": np.abs(curve.successes["poisoned"][steps] - peer.poisoned).max(),
    }
    print(
        f"answers at the steps {', '.join(map(str, steps))}: GoodNet and Keras differ by at most "
        + " and ".join(f"{count} of {curve.total:,} {name} images" for name, count in worst.items())
    )
    if max(worst.values()) > _TOLERANCE * curve.total:
        raise SystemExit("GoodNet and Keras do not agree")


def _prepare(folder: Path, given: Namespace) -> Case:
    """Write the images, and the network where no file of one is at hand."""
    lab = find_lab(folder, given.model)
    paths = [folder / "clean.h5", folder / "poisoned.h5"]
    for seed, (path, faces) in enumerate(zip(paths, (lab.clean, lab.poisoned), strict=True)):
        write_faces(path, faces, given.images, seed=seed)
    clean, poisoned = map(load_images, paths)
    return Case(lab.model, lab.network, clean, poisoned)


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument(
        "--model", type=Path, help="a DeepID in Keras's format; the lab's if at hand, else drawn"
    )
    parser.add_argument("--images", type=int, default=11_547, help="of each set")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-steps", type=int, default=6, help="how many steps the peer does")
    parser.add_argument("--peer-batch", type=int, default=32, help="Keras's own default is 32")
    parser.add_argument("--no-peer", action="store_true", help="leave Keras out")
    given = parser.parse_args(arguments)
    if given.quick:
        given.images, given.repeats, given.peer_steps = 256, 1, 2
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
