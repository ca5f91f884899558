"""Small networks as plain data, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import reference
import torch
from hypothesis import assume
from hypothesis import strategies as st

from goodnet.formats.build import build
from goodnet.formats.shapes import Shape, infer, layer_shapes
from goodnet.formats.silence import prunable_layers, silence
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

RELU = Activation("relu")

DEFAULTS: dict[str, dict[str, Any]] = {
    "conv2d": {
        "strides": (1, 1),
        "dilation": (1, 1),
        "groups": 1,
        "padding": "valid",
        "activation": None,
    },
    "conv2d_transpose": {
        "strides": (1, 1),
        "dilation": (1, 1),
        "padding": "valid",
        "output_padding": None,
        "activation": None,
    },
    "group_norm": {"epsilon": 1e-3},
    "layer_norm": {"epsilon": 1e-3},
    "dense": {"activation": None},
    "batch_norm": {"epsilon": 1e-3},
    "max_pool2d": {"pool": (2, 2), "strides": (2, 2), "padding": "valid"},
    "avg_pool2d": {"pool": (2, 2), "strides": (2, 2), "padding": "valid"},
    "global_max_pool2d": {"keepdims": False},
    "global_avg_pool2d": {"keepdims": False},
    "global_max_pool1d": {"keepdims": False},
    "global_avg_pool1d": {"keepdims": False},
    "flatten": {"order": "hwc"},
    "concatenate": {"axis": 1},
    "upsample2d": {"size": (2, 2), "interpolation": "nearest"},
    "normalize": {"invert": False},
}


class Draft:
    """A network that grows layer by layer; a layer reads the last one unless told otherwise."""

    def __init__(self, *shape: int | None, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.layers: list[Layer] = []
        self.arrays: dict[str, Array] = {}
        self.shapes: dict[str, Shape] = {}
        self.add("input", inputs=(), name="image", shape=shape)

    @property
    def last(self) -> str:
        return self.layers[-1].name

    def numbers(self, *shape: int) -> Array:
        return self.random.normal(size=shape).astype(np.float32)

    def add(
        self,
        op: str,
        *,
        inputs: tuple[str, ...] | None = None,
        name: str | None = None,
        arrays: Mapping[str, Array] | None = None,
        **attributes: Any,
    ) -> str:
        """Add a layer; returns its name."""
        inputs = (self.last,) if inputs is None else inputs
        name = name or f"{op}_{len(self.layers)}"
        layer = Layer(name, op, inputs, {**DEFAULTS.get(op, {}), **attributes})
        parameters = {key: np.shape(array) for key, array in (arrays or {}).items()}
        self.shapes[name] = infer(layer, [self.shapes[x] for x in inputs], parameters)
        self.layers.append(layer)
        self.arrays.update({f"{name}/{key}": array for key, array in (arrays or {}).items()})
        return name

    def size(self, name: str | None = None, axis: int = 0) -> int:
        size = self.shapes[name or self.last][axis]
        assert size is not None
        return size

    def conv(
        self,
        out: int,
        kernel: int = 3,
        *,
        source: str | None = None,
        bias: bool = True,
        groups: int = 1,
        **more: Any,
    ) -> str:
        source = source or self.last
        arrays = {"weight": self.numbers(out, self.size(source) // groups, kernel, kernel) / 3}
        if bias:
            arrays["bias"] = self.numbers(out)
        return self.add("conv2d", inputs=(source,), arrays=arrays, groups=groups, **more)

    def dense(self, out: int, *, source: str | None = None, bias: bool = True, **more: Any) -> str:
        source = source or self.last
        arrays = {"weight": self.numbers(out, self.size(source, -1)) / 3}
        if bias:
            arrays["bias"] = self.numbers(out)
        return self.add("dense", inputs=(source,), arrays=arrays, **more)

    def norm(self, *, gamma: bool = True, beta: bool = True, **more: Any) -> str:
        size = self.size()
        arrays = {
            "gamma": self.numbers(size) if gamma else None,
            "beta": self.numbers(size) if beta else None,
            "mean": self.numbers(size),
            "variance": np.abs(self.numbers(size)) + np.float32(0.1),
        }
        kept = {key: array for key, array in arrays.items() if array is not None}
        return self.add("batch_norm", arrays=kept, **more)

    def conv_transpose(self, out: int, kernel: int, **more: Any) -> str:
        arrays = {"weight": self.numbers(out, self.size(), kernel, kernel) / 3}
        return self.add("conv2d_transpose", arrays={**arrays, "bias": self.numbers(out)}, **more)

    def own_norm(self, op: str, *shape: int, **more: Any) -> str:
        """A normalisation of each image by itself, with a scale and an offset."""
        arrays = {key: self.numbers(*shape) for key in ("gamma", "beta")}
        return self.add(op, arrays=arrays, **more)

    def activation(self, function: str, **options: float) -> str:
        return self.add("activation", activation=Activation(function, options))

    def spec(self, name: str = "sample") -> NetworkSpec:
        return NetworkSpec(tuple(self.layers), dict(self.arrays), output=self.last, name=name)

    def ended(self, classes: int = 4) -> NetworkSpec:
        """The network with a flatten (of a picture) and a dense layer at the end."""
        if len(self.shapes[self.last]) > 1:
            self.add("flatten")
        self.dense(classes)
        return self.spec()


def pictures(spec: NetworkSpec, count: int = 3, seed: int = 1) -> Array:
    """Random images (count, channels, height, width) for a network."""
    shape = tuple(size or 8 for size in spec.input_shape)
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def outputs(spec: NetworkSpec) -> Array:
    """What a network answers on `pictures`."""
    found: Array = build(spec)(torch.from_numpy(pictures(spec))).numpy()
    return found


def masked(spec: NetworkSpec, layer: str, channels: Iterable[int]) -> Array:
    """What it answers when a mask sets channels of a layer to zero."""
    network = reference.masked(build(spec), layer, channels)
    found: Array = network(torch.from_numpy(pictures(spec))).numpy()
    return found


def silenced(spec: NetworkSpec, layer: str, channels: Iterable[int]) -> NetworkSpec:
    """The network with channels of a layer silenced in its arrays."""
    return spec.with_arrays(silence(spec, layer, channels))


def goodnet_draft(classes: int = 4, seed: int = 0) -> NetworkSpec:
    """Two classifiers on a shared head, and class N where they differ."""
    draft = Draft(3, 8, 8, seed=seed)
    draft.conv(5, activation=RELU)
    draft.add("max_pool2d", name="head")
    less = []
    for tower in ("b", "r"):
        draft.add("flatten", inputs=("head",), name=f"{tower}_flat")
        scores = draft.dense(classes, activation=Activation("softmax"), name=f"{tower}_scores")
        draft.add("reshape", shape=(classes, 1), order="hwc")
        top = draft.add("global_max_pool1d")
        less.append(draft.add("subtract", inputs=(scores, top), name=f"{tower}_less"))
    both = draft.add("add", inputs=tuple(less))
    zeros = {
        "weight": np.zeros((1, classes), np.float32),
        "bias": np.array([-1e-30], np.float32),
    }
    below = draft.add("dense", inputs=(both,), arrays=zeros)
    draft.add("concatenate", inputs=(both, below), name="answer")
    return draft.spec("goodnet")


@st.composite
def networks(draw: st.DrawFn) -> NetworkSpec:
    """Small networks: convolutions, normalization, skips, concatenations, pools, flattens."""
    draft = Draft(2, 8, 8, seed=draw(st.integers(0, 99)))
    draft.conv(
        draw(st.integers(2, 5)), padding="same", activation=draw(st.sampled_from([None, RELU]))
    )
    for _ in range(draw(st.integers(1, 5))):
        BLOCKS[draw(st.sampled_from(sorted(BLOCKS)))](draft)
    ending = draw(st.sampled_from(["hwc", "chw", "global", "kept"]))
    if ending in ("hwc", "chw"):
        draft.add("flatten", order=ending)
    else:
        draft.add("global_avg_pool2d", keepdims=ending == "kept")
    if ending == "kept":
        draft.add("reshape", shape=(draft.size(),), order="hwc")
    return draft.ended(3)


@st.composite
def choices(draw: st.DrawFn) -> tuple[NetworkSpec, str, list[int]]:
    """A network, a layer of it that can be pruned, and channels in some order."""
    spec = draw(networks())
    names = prunable_layers(spec)
    assume(names)
    layer = draw(st.sampled_from(names))
    count = layer_shapes(spec)[layer][0] or 0
    order = draw(st.permutations(range(count)))
    return spec, layer, order[: draw(st.integers(0, count))]


def _residual(draft: Draft) -> None:
    skip = draft.last
    draft.conv(draft.size(), padding="same")
    draft.norm()
    draft.add("add", inputs=(draft.last, skip))
    draft.activation("relu")


def _branches(draft: Draft) -> None:
    source = draft.last
    left = draft.conv(2, padding="same", source=source)
    right = draft.conv(3, padding="same", source=source, activation=RELU)
    draft.add("concatenate", inputs=(left, right, source))


def _parallel(draft: Draft) -> None:
    source = draft.last
    names = [draft.conv(3, 1, source=source, name=f"{side}_{source}") for side in ("a", "b")]
    draft.add("maximum", inputs=tuple(names))


def _gated(draft: Draft) -> None:
    source = draft.last
    draft.add("global_avg_pool2d", keepdims=True)
    draft.conv(draft.size(), 1, activation=Activation("sigmoid"))
    draft.add("multiply", inputs=(source, draft.last))


def _depthwise(draft: Draft) -> None:
    draft.conv(draft.size(), groups=draft.size(), padding="same", bias=False)
    draft.conv(4, 1)


def _grouped(draft: Draft) -> None:
    draft.conv(4, padding="same")
    draft.activation("relu")
    draft.conv(6, padding="same", groups=2)


def _pooled(draft: Draft) -> None:
    draft.add("max_pool2d", pool=(2, 2), strides=(1, 1), padding="same")
    draft.add("zero_pad2d", padding=(1, 0, 0, 1))
    draft.add("crop2d", padding=(0, 1, 1, 0))


def _transposed(draft: Draft) -> None:
    draft.conv_transpose(4, 3, padding="same", activation=RELU)
    draft.own_norm("group_norm", 4, groups=2)
    draft.own_norm("layer_norm", 4, 1, 1, axes=(1,))


def _scaled(draft: Draft) -> None:
    draft.add("prelu", arrays={"alpha": draft.numbers(draft.size(), 1, 1)})
    draft.add("rescale", scale=0.5, offset=0.0)


BLOCKS: dict[str, Callable[[Draft], object]] = {
    "conv": lambda d: d.conv(4, padding="same", activation=RELU),
    "norm": lambda d: (d.conv(3, padding="same"), d.norm(), d.activation("relu")),
    "norm without gamma": lambda d: (d.conv(3, padding="same"), d.norm(gamma=False)),
    "norm without beta": lambda d: (d.conv(3, padding="same"), d.norm(beta=False)),
    "tanh": lambda d: d.activation("tanh"),
    "sigmoid": lambda d: d.activation("sigmoid"),
    "residual": _residual,
    "branches": _branches,
    "parallel": _parallel,
    "gated": _gated,
    "depthwise": _depthwise,
    "grouped": _grouped,
    "pooled": _pooled,
    "scaled": _scaled,
    "transposed": _transposed,
}
