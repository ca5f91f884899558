"""Vision transformers as people write them: the same attention in many words."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

HEADS = 3


class Fused(nn.Module):
    """One linear layer for query, key and value, and PyTorch's function, as in timm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def three(self, value: Tensor) -> Tensor:
        images, steps, width = value.shape
        apart = self.qkv(value).reshape(images, steps, 3, HEADS, width // HEADS)
        found: Tensor = apart.permute(2, 0, 3, 1, 4)
        return found

    def forward(self, value: Tensor) -> Tensor:
        query, key, own = self.three(value).unbind(0)
        read = F.scaled_dot_product_attention(query, key, own)
        found: Tensor = self.proj(read.transpose(1, 2).reshape(value.shape))
        return found


class ByHand(Fused):
    """The same with its products written out."""

    def forward(self, value: Tensor) -> Tensor:
        query, key, own = self.three(value)[0], self.three(value)[1], self.three(value)[2]
        scores = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
        read = scores.softmax(-1) @ own
        found: Tensor = self.proj(read.transpose(1, 2).reshape(value.shape))
        return found


class Apart(nn.Module):
    """Three linear layers, the query scaled before its heads are, other heads for the value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.value, self.out = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, value: Tensor) -> Tensor:
        images, steps, _ = value.shape
        query, key, own = (
            layer(value).view(images, steps, HEADS, -1).permute(0, 2, 1, 3)
            for layer in (self.query, self.key, self.value)
        )
        scores = torch.matmul(query * 0.2, key.transpose(-1, -2)) / 1.5
        read = torch.matmul(F.softmax(scores, dim=-1), own).permute(0, 2, 1, 3).contiguous()
        found: Tensor = self.out(read.view(images, steps, -1))
        return found


class OfPyTorch(nn.Module):
    """PyTorch's module, which has the steps in front of the images, and rows of both at the end."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, HEADS, batch_first=True)

    def forward(self, value: Tensor) -> Tensor:
        found: Tensor = self.attention(value, value, value, need_weights=False)[0]
        return found


class OneHead(nn.Module):
    """Whole vectors, without a head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(width, 8), nn.Linear(width, 8)

    def forward(self, value: Tensor) -> Tensor:
        scores = self.query(value) @ self.key(value).transpose(1, 2)
        found: Tensor = scores.softmax(2) @ value
        return found


KINDS: dict[str, Callable[[int], nn.Module]] = {
    "fused": Fused,
    "by hand": ByHand,
    "apart": Apart,
    "of PyTorch": OfPyTorch,
    "one head": OneHead,
}


class Block(nn.Module):
    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = KINDS[kind](width)
        self.mlp = nn.Sequential(nn.Linear(width, 40), nn.GELU(), nn.Linear(40, width))

    def forward(self, value: Tensor) -> Tensor:
        value = value + self.attention(self.first(value))
        found: Tensor = value + self.mlp(self.second(value))
        return found


class ViT(nn.Module):
    """Patches of 4 x 4, a class token, places, two blocks; the head reads the token or the mean."""

    def __init__(self, kind: str, *, token: bool = True, width: int = 24) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, width)) if token else None
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.places = nn.Parameter(torch.randn(1, 16 + token, width))
        self.blocks = nn.Sequential(Block(kind, width), Block(kind, width))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)

    def forward(self, images: Tensor) -> Tensor:
        value = self.patches(images).flatten(2).transpose(1, 2)
        if self.token is not None:
            value = torch.cat([self.token.expand(value.shape[0], -1, -1), value], 1)
        value = self.norm(self.blocks(value + self.places))
        found: Tensor = self.head(value.mean(1) if self.token is None else value[:, 0])
        return found
