"""One module per family of layers: shape, computation, channels, Keras and PyTorch spelling.

Each registers its kinds of layers when it is imported here.
"""

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

__all__ = ["FAMILIES", "OPS", "Layer", "Op", "register"]

FAMILIES = (activations, convolutions, ends, merging, padding, pooling, reshaping, scaling)
