"""The network that arrays are of: by their names and shapes, or by a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from goodnet.errors import InvalidInput
from goodnet.formats.hugging_face import CONFIG, Drawing, read_config
from goodnet.formats.spec import Layer

if TYPE_CHECKING:
    from goodnet.architectures.family import Plan

Shapes = Mapping[str, tuple[int, ...]]

# What modules keep beside their weights, and make anew.
_BUFFERS = ("num_batches_tracked", "relative_position_index", "position_ids")
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Known:
    """A network, told without any of its numbers.

    Attributes:
        layers: As in `NetworkSpec`.
        places: For each array of the description, its key in the file, and its shape here.
        output: The layer that gives the answer.
        name: Of the architecture.
        size: Height and width of the images that it was made for, where it takes others, too.
        notes: What to say of it.
        classes: How many outputs it should have, if that is told.
        class_names: As in `SourceFile`.
    """

    layers: tuple[Layer, ...]
    places: Mapping[str, tuple[str, tuple[int, ...] | None]]
    output: str
    name: str
    size: tuple[int, int] | None
    notes: tuple[str, ...]
    classes: int | None = None
    class_names: tuple[str, ...] = ()


def by_arrays(shapes: Shapes, name: str | None) -> Known:
    """The network of the architectures that everybody uses, perhaps that of a name.

    Raises:
        UsageError: If there is no architecture of that name.
        InvalidInput: If the arrays are of no architecture, or not of that one.
    """
    from goodnet.architectures import recognised

    plan = recognised(shapes, name)
    how = () if name else (f"recognised as {plan.name} by the names and shapes of the weights",)
    return _planned(plan, how)


def by_config(shapes: Shapes, config: Mapping[str, Any]) -> Known:
    """The network that a configuration of Hugging Face tells of.

    Raises:
        UnsafeInput: If only code that it names would say what the network is.
        InvalidInput: If it is not read, or the arrays are not those that it tells of.
    """
    told = read_config(config)
    notes = (f"described as {told.name} by its {CONFIG}", *told.notes)
    if told.drawing is None:
        from goodnet.architectures import recognised

        found = _planned(recognised(shapes, told.name), notes)
    else:
        found = _drawn(told.drawing, shapes, told.name)
        found = replace(found, notes=(*notes, *found.notes))
    return replace(found, classes=told.classes, class_names=told.class_names)


def _planned(plan: Plan, notes: Sequence[str]) -> Known:
    from goodnet.architectures import module_of
    from goodnet.formats.torch.known import layers_of

    found = layers_of(module_of(plan), plan.size, any_size=plan.any_size)
    places = {
        key: (found.origins[key], parameter.shape) for key, parameter in found.parameters.items()
    }
    size = plan.size if plan.any_size else None
    return Known(
        found.layers, places, found.output, plan.name, size=size, notes=(*notes, *plan.notes)
    )


def _drawn(drawing: Drawing, shapes: Shapes, name: str) -> Known:
    wanted = {place.key: place.shape for place in drawing.places.values()}
    missing = [key for key in wanted if key not in shapes]
    if missing:
        raise InvalidInput(
            f"expected the arrays of {name} as {CONFIG} tells of it, but {len(missing)} of "
            f"{len(wanted)} are missing: {_listed(missing)}"
        )
    odd = next((key for key in wanted if shapes[key] != wanted[key]), None)
    if odd is not None:
        raise InvalidInput(
            f"by {CONFIG} the array {odd!r} has the shape {wanted[odd]}, but in the file it has "
            f"{shapes[odd]}"
        )
    left = [key for key in shapes if key not in wanted and not key.endswith(_BUFFERS)]
    said = f"{len(left)} arrays are not of the network, and not used: {_listed(left)}"
    return Known(
        tuple(drawing.layers),
        {key: (place.key, place.laid_out) for key, place in drawing.places.items()},
        drawing.layers[-1].name,
        name,
        size=drawing.size if drawing.any_size else None,
        notes=(said,) if left else (),
    )


def _listed(keys: Sequence[str]) -> str:
    return ", ".join([*keys[:_SHOWN], *["..."] * (len(keys) > _SHOWN)])
