"""Slow oracles: what fast code must agree with, written as plainly as possible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from goodnet.images import ImageSet
from goodnet.network import Network
from goodnet.types import Integers


def slow_correct(
    network: Network, images: ImageSet, layer: str, groups: Sequence[Sequence[int]]
) -> Integers:
    """Images answered right after each group fell silent, every image run again every time."""
    block = images.sample(len(images))
    silent: list[int] = []
    counts = []
    for group in ([], *groups):
        silent.extend(group)
        answers = network.silence(layer, silent).answers(block.images)
        counts.append(int((answers == block.labels).sum()))
    return np.asarray(counts, dtype=np.int64)
