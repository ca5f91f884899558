"""Numbers of a network that training leaves as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.formats.silence import silence

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec

__all__ = ["Frozen", "silent_numbers"]

# By array: true where the number stays as it is. Arrays that are not named are trained.
Frozen = Mapping[str, NDArray[np.bool_]]


def silent_numbers(spec: NetworkSpec, layer: str, channels: Iterable[int]) -> Frozen:
    """The numbers that silence channels of a layer: held at zero, the channels stay silent.

    Raises:
        InvalidInput: If there is no such layer or channel.
    """
    ones = spec.with_arrays({key: np.ones_like(array) for key, array in spec.arrays.items()})
    changed = silence(ones, layer, channels)
    return {key: np.equal(array, 0) for key, array in changed.items()}
