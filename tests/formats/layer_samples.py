"""A small network for each kind of layer, and each way to have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from spec_samples import RELU, Draft

from goodnet.formats.spec import Activation


def _with(op: str, **attributes: Any) -> Callable[[Draft], object]:
    return lambda draft: draft.add(op, **attributes)


def _parameter(op: str, name: str, *shape: int) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        draft.conv(4)
        draft.add(op, arrays={name: draft.numbers(*shape)})

    return grow


def _normalize(*shape: int, invert: bool = False) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        variance = np.abs(draft.numbers(*shape))
        variance.flat[0] = 0.25
        arrays = {"mean": draft.numbers(*shape), "variance": variance}
        draft.add("normalize", arrays=arrays, invert=invert)

    return grow


def _merge(op: str) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        inputs = tuple(draft.conv(4, source="image") for _ in range(2 if op == "subtract" else 3))
        draft.add(op, inputs=inputs)

    return grow


def _concatenate(axis: int) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        left = draft.conv(3, source="image")
        right = draft.conv(3, source="image", activation=RELU)
        draft.add("concatenate", inputs=(left, right), axis=axis)

    return grow


def _reshaped(order: str) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        draft.add("reshape", shape=(6, 9, -1), order=order)
        draft.conv(4)
        draft.add("reshape", shape=(-1,), order=order)
        draft.dense(12)
        draft.add("reshape", shape=(2, 3, 2), order=order)

    return grow


def _permuted(order: str, *dims: int) -> Callable[[Draft], object]:
    return lambda draft: draft.add("permute", dims=dims, order=order)


def _attention(draft: Draft) -> None:
    tokens = draft.add("reshape", shape=(24, 9), order="chw")
    query, value, key = (draft.dense(width, source=tokens) for width in (6, 8, 6))
    draft.add("attention", inputs=(query, value, key), heads=2)


CASES: dict[str, Callable[[Draft], object]] = {
    "conv": lambda d: d.conv(4),
    "conv without bias": lambda d: d.conv(4, bias=False),
    "conv same, strides": lambda d: d.conv(4, 3, padding="same", strides=(2, 2)),
    "conv dilated": lambda d: d.conv(4, 2, dilation=(2, 1), padding="same"),
    "conv fused relu": lambda d: d.conv(4, activation=RELU),
    "conv fused leaky": lambda d: d.conv(4, activation=Activation("leaky_relu")),
    "conv fused softmax": lambda d: d.conv(4, activation=Activation("softmax")),
    "conv softmax over rows": lambda d: d.conv(4, activation=Activation("softmax", {"axis": 2})),
    "conv grouped": lambda d: (d.conv(4), d.conv(6, groups=2)),
    "depthwise": lambda d: d.conv(3, groups=3),
    "depthwise twice": lambda d: d.conv(6, groups=3, strides=(2, 2)),
    "batch norm": lambda d: d.norm(),
    "batch norm bare": lambda d: d.norm(gamma=False, beta=False, epsilon=0.1),
    "batch norm shift only": lambda d: d.norm(gamma=False),
    "batch norm of a vector": lambda d: (d.add("flatten"), d.norm()),
    "prelu per channel": _parameter("prelu", "alpha", 4, 1, 1),
    "prelu per pixel": _parameter("prelu", "alpha", 4, 6, 7),
    "prelu per row": _parameter("prelu", "alpha", 4, 6, 1),
    "prelu of a vector": lambda d: (
        d.add("flatten"),
        d.dense(5),
        d.add("prelu", arrays={"alpha": d.numbers(5)}),
    ),
    "max pool": _with("max_pool2d"),
    "max pool same": _with("max_pool2d", pool=(3, 2), strides=(2, 3), padding="same"),
    # Where the padding is uneven, Keras on torch repeats the border; on TensorFlow it does not.
    "average pool same": _with("avg_pool2d", pool=(3, 3), strides=(1, 1), padding="same"),
    "global max": _with("global_max_pool2d"),
    "global average": _with("global_avg_pool2d"),
    "global average, kept": _with("global_avg_pool2d", keepdims=True),
    "global max, kept": _with("global_max_pool2d", keepdims=True),
    "flatten chw": _with("flatten", order="chw"),
    "reshape hwc": _reshaped("hwc"),
    "reshape chw": _reshaped("chw"),
    "permute hwc": _permuted("hwc", 3, 1, 2),
    "permute chw": _permuted("chw", 3, 1, 2),
    "add": _merge("add"),
    "subtract": _merge("subtract"),
    "multiply": _merge("multiply"),
    "average": _merge("average"),
    "maximum": _merge("maximum"),
    "minimum": _merge("minimum"),
    "concatenate channels": _concatenate(1),
    "concatenate rows": _concatenate(2),
    "concatenate columns": _concatenate(3),
    "identity": _with("identity"),
    "zero pad": _with("zero_pad2d", padding=(1, 0, 2, 3)),
    "crop": _with("crop2d", padding=(1, 0, 2, 1)),
    "upsample": _with("upsample2d", size=(2, 3)),
    "transposed": lambda d: d.conv_transpose(4, 3),
    "transposed same, strides": lambda d: d.conv_transpose(
        4, 5, strides=(2, 3), padding="same", activation=RELU
    ),
    "transposed with more": lambda d: d.conv_transpose(
        4, 3, strides=(2, 2), padding="same", output_padding=(1, 0)
    ),
    "group norm": lambda d: (d.conv(4), d.own_norm("group_norm", 4, groups=2)),
    "layer norm": lambda d: d.own_norm("layer_norm", 3, 1, 1, axes=(1,)),
    "layer norm of steps": lambda d: (
        d.add("reshape", shape=(24, 9), order="chw"),
        d.own_norm("layer_norm", 9, axes=(2,)),
    ),
    "unit norm": _with("unit_norm", axes=(1,)),
    "attention": _attention,
    "first steps": lambda d: (
        d.add("reshape", shape=(24, 9), order="chw"),
        d.add("crop1d", cropping=(0, 20)),
    ),
    "select": _with("select", channels=(2, 0, 2)),
    "resize": _with("resize", size=(5, 11), interpolation="nearest", antialias=False, crop=False),
    "resize the centre": _with(
        "resize", size=(6, 6), interpolation="bilinear", antialias=True, crop=True
    ),
    "centre crop": _with("center_crop", size=(5, 4)),
    "upsample bilinear": _with("upsample2d", interpolation="bilinear"),
    "rescale": _with("rescale", scale=0.5, offset=-1.0),
    "rescale per channel": _with("rescale", scale=(0.5, 2.0, 1.0), offset=(1.0, 0.0, -3.0)),
    "rescale per feature": lambda d: (
        d.add("reshape", shape=(24, 9), order="chw"),
        d.add("rescale", scale=tuple(range(1, 10)), offset=0.5),
    ),
    "rescale of a vector": lambda d: (
        d.add("flatten"),
        d.dense(3),
        d.add("rescale", scale=(0.5, 2.0, 1.0), offset=(1.0, 0.0, -3.0)),
    ),
    "normalize per channel": _normalize(3, 1, 1),
    "normalize everything": _normalize(),
    "normalize per pixel": _normalize(3, 8, 9),
    "normalize per row": _normalize(8, 1),
    "normalize back": _normalize(3, 1, 1, invert=True),
    "normalize a vector": lambda d: (d.add("flatten"), d.dense(5), _normalize(5)(d)),
    "relu": lambda d: d.activation("relu"),
    "relu with all options": lambda d: d.activation(
        "relu", max_value=0.8, negative_slope=0.2, threshold=0.3
    ),
    "relu6": lambda d: d.activation("relu6"),
    "leaky relu": lambda d: d.activation("leaky_relu", negative_slope=0.3),
    "elu": lambda d: d.activation("elu"),
    "elu with alpha": lambda d: d.activation("elu", alpha=0.3),
    "celu": lambda d: d.activation("celu"),
    "celu with alpha": lambda d: d.activation("celu", alpha=0.3),
    "selu": lambda d: d.activation("selu"),
    "sigmoid": lambda d: d.activation("sigmoid"),
    "hard sigmoid": lambda d: d.activation("hard_sigmoid"),
    "hard sigmoid of Keras 2": lambda d: d.activation("hard_sigmoid", slope=0.2),
    "log sigmoid": lambda d: d.activation("log_sigmoid"),
    "tanh": lambda d: d.activation("tanh"),
    "hard tanh": lambda d: d.activation("hard_tanh"),
    "tanh shrink": lambda d: d.activation("tanh_shrink"),
    "softplus": lambda d: d.activation("softplus"),
    "softsign": lambda d: d.activation("softsign"),
    "silu": lambda d: d.activation("silu"),
    "hard silu": lambda d: d.activation("hard_silu"),
    "mish": lambda d: d.activation("mish"),
    "gelu": lambda d: d.activation("gelu"),
    "exponential": lambda d: d.activation("exponential"),
    "softmax": lambda d: d.activation("softmax"),
    "softmax over columns": lambda d: d.activation("softmax", axis=3),
    "log softmax": lambda d: d.activation("log_softmax"),
}
