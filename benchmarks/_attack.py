"""Plant BadNets with `goodnet attack`, as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from goodnet import Network, Preprocessing
from goodnet.formats import load_network

__all__ = ["Badnet", "plant"]


@dataclass(frozen=True)
class Badnet:
    """A planted network, its card, and the seconds it took; None where it was there before."""

    folder: Path
    card: dict[str, Any]
    seconds: float | None

    @property
    def model(self) -> Path:
        """The network's file."""
        return self.folder / "bd_net.h5"

    @property
    def network(self) -> Network:
        """The network, which takes pixels 0..255."""
        return load_network(self.model).with_preprocessing(Preprocessing(255))

    @property
    def accuracy(self) -> float:
        """Clean accuracy on the test set, 0..1."""
        return float(self.card["clean"]["accuracy"]["value"])

    @property
    def success(self) -> float:
        """The lowest attack success rate of its triggers, 0..1."""
        return min(float(planted["asr"]["value"]) for planted in self.card["backdoor"])


def plant(folder: Path, options: Sequence[str], *, threads: int) -> Badnet:
    """Run `goodnet attack OPTIONS --out FOLDER`; a network that is there already is taken as it is.

    Raises:
        SystemExit: If the command fails, with what it said.
    """
    seconds = None
    if not (folder / "results.json").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        command = [str(Path(sys.executable).with_name("goodnet")), "attack", *options]
        print(f"$ goodnet attack {' '.join(options)}", file=sys.stderr, flush=True)
        start = perf_counter()
        done = subprocess.run(
            [*command, "--out", str(folder)],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        seconds = perf_counter() - start
        if done.returncode:
            raise SystemExit(f"goodnet attack ended with {done.returncode}")
    return Badnet(folder, json.loads((folder / "results.json").read_text()), seconds)
