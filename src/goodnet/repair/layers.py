"""Which layer to prune, and how to silence its channels in the weights themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.formats import silence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from goodnet.network import Network


def default_layer(network: Network) -> str:
    """The last pooling layer, else the last convolution, else the last hidden dense layer.

    Raises:
        InvalidInput: If the network has none that can be silenced.
    """
    return silence.default_layer(network.spec)


def silence_channels(network: Network, layer: str, channels: Iterable[int]) -> Network:
    """B': a copy of the network in whose weights channels of a layer are exactly zero.

    Raises:
        UsageError: If it is no network.
        InvalidInput: If the layer or a channel does not exist, or cannot be made zero by weights.
    """
    from goodnet.formats.build import build
    from goodnet.network import check_network

    check_network(network)
    spec = network.spec
    return build(spec.with_arrays(silence.silence(spec, layer, channels))).to(network.device)
