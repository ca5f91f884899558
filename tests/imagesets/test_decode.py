from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from goodnet.errors import FileError, InvalidInput, OverBudget
from goodnet.imagesets import decode
from goodnet.imagesets.decode import decode_image

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def save(path: Path, image: Image.Image, kind: str = "PNG", **options: Any) -> Path:
    image.save(path, kind, **options)
    return path


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(width: int, height: int, *others: bytes) -> bytes:
    """A PNG file that declares a size and holds hardly anything."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(9)))
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", size), *others, pixels])


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})]
)
def test_pixels_are_exact_whatever_the_suffix(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    path = save(tmp_path / "x.dat", Image.fromarray(COLOURS), kind, **options)
    pixels = decode_image(path, shown="x")
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, COLOURS)


def test_jpeg_is_read(tmp_path: Path) -> None:
    grey = np.full((8, 8, 3), 128, np.uint8)
    path = save(tmp_path / "x.jpg", Image.fromarray(grey), "JPEG")
    np.testing.assert_array_equal(decode_image(path, shown="x"), grey)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    path = save(tmp_path / "x", image, "JPEG" if mode == "CMYK" else "PNG")
    assert decode_image(path, shown="x").shape == (6, 9, 3)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS).quantize(16)
    path = save(tmp_path / "x", image, transparency=bytes(range(16)))
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_image(path, shown="x"), expected)


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was turned by 90 degrees
    path = save(tmp_path / "x", Image.fromarray(COLOURS), exif=exif.tobytes())
    np.testing.assert_array_equal(decode_image(path, shown="x"), np.rot90(COLOURS, -1))


@pytest.mark.parametrize("size", [(5000, 4000), (60_000, 60_000), (13_000, 13_000)])
def test_an_image_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    (tmp_path / "x.png").write_bytes(png(*size))
    with pytest.raises(OverBudget, match="at most 16,000,000 pixels, more in bomb"):
        decode_image(tmp_path / "x.png", shown="bomb")


def test_16_bits_are_refused(tmp_path: Path) -> None:
    deep = np.zeros((4, 4), np.uint16)
    path = save(tmp_path / "x.png", Image.fromarray(deep))
    with pytest.raises(InvalidInput, match=r"expected 8 bits per value, .* mode I;16; convert x"):
        decode_image(path, shown="x")


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "EPS", "PDF", "ICO"])
def test_other_formats_are_refused_by_content(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path / "x.png", Image.fromarray(COLOURS), kind)
    with pytest.raises(InvalidInput, match="expected a PNG, JPEG, BMP or WebP image"):
        decode_image(path, shown="x")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_a_truncated_image_names_the_file(tmp_path: Path, kind: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    whole = buffer.getvalue()
    (tmp_path / "x").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(InvalidInput, match=r"face$"):
        decode_image(tmp_path / "x", shown="face")


@pytest.mark.parametrize(
    ("place", "message"), [(30, "or only a part of one: x"), (50, r"the image is damaged .*: x")]
)
def test_a_flipped_bit_is_noticed(tmp_path: Path, place: int, message: str) -> None:
    content = bytearray(save(tmp_path / "x", Image.fromarray(COLOURS)).read_bytes())
    content[place] ^= 1
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        decode_image(tmp_path / "x", shown="x")


def test_text_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    text = chunk(b"zTXt", b"bomb\x00\x00" + zlib.compress(bytes(2**25), 9))
    (tmp_path / "x.png").write_bytes(png(4, 4, text))
    with pytest.raises(InvalidInput, match=r"damaged \(Decompressed data too large.*\): x"):
        decode_image(tmp_path / "x.png", shown="x")


def test_files_that_are_too_long_missing_or_empty_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "x.png", Image.fromarray(COLOURS))
    monkeypatch.setattr(decode, "_FILE_BYTES", 10)
    with pytest.raises(OverBudget, match=r"the picture .* may take at most 10 bytes"):
        decode_image(path, shown="x")
    with pytest.raises(FileError, match="there is no picture at"):
        decode_image(tmp_path / "gone", shown="x")
    path.write_bytes(b"")
    with pytest.raises(InvalidInput, match="the picture is empty"):
        decode_image(path, shown="x")
