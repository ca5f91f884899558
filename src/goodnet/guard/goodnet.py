"""The GoodNet G: a network of N+1 classes made of a suspect network B and its repaired copy B'.

G predicts the common class where B and B' agree and class N, "backdoored", where they differ. It
consists of ordinary layers (see `guard.form`), and can be saved and run like any other network.

The form follows the CSAW-HackML 2020 statement of the problem (BadNets: Gu et al. 2017).
"""

from __future__ import annotations

from goodnet.formats.build import build
from goodnet.guard.form import guard_spec
from goodnet.network import Network, check_network


class GoodNet(Network):
    """The GoodNet of a network and its repaired copy, outputs (batch, N + 1)."""

    def __init__(self, network: Network, repaired: Network) -> None:
        """Combine two networks; layers they have in common are computed once.

        Args:
            network: B, outputs (batch, N).
            repaired: B', outputs (batch, N).

        Raises:
            UsageError: If one is no network.
            InvalidInput: If the two take different images or have different classes.
        """
        check_network(network)
        check_network(repaired)
        made = build(guard_spec(network.spec, repaired.spec)).to(network.device)
        super().__init__(made.graph, made._names, input_shape=made.input_shape, spec=made.spec)
