"""The GoodNet G: a network of N+1 classes made of a suspect network B and its repaired copy B'.

G answers the class where B and B' agree and class N, "backdoored", where they differ. It is an
ordinary graph of ordinary layers (see `guard.form`), so it can be saved and run like any other.

The form follows the CSAW-HackML 2020 statement of the problem (BadNets: Gu et al. 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.guard.form import REFUSAL, guard_spec
from goodnet.network import Network, Node

__all__ = ["make_goodnet"]


def make_goodnet(network: Network, repaired: Network) -> Network:
    """The GoodNet of a network and its repaired copy.

    Args:
        network: B, outputs (batch, N).
        repaired: B', outputs (batch, N).

    Returns:
        A network with outputs (batch, N + 1). Networks that came from files share all layers they
        have in common; modules run side by side.

    Raises:
        InvalidInput: If the two take other images or have other classes.
    """
    if network.spec is not None and repaired.spec is not None:
        return build(guard_spec(network.spec, repaired.spec)).to(network.device)
    if (network.input_shape, network.num_classes) != (repaired.input_shape, repaired.num_classes):
        raise InvalidInput(
            f"the two networks do not belong together: images {network.input_shape} and "
            f"{repaired.input_shape}, classes {network.num_classes} and {repaired.num_classes}"
        )
    nodes = [
        Node("original", network.copy().graph, ("images",)),
        Node("repaired", repaired.copy().graph, ("images",)),
        Node("goodnet", _Agreement(), ("original", "repaired")),
    ]
    return Network.assemble(
        nodes, image="images", output="goodnet", input_shape=network.input_shape
    )


class _Agreement(nn.Module):
    """Two towers' outputs (batch, N) -> the GoodNet's outputs (batch, N + 1)."""

    def forward(self, original: Tensor, repaired: Tensor) -> Tensor:
        towers = (original, repaired)
        gap = torch.add(*(tower - tower.amax(1, keepdim=True) for tower in towers))
        return torch.cat([gap, torch.full_like(gap[:, :1], REFUSAL)], dim=1)
