"""Which layer to prune, and how to silence its channels in the weights themselves."""

from __future__ import annotations

from collections.abc import Iterable

from goodnet.errors import InvalidInput
from goodnet.formats import silence
from goodnet.formats.build import build
from goodnet.network import Network

__all__ = ["default_layer", "silence_channels"]


def default_layer(network: Network) -> str:
    """The last pooling layer, else the last convolution, else the last hidden dense layer.

    Raises:
        InvalidInput: If the network has none that can be silenced.
    """
    if network.spec is not None:
        return silence.default_layer(network.spec)
    # The last linear layer is the answer.
    for kind, behind in (("pool", 0), ("conv", 0), ("linear", 1)):
        found = [name for name in network.layers if kind in network.kind(name).lower()]
        if len(found) > behind:
            return found[-1 - behind]
    raise InvalidInput(
        "the network has no pooling, convolutional or hidden layer to prune; name a layer, one of "
        + ", ".join(network.layers)
    )


def silence_channels(network: Network, layer: str, channels: Iterable[int]) -> Network:
    """B': a copy of the network in which channels of a layer are exactly zero.

    A network from a file gets the zeros in its weights, so it can be saved in the file's format;
    a traced module gets a mask behind the layer.

    Raises:
        InvalidInput: If the layer or a channel does not exist, or cannot be made zero by weights.
    """
    if network.spec is None:
        return network.silence(layer, channels)
    spec = network.spec
    return build(spec.with_arrays(silence.silence(spec, layer, channels))).to(network.device)
