"""A file of weights, or a folder with them, as plain data: arrays by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from goodnet.errors import InvalidInput
from goodnet.formats import budgets, foreign, hugging_face, safetensors
from goodnet.formats.safe_file import open_regular, sha256
from goodnet.formats.state_dict import pytorch
from goodnet.formats.state_dict.unwrapping import as_now, without_prefix
from goodnet.formats.stored import Stored
from goodnet.quarantine import quarantined

Form = Literal["pytorch", "safetensors", "hugging-face"]


@dataclass(frozen=True, eq=False)
class Weights:
    """A file of weights, or a folder with them, as plain data.

    Attributes:
        arrays: By key, as the known architectures have them.
        format: "hugging-face" for a folder.
        sha256: Of what was read.
        notes: What was left unread or out.
        config: Of Hugging Face, where it is in the folder or in the file itself.
        size: Height and width of the images that it is fed, where the folder says it.
    """

    arrays: Mapping[str, Stored]
    format: Form
    sha256: str
    notes: tuple[str, ...] = ()
    config: Mapping[str, Any] | None = None
    size: tuple[int, int] | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every array, by key."""
        return {key: each.shape for key, each in self.arrays.items()}


def read_weights(path: Path) -> Weights:
    """The arrays of a file or folder by key, without torch; nothing of it is run.

    Raises:
        UnsafeInput: If it asks for code to be run, or a folder for files outside it.
        InvalidInput: If it is damaged, or holds no state_dict.
        OverBudget: If it declares more than the budgets allow.
        FileError: If it cannot be read.
    """
    subject = f"the model file {str(path)!r}"
    return quarantined(_read_weights, path, subject=subject, kinds=(Weights, Stored))


def _read_weights(path: Path) -> Weights:
    found = _folder(path) if path.is_dir() else _file(path)
    arrays, prefix = without_prefix(found.arrays)
    notes = found.notes
    if prefix:
        notes = (*notes, f"the names of the weights begin with {prefix!r}, which is left out")
    return replace(found, arrays=_renamed(arrays), notes=notes)


def _folder(path: Path) -> Weights:
    held = hugging_face.read_folder(
        path, {"model.safetensors": safetensors.read, "pytorch_model.bin": pytorch.read}
    )
    return Weights(held.arrays, "hugging-face", held.sha256, held.notes, held.config, held.size)


def _file(path: Path) -> Weights:
    with open_regular(path, what="model file", limit=budgets.MODEL_BYTES) as file:
        digest = sha256(file)
        if pytorch.holds(file.read(foreign.HEAD)):
            file.seek(0)
            arrays, notes = pytorch.read(file)
            return Weights(arrays, "pytorch", digest, notes)
        file.seek(0)
        config = safetensors.config(file)
        file.seek(0)
        arrays, notes = safetensors.read(file)
        return Weights(arrays, "safetensors", digest, notes, config)


def weights_in(path: Path) -> Weights | None:
    """The arrays of a file or folder; None if it is of another kind.

    Raises:
        GoodnetError: As `read_weights`.
    """
    if path.is_dir():
        return read_weights(path) if hugging_face.holds(path) else None
    with open_regular(path, what="model file", limit=budgets.MODEL_BYTES) as file:
        head = file.read(foreign.HEAD)
    return read_weights(path) if pytorch.holds(head) or safetensors.holds(head) else None


def _renamed(arrays: Mapping[str, Stored]) -> dict[str, Stored]:
    found = {as_now(key): array for key, array in arrays.items()}
    if len(found) != len(arrays):
        raise InvalidInput("the file holds an array under its old and its new name")
    return found
