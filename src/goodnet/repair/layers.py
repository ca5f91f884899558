"""Which layer to prune, and how to silence its channels in the weights themselves."""

from __future__ import annotations

from collections.abc import Iterable

from goodnet.errors import InvalidInput
from goodnet.formats import silence
from goodnet.formats.build import build
from goodnet.network import Network

__all__ = ["default_layer", "silence_channels"]


def default_layer(network: Network) -> str:
    """The last pooling layer, or the last convolution where there is none.

    Raises:
        InvalidInput: If the network has neither.
    """
    if network.spec is not None:
        return silence.default_layer(network.spec)
    for kind in ("pool", "conv"):
        found = [name for name in network.layers if kind in network.kind(name).lower()]
        if found:
            return found[-1]
    raise InvalidInput(
        "the network has no pooling or convolutional layer to prune; name a layer, one of "
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
