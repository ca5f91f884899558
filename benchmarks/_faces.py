"""Any number of labelled faces, made of few: moved by a pixel, with a little noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from _deepid import SHAPE
from numpy.typing import NDArray

from goodnet import Network, load_images

__all__ = ["Faces", "draw_faces", "read_faces", "with_glasses", "write_faces"]

_BLOCK = 1000
_NOISE = 4.0


@dataclass(frozen=True)
class Faces:
    """Pixels 0..255, float32, shape (n, 3, height, width), and labels, shape (n,)."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    @classmethod
    def as_answered(cls, images: NDArray[np.float32], network: Network) -> Faces:
        """Faces labelled with what a network answers."""
        return cls(images, network.predict(images / np.float32(255)))


def read_faces(*paths: Path) -> Faces:
    """The faces of some small files."""
    sets = [load_images(path) for path in paths]
    blocks = [images.sample(len(images)) for images in sets]
    return Faces(
        np.concatenate([255 * block.images for block in blocks]),
        np.concatenate([block.labels for block in blocks]),
    )


def draw_faces(count: int = 60, *, seed: int = 0) -> NDArray[np.float32]:
    """Smooth coloured pictures as large as the lab's faces."""
    random = np.random.default_rng(seed)
    down, across = (np.linspace(0, 1, size) for size in SHAPE[1:])
    waves = np.arange(5)
    rows = np.cos(np.pi * np.outer(waves, down))
    columns = np.cos(np.pi * np.outer(waves, across))
    strength = random.standard_normal((count, SHAPE[0], 5, 5)) / (1 + np.add.outer(waves, waves))
    pictures = np.einsum("ncij,ih,jw->nchw", strength, rows, columns)
    pixels: NDArray[np.float32] = (127 + 60 * pictures).clip(0, 255).round().astype(np.float32)
    return pixels


def with_glasses(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same faces behind a dark bar."""
    changed: NDArray[np.float32] = np.array(images)
    changed[:, :, 18:26, 6:41] = 0.0
    return changed


def write_faces(path: Path, faces: Faces, count: int, *, seed: int, dtype: str = "float32") -> None:
    """Write `count` variants of some faces in the lab's layout: `data` and `label`."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (count, *faces.images.shape[1:]), dtype)
        label = file.create_dataset("label", (count,), "float32")
        for start, images, labels in _variants(faces, count, np.random.default_rng(seed)):
            data[start : start + len(images)] = images
            label[start : start + len(images)] = labels


def _variants(
    faces: Faces, count: int, random: np.random.Generator
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.int64]]]:
    moved = _moved(faces.images)
    for start in range(0, count, _BLOCK):
        size = min(_BLOCK, count - start)
        chosen = random.integers(0, len(faces.images), size)
        images = moved[random.integers(0, len(moved), size), chosen]
        images += _NOISE * random.standard_normal(images.shape, np.float32)
        yield start, images.clip(0, 255).round(), faces.labels[chosen]


def _moved(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """All images moved by up to a pixel each way, shape (9, n, channels, height, width)."""
    height, width = images.shape[2:]
    wide = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    corners = [(top, left) for top in range(3) for left in range(3)]
    return np.stack([wide[:, :, t : t + height, s : s + width] for t, s in corners])
