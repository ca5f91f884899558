"""One module per family of layers: shape, computation, channels; Keras, PyTorch and ONNX spelling.

Each registers its kinds of layers when it is imported here.
"""

from goodnet.ops import (
    activations,
    attention,
    convolutions,
    dense,
    ends,
    group_and_layer_norm,
    local_response_norm,
    merging,
    normalization,
    padding,
    pooling,
    reshaping,
    resizing,
    response_norm,
    scaling,
    slicing,
    tokens,
    transposed_convolutions,
    window_attention,
)
from goodnet.ops.op import OPS, Layer, Op, register

__all__ = ["FAMILIES", "OPS", "Layer", "Op", "register"]

FAMILIES = (
    *(activations, attention, convolutions, dense, ends, merging, normalization, padding),
    *(group_and_layer_norm, local_response_norm, pooling, reshaping, resizing, response_norm),
    *(scaling, slicing, tokens, transposed_convolutions, window_attention),
)
