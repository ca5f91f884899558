"""The GoodNet G: a network of N+1 classes made of a suspect network B and its repaired copy B'.

G answers the class where B and B' agree and class N, "backdoored", where they differ. It is an
ordinary graph of ordinary layers (see `guard.form`), so it can be saved and run like any other.

The form follows the CSAW-HackML 2020 statement of the problem (BadNets: Gu et al. 2017).
"""

from __future__ import annotations

from goodnet.formats.build import build
from goodnet.guard.form import guard_spec
from goodnet.network import Network

__all__ = ["make_goodnet"]


def make_goodnet(network: Network, repaired: Network) -> Network:
    """The GoodNet of a network and its repaired copy.

    Args:
        network: B, outputs (batch, N).
        repaired: B', outputs (batch, N).

    Returns:
        A network with outputs (batch, N + 1); what B and B' have in common is computed once.

    Raises:
        InvalidInput: If the two take other images or have other classes.
    """
    return build(guard_spec(network.spec, repaired.spec)).to(network.device)
