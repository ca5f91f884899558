"""Pictures: what they claim, what their compression hides, and formats that run programs."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from _hostile_case import ANY, Case, touch
from PIL import Image

__all__ = ["cases"]

_JPEG = "JPEG: scans, sizes, damage"
_PNG = "PNG: sizes, chunks, damage"
_OTHERS = "pictures of other formats"
_FOLDERS = "folders of pictures"

_PREDICT = "predict ../good/model.h5 x.{} --scale 1/255 --preprocess resize"


def cases() -> Iterator[Case]:
    yield from _jpegs()
    yield from _pngs()
    yield from _others()
    yield from _folders()


def _jpegs() -> Iterator[Case]:
    for share in (0.2, 0.8):
        yield Case(_JPEG, f"cut at {share:.0%}", "show x.jpg", partial(_cut, share=share))
    claim = partial(_claimed_jpeg, side=65_500)
    yield Case(_JPEG, "65,500 x 65,500 claimed", "show x.jpg", claim)
    yield Case(_JPEG, "6,000 scans", "show x.jpg", partial(_scans, count=6000))
    few = partial(_scans, count=1500)
    yield Case(_JPEG, "1,500 scans, predict", _PREDICT.format("jpg"), few)
    yield Case(_JPEG, "1,500 scans, in a folder", "show F", _scans_folder)


def _pngs() -> Iterator[Case]:
    for share in (0.2, 0.8):
        make = partial(_cut, share=share, name="x.png")
        yield Case(_PNG, f"cut at {share:.0%}", "show x.png", make)
    claims = ((2**31 - 1, 2**31 - 1), (50_000, 50_000), (1, 2**31 - 1), (0, 0))
    for width, height in claims:
        make = partial(_claimed_png, width=width, height=height)
        yield Case(_PNG, f"{width:,} x {height:,} claimed", "show x.png", make)
    for kind, inner in (("iCCP", b"a\0\0"), ("zTXt", b"a\0\0"), ("iTXt", b"a\0\1\0\0\0")):
        data = inner + zlib.compress(bytes(2**28), 9)
        make = partial(_chunk, kind=kind.encode(), data=data)
        yield Case(_PNG, f"{kind} of 256 MiB", "show x.png", make)
        yield Case(_PNG, f"empty {kind}", "show x.png", partial(_chunk, kind=kind.encode()), ANY)
    yield Case(_PNG, "200,000 texts", "show x.png", _texts, ANY)
    for mode in ("RGB", "RGBA", "P", "I;16"):
        yield Case(_PNG, f"16 megapixels, {mode}", "show x.png", partial(_large, mode=mode), ANY)
    make = partial(_large, mode="L", side=20_000)
    yield Case(_PNG, "400 megapixels", "show x.png", make)


def _others() -> Iterator[Case]:
    for name in ("x.eps", "x.png", "x.jpg"):
        yield Case(
            _OTHERS, f"PostScript as {name}", f"show {name}", partial(_postscript, name=name)
        )
    for name in ("x.svg", "x.png"):
        yield Case(_OTHERS, f"SVG as {name}", f"show {name}", partial(_svg, name=name))
    yield Case(_OTHERS, "GIF of 5,000 frames", "show x.gif", _gif, ANY)
    for kind in ("TIFF", "BMP", "PCX", "ICNS", "PSD", "WEBP", "JPEG2000"):
        make = partial(_header, kind=kind)
        yield Case(_OTHERS, f"{kind}, a head alone", "show x.png", make)


def _folders() -> Iterator[Case]:
    made: dict[str, Callable[[Path], None]] = {
        "a pipe": lambda at: os.mkfifo(at / "a.png"),
        "a link to /dev/zero": lambda at: (at / "a.png").symlink_to("/dev/zero"),
        "a link to a secret": lambda at: (at / "a.png").symlink_to("../../../secret.txt"),
        "a link to itself": lambda at: (at / "a.png").symlink_to("a.png"),
        "a name that is not UTF-8": lambda at: Path(os.fsdecode(bytes(at) + b"/\xff.png")).touch(),
        "an empty picture": lambda at: (at / "a.png").touch(),
        "a sparse picture of 20 GB": lambda at: _sparse(at / "a.png"),
    }
    for name, put in made.items():
        yield Case(_FOLDERS, name, "show F", partial(_folder, put=put))
    yield Case(_FOLDERS, "folders in a circle", "show F", _circle)


def _folder(folder: Path, *, put: Callable[[Path], object]) -> None:
    place = folder / "F" / "0"
    place.mkdir(parents=True)
    put(place)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 20 << 30)


def _circle(folder: Path) -> None:
    (folder / "F").mkdir()
    (folder / "F" / "0").symlink_to("../F")


# -- JPEG ----------------------------------------------------------------------------------------


def _cut(folder: Path, *, share: float, name: str = "x.jpg") -> None:
    Image.effect_noise((500, 500), 50).save(folder / name)
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[: int(share * len(raw))])


def _jpeg(side: int, *, progressive: bool) -> bytes:
    memory = io.BytesIO()
    Image.new("L", (side, side), 128).save(memory, "JPEG", progressive=progressive)
    return memory.getvalue()


def _scans(folder: Path, *, count: int) -> None:
    """The last scan of a progressive picture again and again."""
    made = _jpeg(4000, progressive=True)
    last = made[made.rfind(b"\xff\xda") : -2]
    (folder / "x.jpg").write_bytes(made[:-2] + last * count + b"\xff\xd9")


def _scans_folder(folder: Path) -> None:
    _folder(folder, put=lambda at: _scans(at, count=1500))


def _claimed_jpeg(folder: Path, *, side: int) -> None:
    raw = bytearray(_jpeg(64, progressive=False))
    struct.pack_into(">HH", raw, raw.find(b"\xff\xc0") + 5, side, side)
    (folder / "x.jpg").write_bytes(raw)


# -- PNG -----------------------------------------------------------------------------------------


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        check = struct.pack(">I", zlib.crc32(kind + data))
        parts.append(struct.pack(">I", len(data)) + kind + data + check)
    return b"".join(parts)


def _picture(width: int = 8, height: int = 8, *, more: list[tuple[bytes, bytes]]) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"IDAT", zlib.compress(bytes(9 * 8)))
    return _png((b"IHDR", head), *more, rows, *more, (b"IEND", b""))


def _claimed_png(folder: Path, *, width: int, height: int) -> None:
    (folder / "x.png").write_bytes(_picture(width, height, more=[]))


def _chunk(folder: Path, *, kind: bytes, data: bytes = b"") -> None:
    (folder / "x.png").write_bytes(_picture(more=[(kind, data)]))


def _texts(folder: Path) -> None:
    (folder / "x.png").write_bytes(_picture(more=[(b"tEXt", b"a\0b")] * 100_000))


def _large(folder: Path, *, mode: str, side: int = 4000) -> None:
    image = Image.new(mode, (side, side))
    if mode != "P":
        image.save(folder / "x.png")
        return
    image.putpalette([0, 0, 0] * 256)
    turned = Image.Exif()
    turned[0x0112] = 6
    image.save(folder / "x.png", transparency=0, exif=turned)


# -- other formats -------------------------------------------------------------------------------


def _postscript(folder: Path, *, name: str) -> None:
    """Pillow gives it to Ghostscript, which runs it."""
    lines = ["%!PS-Adobe-3.0 EPSF-3.0", "%%BoundingBox: 0 0 8 8", "%%EndComments"]
    lines += [f"(%pipe%{touch(folder)}) (w) file", "showpage", "%%EOF", ""]
    (folder / name).write_text("\n".join(lines))


def _svg(folder: Path, *, name: str) -> None:
    entity = '<!DOCTYPE x [<!ENTITY s SYSTEM "../secret.txt">]>'
    (folder / name).write_text(
        f'<?xml version="1.0"?>{entity}<svg width="8"><text>&s;</text></svg>'
    )


def _gif(folder: Path) -> None:
    frames = [Image.new("L", (8, 8), number % 256) for number in range(5000)]
    frames[0].save(folder / "x.gif", save_all=True, append_images=frames[1:])


_HEADS = {
    "TIFF": b"II*\0\x08\0\0\0" + b"\xff" * 64,
    "BMP": b"BM" + b"\xff" * 64,
    "PCX": b"\n\5\1\10" + b"\xff" * 124,
    "ICNS": b"icns\0\0\xff\xff" + b"ic10\0\0\xff\0" * 8,
    "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3" + b"\xff" * 32,
    "WEBP": b"RIFF\xff\xff\xff\x7fWEBPVP8X" + b"\xff" * 64,
    "JPEG2000": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\xff" * 64,
}


def _header(folder: Path, *, kind: str) -> None:
    (folder / "x.png").write_bytes(_HEADS[kind])
