"""A contact sheet: many small images on one, each with what is known of it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.report.words import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

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

MAX_IMAGES = 500
SIDE = 168  # the longer side of a picture is at most this
MARGIN, GAP = 24, 18

_SHAPE = 1.5  # width of the whole sheet to its height, about


@dataclass(frozen=True, slots=True)
class Grid:
    """Tiles in rows, with a head above and a foot below.

    Attributes:
        number: How many tiles.
        columns: Tiles in a row.
        tile: Width and height of one.
        head: Height kept free above the tiles.
        foot: Height kept free below them.
        least_width: Of what stands between the margins.
    """

    number: int
    columns: int
    tile: tuple[int, int]
    head: int = 0
    foot: int = 0
    least_width: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        rows = -(-self.number // self.columns)
        width = max(self.columns * (self.tile[0] + GAP) - GAP, self.least_width)
        height = self.head + rows * (self.tile[1] + GAP) - GAP + self.foot
        return width + 2 * MARGIN, height + 2 * MARGIN

    def corner(self, index: int) -> tuple[int, int]:
        """Left and top of a tile."""
        row, column = divmod(index, self.columns)
        left = MARGIN + column * (self.tile[0] + GAP)
        return left, MARGIN + self.head + row * (self.tile[1] + GAP)


def columns_for(number: int, tile: tuple[int, int]) -> int:
    """How many columns make a sheet of `number` tiles somewhat wider than high.

    Example:
        >>> columns_for(24, (100, 100))
        6
    """
    step = (tile[0] + GAP, tile[1] + GAP)
    return min(max(round(math.sqrt(number * _SHAPE * step[1] / step[0])), 1), number)


def picture_size(height: int, width: int) -> tuple[int, int]:
    """Width and height of an image on the sheet: a whole multiple, or made smaller to fit.

    Example:
        >>> picture_size(55, 47), picture_size(336, 168)
        ((141, 165), (84, 168))
    """
    largest = max(height, width)
    scale = SIDE // largest if largest <= SIDE else SIDE / largest
    return max(round(width * scale), 1), max(round(height * scale), 1)


# Pixels.
_NARROWEST, _LEAST_TITLED = 112, 420
_FRAME, _SIGN, _BELOW = 4, 24, 6
_LINE, _TEXT, _TITLE = 18, 14, 22
_INK, _MUTED = "#222222", "#626262"
_LONGEST = 200  # characters of a text that are looked at
_FINE = 96  # signs are drawn this large, then made small: smooth edges


def contact_sheet(
    images: NDArray[np.uint8],
    captions: Sequence[Sequence[str]],
    *,
    marks: Sequence[Mark | None] | None = None,
    columns: int | None = None,
    title: str = "",
) -> Image:
    """Lay images out in rows, with lines of text below each.

    Small images are enlarged by a whole factor, pixel by pixel, so that a trigger looks as the
    network sees it; large ones are made smaller. A mark is a frame and a sign, and the foot of
    the sheet says what the signs mean and how many there are.

    Args:
        images: Pixels 0..255, shape (images, height, width, channels), 1 or 3 channels.
        captions: For each image its lines of text.
        marks: For each image what the network's answer was, or None.
        columns: Images in a row; None for a sheet somewhat wider than high.
        title: A line above all.

    Returns:
        An RGB image.

    Raises:
        InvalidInput: If the images are not as above or more than `MAX_IMAGES`, if captions or
            marks are not one for each, or if `columns` is less than 1.
    """
    _check(images, captions, marks, columns)
    signs = list(marks) if marks is not None else [None] * len(images)
    counts = Counter(mark for mark in signs if mark)
    key = {mark: f"{word} ({counts[mark]})" for mark, word in WORDS.items() if counts[mark]}
    picture = picture_size(*images.shape[1:3])
    lines = max(len(caption) for caption in captions)
    tile = (max(picture[0], _NARROWEST), picture[1] + _BELOW + _LINE * lines)
    grid = Grid(
        number=len(images),
        columns=min(columns, len(images)) if columns else columns_for(len(images), tile),
        tile=tile,
        head=_TITLE + GAP if title else 0,
        foot=GAP + _SIGN if key else 0,
        least_width=max(_LEAST_TITLED if title else 0, sum(map(_key_step, key.values()))),
    )
    sheet = _blank(grid, title, key)
    for index, (pixels, caption) in enumerate(zip(images, captions, strict=True)):
        corner = grid.corner(index)
        sheet.paste(_thumbnail(pixels, picture), corner)
        _draw_mark(sheet, signs[index], corner, picture)
        below = (corner[0], corner[1] + picture[1] + _BELOW)
        _write_lines(sheet, caption, below, room=tile[0])
    return sheet


def _check(
    images: NDArray[np.uint8],
    captions: Sequence[Sequence[str]],
    marks: Sequence[Mark | None] | None,
    columns: int | None,
) -> None:
    shape = images.shape
    if images.dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape[1:]:
        raise InvalidInput(
            "expected images of bytes, shape (images, height, width, 1 or 3), "
            f"got {images.dtype} {shape}"
        )
    if not 1 <= len(images) <= MAX_IMAGES:
        raise InvalidInput(
            f"expected 1 to {MAX_IMAGES} images on a sheet, choose fewer; got {len(images)}"
        )
    for what, given in (("captions", captions), ("marks", marks)):
        if given is not None and len(given) != len(images):
            raise InvalidInput(
                f"expected {what} for {len(images)} images, one for each, got {len(given)}"
            )
    unknown = set(marks or ()) - {None, *WORDS}
    if unknown:
        raise InvalidInput(
            f"expected marks {', '.join(WORDS)} or None, got {min(map(repr, unknown))}"
        )
    if columns is not None and columns < 1:
        raise InvalidInput(f"expected 1 column or more, got {columns}")


def _blank(grid: Grid, title: str, key: Mapping[Mark, str]) -> Image:
    """The sheet with its title and the key of signs, but no images yet."""
    from PIL import Image

    sheet = Image.new("RGB", grid.size, "white")
    draw = _draw(sheet)
    line = _fit(title, _TITLE, sheet.width - 2 * MARGIN)
    draw.text((MARGIN, MARGIN - 4), line, fill=_INK, font=_font(_TITLE))
    left, top = MARGIN, sheet.height - MARGIN - _SIGN
    for mark, text in key.items():
        image = sign(mark, _SIGN)
        sheet.paste(image, (left, top), image)
        draw.text((left + _SIGN + 6, top + 4), text, fill=_INK, font=_font(_TEXT))
        left += _key_step(text)
    return sheet


def _thumbnail(pixels: NDArray[np.uint8], size: tuple[int, int]) -> Image:
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    larger = size[0] >= image.width
    return image.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def _draw_mark(
    sheet: Image, mark: Mark | None, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """A frame around the picture and the sign over its upper right corner."""
    if mark is None:
        return
    (left, top), (width, height) = corner, size
    box = (left - _FRAME, top - _FRAME, left + width + _FRAME - 1, top + height + _FRAME - 1)
    _draw(sheet).rectangle(box, outline=COLOURS[mark], width=_FRAME)
    image = sign(mark, _SIGN)
    sheet.paste(image, (left + width - _SIGN // 2 - _FRAME, top - _SIGN // 2 + _FRAME), image)


def _write_lines(
    sheet: Image, lines: Sequence[str], place: tuple[int, int], *, room: float
) -> None:
    draw = _draw(sheet)
    for row, line in enumerate(lines):
        colour = _MUTED if row else _INK
        top = place[1] + row * _LINE
        draw.text((place[0], top), _fit(line, _TEXT, room), fill=colour, font=_font(_TEXT))


def _fit(text: str, size: int, room: float) -> str:
    """As much of a text as there is room for, made printable."""
    line = printable(text, limit=_LONGEST)
    for limit in range(len(line), 3, -1):
        shorter = printable(line, limit=limit)
        if _font(size).getlength(shorter) <= room:
            return shorter
    return line[:3]


def _key_step(text: str) -> int:
    """Width of one entry of the key and the gap after it."""
    return _SIGN + 6 + math.ceil(_font(_TEXT).getlength(text)) + GAP


@cache
def _font(size: int) -> FreeTypeFont | BitmapFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _draw(sheet: Image) -> ImageDraw:
    from PIL import ImageDraw

    return ImageDraw.Draw(sheet)


@cache
def sign(mark: Mark, size: int) -> Image:
    """The sign of a mark, `size` pixels square with a transparent ground. Not to be drawn on.

    Right is a tick in a disc, wrong a cross in a square, the target rings, refused a bar in a
    lozenge.
    """
    from PIL import Image

    image = Image.new("RGBA", (_FINE, _FINE))
    _SIGNS[mark](_draw(image), COLOURS[mark])
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


_SIGNS = {"right": _right, "wrong": _wrong, "target": _target, "refused": _refused}
