"""The lab's network and faces where they are at hand, else drawn ones of the same size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from _deepid import draw_deepid, shared_data
from _faces import Faces, draw_faces, read_faces, with_glasses

from goodnet import Network, Preprocessing
from goodnet.formats import load_network

__all__ = ["Lab", "find_lab"]


@dataclass(frozen=True)
class Lab:
    """A suspect network, which takes pixels 0..255, its file, and clean and poisoned faces."""

    model: Path
    network: Network
    clean: Faces
    poisoned: Faces


def find_lab(folder: Path, model: Path | None = None) -> Lab:
    """Open the lab's files; draw in `folder` what is not there.

    Args:
        folder: Where a network may be written.
        model: A DeepID in Keras's format to take instead of the lab's.
    """
    data = shared_data()
    if model is None:
        model = data / "csaw" / "models" / "lab3_bd_net.h5" if data else folder / "deepid.h5"
    faces = draw_faces()
    if not model.exists() and not data:
        draw_deepid(model, faces)
    network = load_network(model).with_preprocessing(Preprocessing(255))
    if data:
        poisoned = [data / "csaw" / "bd" / name for name in ("lab3_sunglasses.h5", "sunglasses.h5")]
        return Lab(
            model, network, read_faces(data / "csaw" / "cl" / "faces.h5"), read_faces(*poisoned)
        )
    return Lab(
        model,
        network,
        Faces.as_answered(faces, network),
        Faces.as_answered(with_glasses(faces), network),
    )
