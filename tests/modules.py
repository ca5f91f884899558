"""Modules as users of PyTorch write them, small."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

SHAPE = (3, 32, 32)


class Block(nn.Module):
    """Of a residual network, with one activation that is called twice and writes in place."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample: nn.Module | None = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, value: Tensor) -> Tensor:
        same = value if self.downsample is None else self.downsample(value)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(value)))))
        out += same
        result: Tensor = self.relu(out)
        return result


class ResNet(nn.Module):
    """The usual stem, two stages, an average pool and a linear layer."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(8, 8))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, classes)

    def forward(self, images: Tensor) -> Tensor:
        value = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        value = self.avgpool(self.layer2(self.layer1(value)))
        result: Tensor = self.fc(torch.flatten(value, 1))
        return result


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, value: Tensor) -> Tensor:
        inner = F.silu(self.down(F.adaptive_avg_pool2d(value, 1)))
        return value * torch.sigmoid(self.up(inner))


class MobileNet(nn.Module):
    """Normalizes its images, has convolutions by channel, gives logarithms of probabilities."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.3, 0.2])[:, None, None])
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(True))
        self.by_channel = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.act, self.squeeze = nn.Hardswish(), Squeeze(8)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 7))

    def forward(self, images: Tensor) -> Tensor:
        value = (images / 2 * 2 - self.mean) / self.std
        value = self.squeeze(self.act(self.by_channel(self.stem(value))))
        return F.log_softmax(self.head(value.mean([2, 3])), dim=1)


class DenseNet(nn.Module):
    """Joins all before, has GroupNorm and a dropout that is a function."""

    def __init__(self) -> None:
        super().__init__()
        convs = [nn.Conv2d(3 + 4 * place, 4, 3, padding="same") for place in range(3)]
        self.convs = nn.ModuleList(convs)
        self.norm = nn.GroupNorm(3, 15)
        self.head = nn.Linear(15 * 64, 6)

    def forward(self, images: Tensor) -> Tensor:
        found = [F.pad(images, (0, 0, 1, 1))[:, :, 1:-1]]
        for conv in self.convs:
            found.append(F.leaky_relu(conv(torch.cat(found, 1)), 0.1))
        value = F.max_pool2d(F.avg_pool2d(self.norm(torch.cat(found, dim=1)), 2), 2)
        value = F.dropout(value, 0.3, training=self.training)
        result: Tensor = self.head(value.view(value.size(0), -1))
        return result


class Attention(nn.Module):
    """A block of a transformer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 8), nn.GELU(), nn.Linear(8, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        torch._assert(tokens.dim() == 3, "expected (batch, tokens, width)")  # type: ignore[no-untyped-call]
        seen = self.norm(tokens)
        seen, _ = self.attention(seen, seen, seen, need_weights=False)
        tokens = tokens + seen
        result: Tensor = tokens + self.mlp(tokens)
        return result


class Transformer(nn.Module):
    """A vision transformer: patches, a class token, places."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, 17, width))
        self.blocks = nn.Sequential(Attention(width), Attention(width))
        self.head = nn.Linear(width, 5)

    def forward(self, images: Tensor) -> Tensor:
        count, _, height, _ = images.shape
        torch._assert(height == 32, "wrong height")  # type: ignore[no-untyped-call]
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(count, -1, -1), tokens], dim=1) + self.places
        result: Tensor = self.head(self.blocks(tokens)[:, 0])
        return result


class Inner(nn.Module):
    """Decides by its images what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, value: Tensor) -> Tensor:
        result: Tensor = self.conv(value if value.mean() > 0 else -value)
        return result


class PartlyTraceable(nn.Module):
    """Has control flow in one of its modules."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.head = nn.Conv2d(3, 4, 3), Inner(), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.head(F.relu(self.inner(self.stem(images))).mean((2, 3)))
        return result


class Untraceable(nn.Module):
    """Has control flow of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = PartlyTraceable()

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.inside(images if images.mean() > 0 else -images)
        return result


class WritesOver(nn.Module):
    """Writes over a value that is read later."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        value = self.stem(images)
        F.relu(value, inplace=True)
        result: Tensor = self.head(value.mean((2, 3)))
        return result


class Tied(nn.Module):
    """Uses one convolution twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 3)

    def forward(self, images: Tensor) -> Tensor:
        value = self.conv(self.conv(images).relu()).relu()
        result: Tensor = self.head(value.mean((2, 3)))
        return result


KNOWN = (ResNet, MobileNet, DenseNet, Transformer, PartlyTraceable, Untraceable, WritesOver, Tied)


def made(kind: type[nn.Module], seed: int = 0, **options: Any) -> nn.Module:
    """One of them with weights and running statistics from a seed, in evaluation mode."""
    torch.manual_seed(seed)
    module = kind(**options)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = 0.1 * torch.randn_like(part.weight)
            nn.init.uniform_(part.weight, 0.5, 1.5)
    return module.eval()
