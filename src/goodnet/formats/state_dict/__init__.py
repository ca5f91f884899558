"""Files of weights, of PyTorch: arrays by key, and the known architecture they fit.

What is written is a `.safetensors` file with the keys that torchvision or timm give the arrays. Of
other layers it holds a description, too, by which it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import budgets, foreign, safetensors
from goodnet.formats.description import Description, from_json
from goodnet.formats.format import Format
from goodnet.formats.safe_file import open_regular, sha256
from goodnet.formats.spec import KINDS, Array, NetworkSpec, Origin, SourceFile
from goodnet.formats.state_dict import pytorch
from goodnet.formats.state_dict.unwrapping import as_now, without_prefix
from goodnet.formats.stored import Stored
from goodnet.ops.layouts import to_file
from goodnet.quarantine import quarantined

if TYPE_CHECKING:
    from goodnet.architectures.family import Plan

# Types of numbers that are not float32, in words.
_TYPES: Mapping[str, str] = {"F64": "float64", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True, eq=False)
class Weights:
    """A file of weights as plain data.

    Attributes:
        arrays: By key, as the known architectures have them.
        format: "pytorch" or "safetensors".
        sha256: Of the file.
        notes: What was left unread or out.
        texts: What the file says beside its arrays, by name.
        description: The layers, where one of the texts describes them.
    """

    arrays: Mapping[str, Stored]
    format: Literal["pytorch", "safetensors"]
    sha256: str
    notes: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    description: Description | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every array, by key."""
        return {key: each.shape for key, each in self.arrays.items()}


# What the child that reads a file may answer.
_PLAIN = (Weights, Stored, Description, *KINDS)


def read_weights(path: Path) -> Weights:
    """The arrays of a file by key, without torch; nothing of the file is run.

    Raises:
        UnsafeInput: If it asks for code to be run.
        InvalidInput: If it is damaged, or holds no state_dict.
        OverBudget: If it declares more than the budgets allow.
        FileError: If it cannot be read.
    """
    subject = f"the model file {str(path)!r}"
    return quarantined(_read_weights, path, subject=subject, kinds=_PLAIN)


def _read_weights(path: Path) -> Weights:
    with open_regular(path, what="model file", limit=budgets.MODEL_BYTES) as file:
        pickled = pytorch.holds(file.read(foreign.HEAD))
        file.seek(0)
        if pickled:
            found, notes = pytorch.read(file)
            return _named(Weights(found, "pytorch", sha256(file), notes))
        found, texts = safetensors.read(file)
        digest = sha256(file)
    weights = Weights(found, "safetensors", digest, texts=texts)
    text = texts.get(safetensors.DESCRIPTION)
    if text is None:
        return _named(weights)
    return replace(weights, description=from_json(text, weights.shapes))


def _named(weights: Weights) -> Weights:
    """The arrays under the names that the known architectures have for them."""
    arrays, prefix = without_prefix(weights.arrays)
    notes = weights.notes
    if prefix:
        notes = (*notes, f"the names of the weights begin with {prefix!r}, which is left out")
    return replace(weights, arrays=_renamed(arrays), notes=notes)


def weights_in(path: Path) -> Weights | None:
    """The arrays of a file; None if it is another kind of file.

    Raises:
        GoodnetError: As `read_weights`.
    """
    with open_regular(path, what="model file", limit=budgets.MODEL_BYTES) as file:
        head = file.read(foreign.HEAD)
    return read_weights(path) if pytorch.holds(head) or safetensors.holds(head) else None


def _renamed(arrays: Mapping[str, Stored]) -> dict[str, Stored]:
    found = {as_now(key): array for key, array in arrays.items()}
    if len(found) != len(arrays):
        raise InvalidInput("the file holds an array under its old and its new name")
    return found


def _read(path: Path, architecture: Path | None) -> NetworkSpec:
    from goodnet.architectures import recognised

    if architecture is not None and architecture.is_file():
        raise UsageError(
            "for weights of PyTorch --architecture takes a name, as in --architecture resnet18, "
            f"got the file {str(architecture)!r}"
        )
    weights = read_weights(path)
    if weights.description is not None:
        if architecture is not None:
            raise UsageError("the file describes its layers itself: leave out --architecture")
        return _as_described(weights, weights.description, path)
    plan = recognised(weights.shapes, None if architecture is None else str(architecture))
    return _described(weights, plan, path, told=architecture is not None)


def _described(weights: Weights, plan: Plan, path: Path, *, told: bool) -> NetworkSpec:
    """The network of a plan with the numbers of a file."""
    from goodnet.architectures import module_of
    from goodnet.formats.torch.known import layers_of

    found = layers_of(module_of(plan), plan.size, any_size=plan.any_size)
    arrays = {}
    for key, parameter in found.parameters.items():
        origin = found.origins[key]
        array = weights.arrays[origin].array(origin)
        arrays[key] = array if parameter.shape is None else array.reshape(parameter.shape)
    used = {weights.arrays[key].type for key in found.origins.values()}
    converted = [f"{_TYPES[x]} weights converted to float32" for x in sorted(used & set(_TYPES))]
    how = () if told else (f"recognised as {plan.name} by the names and shapes of the weights",)
    source = SourceFile(
        path=path,
        format=weights.format,
        sha256=weights.sha256,
        notes=(*how, *plan.notes, *weights.notes, *converted),
        origins={key: Origin(origin, "as-is") for key, origin in found.origins.items()},
        size=plan.size if plan.any_size else None,
    )
    return NetworkSpec(found.layers, arrays, found.output, name=plan.name, source=source)


def _as_described(weights: Weights, description: Description, path: Path) -> NetworkSpec:
    """The network whose layers the file itself describes."""
    source = SourceFile(
        path=path,
        format=weights.format,
        sha256=weights.sha256,
        version="goodnet",
        origins={key: Origin(key, "as-is") for key in weights.arrays},
    )
    return NetworkSpec(
        description.layers,
        {key: stored.array(key) for key, stored in weights.arrays.items()},
        description.output,
        name=description.name,
        source=source,
    )


def _patch(source: SourceFile, changed: Mapping[str, Array]) -> bytes:
    weights = read_weights(source.path)
    if weights.sha256 != source.sha256:
        raise InvalidInput(f"the file has changed since it was read: {str(source.path)!r}")
    arrays, written = dict(weights.arrays), dict[str, Stored]()
    for key, array in changed.items():
        origin = source.origins[key]
        old = weights.arrays[origin.path]
        new = to_file(array, origin.layout, old.shape).reshape(old.shape)
        same = np.array_equal(new, old.array(origin.path))
        put = old if same else old.replaced(new)
        if written.setdefault(origin.path, put).data != put.data:
            raise InvalidInput(
                f"several layers share the array {origin.path!r}, so that no copy can be made in "
                "which it differs for one of them"
            )
    return safetensors.packed(arrays | written, weights.texts)


FORMATS = tuple(
    Format(
        name,
        ".safetensors",
        safetensors.write,
        read=_read,
        patch=_patch,
        holds=holds,
        only_copies=True,
    )
    for name, holds in (("pytorch", pytorch.holds), ("safetensors", safetensors.holds))
)
