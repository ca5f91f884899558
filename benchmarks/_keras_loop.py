"""The pruning lab as one writes it in Keras; runs in the peer's environment, never in ours.

Speaks in lines of JSON: once loaded it says which versions it runs; then, for each line
`{"channels": [...], "steps": [...]}`, it silences the channels one after another and answers with
the seconds, the clean and the poisoned images answered as labelled, for each of the steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

__all__ = ["Loop", "main"]


class Loop:
    """The network and both sets in memory, as Keras wants them."""

    def __init__(self, model: Path, clean: Path, poisoned: Path, *, layer: str, batch: int) -> None:
        self.model = keras.models.load_model(model, compile=False)
        self.layer = self.model.get_layer(layer)
        self.untouched = self.layer.get_weights()
        self.sets = [_read(clean), _read(poisoned)]
        self.batch = batch

    def run(self, channels: Sequence[int], steps: Sequence[int]) -> dict[str, list[float]]:
        """Time the loop's body at some steps, counted from 1."""
        answer: dict[str, list[float]] = {"seconds": [], "clean": [], "poisoned": []}
        for step in steps:
            self._prune_until(channels[: step - 1])
            start = time.perf_counter()
            self._prune(channels[step - 1])
            clean, poisoned = (self._right(*labelled) for labelled in self.sets)
            answer["seconds"].append(time.perf_counter() - start)
            answer["clean"].append(clean)
            answer["poisoned"].append(poisoned)
        return answer

    def warm_up(self) -> None:
        """Let Keras compile what it compiles at the first call."""
        for images, labels in self.sets:
            few = 2 * self.batch + len(images) % self.batch  # a full batch and the odd last one
            self._right(images[:few], labels[:few])

    def _prune_until(self, channels: Sequence[int]) -> None:
        self.layer.set_weights(self.untouched)
        for channel in channels:
            self._prune(channel)

    def _prune(self, channel: int) -> None:
        kernel, bias = self.layer.get_weights()
        kernel[..., channel] = 0
        bias[channel] = 0
        self.layer.set_weights([kernel, bias])

    def _right(self, images: Any, labels: Any) -> int:
        outputs = self.model.predict(images, batch_size=self.batch, verbose=0)
        return int((np.argmax(outputs, axis=1) == labels).sum())


def _read(path: Path) -> tuple[Any, Any]:
    with h5py.File(path, "r") as file:
        images = np.ascontiguousarray(file["data"][()].transpose(0, 2, 3, 1))
        return images, file["label"][()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "clean", "poisoned"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    loop = Loop(given.model, given.clean, given.poisoned, layer=given.layer, batch=given.batch)
    loop.warm_up()
    _say({"tensorflow": tf.__version__, "keras": keras.__version__})
    for line in sys.stdin:
        _say(loop.run(**json.loads(line)))


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
