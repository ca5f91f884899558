"""Where training stood after an epoch, to go on from after an interruption."""

from __future__ import annotations

import hashlib
import io
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from goodnet.files import atomic_path
from goodnet.formats import budgets
from goodnet.formats.safe_file import open_regular
from goodnet.quarantine import quarantined

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodnet.formats.spec import NetworkSpec
    from goodnet.training.config import Frozen, Schedule
    from goodnet.training.examples import Examples


@dataclass(frozen=True)
class Checkpoint:
    """A file with the state of training after an epoch.

    Attributes:
        path: The file.
        work: What is trained on what and how; a file of other work is ignored.
    """

    path: Path
    work: str

    def save(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        epochs: int,
        *,
        watch: dict[str, Any],
    ) -> None:
        """Write the state after so many epochs.

        Raises:
            FileError: If the system refuses; the state of the epoch before is still there.
        """
        state = {"work": self.work, "epochs": epochs, "network": network.state_dict()}
        content = io.BytesIO()
        torch.save(state | {"optimizer": optimizer.state_dict(), "watch": watch}, content)
        with atomic_path(self.path, force=True) as path:
            path.write_bytes(content.getvalue())

    def load(
        self, network: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[int, dict[str, Any]]:
        """Take over the state in the file.

        Returns:
            How many epochs are done, 0 if there is no state to use, and what the watch remembers.
        """
        state = self._read()
        if state is None or state.get("work") != self.work:
            return 0, {}
        before = deepcopy((network.state_dict(), optimizer.state_dict()))
        try:
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            _lay_out(optimizer)
            return int(state["epochs"]), dict(state["watch"])
        except MemoryError:
            raise
        except Exception:  # a state that was damaged or changed may hold anything, and fit in part
            network.load_state_dict(before[0])
            optimizer.load_state_dict(before[1])
            return 0, {}

    def _read(self) -> dict[str, Any] | None:
        if not self.path.is_file():
            return None
        state = quarantined(_read, self.path, subject=f"the checkpoint {str(self.path)!r}")
        return _with(torch.from_numpy, np.ndarray, state) if isinstance(state, dict) else None


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Store what the optimizer remembers as its parameters are; fused ones rely on it."""
    for parameter, remembered in optimizer.state.items():
        for name, value in remembered.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                remembered[name] = torch.empty_like(parameter).copy_(value)


def _read(path: Path) -> object:
    """What a checkpoint holds, with arrays for tensors; None where it cannot be read."""
    try:
        with open_regular(path, what="checkpoint", limit=budgets.MODEL_BYTES) as file:
            state = torch.load(file, weights_only=True, map_location="cpu")
    except MemoryError:
        raise
    except Exception:  # on damaged bytes PyTorch may raise anything
        return None
    return _with(lambda tensor: tensor.numpy(), torch.Tensor, state)


def _with(change: Callable[[Any], object], kind: type, value: object) -> Any:
    """A value in which everything of a kind is changed, however deep in dictionaries and lists."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, dict):
        return {key: _with(change, kind, each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with(change, kind, each) for each in value]
    return value


def fingerprint(
    spec: NetworkSpec, examples: Examples, schedule: Schedule, frozen: Frozen, *, recipe: str
) -> str:
    """A hash of everything that decides what training gives."""
    told = (spec.layers, spec.output, spec.preprocessing, schedule, recipe)
    digest = hashlib.sha256(repr(told).encode())
    arrays = {**spec.arrays, **{f"frozen {key}": mask for key, mask in frozen.items()}}
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    for array in (examples.images, examples.labels):
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
