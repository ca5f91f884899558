"""Layers that compute nothing of their own: the images, what passes a value on, opaque parts."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from goodnet.ops.attributes import IMAGE
from goodnet.ops.expression import apply
from goodnet.ops.keras import HWC, Part, Step, reading
from goodnet.ops.onnx import Found, Node
from goodnet.ops.op import Attributes, Given, Kept, Op, Shape, identity, register, same_shape
from goodnet.ops.torch import Call, Operation

if TYPE_CHECKING:
    from torch import nn

# What acts in training alone.
_DROPOUTS = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "StochasticDepth",
)
_AUGMENTATIONS = (
    *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration"),
    *("RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing"),
    *("RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue"),
    *("RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation"),
    *("RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth"),
    "RandomZoom",
)
_TORCH_DROPOUTS = ("nn.Dropout", "nn.Dropout1d", "nn.Dropout2d", "nn.AlphaDropout")
_TORCH_DROPS = ("F.dropout", "F.dropout2d", "F.alpha_dropout")


def _declared(given: Given) -> Shape:
    return tuple(given["shape"])


def _module(attributes: Attributes) -> nn.Module:
    module: nn.Module = copy.deepcopy(attributes["module"])
    return module.cpu().float().requires_grad_()


def _input_to_keras(part: Part) -> list[Step]:
    key = "batch_input_shape" if part.dialect == "h5" else "batch_shape"
    return [Step("InputLayer", {key: [None, *HWC.shape_to_file(part.shape)]})]


def _same(call: Call) -> Operation | None:
    return call.operation("identity") if call.is_value(0) else None


def _dropped(call: Call) -> Operation | None:
    given = call.bound(["p", "training"])
    return None if given is None or given.get("training", True) else _same(call)


# Types of floats in ONNX.
_FLOATS = (1, 10, 11, 16)
# Where activations are quantised, they are read as floats.
PASSED_ON = ("Cast", "DequantizeLinear", "Dropout", "Identity", "QuantizeLinear")


def check_passed_on(node: Node) -> None:
    """See that one of these operations of ONNX leaves its value as it is.

    Raises:
        InvalidInput: If it does not.
    """
    if node.kind == "Cast" and node.integer("to", 1) not in _FLOATS:
        raise node.error("to stay a float")
    flag = node.constant(2) if node.kind == "Dropout" else None
    if flag is not None and flag.array.any():
        raise node.error("a network that is not in training; export it in evaluation mode")


def _passed_on(node: Node) -> Found:
    check_passed_on(node)
    return node.found("identity")


register(
    # (channels, height, width) or (features,); None = any size
    Op(
        name="input",
        attributes=("shape",),
        shape=_declared,
        compute=lambda _: identity,
        to_keras=_input_to_keras,
        checks={"shape": IMAGE},
    ),
    Op(
        name="identity",
        shape=same_shape,
        compute=lambda _: identity,
        channels=Kept(),
        from_keras=dict.fromkeys((*_DROPOUTS, *_AUGMENTATIONS), reading("identity")),
        to_keras=lambda _: [Step("Activation", {"activation": "linear"})],
        from_torch={
            **dict.fromkeys(("nn.Identity", *_TORCH_DROPOUTS, ".contiguous", ".clone"), _same),
            **dict.fromkeys(_TORCH_DROPS, _dropped),
        },
        from_onnx=dict.fromkeys(PASSED_ON, _passed_on),
        to_onnx=lambda written: apply("Identity", written.value),
    ),
    # a part of the user's module, the shape of its value
    Op(name="opaque", attributes=("module", "shape"), shape=_declared, compute=_module),
)
