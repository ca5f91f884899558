"""EfficientNet, B0 to B7.

References:
    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019.
    Padding is the same on both sides, as PyTorch has it; TensorFlow's, in models that timm calls
    `tf_efficientnet`, is not, and those are not read.
"""

from __future__ import annotations

import math
from dataclasses import replace

from torch import nn

from goodnet.architectures.family import Family, Plan, Shapes, count
from goodnet.architectures.inverted import Block, Functions, Inverted, Outline, timm_names
from goodnet.architectures.mobilenet import squeezed_names

# Of B0, by stage: how many blocks, and the stride of the first.
_DEPTHS, _STRIDES, _STEM, _LAST = (1, 2, 2, 3, 3, 4, 1), (1, 2, 2, 2, 1, 2, 1), 32, 1280
# By name: by how much it is wider and deeper, and the size of its images.
_SCALES = {
    "efficientnet_b0": (1.0, 1.0, 224),
    "efficientnet_b1": (1.0, 1.1, 240),
    "efficientnet_b2": (1.1, 1.2, 260),
    "efficientnet_b3": (1.2, 1.4, 300),
    "efficientnet_b4": (1.4, 1.8, 380),
    "efficientnet_b5": (1.6, 2.2, 456),
    "efficientnet_b6": (1.8, 2.6, 528),
    "efficientnet_b7": (2.0, 3.1, 600),
}
_FUNCTIONS = Functions(nn.SiLU, inner=nn.SiLU)
# The largest were trained in TensorFlow, whose normalizations add more.
_LARGE, _LARGE_EPSILON = ("efficientnet_b5", "efficientnet_b6", "efficientnet_b7"), 1e-3
_TIMM = "timm's tf_efficientnet has the same names, but pads otherwise: it is not this network"


def _widened(channels: int, factor: float) -> int:
    """Channels times a factor, rounded to a multiple of 8, not below nine tenths."""
    rounded = max(8, int(channels * factor + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * factor else rounded


_NAMES: dict[tuple[int | tuple[int, ...], ...], str] = {
    (_widened(_STEM, w), _widened(_LAST, w), tuple(math.ceil(n * depth) for n in _DEPTHS)): name
    for name, (w, depth, _) in _SCALES.items()
}


def _plan(shapes: Shapes) -> Plan | None:
    by_timm = "conv_stem.weight" in shapes
    start, root = (0, "blocks") if by_timm else (1, "features")
    stages = range(start, start + len(_DEPTHS))
    depths = tuple(count(shapes, rf"{root}\.{x}\.(\d+)\.(?:block|conv)") for x in stages)
    stem, last, head = (
        (("conv_stem", "bn1"), ("conv_head", "bn2"), "classifier")
        if by_timm
        else (("features.0.0", "features.0.1"), ("features.8.0", "features.8.1"), "classifier.1")
    )
    widths = (shapes[f"{names[0]}.weight"][0] for names in (stem, last))
    name = _NAMES.get((*widths, depths))
    if name is None:
        return None
    functions = _FUNCTIONS
    if name in _LARGE and not by_timm:
        functions = replace(functions, epsilon=_LARGE_EPSILON)
    named = timm_names if by_timm else squeezed_names
    blocks = [
        Block(path, named(shapes, path), 1 if place else stride, functions)
        for stage, depth, stride in zip(stages, depths, _STRIDES, strict=True)
        for place in range(depth)
        for path in [f"{root}.{stage}.{place}"]
    ]
    if not all("down" in block.names for block in blocks):
        return None
    network = Outline(stem, blocks, last, (head,), functions)
    side = _SCALES[name][2]
    notes = (_TIMM,) if by_timm else ()
    return Plan(name, lambda: Inverted(shapes, network), (side, side), notes=notes)


FAMILY = Family(tuple(_SCALES), "efficientnet_b0 to _b7", _plan)
