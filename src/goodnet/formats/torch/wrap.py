"""A PyTorch module of the user's own as a network that everything works on."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from goodnet.formats.build import build
from goodnet.formats.spec import Array, Layer, NetworkSpec
from goodnet.formats.torch.describe import Parameter, describe
from goodnet.formats.torch.trace import Trace, trace
from goodnet.network import ModuleSource, Network

__all__ = ["wrap"]

# Of the largest output: what two ways of computing the same may differ by in single precision.
_TOLERANCE = 1e-3


def wrap(module: nn.Module, input_shape: Sequence[int]) -> Network:
    """Make a network of a module of yours; a copy is taken, the module stays as it is.

    The module is traced by `torch.fx` and described layer by layer; layers have the names of its
    submodules. What is not known or cannot be traced stays one layer: it is evaluated and trained
    as it is. The `module` of the network, or of a repaired copy, is of your class again.

    Args:
        module: A classifier from (batch, *input_shape) to logits or probabilities (batch, classes).
        input_shape: Shape of one image, (channels, height, width).

    Raises:
        InvalidInput: If the module does not take such images or does not return such outputs.
    """
    original = copy.deepcopy(module).eval().requires_grad_(requires_grad=True)
    device = next((tensor.device for tensor in original.parameters()), torch.device("cpu"))
    for traced in trace(original, tuple(input_shape)):
        network = build(_describe(traced, original, tuple(input_shape))).to(device)
        # What writes over a value that others read is not told by the trace.
        if _answers_alike(network, original):
            break
    return network


def _describe(traced: Trace, original: nn.Module, input_shape: tuple[int, ...]) -> NetworkSpec:
    names = {traced.images: "images"}
    layers = [Layer(names[traced.images], "input", (), {"shape": input_shape})]
    parameters: dict[str, Parameter] = {}
    for node in _needed(traced):
        step = describe(traced, node)
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


def _needed(traced: Trace) -> list[fx.Node]:
    """The calls that give values which lead to the answer, in running order."""
    needed: set[fx.Node] = set()
    waiting = [traced.output]
    while waiting:
        node = waiting.pop()
        if node not in needed and node.op != "placeholder":
            needed.add(node)
            waiting += describe(traced, node).inputs
    return [node for node in traced.graph.nodes if node in needed]


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
