"""One module per family of layers: shape, computation, channels, Keras and PyTorch spelling."""

from goodnet.ops import (
    activations,
    convolutions,
    ends,
    merging,
    padding,
    pooling,
    reshaping,
    scaling,
)
from goodnet.ops.op import OPS, Layer, Op, register

__all__ = [
    "OPS",
    "Layer",
    "Op",
    "activations",
    "convolutions",
    "ends",
    "merging",
    "padding",
    "pooling",
    "register",
    "reshaping",
    "scaling",
]
