"""A PyTorch module of the user's own as a network that everything works on."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.spec import Array, Layer, NetworkSpec
from goodnet.formats.torch.functions import of_function
from goodnet.formats.torch.modules import Parameter, Step, of_module
from goodnet.formats.torch.trace import Trace, trace
from goodnet.network import ModuleSource, Network
from goodnet.preprocessing import IDENTITY, Preprocessing

__all__ = ["wrap"]

# Of the largest output: what two ways of computing the same may differ by in single precision.
_TOLERANCE = 1e-3


def wrap(
    module: nn.Module,
    input_shape: Sequence[int],
    *,
    preprocessing: Preprocessing = IDENTITY,
) -> Network:
    """Make a network of a module of yours; a copy is taken, the module stays as it is.

    The module is traced by `torch.fx` and described layer by layer; layers have the names of its
    submodules. What is not known or cannot be traced stays one layer: it is evaluated and trained
    as it is. The `module` of the network, or of a repaired copy, is of your class again.

    Args:
        module: A classifier from (batch, *input_shape) to logits or probabilities (batch, classes).
        input_shape: Shape of one image, (channels, height, width).
        preprocessing: What is done to images 0..1 before the module gets them; by default nothing.

    Raises:
        InvalidInput: If the module does not take such images or does not return such outputs, or
            the preprocessing is for images of another number of channels.
    """
    return _wrapped(module, input_shape).with_preprocessing(preprocessing)


def _wrapped(module: nn.Module, input_shape: Sequence[int]) -> Network:
    original, shape = copy.deepcopy(module).eval(), tuple(input_shape)
    device = next((tensor.device for tensor in original.parameters()), torch.device("cpu"))
    deep, whole = trace(original, shape)
    if deep is not None:
        try:
            network = build(_described(deep, original, shape)).to(device)
            # What writes over a value that others read is not told by the trace.
            if _answers_alike(network, original):
                return network
        except InvalidInput:
            pass  # said of the whole, if it is so of that
    return build(_described(whole, original, shape)).to(device)


def _described(traced: Trace, original: nn.Module, input_shape: tuple[int, ...]) -> NetworkSpec:
    steps = _steps(traced)
    names = {traced.images: "images"}
    layers = [Layer("images", "input", (), {"shape": input_shape})]
    parameters: dict[str, Parameter] = {}
    for node, step in steps.items():
        name = names[node] = _free(_wish(node), set(names.values()))
        layers.append(
            Layer(name, step.op, tuple(names[x] for x in step.inputs), dict(step.attributes))
        )
        parameters |= {f"{name}/{key}": found for key, found in step.parameters.items()}
    origins = {key: found.key.removeprefix(traced.prefix) for key, found in parameters.items()}
    return NetworkSpec(
        tuple(layers),
        {key: _array(found) for key, found in parameters.items()},
        names[traced.output],
        name=type(original).__name__,
        source=ModuleSource(original, origins),
    )


def _steps(traced: Trace) -> dict[fx.Node, Step]:
    """The calls whose values lead to the answer as operations, in running order."""
    found: dict[fx.Node, Step] = {}
    waiting = [traced.output]
    while waiting:
        node = waiting.pop()
        if node not in found and node.op != "placeholder":
            found[node] = _step(traced, node)
            waiting += found[node].inputs
    return {node: found[node] for node in traced.graph.nodes if node in found}


def _step(traced: Trace, node: fx.Node) -> Step:
    """A call as an operation; one that is not known as an `opaque` one with all it needs."""
    known = _of_module(traced, node) if node.op == "call_module" else of_function(traced, node)
    if known is not None:
        return known
    region, inputs = traced.region(node)
    parameters = {
        key: Parameter(tensor, key)
        for key, tensor in region.state_dict(keep_vars=True).items()
        if tensor.is_floating_point()
    }
    return Step("opaque", inputs, {"module": region, "shape": traced.shape(node)}, parameters)


def _of_module(traced: Trace, node: fx.Node) -> Step | None:
    module = traced.module(node)
    if module is None or node.kwargs or len(node.args) != 1:
        return None
    (source,) = node.args
    if not isinstance(source, fx.Node) or not traced.is_value(source):
        return None
    return of_module(traced, module, node, source=source)


def _wish(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else node.name


def _free(wish: str, taken: set[str]) -> str:
    name, count = wish, 1
    while name in taken:
        name, count = f"{wish}_{count}", count + 1
    return name


def _array(parameter: Parameter) -> Array:
    found: Array = parameter.tensor.detach().cpu().float().contiguous().numpy().copy()
    return found if parameter.shape is None else found.reshape(parameter.shape)


def _answers_alike(network: Network, original: nn.Module) -> bool:
    """Whether the description computes what the module does, on images it was not made with."""
    random = torch.Generator().manual_seed(5)
    images = torch.rand(5, *network.input_shape, generator=random)
    like = next(iter(original.parameters()), images)
    with torch.inference_mode():
        wanted: Tensor = original(images.to(like.device, like.dtype)).float()
    found = network(images)
    scale = float(wanted.nan_to_num(0, 0, 0).abs().max()) if wanted.numel() else 1.0
    return torch.allclose(
        found, wanted, rtol=_TOLERANCE, atol=_TOLERANCE * (scale or 1.0), equal_nan=True
    )
