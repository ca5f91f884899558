"""Activations: what the functions compute, whether zero stays zero, their names elsewhere.

The names are Keras' own. A new function is one entry of `FUNCTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.attributes import FUNCTION
from goodnet.ops.expression import Expression, Operand, Written, apply, number
from goodnet.ops.keras import HWC, Applied, Dialect, Fields, Part, Reading, Step
from goodnet.ops.onnx import Found, Node
from goodnet.ops.op import Given, Kept, Op, Shape, identity, product, register
from goodnet.ops.torch import Call, Operation, Rule, as_module, resolved

if TYPE_CHECKING:
    from torch import Tensor

    from goodnet.ops.layouts import Axes

Options = Mapping[str, float]
Compute = Callable[["Tensor"], "Tensor"]

SOFTMAX = frozenset({"softmax", "log_softmax"})
_INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Activation:
    """An elementwise function or a softmax.

    Attributes:
        function: One of the names in `FUNCTIONS`.
        options: Its numbers by name, for instance `{"negative_slope": 0.3}`.
    """

    function: str
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Function:
    """A function, all of whose options are numbers.

    Attributes:
        compute: From all options, the torch function.
        options: Its options with their defaults.
        moves_zero: Whether it is not 0 at 0.
        to_keras: From all options, the layers of Keras that compute it where no plain name does.
        torch: What stands for it in PyTorch, as `Op.from_torch` has it; the module first.
        torch_options: What the module takes, in order.
        read: From a call of the module, the options, None if it computes something else; if not
            given, the module has them under the same names.
        onnx: The operation of ONNX; "" where there is none, or it is read in a way of its own.
        onnx_options: For each option, the attribute of the operation and its default.
        onnx_fixed: Attributes that have to be as they are by default, but for rounding.
        to_onnx: From all options and what it is applied to, how ONNX says it where that is not
            just the operation.
    """

    compute: Callable[[Options], Compute]
    options: Options = field(default_factory=dict)
    moves_zero: bool = False
    to_keras: Callable[[Options], list[Step]] | None = None
    torch: tuple[str, ...] = ()
    torch_options: tuple[str, ...] = ()
    read: Callable[[Call], Options | None] | None = None
    onnx: str = ""
    onnx_options: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    onnx_fixed: Options = field(default_factory=dict)
    to_onnx: Callable[[Options, Operand], Expression] | None = None


def is_zero_preserving(activation: Activation | None) -> bool:
    """Whether the function gives exactly 0 at 0, channel by channel."""
    if activation is None or activation.function != "relu":
        return activation is None or not FUNCTIONS[activation.function].moves_zero
    options = all_options(activation)
    return options["threshold"] <= 0.0 or options["negative_slope"] == 0.0


def activation_function(activation: Activation | None) -> Compute:
    """The torch function of an activation; None is the identity."""
    if activation is None:
        return identity
    return FUNCTIONS[activation.function].compute(all_options(activation))


def fused_function(activation: Activation | None) -> Compute:
    """The torch function of an activation that writes over its input, which nobody else reads."""
    import torch

    function = activation_function(activation)
    # Nobody else reads what comes before a fused activation: writing over it saves the memory,
    # which costs more than the function itself.
    return torch.relu_ if function is torch.relu else function


def all_options(activation: Activation) -> Options:
    """Its options, those that it does not name at their defaults."""
    return {**FUNCTIONS[activation.function].options, **activation.options}


def _torch(name: str, *options: str, **fixed: float) -> Callable[[Options], Compute]:
    """A function of torch by name, given those of the options that it takes."""
    return lambda o: partial(resolved(name), **{key: o[key] for key in options}, **fixed)


def _relu(options: Options) -> Compute:
    import torch

    top, slope = options["max_value"], options["negative_slope"]
    threshold = options["threshold"]
    if slope == 0.0 and threshold == 0.0:
        return torch.relu if top == _INFINITE else partial(torch.clamp, min=0.0, max=top)

    def function(value: Tensor) -> Tensor:
        above = torch.where(value >= threshold, value, torch.zeros_like(value)).clamp(max=top)
        return torch.where(value < threshold, slope * (value - threshold), above)

    return function


def _hard_sigmoid(options: Options) -> Compute:
    slope = options["slope"]
    return lambda value: (value * slope + 0.5).clamp(0.0, 1.0)


def _gelu(options: Options) -> Compute:
    return partial(resolved("F.gelu"), approximate="tanh" if options["approximate"] else "none")


def _softmax(name: str) -> Callable[[Options], Compute]:
    return lambda o: partial(resolved(name), dim=int(o["axis"]))


# Keras, reading.

_LAYERS = ("ReLU", "LeakyReLU", "ELU", "Softmax")
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "softmax_v2": "softmax"}
_OLD_HARD_SIGMOID_SLOPE = 0.2


def read_activation(applied: Applied) -> Activation | None:
    """The `activation` setting of a layer of a Keras file; None for the identity.

    Raises:
        InvalidInput: If it is not one of the known functions.
    """
    fields, value = applied.fields, applied.fields.get("activation", default="linear")
    if isinstance(value, dict) and value.get("class_name") in _LAYERS:
        inner = value.get("config")
        settings = Fields(fields.name, inner if isinstance(inner, dict) else {})
        return _read_layer(value["class_name"], settings, applied.axes, rank=applied.rank)
    name = _ALIASES.get(value, value) if isinstance(value, str) else ""
    if name not in FUNCTIONS:
        raise fields.error("activation", f"one of {', '.join(sorted(FUNCTIONS))}")
    if name == "linear":
        return None
    if name in SOFTMAX:
        return _activation(name, axis=applied.axes.to_spec(-1, applied.rank))
    if name == "hard_sigmoid" and applied.keras_major < 3:
        return _activation(name, slope=_OLD_HARD_SIGMOID_SLOPE)
    return Activation(name)


def _read_layer(kind: str, fields: Fields, axes: Axes, *, rank: int) -> Activation:
    """The function of one of the layers in `_LAYERS`."""
    if kind == "Softmax":
        axis = fields.integers("axis") or (-1,)
        if len(axis) != 1:
            raise fields.error("axis", "one axis")
        return _activation("softmax", axis=axes.to_spec(axis[0], rank))
    if kind == "LeakyReLU":
        slope = fields.number("negative_slope", "alpha", default=0.3)
        return _activation("leaky_relu", negative_slope=slope)
    if kind == "ELU":
        return _activation("elu", alpha=fields.number("alpha", default=1.0))
    return _activation(
        "relu",
        max_value=fields.number("max_value", default=_INFINITE),
        negative_slope=fields.number("negative_slope", default=0.0),
        threshold=fields.number("threshold", default=0.0),
    )


def _activation(function: str, **options: float) -> Activation:
    """Leave out what is the default anyway, so that equal functions compare equal."""
    defaults = FUNCTIONS[function].options
    changed = {key: float(v) for key, v in options.items() if float(v) != defaults[key]}
    return Activation(function, changed)


def _read_setting(applied: Applied) -> Reading:
    return applied.read_as(
        "activation", activation=read_activation(applied) or Activation("linear")
    )


def _read_operation(applied: Applied) -> Reading:
    """A function of `keras.ops`, or of TensorFlow, under its own name."""
    name = _operations()[applied.kind]
    if name == "softmax":
        return _read_own_layer(replace(applied, kind="Softmax"))
    known = FUNCTIONS[name].options
    given = {key: applied.fields.get(key) for key in known if applied.fields.get(key) is not None}
    if name == "log_softmax":
        axis = applied.fields.integers("axis") or (-1,)
        given = {"axis": applied.axes.to_spec(axis[0], applied.rank)}
    found = _activation(name, **given)
    return applied.read_as("activation", activation=found)


def _operations() -> dict[str, str]:
    """Functions by how a file names the operation: "HardSigmoid", "tf.nn.relu"."""
    pascal = {"".join(map(str.title, name.split("_"))): name for name in FUNCTIONS}
    pascal["Exp"] = pascal.pop("Exponential")
    functions = ("relu", "relu6", "softmax", "log_softmax", "selu", "elu", "tanh")
    more = {f"tf.nn.{name}": name for name in (*functions, "sigmoid", "softplus", "softsign")}
    named = {"tf.nn.silu": "silu", "tf.nn.swish": "silu", "tf.math.sigmoid": "sigmoid"}
    return pascal | more | named | {"tf.math.tanh": "tanh", "tf.math.exp": "exponential"}


def _read_own_layer(applied: Applied) -> Reading:
    function = _read_layer(applied.kind, applied.fields, applied.axes, rank=applied.rank)
    return applied.read_as("activation", activation=function)


# Keras, writing.

# Keras 2 knows no such name, or means another slope by it.
_KERAS_3_ONLY = frozenset({"hard_sigmoid", "relu6"})
# Keras has a function of this name, but no layer.
_NO_LAYER = frozenset({"erf"})


def activated(part: Part, step: Step) -> list[Step]:
    """A Keras layer with the activation of its part: fused where Keras has a plain name for it."""
    activation, rank = part["activation"], len(part.shape)
    name = _plain_name(activation, rank, part.dialect)
    step = Step(step.class_name, {**step.config, "activation": name or "linear"}, step.weights)
    return [step] if name else [step, *_to_keras(part)]


def _plain_name(activation: Activation | None, rank: int, dialect: Dialect) -> str | None:
    """The string Keras takes as `activation=`, or None where a layer of its own is needed."""
    if activation is None:
        return "linear"
    name, options = activation.function, all_options(activation)
    if name in SOFTMAX:
        return name if HWC.to_file(int(options["axis"]), rank) == rank else None
    if name in _NO_LAYER or name == "leaky_relu" or (dialect == "h5" and name in _KERAS_3_ONLY):
        return None
    return name if options == FUNCTIONS[name].options else None


def _to_keras(part: Part) -> list[Step]:
    activation, rank = part["activation"], len(part.shape)
    name = _plain_name(activation, rank, part.dialect)
    if name is not None:
        return [Step("Activation", {"activation": name})]
    options = all_options(activation)
    if activation.function == "softmax":
        return [Step("Softmax", {"axis": HWC.to_file(int(options["axis"]), rank)})]
    steps = FUNCTIONS[activation.function].to_keras
    if steps is None:
        raise InvalidInput(
            f"no built-in Keras layer computes the activation {activation.function} with "
            f"{dict(options)}"
        )
    return steps(options)


def _relu_step(*, top: float | None = None, slope: float = 0.0, threshold: float = 0.0) -> Step:
    top = None if top == _INFINITE else top
    return Step("ReLU", {"max_value": top, "negative_slope": slope, "threshold": threshold})


def _scaled(scale: float, offset: float = 0.0) -> Step:
    return Step("Rescaling", {"scale": scale, "offset": offset})


def _relu_steps(o: Options) -> list[Step]:
    return [_relu_step(top=o["max_value"], slope=o["negative_slope"], threshold=o["threshold"])]


def _celu_steps(o: Options) -> list[Step]:
    # celu(x, a) = a * celu(x / a, 1)
    return [
        _scaled(1 / o["alpha"]),
        Step("Activation", {"activation": "celu"}),
        _scaled(o["alpha"]),
    ]


# PyTorch, reading.


def _default(**numbers: float) -> Callable[[Call], Options | None]:
    """No options, of a module that has just these."""
    return lambda call: (
        {} if all(getattr(call.module, k) == x for k, x in numbers.items()) else None
    )


def _axis(call: Call) -> Options | None:
    dim, rank = call.module.dim, len(call.reads) + 1
    axis = 1 if dim is None else dim % rank
    return {"axis": float(axis)} if axis else None


def _rules(name: str, function: Function) -> dict[str, Rule]:
    def rule(call: Call) -> Operation | None:
        read, own = function.read, function.torch_options
        found = read(call) if read else {option: getattr(call.module, option) for option in own}
        if found is None:
            return None
        return call.operation("activation", activation=Activation(name, found))

    if not function.torch:
        return {}
    return as_module(rule, *function.torch, options=function.torch_options)


# ONNX, reading.

_ROUNDING = 1e-6
FIRST_SOFTMAX = 13  # from this version on it is along one axis, the last by default


def _from_onnx(name: str, function: Function) -> Callable[[Node], Found]:
    def rule(node: Node) -> Found:
        for attribute, wanted in function.onnx_fixed.items():
            if abs(node.number(attribute, wanted) - wanted) > _ROUNDING:
                raise node.error(f"{attribute} to be {wanted}")
        options = {key: node.number(*given) for key, given in function.onnx_options.items()}
        return node.found("activation", activation=_activation(name, **options))

    return rule


def _gelu_from_onnx(node: Node) -> Found:
    tanh = float(node.text("approximate", "none") == "tanh")
    return node.found("activation", activation=_activation("gelu", approximate=tanh))


def _softmax_from_onnx(node: Node) -> Found:
    value, name = node.value(), {"Softmax": "softmax"}.get(node.kind, "log_softmax")
    earlier, shape = node.opset < FIRST_SOFTMAX, value.axes.shape_to_file(value.shape)
    given = node.integer("axis", 1 if earlier else -1)
    axis, place = node.axis(given, value), given % (value.rank + 1) - 1
    if earlier and product(shape[place:]) != shape[place]:
        raise node.error("a softmax along one axis, not along all from one on")
    return node.found("activation", activation=_activation(name, axis=axis))


def _clip_from_onnx(node: Node) -> Found:
    ends = []
    for place, (name, default) in enumerate((("min", -_INFINITE), ("max", _INFINITE)), start=1):
        given = node.constant(place)
        if given is not None and given.array.size != 1:
            raise node.error(f"one number as {name}")
        value = node.attributes.get(name, default) if given is None else given.array.item()
        if not isinstance(value, int | float):
            raise node.error(f"one number as {name}")
        # What exporters write for no end.
        ends.append(default if abs(value) > 1e30 else float(value))
    low, high = ends
    if (low, high) == (-1.0, 1.0):
        return node.found("activation", activation=Activation("hard_tanh"))
    if low != 0 or high <= 0:
        raise node.error(f"to cut off at 0 and above, or at -1 and 1, got {low:g} and {high:g}")
    found = Activation("relu6") if high == 6 else _activation("relu", max_value=high)
    return node.found("activation", activation=found)


def _thresholded_from_onnx(node: Node) -> Found:
    """What is above a number, so from the next one on."""
    alpha = np.float32(node.number("alpha", 1.0))
    threshold = float(np.nextafter(alpha, np.float32(np.inf)))
    return node.found("activation", activation=_activation("relu", threshold=threshold))


# ONNX, writing.


def active(written: Written, expression: Expression) -> Expression:
    """What a layer computes, with its activation."""
    activation = written["activation"]
    return expression if activation is None else _said(activation, expression)


def _to_onnx(written: Written) -> Expression:
    return _said(written["activation"], written.value)


def _said(activation: Activation, value: Operand) -> Expression:
    options, function = all_options(activation), FUNCTIONS[activation.function]
    if function.to_onnx is not None:
        return function.to_onnx(options, value)
    numbers = {name: float(options[key]) for key, (name, _) in function.onnx_options.items()}
    return apply(function.onnx, value, **numbers)


def _clip(value: Operand, low: float, high: float) -> Expression:
    return apply("Clip", value, number(low), number(high))


def _relu_said(options: Options, value: Operand) -> Expression:
    """What is at the threshold or above, cut off at the top, less the slope times what lacks."""
    top, slope = options["max_value"], options["negative_slope"]
    threshold = np.float32(options["threshold"])
    if threshold < 0 and top < _INFINITE:
        raise InvalidInput("ONNX has no relu with a threshold below zero and a largest value")
    if threshold == 0 and top == _INFINITE and slope:
        return apply("LeakyRelu", value, alpha=slope)
    above = apply("Relu", value)
    if threshold:  # the operation takes what is above a number, not that number
        below = float(np.nextafter(threshold, -np.float32(np.inf)))
        above = apply("ThresholdedRelu", value, alpha=below)
    if top < _INFINITE:
        above = _clip(above if threshold else value, 0, top)
    if not slope:
        return above
    lacking = apply("Relu", apply("Sub", number(threshold), value))
    return apply("Sub", above, apply("Mul", lacking, number(slope)))


def _log_sigmoid_said(_: Options, value: Operand) -> Expression:
    return apply("Neg", apply("Softplus", apply("Neg", value)))


def _gelu_said(options: Options, value: Operand) -> Expression:
    how = "tanh" if options["approximate"] else "none"
    return apply("Gelu", value, approximate=how).since(20)


def _along(kind: str) -> Callable[[Options, Operand], Expression]:
    return lambda options, value: apply(kind, value, axis=int(options["axis"]))


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "linear": Function(lambda _: identity, to_onnx=lambda _, x: apply("Identity", x)),
        "relu": Function(
            _relu,
            {"max_value": _INFINITE, "negative_slope": 0.0, "threshold": 0.0},
            to_keras=_relu_steps,
            torch=("nn.ReLU", "F.relu", "torch.relu", "torch.relu_", ".relu", ".relu_"),
            onnx="Relu",
            to_onnx=_relu_said,
        ),
        "relu6": Function(
            _torch("torch.clamp", min=0.0, max=6.0),
            to_keras=lambda _: [_relu_step(top=6.0)],
            torch=("nn.ReLU6", "F.relu6"),
            to_onnx=lambda _, x: _clip(x, 0, 6),
        ),
        "leaky_relu": Function(
            _torch("F.leaky_relu", "negative_slope"),
            {"negative_slope": 0.2},
            to_keras=lambda o: [_relu_step(slope=o["negative_slope"])],
            torch=("nn.LeakyReLU", "F.leaky_relu"),
            torch_options=("negative_slope",),
            onnx="LeakyRelu",
            onnx_options={"negative_slope": ("alpha", 0.01)},
        ),
        "elu": Function(
            _torch("F.elu", "alpha"),
            {"alpha": 1.0},
            to_keras=lambda o: [Step("ELU", {"alpha": o["alpha"]})],
            torch=("nn.ELU", "F.elu"),
            torch_options=("alpha",),
            onnx="Elu",
            onnx_options={"alpha": ("alpha", 1.0)},
        ),
        "celu": Function(
            _torch("F.celu", "alpha"),
            {"alpha": 1.0},
            to_keras=_celu_steps,
            torch=("nn.CELU", "F.celu"),
            torch_options=("alpha",),
            onnx="Celu",
            onnx_options={"alpha": ("alpha", 1.0)},
        ),
        "selu": Function(
            _torch("torch.selu"),
            torch=("nn.SELU", "F.selu"),
            onnx="Selu",
            onnx_fixed={"alpha": 1.6732632, "gamma": 1.0507010},
        ),
        "sigmoid": Function(
            _torch("torch.sigmoid"),
            moves_zero=True,
            torch=("nn.Sigmoid", "F.sigmoid", "torch.sigmoid", ".sigmoid", ".sigmoid_"),
            onnx="Sigmoid",
        ),
        # Keras 3: relu6(x + 3) / 6, a slope of 1/6; Keras 2 and before: a slope of 0.2
        "hard_sigmoid": Function(
            _hard_sigmoid,
            {"slope": 1 / 6},
            moves_zero=True,
            to_keras=lambda o: [_scaled(o["slope"], 0.5), _relu_step(top=1.0)],
            torch=("nn.Hardsigmoid", "F.hardsigmoid"),
            onnx="HardSigmoid",
            onnx_options={"slope": ("alpha", 0.2)},
            onnx_fixed={"beta": 0.5},
        ),
        "log_sigmoid": Function(
            _torch("F.logsigmoid"),
            moves_zero=True,
            torch=("nn.LogSigmoid", "F.logsigmoid"),
            to_onnx=_log_sigmoid_said,
        ),
        "tanh": Function(
            _torch("torch.tanh"),
            torch=("nn.Tanh", "F.tanh", "torch.tanh", ".tanh", ".tanh_"),
            onnx="Tanh",
        ),
        "hard_tanh": Function(
            _torch("F.hardtanh"),
            torch=("nn.Hardtanh", "F.hardtanh"),
            torch_options=("min_val", "max_val"),
            read=_default(min_val=-1.0, max_val=1.0),
            to_onnx=lambda _, x: _clip(x, -1, 1),
        ),
        "tanh_shrink": Function(
            _torch("F.tanhshrink"),
            torch=("nn.Tanhshrink", "F.tanhshrink"),
            to_onnx=lambda _, x: apply("Sub", x, apply("Tanh", x)),
        ),
        "softplus": Function(
            _torch("F.softplus", threshold=30.0),
            moves_zero=True,
            torch=("nn.Softplus", "F.softplus"),
            torch_options=("beta", "threshold"),
            read=_default(beta=1, threshold=20),
            onnx="Softplus",
        ),
        "softsign": Function(
            _torch("F.softsign"), torch=("nn.Softsign", "F.softsign"), onnx="Softsign"
        ),
        "silu": Function(
            _torch("F.silu"),
            torch=("nn.SiLU", "F.silu"),
            onnx="Swish",
            onnx_fixed={"alpha": 1.0},
            to_onnx=lambda _, x: apply("Mul", x, apply("Sigmoid", x)),
        ),
        "hard_silu": Function(
            _torch("F.hardswish"), torch=("nn.Hardswish", "F.hardswish"), onnx="HardSwish"
        ),
        "mish": Function(_torch("F.mish"), torch=("nn.Mish", "F.mish"), onnx="Mish"),
        "gelu": Function(
            _gelu,
            {"approximate": 0.0},
            torch=("nn.GELU", "F.gelu"),
            torch_options=("approximate",),
            read=lambda call: {"approximate": float(call.module.approximate == "tanh")},
            to_onnx=_gelu_said,
        ),
        "erf": Function(_torch("torch.erf"), onnx="Erf"),
        "exponential": Function(_torch("torch.exp"), moves_zero=True, onnx="Exp"),
        # axis of the value as laid out in the spec
        **{
            name: Function(
                _softmax(f"torch.{name}"),
                {"axis": 1.0},
                moves_zero=True,
                torch=(module, f"F.{name}", f"torch.{name}", f".{name}"),
                torch_options=("dim",),
                read=_axis,
                to_onnx=_along(module.removeprefix("nn.")),
            )
            for name, module in (("softmax", "nn.Softmax"), ("log_softmax", "nn.LogSoftmax"))
        },
    }
)


def _shape(given: Given) -> Shape:
    shape = given.value
    axis = given["activation"].options.get("axis", 1)
    if not 1 <= axis <= len(shape):
        raise InvalidInput(f"there is no axis {axis} in a value of shape {shape}")
    return shape


register(
    Op(
        name="activation",
        attributes=("activation",),
        shape=_shape,
        compute=lambda attributes: activation_function(attributes["activation"]),
        channels=Kept(lambda layer, *_: is_zero_preserving(layer.attributes["activation"])),
        from_keras={
            **dict.fromkeys(_operations(), _read_operation),
            "Activation": _read_setting,
            **dict.fromkeys(_LAYERS, _read_own_layer),
        },
        to_keras=_to_keras,
        from_torch={key: rule for item in FUNCTIONS.items() for key, rule in _rules(*item).items()},
        from_onnx={
            **{f.onnx: _from_onnx(name, f) for name, f in FUNCTIONS.items() if f.onnx},
            "Gelu": _gelu_from_onnx,
            "Clip": _clip_from_onnx,
            "Softmax": _softmax_from_onnx,
            "LogSoftmax": _softmax_from_onnx,
            "ThresholdedRelu": _thresholded_from_onnx,
        },
        to_onnx=_to_onnx,
        checks={"activation": FUNCTION},
    )
)
