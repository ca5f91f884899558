"""Modules of PyTorch as operations of a description: one rule for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx, nn

from goodnet.formats.spec import Activation
from goodnet.formats.torch.trace import Trace

__all__ = ["Parameter", "Place", "Step", "of_module", "reshaped"]

_PICTURE = 3


@dataclass(frozen=True, eq=False)
class Parameter:
    """An array of a layer.

    Attributes:
        tensor: In the module.
        key: Of the module's `state_dict`.
        shape: In the description, where that is another.
    """

    tensor: Tensor
    key: str
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of a description.

    Attributes:
        op: Of `formats.spec.ATTRIBUTES`.
        inputs: The calls whose values it reads.
        attributes: All that the operation has.
        parameters: Its arrays by name.
    """

    op: str
    inputs: tuple[fx.Node, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def of_module(
    trace: Trace, module: nn.Module, node: fx.Node, *, source: fx.Node, path: str = ""
) -> Step | None:
    """A call of a module as an operation; None where it is not known.

    Args:
        trace: Of the whole.
        module: What is called.
        node: The call.
        source: The value it reads.
        path: What the module is called, where that is not what the call names.
    """
    rule = _MODULES.get(type(module))
    if rule is None:
        return None
    place = Place(module, path or str(node.target), trace.shape(source), trace.shape(node))
    found = rule(place)
    if found is None:
        return None
    op, attributes, parameters = (*found, {})[:3]
    return Step(op, (source,), attributes, parameters)


@dataclass(frozen=True, eq=False)
class Place:
    """A module where it is called: its name, and the shapes it reads and gives for one image."""

    module: Any
    path: str
    reads: tuple[int, ...]
    gives: tuple[int, ...]

    def parameters(self, **names: str) -> dict[str, Parameter]:
        """Those that the module has, by their name in the description."""
        found = {name: getattr(self.module, own) for name, own in names.items()}
        return {
            name: Parameter(tensor, f"{self.path}.{names[name]}")
            for name, tensor in found.items()
            if tensor is not None
        }


_Found = tuple[str, dict[str, Any]] | tuple[str, dict[str, Any], dict[str, Parameter]] | None


def _pair(value: Any) -> tuple[int, int]:
    first, second = value if isinstance(value, Sequence) else (value, value)
    return int(first), int(second)


def _sides(padding: tuple[int, int]) -> Any:
    """The padding of height and width, as (top, bottom, left, right)."""
    return "valid" if padding == (0, 0) else (padding[0], padding[0], padding[1], padding[1])


def _conv2d(place: Place) -> _Found:
    conv: nn.Conv2d = place.module
    if conv.padding_mode != "zeros" or len(place.reads) != _PICTURE:
        return None
    padding = conv.padding if isinstance(conv.padding, str) else _sides(_pair(conv.padding))
    attributes = {
        "strides": _pair(conv.stride),
        "dilation": _pair(conv.dilation),
        "groups": conv.groups,
        "padding": padding,
        "activation": None,
    }
    return "conv2d", attributes, place.parameters(weight="weight", bias="bias")


def _linear(place: Place) -> _Found:
    if len(place.reads) > 2:
        return None
    return "dense", {"activation": None}, place.parameters(weight="weight", bias="bias")


def _batch_norm(place: Place) -> _Found:
    norm: nn.BatchNorm2d = place.module
    if norm.running_mean is None or len(place.reads) == 2:
        return None
    names = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    return "batch_norm", {"epsilon": norm.eps}, place.parameters(**names)


def _prelu(place: Place) -> _Found:
    weight: Tensor = place.module.weight
    shape = (weight.numel(), *[1] * (len(place.reads) - 1))
    return "prelu", {}, {"alpha": Parameter(weight, f"{place.path}.weight", shape)}


def _activation(
    function: str, options: Callable[[Any], dict[str, float] | None] = lambda _: {}
) -> Callable[[Place], _Found]:
    def rule(place: Place) -> _Found:
        found = options(place.module)
        return (
            None if found is None else ("activation", {"activation": Activation(function, found)})
        )

    return rule


def _hard_tanh(module: nn.Hardtanh) -> dict[str, float] | None:
    return {} if (module.min_val, module.max_val) == (-1.0, 1.0) else None


def _softplus(module: nn.Softplus) -> dict[str, float] | None:
    return {} if (module.beta, module.threshold) == (1, 20) else None


def _softmax(function: str) -> Callable[[Place], _Found]:
    def rule(place: Place) -> _Found:
        rank = len(place.reads) + 1
        axis = 1 if place.module.dim is None else place.module.dim % rank
        if axis == 0:
            return None
        return "activation", {"activation": Activation(function, {"axis": float(axis)})}

    return rule


def _max_pool(place: Place) -> _Found:
    pool: nn.MaxPool2d = place.module
    if pool.ceil_mode or pool.return_indices or _pair(pool.dilation) != (1, 1):
        return None
    size, strides = _pair(pool.kernel_size), _pair(pool.stride or pool.kernel_size)
    padding = _sides(_pair(pool.padding))
    return _picture(place, "max_pool2d", {"pool": size, "strides": strides, "padding": padding})


def _avg_pool(place: Place) -> _Found:
    pool: nn.AvgPool2d = place.module
    if pool.ceil_mode or pool.divisor_override or _pair(pool.padding) != (0, 0):
        return None
    size, strides = _pair(pool.kernel_size), _pair(pool.stride or pool.kernel_size)
    return _picture(place, "avg_pool2d", {"pool": size, "strides": strides, "padding": "valid"})


def _adaptive_pool(kind: str) -> Callable[[Place], _Found]:
    def rule(place: Place) -> _Found:
        if len(place.reads) != _PICTURE:
            return None
        size, left = place.reads[1:], place.gives[1:]
        if left == (1, 1):
            return f"global_{kind}_pool2d", {"keepdims": True}
        if left == size:
            return "identity", {}
        if any(whole % part for whole, part in zip(size, left, strict=True)):
            return None
        pool = tuple(whole // part for whole, part in zip(size, left, strict=True))
        return f"{kind}_pool2d", {"pool": pool, "strides": pool, "padding": "valid"}

    return rule


def _picture(place: Place, op: str, attributes: dict[str, Any]) -> _Found:
    return (op, attributes) if len(place.reads) == _PICTURE else None


def reshaped(place: Place) -> _Found:
    """The numbers of a value in their order, in another shape."""
    if len(place.gives) == 1:
        return "flatten", {"order": "chw"}
    return "reshape", {"shape": place.gives, "order": "chw"}


def _identity(_: Place) -> _Found:
    return "identity", {}


def _upsample(place: Place) -> _Found:
    module: nn.Upsample = place.module
    size = [after / before for before, after in zip(place.reads[1:], place.gives[1:], strict=True)]
    whole = all(factor == int(factor) for factor in size)
    if module.mode not in ("nearest", "bilinear") or module.align_corners or not whole:
        return None
    factors = tuple(int(factor) for factor in size)
    return _picture(place, "upsample2d", {"size": factors, "interpolation": module.mode})


def _zero_pad(place: Place) -> _Found:
    left, right, top, bottom = place.module.padding
    return _picture(place, "zero_pad2d", {"padding": (top, bottom, left, right)})


_MODULES: dict[type[nn.Module], Callable[[Place], _Found]] = {
    nn.Conv2d: _conv2d,
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.PReLU: _prelu,
    nn.ReLU: _activation("relu"),
    nn.ReLU6: _activation("relu6"),
    nn.LeakyReLU: _activation("leaky_relu", lambda m: {"negative_slope": m.negative_slope}),
    nn.ELU: _activation("elu", lambda m: {"alpha": m.alpha}),
    nn.CELU: _activation("celu", lambda m: {"alpha": m.alpha}),
    nn.SELU: _activation("selu"),
    nn.Sigmoid: _activation("sigmoid"),
    nn.Hardsigmoid: _activation("hard_sigmoid"),
    nn.LogSigmoid: _activation("log_sigmoid"),
    nn.Tanh: _activation("tanh"),
    nn.Hardtanh: _activation("hard_tanh", _hard_tanh),
    nn.Tanhshrink: _activation("tanh_shrink"),
    nn.Softplus: _activation("softplus", _softplus),
    nn.Softsign: _activation("softsign"),
    nn.SiLU: _activation("silu"),
    nn.Hardswish: _activation("hard_silu"),
    nn.Mish: _activation("mish"),
    nn.GELU: _activation("gelu", lambda m: {"approximate": float(m.approximate == "tanh")}),
    nn.Softmax: _softmax("softmax"),
    nn.LogSoftmax: _softmax("log_softmax"),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool("avg"),
    nn.AdaptiveMaxPool2d: _adaptive_pool("max"),
    nn.Flatten: reshaped,
    nn.Unflatten: reshaped,
    nn.Identity: _identity,
    nn.Dropout: _identity,
    nn.Dropout1d: _identity,
    nn.Dropout2d: _identity,
    nn.AlphaDropout: _identity,
    nn.Upsample: _upsample,
    nn.ZeroPad2d: _zero_pad,
}
