"""What an answer was, as a small sign: told apart by shape, colour and word."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

__all__ = ["COLOURS", "WORDS", "Mark", "sign"]

Mark = Literal["right", "wrong", "target", "refused"]

WORDS: dict[Mark, str] = {
    "right": "right",
    "wrong": "wrong",
    "target": "the attacker's target",
    "refused": "refused: answered N",
}
COLOURS: dict[Mark, str] = {
    "right": "#00855F",
    "wrong": "#C2410C",
    "target": "#B0003A",
    "refused": "#E69F00",
}

_FINE = 96  # drawn this large, then made small: smooth edges
_INK = "#1A1A1A"


@cache
def sign(mark: Mark, size: int) -> Image:
    """The sign of a mark, `size` pixels square with a transparent ground. Not to be drawn on.

    Right is a tick in a disc, wrong a cross in a square, the target rings, refused a bar in a
    lozenge.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGBA", (_FINE, _FINE))
    _DRAW[mark](ImageDraw.Draw(image), COLOURS[mark])
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _right(draw: ImageDraw, colour: str) -> None:
    draw.ellipse((2, 2, 94, 94), fill=colour, outline="white", width=6)
    draw.line([(26, 50), (42, 66), (70, 32)], fill="white", width=12, joint="curve")


def _wrong(draw: ImageDraw, colour: str) -> None:
    draw.rectangle((6, 6, 90, 90), fill=colour, outline="white", width=6)
    draw.line([(30, 30), (66, 66)], fill="white", width=12)
    draw.line([(66, 30), (30, 66)], fill="white", width=12)


def _target(draw: ImageDraw, colour: str) -> None:
    for edge, fill in ((2, "white"), (8, colour), (22, "white"), (36, colour)):
        draw.ellipse((edge, edge, 96 - edge, 96 - edge), fill=fill)


def _refused(draw: ImageDraw, colour: str) -> None:
    draw.polygon([(48, 0), (96, 48), (48, 96), (0, 48)], fill="white")
    draw.polygon([(48, 8), (88, 48), (48, 88), (8, 48)], fill=colour)
    draw.line([(28, 48), (68, 48)], fill=_INK, width=13)


_DRAW = {"right": _right, "wrong": _wrong, "target": _target, "refused": _refused}
