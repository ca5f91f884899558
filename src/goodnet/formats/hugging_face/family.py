"""What a family of the library says of itself, and the kinds of values that its sizes are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from msgspec import Meta

from goodnet.errors import InvalidInput
from goodnet.formats.hugging_face.drawing import Drawing, pair
from goodnet.formats.spec import Activation
from goodnet.typed_json import Unreadable, convert

C = TypeVar("C")

# Sizes are bounded: a network is drawn before it is known whether the file has its arrays.
Count = Annotated[int, Meta(ge=1, le=512)]
Width = Annotated[int, Meta(ge=1, le=2**16)]
_MOST = 2**13
Side = Annotated[int, Meta(ge=1, le=_MOST)]
# Of no bounds, which `lengths` looks at: msgspec crashes over a number with bounds beside a pair.
Sides = int | tuple[int, int]
Epsilon = Annotated[float, Meta(ge=0, le=1)]
Ratio = Annotated[float, Meta(gt=0, le=64)]
Counts = Annotated[tuple[Count, ...], Meta(min_length=1, max_length=16)]
Widths = Annotated[tuple[Width, ...], Meta(min_length=1, max_length=16)]
_GELU_BY_TANH = Activation("gelu", {"approximate": 1.0})
_ACTIVATIONS = {
    "gelu": Activation("gelu"),
    "gelu_python": Activation("gelu"),
    "gelu_new": _GELU_BY_TANH,
    "gelu_pytorch_tanh": _GELU_BY_TANH,
    "gelu_python_tanh": _GELU_BY_TANH,
    "relu": Activation("relu"),
    "relu6": Activation("relu6"),
    "silu": Activation("silu"),
    "swish": Activation("silu"),
    "sigmoid": Activation("sigmoid"),
    "tanh": Activation("tanh"),
    "mish": Activation("mish"),
    "leaky_relu": Activation("leaky_relu", {"negative_slope": 0.01}),
}


@dataclass(frozen=True, eq=False)
class Family(Generic[C]):
    """Classifiers of one class of the library.

    Attributes:
        architecture: The class.
        model_type: As configurations have it.
        fields: What of a configuration says how the network computes, with the library's defaults.
        draw: From these and the number of classes, the network.
    """

    architecture: str
    model_type: str
    fields: type[C]
    draw: Callable[[C, int], Drawing]

    def drawing(self, config: Mapping[str, Any], classes: int) -> Drawing:
        """The network that a configuration tells of.

        Raises:
            InvalidInput: If a field has a value that is not known.
        """
        try:
            fields = convert(dict(config), self.fields, "")
        except Unreadable as error:
            raise InvalidInput(
                f"config.json of {self.architecture} is not read: {error}"
            ) from error
        return self.draw(fields, classes)


def activation(name: str) -> Activation:
    """The function that a configuration names.

    Raises:
        InvalidInput: If it is not known.
    """
    found = _ACTIVATIONS.get(name)
    if found is None:
        raise InvalidInput(
            f"config.json: expected hidden_act to be one of {', '.join(_ACTIVATIONS)}, got "
            f"{name[:40]!r}"
        )
    return found


def lengths(sides: Sides, name: str) -> tuple[int, int]:
    """Height and width, where one number may stand for both.

    Args:
        sides: As a configuration has them.
        name: Of the field.

    Raises:
        InvalidInput: If they are none.
    """
    found = pair(sides)
    if not all(1 <= side <= _MOST for side in found):
        raise InvalidInput(f"config.json: expected {name} from 1 to {_MOST}, got {sides}")
    return found


def alike(**lists: tuple[Any, ...]) -> None:
    """Refuse lists of a configuration that should be as long as each other.

    Raises:
        InvalidInput: If they are not.
    """
    if len({len(each) for each in lists.values()}) > 1:
        told = ", ".join(f"{name} has {len(each)}" for name, each in lists.items())
        raise InvalidInput(f"config.json: expected lists with one entry for each stage, but {told}")
