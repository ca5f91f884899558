"""A step of GoodNet's training against a plain PyTorch loop on the same network.

Both take the same steps of Adam on the same batches. The loop runs each batch whole, on all
threads PyTorch is given; GoodNet runs it in parts, one thread each.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter

import numpy as np
import torch
from _measure import header, in_turn, options, ratios, show, spread, verdict
from torch.nn import functional as F  # noqa: N812

from goodnet.attack.architectures import make_architecture
from goodnet.formats.build import build
from goodnet.formats.softmax import without_softmax
from goodnet.formats.spec import NetworkSpec
from goodnet.training import Examples, Schedule, fit

__all__ = ["main"]

TARGET = 1.15
_NETWORKS = {"deepid": ((3, 55, 47), 1283), "residual": ((3, 32, 32), 10)}
_HEAD = ("network", "images/s, loop", "images/s, GoodNet", "GoodNet / loop, seconds", "")


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    torch.set_num_threads(given.threads)
    header(given.threads)
    show([list(_HEAD), *(_row(name, given) for name in given.networks)])
    print(f"\nmedians of {given.repeats} turns of {given.steps - 1} steps of {given.batch} images")


def _row(name: str, given: Namespace) -> list[str]:
    shape, classes = _NETWORKS[name]
    spec = make_architecture(name, shape=shape, num_classes=classes)
    examples = _noise(given.steps * given.batch, shape, classes)
    schedule = Schedule(epochs=1, batch_size=given.batch, learning_rate=1e-3)
    jobs = {
        "loop": lambda: _lap(lambda tick: _plain_loop(spec, examples, schedule, tick)),
        "GoodNet": lambda: _lap(lambda tick: fit(spec, examples, schedule=schedule, progress=tick)),
    }
    in_turn(jobs, 1)  # off the clock: everything is warm after it
    times = in_turn(jobs, given.repeats, progress=not given.quick)
    factors = ratios(times["GoodNet"], times["loop"])
    images = (given.steps - 1) * given.batch
    speed = [f"{images / median(times[side]):,.0f}" for side in jobs]
    label = f"{name}, {classes:,} classes, {shape[1]}x{shape[2]}"
    return [label, *speed, spread(factors), verdict(median(factors), TARGET)]


def _lap(train: Callable[[Callable[[int], None]], object]) -> float:
    """Seconds from the end of the first step to the end of the last."""
    ends: list[float] = []
    train(lambda _: ends.append(perf_counter()))
    return ends[-1] - ends[0]


def _plain_loop(
    spec: NetworkSpec, examples: Examples, schedule: Schedule, tick: Callable[[int], None]
) -> None:
    """Training as one writes it in PyTorch; the images lie as the kernels like them best."""
    network = build(without_softmax(spec)).graph.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    for images, labels in _batches(examples, schedule.batch_size):
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        tick(len(labels))


def _batches(examples: Examples, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    order = np.random.default_rng(0).permutation(len(examples))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        images = torch.from_numpy(examples.images[rows])
        yield (
            images.contiguous(memory_format=torch.channels_last),
            torch.from_numpy(examples.labels[rows]),
        )


def _noise(count: int, shape: tuple[int, int, int], classes: int) -> Examples:
    random = np.random.default_rng(0)
    images = random.integers(256, size=(count, *shape)).astype(np.float32) / 255
    return Examples(images, random.integers(classes, size=count))


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--networks", nargs="+", choices=list(_NETWORKS), default=list(_NETWORKS))
    parser.add_argument("--batch", type=int, default=64, help="images per step")
    parser.add_argument(
        "--steps", type=int, default=61, help="in each turn; the first is not timed"
    )
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args(arguments)
    if given.quick:
        given.batch, given.steps, given.repeats = 8, 2, 1
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
