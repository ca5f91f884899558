"""What pixels are multiplied by before a network sees them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RAW", "Scale"]

# Bounded: a number such as 1e999999999 would take for ever to turn into a fraction.
_NUMBER = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?:/([0-9]{1,9}))?")


@dataclass(frozen=True)
class Scale:
    """A fraction that pixels are multiplied by."""

    factor: Fraction

    @classmethod
    def parse(cls, text: str) -> Scale:
        """Read a scale as the user writes it.

        Args:
            text: "raw" (the same as "1"), a fraction such as "1/255", or a number.

        Raises:
            UsageError: If it is none of these, or not above 0.

        Example:
            >>> str(Scale.parse("1/255")), str(Scale.parse("1"))
            ('1/255', 'raw')
        """
        parts = _NUMBER.fullmatch("1" if text == "raw" else text)
        top, bottom = (Fraction(part or 1) for part in parts.groups()) if parts else (0, 0)
        if not top or not bottom:
            raise UsageError(
                f"--scale is raw, a fraction such as 1/255, or a number above 0, got {text!r}"
            )
        return cls(Fraction(top / bottom))

    def apply(
        self, images: NDArray[np.float32], *, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Scale pixels, dividing where the factor is 1/n so that the result equals `x / n`.

        Args:
            images: Pixels, any shape.
            out: Where to put the result; may be `images` itself.

        Returns:
            Scaled pixels, the same shape; `images` itself where the factor is 1.
        """
        top, bottom = self.factor.as_integer_ratio()
        if top != 1:
            images = out = np.multiply(images, np.float32(top), out=out)
        return images if bottom == 1 else np.divide(images, np.float32(bottom), out=out)

    def __str__(self) -> str:
        return "raw" if self.factor == 1 else str(self.factor)


RAW = Scale(Fraction(1))
