"""Vision transformers of torchvision and timm, DeiT among them.

References:
    Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020. Touvron et al., "Training
    data-efficient image transformers", 2020, which has the same layers; without its distillation
    token.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812

from goodnet.architectures.family import Family, Plan, Shapes, count
from goodnet.architectures.inverted import put

# By width and depth: what the papers call it, torchvision's letter, and heads.
_KINDS = {
    (192, 12): ("tiny", "", 3),
    (384, 12): ("small", "", 6),
    (768, 12): ("base", "b", 12),
    (1024, 24): ("large", "l", 16),
    (1280, 32): ("huge", "h", 16),
}
_EPSILON = 1e-6
_TORCHVISION_NAMES = (("b", 16), ("b", 32), ("l", 16), ("l", 32), ("h", 14))
_TIMM_NAMES = tuple(
    (start, kind, patch, size)
    for start, kind, patches in (
        ("vit", "tiny", (16,)),
        ("vit", "small", (16, 32)),
        ("vit", "base", (8, 16, 32)),
        ("vit", "large", (16, 32)),
        ("vit", "huge", (14,)),
        *(("deit", kind, (16,)) for kind in ("tiny", "small", "base")),
    )
    for patch in patches
    for size in (224, 384)
)


def with_token(value: Tensor, token: Tensor) -> Tensor:
    """A sequence (batch, steps, features) behind a token (1, 1, features)."""
    return torch.cat([token.expand(len(value), -1, -1), value], 1)


def placed(value: Tensor, places: Tensor) -> Tensor:
    """A sequence with the embedding (1, steps, features) of each place added."""
    return value + places


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention of sequences (batch, steps, features), each head with its part of the features."""
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def projected(value: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer of arrays that no module for linear layers holds."""
    return F.linear(value, weight, bias)


# Each is one layer where the module is read layer by layer.
fx.wrap("with_token")
fx.wrap("placed")
fx.wrap("attend")
fx.wrap("projected")


@dataclass(frozen=True)
class _Names:
    """What a library calls the parts; those of a block are within it."""

    patches: str
    token: str
    places: str
    blocks: str
    norm: str
    head: str
    first: str
    projections: tuple[str, str]
    out: str
    second: str
    hidden: tuple[str, str]


_TORCHVISION = _Names(
    "conv_proj",
    "class_token",
    "encoder.pos_embedding",
    "encoder.layers.encoder_layer_",
    "encoder.ln",
    "heads.head",
    "ln_1",
    ("self_attention.in_proj_weight", "self_attention.in_proj_bias"),
    "self_attention.out_proj",
    "ln_2",
    ("mlp.0", "mlp.3"),
)
_TIMM = _Names(
    "patch_embed.proj",
    "cls_token",
    "pos_embed",
    "blocks.",
    "norm",
    "head",
    "norm1",
    ("attn.qkv.weight", "attn.qkv.bias"),
    "attn.proj",
    "norm2",
    ("mlp.fc1", "mlp.fc2"),
)


def _parameter(root: nn.Module, path: str, shape: tuple[int, ...]) -> None:
    """Make a parameter of a module at a path within it."""
    folder, _, name = path.rpartition(".")
    known = dict(root.named_modules())
    owner = known[folder] if folder in known else put(root, folder, nn.Module())
    owner.register_parameter(name, nn.Parameter(torch.empty(shape)))


def _numbers(root: nn.Module, path: str) -> Tensor:
    """The parameter at a path, as an attribute, so that a trace sees where it is from."""
    folder, _, name = path.rpartition(".")
    found: Tensor = getattr(root.get_submodule(folder), name)
    return found


class _Block(nn.Module):
    """Attention, then two linear layers, each added to what it reads."""

    def __init__(self, shapes: Shapes, path: str, names: _Names, *, heads: int) -> None:
        super().__init__()
        self.names, self.heads = names, heads
        three, self.width = shapes[f"{path}.{names.projections[0]}"]
        _parameter(self, names.projections[0], (three, self.width))
        _parameter(self, names.projections[1], (three,))
        for norm in (names.first, names.second):
            put(self, norm, nn.LayerNorm(self.width, _EPSILON))
        for linear in (names.out, *names.hidden):
            out, into = shapes[f"{path}.{linear}.weight"]
            put(self, linear, nn.Linear(into, out))
        self.gelu = nn.GELU()

    def forward(self, value: Tensor) -> Tensor:
        names, width = self.names, self.width
        weight, bias = (_numbers(self, name) for name in names.projections)
        # Features first, where a part of them is cut out.
        three = projected(self._at(names.first, value), weight, bias).transpose(1, 2)
        query, key, own = (
            three[:, at * width : (at + 1) * width].transpose(1, 2) for at in range(3)
        )
        value = value + self._at(names.out, attend(query, key, own, self.heads))
        inner = self.gelu(self._at(names.hidden[0], self._at(names.second, value)))
        return value + self._at(names.hidden[1], inner)

    def _at(self, name: str, value: Tensor) -> Tensor:
        result: Tensor = self.get_submodule(name)(value)
        return result


class _ViT(nn.Module):
    """Patches, a token and places, blocks, and a linear layer that reads the token."""

    def __init__(self, shapes: Shapes, names: _Names, *, depth: int, heads: int) -> None:
        super().__init__()
        self.names, self.depth = names, depth
        width, into, side, _ = shapes[f"{names.patches}.weight"]
        _parameter(self, names.token, (1, 1, width))
        put(self, names.patches, nn.Conv2d(into, width, side, side))
        _parameter(self, names.places, shapes[names.places])
        for place in range(depth):
            path = f"{names.blocks}{place}"
            put(self, path, _Block(shapes, path, names, heads=heads))
        put(self, names.norm, nn.LayerNorm(width, _EPSILON))
        put(self, names.head, nn.Linear(width, shapes[f"{names.head}.weight"][0]))

    def forward(self, images: Tensor) -> Tensor:
        names = self.names
        value = self.get_submodule(names.patches)(images).flatten(2).transpose(1, 2)
        value = with_token(value, _numbers(self, names.token))
        value = placed(value, _numbers(self, names.places))
        for place in range(self.depth):
            value = self.get_submodule(f"{names.blocks}{place}")(value)
        value = self.get_submodule(names.norm)(value)[:, :1].flatten(1)
        result: Tensor = self.get_submodule(names.head)(value)
        return result


def _plan(shapes: Shapes) -> Plan | None:
    names = _TIMM if _TIMM.token in shapes else _TORCHVISION
    width, _, patch, _ = shapes[f"{names.patches}.weight"]
    depth = count(shapes, re.escape(names.blocks) + r"(\d+)\.")
    kind, letter, heads = _KINDS[width, depth]
    side = patch * math.isqrt(shapes[names.places][1] - 1)

    def build() -> nn.Module:
        return _ViT(shapes, names, depth=depth, heads=heads)

    if names is _TORCHVISION:
        return Plan(f"vit_{letter or kind}_{patch}", build, (side, side), any_size=False)
    name = f"{kind}_patch{patch}_{side}"
    return Plan(f"vit_{name}", build, (side, side), any_size=False, also=(f"deit_{name}",))


FAMILY = Family(
    (
        *(f"vit_{letter}_{patch}" for letter, patch in _TORCHVISION_NAMES),
        *(f"{start}_{kind}_patch{patch}_{size}" for start, kind, patch, size in _TIMM_NAMES),
    ),
    "vit_b_16 and vit_tiny_patch16_224 and their like, of torchvision and timm",
    _plan,
)
