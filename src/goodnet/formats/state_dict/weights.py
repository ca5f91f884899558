"""A file of weights, or a folder with them, as plain data: arrays by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from goodnet.errors import InvalidInput
from goodnet.formats import budgets, foreign, hugging_face, safetensors
from goodnet.formats.description import Description, from_json
from goodnet.formats.keras.configuration import parse_json
from goodnet.formats.safe_file import open_regular, sha256
from goodnet.formats.spec import KINDS
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
        texts: What a file says beside its arrays, by name.
        config: Of Hugging Face, where it is in the folder or one of the texts.
        size: Height and width of the images that it is fed, where the folder says it.
        description: The layers, where one of the texts describes them.
    """

    arrays: Mapping[str, Stored]
    format: Form
    sha256: str
    notes: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    size: tuple[int, int] | None = None
    description: Description | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every array, by key."""
        return {key: each.shape for key, each in self.arrays.items()}


# What the child that reads a file may answer.
_PLAIN = (Weights, Stored, Description, *KINDS)


def read_weights(path: Path) -> Weights:
    """The arrays of a file or folder by key, without torch; nothing of it is run.

    Raises:
        UnsafeInput: If it asks for code to be run, or a folder for files outside it.
        InvalidInput: If it is damaged, or holds no state_dict.
        OverBudget: If it declares more than the budgets allow.
        FileError: If it cannot be read.
    """
    subject = f"the model file {str(path)!r}"
    return quarantined(_read_weights, path, subject=subject, kinds=_PLAIN)


def _read_weights(path: Path) -> Weights:
    found = _folder(path) if path.is_dir() else _file(path)
    if found.description is not None:
        return found
    arrays, prefix = without_prefix(found.arrays)
    notes = found.notes
    if prefix:
        notes = (*notes, f"the names of the weights begin with {prefix!r}, which is left out")
    return replace(found, arrays=_renamed(arrays), notes=notes)


def _folder(path: Path) -> Weights:
    held = hugging_face.read_folder(
        path, {"model.safetensors": _arrays, "pytorch_model.bin": pytorch.read}
    )
    return Weights(
        held.arrays, "hugging-face", held.sha256, held.notes, config=held.config, size=held.size
    )


def _arrays(file: BinaryIO) -> tuple[dict[str, Stored], tuple[str, ...]]:
    return safetensors.read(file)[0], ()


def _file(path: Path) -> Weights:
    with open_regular(path, what="model file", limit=budgets.MODEL_BYTES) as file:
        pickled = pytorch.holds(file.read(foreign.HEAD))
        file.seek(0)
        if pickled:
            arrays, notes = pytorch.read(file)
            return Weights(arrays, "pytorch", sha256(file), notes)
        arrays, texts = safetensors.read(file)
        weights = Weights(arrays, "safetensors", sha256(file), texts=texts)
    description, config = texts.get(safetensors.DESCRIPTION), texts.get(hugging_face.CONFIG)
    if description is not None:
        return replace(weights, description=from_json(description, weights.shapes))
    if config is not None:
        what = "configuration in the metadata"
        return replace(weights, config=parse_json(config.encode(), what=what))
    return weights


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
