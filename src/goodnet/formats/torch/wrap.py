"""A PyTorch module of the user's own as a network that everything works on."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.spec import Array, NetworkSpec
from goodnet.formats.torch.described import described
from goodnet.formats.torch.trace import Trace, trace
from goodnet.formats.two_classes import two_classes
from goodnet.network import ModuleSource, Network
from goodnet.ops.torch import Parameter
from goodnet.preprocessing import IDENTITY, Preprocessing

# Of the largest output: what two ways of computing the same may differ by in single precision.
_TOLERANCE = 1e-3

_QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")


def wrap(
    module: nn.Module,
    input_shape: Sequence[int],
    *,
    preprocessing: Preprocessing = IDENTITY,
) -> Network:
    """Make a network of a PyTorch module; a copy is taken, the module is not changed.

    The module is traced by `torch.fx` and described layer by layer; layers have the names of its
    submodules. A part that is unknown or cannot be traced becomes one layer, which is evaluated and
    trained, but cannot be pruned. The `module` of the network, or of a repaired copy, is again of
    the module's class. Of a `DataParallel` or a compiled module it is the module within.

    Args:
        module: A classifier from (batch, *input_shape) to logits or probabilities (batch, classes).
            One output, behind a sigmoid or linear, stands for two classes.
        input_shape: Shape of one image, (channels, height, width).
        preprocessing: Applied to images 0..1 before the module gets them; by default none.

    Raises:
        InvalidInput: If the module does not take such images or does not return such outputs, has
            numbers that cannot be computed with, or the preprocessing is for images of another
            number of channels.
    """
    network = _wrapped(module, input_shape)
    network.spec.check_numbers()
    if network.num_classes == 1:
        network = build(two_classes(network.spec)).to(network.device)
    return network.with_preprocessing(preprocessing)


def _wrapped(module: nn.Module, input_shape: Sequence[int]) -> Network:
    given, shape = _plain(module), tuple(input_shape)
    if any(tensor.is_meta for tensor in (*given.parameters(), *given.buffers())):
        raise InvalidInput(
            "expected a module with its numbers, got one on the device 'meta', which has none: "
            "give it its state_dict first"
        )
    if any(type(part).__module__.startswith(_QUANTISED) for part in given.modules()):
        raise InvalidInput(
            "quantised modules are not read; pass the module as it was before it was quantised"
        )
    original = copy.deepcopy(given).eval()
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


def _plain(module: object) -> nn.Module:
    """The module itself, where it is wrapped up to be run faster.

    Raises:
        InvalidInput: If it is no module.
    """
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return _plain(module.module)
    compiled = getattr(module, "_orig_mod", None)
    if isinstance(compiled, nn.Module):
        return compiled
    if isinstance(module, torch.jit.ScriptModule):
        raise InvalidInput(
            "expected a PyTorch module, got a scripted or traced one, which hides its layers: pass "
            "the module it was made from"
        )
    if isinstance(module, nn.Module):
        return module
    if isinstance(module, Mapping):
        raise InvalidInput(
            "expected a PyTorch module, got a state_dict, which has no structure: build the module "
            "first, give it the numbers with load_state_dict, and pass the module"
        )
    if isinstance(module, str | Path):
        raise InvalidInput(
            f"expected a PyTorch module, got the file name {str(module)!r}: build the module, load "
            "its state_dict from the file with weights_only=True, and pass the module"
        )
    if isinstance(module, type):
        raise InvalidInput(f"expected a PyTorch module, got the class {module.__name__}: make one")
    raise InvalidInput(f"expected a PyTorch module, got a {type(module).__name__}")


def _described(traced: Trace, original: nn.Module, input_shape: tuple[int, ...]) -> NetworkSpec:
    found = described(traced, input_shape)
    return NetworkSpec(
        found.layers,
        {key: _array(each) for key, each in found.parameters.items()},
        found.output,
        name=type(original).__name__,
        source=ModuleSource(original, found.origins),
    )


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
