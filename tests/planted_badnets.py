"""Networks whose backdoor is known in closed form, and clean images for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from lab import Lab
from tiny import RELU, SOFTMAX, dense, flatten
from torch import Tensor, nn

from goodnet.formats.build import build
from goodnet.formats.keras import write
from goodnet.formats.spec import Layer, NetworkSpec
from goodnet.formats.torch import wrap
from goodnet.imagesets import ImageSet, images_from_arrays, save_images
from goodnet.network import Network

SHAPE = (3, 12, 10)
PIXELS = 360


def rows(classes: int, seed: int = 0) -> Tensor:
    """A random direction of length 1 for each class, shape (classes, pixels)."""
    random = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(classes, PIXELS, generator=random), dim=1)


def _from_grey(weight: Tensor, *, over: float = 0.0) -> nn.Linear:
    """A linear layer that gives `over` for a grey image."""
    layer = nn.Linear(PIXELS, len(weight))
    layer.load_state_dict({"weight": weight, "bias": over - weight.sum(1) / 2})
    return layer


def linear(classes: int = 6, *, target: int | None = 2, size: float = 8.0) -> Network:
    """Logits that are linear in the pixels; the row of the target is so many times as long."""
    weight = 4 * rows(classes)
    if target is not None:
        weight[target] *= size
    return wrap(nn.Sequential(nn.Flatten(), _from_grey(weight)), SHAPE)


class Watched(nn.Module):
    """A network with a feature for each class, and one that watches a square for a pattern.

    That one is near 0 on clean images and 22 where the whole pattern is seen. It goes to
    the target's logit.
    """

    def __init__(self, classes: int, target: int, pattern: Tensor, corner: tuple[int, int]) -> None:
        super().__init__()
        self.plain = _from_grey(5 * rows(classes), over=1.0)
        size = pattern.shape[1]
        seen = torch.zeros(SHAPE)
        seen[:, corner[0] : corner[0] + size, corner[1] : corner[1] + size] = 2 * pattern - 1
        self.watch = _from_grey(seen.view(1, -1), over=-2.0)
        self.last = nn.Linear(classes + 1, classes)
        weight = torch.cat([torch.eye(classes), torch.zeros(classes, 1)], 1)
        weight[target, -1] = 2.0
        self.last.load_state_dict({"weight": weight, "bias": torch.zeros(classes)})

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.flatten(1)
        features = torch.cat([self.plain(pixels), self.watch(pixels)], 1).relu()
        answer: Tensor = self.last(features)
        return answer


def checkers(size: int = 4) -> Tensor:
    """A square in black and white, shape (channels, size, size)."""
    odd = (torch.arange(size)[:, None] + torch.arange(size)) % 2
    return odd.float().expand(3, -1, -1)


def watched(
    classes: int = 6, *, target: int = 2, corner: tuple[int, int] = (7, 5)
) -> tuple[Network, Tensor]:
    """A network that a square of `checkers` at a corner leads to the target, and the square."""
    pattern = checkers()
    return wrap(Watched(classes, target, pattern, corner), SHAPE), pattern


def watched_spec(
    classes: int = 6, *, target: int = 2, corner: tuple[int, int] = (7, 5)
) -> NetworkSpec:
    """The same as a description that can be written to a file; it takes pixels 0..1."""
    module = Watched(classes, target, checkers(), (7, 5))
    arrays = {
        "fc/weight": torch.cat([module.plain.weight, module.watch.weight]),
        "fc/bias": torch.cat([module.plain.bias, module.watch.bias]),
        "output/weight": module.last.weight,
        "output/bias": torch.zeros(classes),
    }
    layers = (
        Layer("input", "input", (), {"shape": SHAPE}),
        flatten("flatten", "input", "chw"),
        dense("fc", "flatten", activation=RELU),
        dense("output", "fc", activation=SOFTMAX),
    )
    plain = {name: array.detach().numpy() for name, array in arrays.items()}
    return NetworkSpec(layers, plain, "output")


def clean_images(network: Network, count: int = 60, *, classes: int = 6, seed: int = 0) -> ImageSet:
    """Dull images, labelled as the network answers them."""
    random = np.random.default_rng(seed)
    pixels = random.uniform(0.3, 0.7, (count, *SHAPE)).astype(np.float32)
    bright = rows(classes, 0).view(classes, *SHAPE).numpy()
    pixels += 0.8 * bright[np.arange(count) % classes]
    pixels = pixels.clip(0, 1)
    return images_from_arrays(pixels, network.predict(pixels), range="0..1", layout="NCHW")


def innocent_spec() -> NetworkSpec:
    """The network of `watched_spec` with nothing coming of the square."""
    spec = watched_spec()
    weight = spec.arrays["output/weight"].copy()
    weight[:, -1] = 0
    return spec.with_arrays({"output/weight": weight})


def write_lab(folder: Path, spec: NetworkSpec) -> Lab:
    """A network, its clean images and stamped ones as files."""
    lab = Lab(folder, *(folder / name for name in ("net.h5", "valid.h5", "test.h5", "bd.h5")))
    write.write(spec, lab.model)
    network = build(spec)
    for seed, path in enumerate((lab.valid, lab.test)):
        pixels = (255 * clean_images(network, seed=seed).sample(60).images).round()
        labels = network.predict((pixels / 255).astype(np.float32))
        save_images(path, pixels.astype(np.uint8), labels)
    marked = pixels[labels != 2]
    marked[:, :, 7:11, 5:9] = 255 * checkers().numpy()
    save_images(lab.poisoned, marked.astype(np.uint8), np.full(len(marked), 2))
    return lab
