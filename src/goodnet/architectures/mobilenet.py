"""MobileNetV2 and MobileNetV3, of any width.

References:
    Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018. Howard et al.,
    "Searching for MobileNetV3", 2019.
"""

from __future__ import annotations

from torch import nn

from goodnet.architectures.family import Family, Plan, Shapes, count
from goodnet.architectures.inverted import (
    Block,
    Functions,
    Inverted,
    Outline,
    pairs,
    timm_names,
)

_V2 = Functions(nn.ReLU6)
# Blocks of each stage, and the stride of its first block.
_V2_DEPTHS, _V2_STRIDES = (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1)

# torchvision takes this where the paper is silent.
_V3_EPSILON = 1e-3
_V3_FIRST = Functions(nn.ReLU, gate=nn.Hardsigmoid, epsilon=_V3_EPSILON)
_V3 = Functions(nn.Hardswish, gate=nn.Hardsigmoid, epsilon=_V3_EPSILON)
# By the number of blocks: name, their strides, and how many of the first have the plain activation.
_V3_NAMES = {
    15: ("mobilenet_v3_large", (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1), 6),
    11: ("mobilenet_v3_small", (2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1), 3),
}


def _plan_v2(shapes: Shapes) -> Plan | None:
    strides = [
        stride if place == 0 else 1
        for depth, stride in zip(_V2_DEPTHS, _V2_STRIDES, strict=True)
        for place in range(depth)
    ]
    if "conv_stem.weight" in shapes:
        found = tuple(count(shapes, rf"blocks\.{x}\.(\d+)\.") for x in range(len(_V2_DEPTHS)))
        paths = [f"blocks.{x}.{y}" for x, depth in enumerate(_V2_DEPTHS) for y in range(depth)]
        names = [timm_names(shapes, path) for path in paths] if found == _V2_DEPTHS else []
        stem, last, head = ("conv_stem", "bn1"), ("conv_head", "bn2"), "classifier"
    else:
        paths = [f"features.{place}" for place in range(1, len(strides) + 1)]
        names = [_v2_names(shapes, path) for path in paths]
        end = f"features.{len(strides) + 1}"
        stem, last, head = (
            ("features.0.0", "features.0.1"),
            (f"{end}.0", f"{end}.1"),
            "classifier.1",
        )
    if not names or any("down" in each for each in names):
        return None
    blocks = [Block(*each, _V2) for each in zip(paths, names, strides, strict=True)]
    network = Outline(stem, blocks, last, (head,), _V2)
    also = ("mobilenetv2_100",)
    return Plan("mobilenet_v2", lambda: Inverted(shapes, network), (224, 224), also=also)


def _v2_names(shapes: Shapes, path: str) -> dict[str, str]:
    """The names of torchvision within a block."""
    wide = f"{path}.conv.3.weight" in shapes
    parts = pairs(expand="conv.0", depth="conv.1") if wide else pairs(depth="conv.0")
    end = 2 if wide else 1
    return parts | {"project": f"conv.{end}", "project_norm": f"conv.{end + 1}"}


def _plan_v3(shapes: Shapes) -> Plan | None:
    depth = sum(f"features.{place}.block.0.0.weight" in shapes for place in range(1, 20))
    name, strides, plain = _V3_NAMES[depth]
    blocks = []
    for place, stride in enumerate(strides):
        path = f"features.{place + 1}"
        functions = _V3_FIRST if place < plain else _V3
        blocks.append(Block(path, squeezed_names(shapes, path), stride, functions))
    end = f"features.{depth + 1}"
    network = Outline(
        ("features.0.0", "features.0.1"),
        blocks,
        (f"{end}.0", f"{end}.1"),
        ("classifier.0", "classifier.3"),
        _V3,
    )
    return Plan(name, lambda: Inverted(shapes, network), (224, 224))


def squeezed_names(shapes: Shapes, path: str) -> dict[str, str]:
    """The names of torchvision within a block that perhaps weighs its channels."""
    places = [
        next((kind for kind, key in _KINDS if f"{path}.block.{at}.{key}.weight" in shapes), "")
        for at in range(4)
    ]
    places = [kind for kind in places if kind]
    roles = (["depth"] if places.count("conv") == 2 else ["expand", "depth"]) + ["project"]
    found: dict[str, str] = {}
    for at, kind in enumerate(places):
        if kind == "gate":
            found |= {"down": f"block.{at}.fc1", "up": f"block.{at}.fc2"}
        else:
            found |= pairs(**{roles.pop(0): f"block.{at}"})
    return found


_KINDS = (("conv", "0"), ("gate", "fc1"))

V2 = Family(("mobilenet_v2", "mobilenetv2_100"), "mobilenet_v2", _plan_v2)
V3 = Family(
    tuple(name for name, *_ in _V3_NAMES.values()), "mobilenet_v3_large and _small", _plan_v3
)
