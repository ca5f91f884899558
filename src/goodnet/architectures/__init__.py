"""Architectures that everybody uses, told by the names and shapes of their arrays.

Each is written against its paper, one file a family, with the names that torchvision gives the
parameters and, where these differ, timm's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from goodnet.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from torch import nn

    from goodnet.architectures.family import Family, Plan, Shapes

__all__ = ["module_of", "names", "recognised"]

# Of these, one that is missing in the file is no loss.
_COUNTER = "num_batches_tracked"
_SHOWN = 3


@cache
def _families() -> tuple[Family, ...]:
    """A new family is a module that makes a `Family`, and its line here."""
    from goodnet.architectures import densenet, efficientnet, mobilenet, resnet, vgg, vit

    modules = (resnet.FAMILY, vgg.FAMILY, mobilenet.V2, mobilenet.V3, densenet.FAMILY)
    return (*modules, efficientnet.FAMILY, vit.FAMILY)


def names() -> tuple[str, ...]:
    """Of all architectures."""
    return tuple(name for family in _families() for name in family.names)


def recognised(shapes: Shapes, name: str | None = None) -> Plan:
    """The architecture whose arrays have these names and shapes, and no others.

    Args:
        shapes: Of the arrays of a state_dict, by key.
        name: Of the architecture, where it is told.

    Raises:
        UsageError: If there is no architecture of that name.
        InvalidInput: If the arrays are of no architecture, or not of that one.
    """
    known = names()
    if name is not None and name not in known:
        raise UsageError(f"no architecture is called {name!r}; known are {', '.join(known)}")
    families = [family for family in _families() if name is None or name in family.names]
    tried = [found for family in families if (found := _tried(family, shapes, name))]
    for each in tried:
        if each.plan is not None and each.is_called(name) and not each.problem:
            return each.plan
    raise InvalidInput(_misfit(shapes, name, tried))


@dataclass(frozen=True, eq=False)
class _Tried:
    """A network that the arrays may be, and in what they differ from it."""

    plan: Plan | None
    problem: str

    def is_called(self, name: str | None) -> bool:
        """Whether it is the one of a name, if any is told."""
        return self.plan is not None and name in (None, self.plan.name, *self.plan.also)


def _tried(family: Family, shapes: Shapes, name: str | None) -> _Tried | None:
    try:
        plan = family.plan(shapes)
        problem = "" if plan is None else _differences(shapes, plan)
    except KeyError as error:
        return None if name is None else _Tried(None, f"{error.args[0]} is missing")
    except (IndexError, ValueError):
        return None
    return None if plan is None else _Tried(plan, problem)


def _misfit(shapes: Shapes, name: str | None, tried: Sequence[_Tried]) -> str:
    """A sentence on arrays that are of no known network."""
    for each in tried:
        if each.is_called(name) and each.plan is not None:
            return f"the arrays are almost those of {each.plan.name}, but {each.problem}"
        told = f"got those of {each.plan.name}" if each.plan else f"but {each.problem}"
        return f"expected the arrays of {name}, {told}"
    shown = ", ".join([*map(repr, list(shapes)[:_SHOWN]), *["..."] * (len(shapes) > _SHOWN)])
    known = "; ".join(family.told for family in _families())
    wanted = f"of {name}" if name else f"of an architecture that is known ({known})"
    return (
        f"expected arrays {wanted}, got {len(shapes):,} others: {shown}; build the module, load "
        "the weights into it, and pass it to goodnet.wrap"
    )


def _differences(shapes: Shapes, plan: Plan) -> str:
    """How the arrays differ from those of an architecture; "" if they do not."""
    wanted = {key: tuple(x.shape) for key, x in module_of(plan).state_dict().items()}
    missing = [key for key in wanted if key not in shapes and not key.endswith(_COUNTER)]
    unexpected = [key for key in shapes if key not in wanted]
    both = [key for key in shapes if key in wanted and shapes[key] != wanted[key]]
    shaped = [f"{key} is {shapes[key]}, expected {wanted[key]}" for key in both]
    parts = [
        f"{len(keys)} {what} ({', '.join(keys[:_SHOWN])}{', ...' if len(keys) > _SHOWN else ''})"
        for keys, what in (
            (missing, "are missing"),
            (unexpected, "are not of it"),
            (shaped, "have another shape"),
        )
        if keys
    ]
    return ", ".join(parts)


def module_of(plan: Plan) -> nn.Module:
    """The module of a plan, in evaluation mode, on PyTorch's device "meta": without numbers."""
    import torch

    with torch.device("meta"):
        return plan.build().eval()
