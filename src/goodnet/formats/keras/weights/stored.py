"""The weights that lie in a file, as its own index lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from goodnet.errors import InvalidInput

__all__ = ["Stored", "StoredGroup", "raise_mismatches"]

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight in the file.

    Attributes:
        path: Of the data set in the file.
        name: As its group lists it: "conv_1/kernel:0".
        shape: As it is stored.
    """

    path: str
    name: str
    shape: tuple[int, ...]

    @property
    def parameter(self) -> str:
        """The last part of its name, without what TensorFlow appends: "kernel"."""
        return self.name.rsplit("/", 1)[-1].split(":")[0]

    @property
    def layer(self) -> str:
        """The part of its name before the last: "conv_1"."""
        return "/".join(self.name.split("/")[-2:-1])


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """The weights of one layer in the file.

    Attributes:
        name: Of the layer.
        weights: In the order of the file.
        ordered: Whether that order means anything.
    """

    name: str
    weights: tuple[Stored, ...]
    ordered: bool = True


def raise_mismatches(problems: Sequence[str]) -> None:
    """Refuse weights that do not fit their architecture, showing the first five problems.

    Raises:
        InvalidInput: If there are any problems.
    """
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InvalidInput(
            f"the weights do not fit the architecture: {'; '.join(problems[:_SHOWN])}{more}"
        )
