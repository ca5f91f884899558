"""`config.json` of an image classifier, which is not trusted: what it says of the network.

The network is described here, by the names of transformers' modules and the papers, and nothing of
that library is imported. Code that a configuration names is never run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from msgspec import Meta

from goodnet.errors import InvalidInput, UnsafeInput
from goodnet.formats.hugging_face.drawing import Drawing
from goodnet.formats.hugging_face.family import Family
from goodnet.typed_json import Unreadable, convert

WHAT = "config.json of the model"
# With two, the library does not write it down.
_CLASSES = 2
_SHOWN = 40
# What the library calls classes that were not named.
_UNNAMED = re.compile(r"LABEL_\d+")
_TIMM = "timm_wrapper"
_Classes = Annotated[int, Meta(ge=1, le=2**17)]
_Names = Annotated[dict[str, str | int], Meta(max_length=2**17)]


@dataclass(frozen=True)
class _Config:
    """What configurations of all models have, and that of timm."""

    model_type: str = ""
    architectures: tuple[str, ...] | None = None
    num_labels: _Classes | None = None
    id2label: _Names | None = None
    problem_type: str | None = None
    auto_map: dict[str, Any] | None = None
    # What would change the layers or their numbers.
    pruned_heads: dict[str, Any] | None = None
    quantization_config: dict[str, Any] | None = None
    # Of timm.
    architecture: str | None = None
    num_classes: _Classes | None = None
    label_names: tuple[str, ...] | None = None
    model_args: dict[str, Any] | None = None
    do_pooling: bool = True
    global_pool: Literal["avg", "token"] | None = None


@dataclass(frozen=True, eq=False)
class Told:
    """What a configuration says.

    Attributes:
        drawing: The network; None if it is one of timm.
        name: Of the class in transformers, or of the architecture in timm.
        classes: How many there are; None if it does not say so.
        class_names: What each is called, from 0 on; empty where nothing says it.
        notes: What is worth a look.
    """

    drawing: Drawing | None
    name: str
    classes: int | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


@cache
def _families() -> tuple[Family[Any], ...]:
    """A new family is a module that makes them, and its name here."""
    from goodnet.formats.hugging_face import convnext, efficientnet, mobilenet, residual, swin, vit

    modules = (vit, residual, mobilenet, efficientnet, convnext, swin)
    return tuple(family for module in modules for family in module.FAMILIES)


def is_config(held: Mapping[str, Any]) -> bool:
    """Whether this is a configuration of a model, rather than any other file of that name."""
    return any(isinstance(held.get(name), str) for name in ("model_type", "architecture"))


def read_config(held: Mapping[str, Any]) -> Told:
    """What a configuration says of the network.

    Args:
        held: The JSON of `config.json`.

    Raises:
        UnsafeInput: If only code that it names would say what the network is.
        InvalidInput: If it is of no classifier that is known, or a field has no value that is.
    """
    try:
        config = convert(dict(held), _Config, "")
    except Unreadable as error:
        raise InvalidInput(f"config.json is not read: {error}") from error
    if config.model_type == _TIMM or (not config.model_type and config.architecture):
        return _timm(config)
    family = _family(config)
    _check(config)
    names = _class_names(config)
    classes = len(names) or config.num_labels or _CLASSES
    return Told(
        family.drawing(held, classes),
        family.architecture,
        classes,
        () if all(map(_UNNAMED.fullmatch, names)) else names,
        tuple(_notes(config)),
    )


def _family(config: _Config) -> Family[Any]:
    """That of the class which the configuration names, or the first of its kind of models."""
    known = [each for each in _families() if each.model_type == config.model_type]
    named = config.architectures[0] if config.architectures else None
    found = [each for each in known if named in (None, each.architecture)]
    if found:
        return found[0]
    if not known and config.auto_map:
        raise UnsafeInput(
            f"what the network computes is told by Python code that config.json names (auto_map), "
            f"which is never run; {_known()}"
        )
    if known:
        wanted = " or ".join(each.architecture for each in known)
        raise InvalidInput(f"expected an image classifier ({wanted}), got {str(named)[:_SHOWN]!r}")
    kind = config.model_type[:_SHOWN] or "none"
    raise InvalidInput(f"config.json is of the model_type {kind!r}, which is not read; {_known()}")


def _known() -> str:
    kinds = dict.fromkeys(family.model_type for family in _families())
    return f"known are {', '.join(kinds)} and models of timm"


def _check(config: _Config) -> None:
    """Refuse what changes the function."""
    if config.problem_type == "multi_label_classification":
        raise InvalidInput(
            "expected a classifier that names one class for each image, got one that names several "
            "(problem_type multi_label_classification)"
        )
    for name in ("pruned_heads", "quantization_config"):
        if getattr(config, name):
            raise InvalidInput(
                f"config.json has a {name}, which is not read; save the model without it"
            )


def _class_names(config: _Config) -> tuple[str, ...]:
    """The names of `id2label`, from 0 on.

    Raises:
        InvalidInput: If its keys do not count from 0.
    """
    names = config.id2label or {}
    if names.keys() != {str(place) for place in range(len(names))}:
        raise InvalidInput("config.json: expected id2label to name the classes 0, 1, 2 and so on")
    return tuple(str(names[str(place)]) for place in range(len(names)))


def _timm(config: _Config) -> Told:
    """A model of timm, whose layers are told by its arrays."""
    from goodnet.architectures import names

    name = (config.architecture or "").partition(".")[0]
    if name not in names():
        raise InvalidInput(
            f"config.json is of timm's {name[:_SHOWN]!r}, which is not read; known are "
            f"{', '.join(names())}"
        )
    if config.model_args or not config.do_pooling:
        raise InvalidInput(
            f"config.json changes timm's {name} by model_args or do_pooling, which is not read"
        )
    labels = config.label_names or ()
    classes = config.num_classes or config.num_labels or len(labels) or None
    shown = labels if len(labels) == classes else ()
    return Told(None, name, classes, shown, tuple(_notes(config)))


def _notes(config: _Config) -> Iterator[str]:
    if config.auto_map:
        yield (
            "config.json names Python code to run instead of the library's (auto_map), which was "
            f"not run: the network is described as {config.model_type or config.architecture}"
        )
