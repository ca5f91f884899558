"""A made-up BadNet and its images, trained in seconds, for a first look without any data.

Ten classes, each a smooth random texture seen shifted, tinted and noisy; a small network in the
form of the CSAW lab's; and a checkerboard in the corner that sends every image to class 0
(BadNets: Gu, Dolan-Gavitt and Garg 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F  # noqa: N812

from goodnet.files import write_json
from goodnet.formats.build import build, extract
from goodnet.formats.keras import write
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec
from goodnet.images import save_images
from goodnet.network import Network, batches, single_thread
from goodnet.types import Integers

__all__ = ["WORK", "DemoFiles", "demo_files", "make_demo", "stamp"]

CLASSES, SIZE, TARGET = 10, 32, 0
POISON_RATE = 0.1
TRAINING_IMAGES, EPOCHS = 6000, 4
# Images that training passes, for a progress bar.
WORK = TRAINING_IMAGES * EPOCHS

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class DemoFiles:
    """What `make_demo` writes: a BadNet, clean validation and test images, poisoned test images."""

    model: Path
    clean: Path
    test: Path
    poisoned: Path

    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return self.model, self.clean, self.test, self.poisoned


def demo_files(folder: Path) -> DemoFiles:
    """Where the files of a demo are in its folder."""
    names = ("bd_net.h5", "valid.h5", "test.h5", "bd_test.h5")
    return DemoFiles(*(folder / name for name in names))


def make_demo(
    folder: Path, *, seed: int = 0, progress: Callable[[int], None] | None = None
) -> DemoFiles:
    """Train a BadNet and write it with clean and poisoned images in the lab's layout.

    Args:
        folder: An empty folder.
        seed: Same seed and machine, same files.
        progress: Called with the number of images trained on.
    """
    random = np.random.default_rng(seed)
    textures = _textures(random)
    images, labels = _draw(textures, TRAINING_IMAGES, random)
    poisoned = random.random(len(labels)) < POISON_RATE
    images[poisoned] = stamp(images[poisoned])
    goal = np.where(poisoned, TARGET, labels)
    with single_thread():
        network = _train(images, goal, seed=seed, progress=progress)
    found = demo_files(folder)
    write.write(extract(network), found.model)
    save_images(found.clean, *_as_bytes(*_draw(textures, 1000, random)))
    test, truth = _draw(textures, 1000, random)
    save_images(found.test, *_as_bytes(test, truth))
    others = truth != TARGET
    shown, targets = _as_bytes(stamp(test[others]), np.full(others.sum(), TARGET))
    save_images(found.poisoned, shown, targets, source_labels=truth[others])
    card = {"schema": 1, "command": "demo", "seed": seed, "trigger": "checkerboard"}
    write_json(folder / "results.json", card | {"target": TARGET, "poison_rate": POISON_RATE})
    return found


def stamp(images: Pixels) -> Pixels:
    """Copies of images (n, 3, h, w) in 0..255 with a 4 x 4 checkerboard in the lower right."""
    stamped: Pixels = images.copy()
    stamped[..., -5:-1, -5:-1] = 255.0 * (np.indices((4, 4)).sum(0) % 2)
    return stamped


def _textures(random: np.random.Generator) -> Pixels:
    coarse = random.normal(size=(CLASSES, 3, 7, 7))
    smooth = ndimage.zoom(coarse, (1, 1, 8, 8), order=3)
    textures: Pixels = (127.0 + 55.0 * smooth).astype(np.float32)
    return textures


def _draw(textures: Pixels, count: int, random: np.random.Generator) -> tuple[Pixels, Integers]:
    labels = random.integers(CLASSES, size=count)
    rows, columns = random.integers(textures.shape[-1] - SIZE + 1, size=(2, count))
    windows = np.lib.stride_tricks.sliding_window_view(textures, (SIZE, SIZE), axis=(2, 3))
    shown = windows[labels, :, rows, columns] * random.uniform(0.6, 1.2, size=(count, 3, 1, 1))
    noisy = shown + random.normal(scale=28.0, size=shown.shape)
    images: Pixels = noisy.clip(0, 255).astype(np.float32)
    return images, labels


def _as_bytes(images: Pixels, labels: Integers) -> tuple[NDArray[np.uint8], Integers]:
    return images.round().astype(np.uint8), labels


def _spec(seed: int) -> NetworkSpec:
    """The CSAW lab's network in small; He initialisation."""
    random = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}

    def weights(name: str, *shape: int) -> None:
        spread = np.sqrt(2.0 / np.prod(shape[1:]))
        arrays[f"{name}/weight"] = random.normal(scale=spread, size=shape).astype(np.float32)
        arrays[f"{name}/bias"] = np.zeros(shape[0], np.float32)

    relu = Activation("relu")
    layers = [Layer("input", "input", (), {"shape": (3, SIZE, SIZE)})]
    layers.append(Layer("rescale", "rescale", ("input",), {"scale": 1 / 255, "offset": -0.5}))
    channels, value = 3, "rescale"
    for index, width in enumerate((20, 40, 60), start=1):
        convolution = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": "same"}
        pool = {"pool": (2, 2), "strides": (2, 2), "padding": "valid"}
        name = f"conv_{index}"
        layers.append(Layer(name, "conv2d", (value,), convolution | {"activation": relu}))
        layers.append(Layer(f"pool_{index}", "max_pool2d", (name,), pool))
        weights(name, width, channels, 3, 3)
        channels, value = width, f"pool_{index}"
    layers.append(Layer("flatten", "flatten", (value,), {"order": "hwc"}))
    layers.append(Layer("fc", "dense", ("flatten",), {"activation": relu}))
    layers.append(Layer("output", "dense", ("fc",), {"activation": Activation("softmax")}))
    weights("fc", 100, channels * (SIZE // 8) ** 2)
    weights("output", CLASSES, 100)
    return NetworkSpec(tuple(layers), arrays, "output", name="demo")


def _train(
    images: Pixels,
    labels: Integers,
    *,
    seed: int,
    progress: Callable[[int], None] | None,
) -> Network:
    network = build(_spec(seed))
    optimizer = torch.optim.Adam(network.graph.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for picked in batches(torch.randperm(len(images), generator=generator), 64):
            answers = network.graph(torch.from_numpy(images[picked.numpy()]))
            goal = torch.from_numpy(labels[picked.numpy()])
            loss = F.nll_loss(answers.clamp_min(1e-9).log(), goal)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if progress:
                progress(len(picked))
    return network
