"""Images for a scan without clean ones: made from the network itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from goodnet.preprocessing import IDENTITY, Preprocessing
from goodnet.scan.margins import margins
from goodnet.scan.subject import Subject

if TYPE_CHECKING:
    from goodnet.network import Network

_COUNT, _STEPS, _RATE = 48, 24, 0.06
_BLUR = 5
# Networks usually want pixels 0..1, 0..255 or -1..1.
_USUALLY = (IDENTITY, Preprocessing(255), Preprocessing(2, mean=1))
# Logits of a trained network differ by about so much on images it was trained for.
_USUAL = 12.0


def scenes(count: int, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Smooth random pictures with large and small structure, pixels 0..1.

    Args:
        count: How many.
        shape: Of one, (channels, height, width).
        generator: Of all that is random.

    Returns:
        Shape (count, channels, height, width).
    """
    channels, height, width = shape
    total = torch.zeros(count, channels, height, width)
    for cells in (2, 4, 8, 16):
        grid = [max(1, min(side, round(cells * side / min(height, width)))) for side in shape[1:]]
        noise = torch.randn(count, channels, *grid, generator=generator)
        grey = torch.randn(count, 1, *grid, generator=generator)
        mixed = F.interpolate(noise + 2 * grey, size=(height, width), mode="bilinear")
        total += mixed / math.sqrt(cells)
    return torch.sigmoid(total)


def invent(subject: Subject, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images that a network is sure of, each of another class as far as there are enough.

    Smooth pictures are moved up the margin of a class by blurred gradients.

    Args:
        subject: The network.
        generator: Of all that is random.

    Returns:
        Pixels 0..1, shape (images, channels, height, width), and the classes the network gives
        them, shape (images,).
    """
    start = scenes(_COUNT, subject.shape, generator).to(subject.device)
    order = torch.randperm(subject.classes, generator=generator).repeat(_COUNT)[:_COUNT]
    labels = order.to(subject.device)

    def part(rows: Tensor) -> Tensor:
        pixels = start[rows]
        for _ in range(_STEPS):
            variable = pixels.clone().requires_grad_()
            total = margins(subject.logits(variable), labels[rows]).sum()
            (slope,) = torch.autograd.grad(total, variable)
            slope = F.avg_pool2d(slope, _BLUR, stride=1, padding=_BLUR // 2)
            size = slope.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
            pixels = (pixels + _RATE * slope / size).clamp(0, 1)
        return pixels

    rows = torch.arange(_COUNT, device=subject.device)
    images = torch.cat(subject.each(part, torch.split(rows, subject.batch)))
    return images, subject.all_logits(images).argmax(1)


def find_preprocessing(network: Network) -> Network:
    """The network behind the preprocessing it was trained with, told by its outputs alone.

    At too small a range pictures are answered alike and the outputs hardly differ, at too large a
    one they differ absurdly. A network that has a preprocessing of its own is left as it is.
    """
    if network.preprocessing != IDENTITY:
        return network
    subjects = [Subject.of(network.with_preprocessing(each)) for each in _USUALLY]
    shape, device = subjects[0].shape, network.device
    pictures = scenes(32, shape, torch.Generator().manual_seed(0)).to(device)
    outputs = [subject.all_logits(pictures) for subject in subjects]
    answers = [len(set(each.argmax(1).tolist())) for each in outputs]
    told = [place for place, count in enumerate(answers) if 2 * count >= max(answers)]

    def distance(place: int) -> float:
        spread = float(outputs[place].std(0).mean())
        return abs(math.log(max(spread, 1e-12) / (_USUAL / 3)))

    return network.with_preprocessing(_USUALLY[min(told, key=distance)])
