"""What the tests of the Keras reader share: the small network as it is read, and two layers."""

from __future__ import annotations

import numpy as np
from keras_samples import KEYS, Config, dense, functional, layer, small_arrays

from goodnet.formats.spec import Activation, Layer, NetworkSpec

WINDOW = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": "valid"}
EXPECTED = (
    Layer("image", "input", (), {"shape": (3, 8, 8)}),
    Layer("conv", "conv2d", ("image",), {**WINDOW, "activation": Activation("relu")}),
    Layer("norm", "batch_norm", ("conv",), {"epsilon": 0.001}),
    Layer("pool", "max_pool2d", ("norm",), {"pool": (2, 2), "strides": (2, 2), "padding": "valid"}),
    Layer("drop", "identity", ("pool",), {}),
    Layer("flat", "flatten", ("drop",), {"order": "hwc"}),
    Layer("answer", "dense", ("flat",), {"activation": Activation("softmax")}),
)


def check_small(spec: NetworkSpec) -> None:
    """It is the small network, with its arrays in the layout of the spec."""
    arrays = small_arrays()
    assert spec.output == "answer"
    assert spec.layers[1:] == EXPECTED[1:]
    assert set(spec.arrays) == set(KEYS.values())
    for key, array in arrays.items():
        found = spec.arrays[KEYS[key]]
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
        np.testing.assert_array_equal(found, array.transpose(axes))
        assert found.dtype == np.float32


ONE, TWO = np.full((4, 4), 1, np.float32), np.full((4, 4), 2, np.float32)


def two_dense(names: tuple[str, str] = ("one", "two")) -> Config:
    return functional(
        [
            layer("InputLayer", "image", batch_input_shape=[None, 4]),
            *(dense(name, units=4, use_bias=False) for name in names),
        ]
    )
