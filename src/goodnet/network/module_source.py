"""The module of the user's own that a network was made of, and the way back into it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from goodnet.errors import InvalidInput

if TYPE_CHECKING:
    from goodnet.network.network import Network


@dataclass(frozen=True, eq=False)
class ModuleSource:
    """Where a network came from that was made of a module.

    Attributes:
        module: A copy of it, as it was.
        origins: For each array of the description, its key in the module's `state_dict`.
    """

    module: nn.Module
    origins: Mapping[str, str]

    def restored(self, network: Network) -> nn.Module:
        """A copy of the module with the numbers that a network of the same layers has now.

        Raises:
            InvalidInput: If two layers that share an array of the module now differ in it.
        """
        module = copy.deepcopy(self.module)
        state, written = module.state_dict(), dict[str, Tensor]()
        for key, origin in self.origins.items():
            layer, name = key.split("/", 1)
            found = network.layer(layer).state_dict()[name]
            if len(found) == 2 and len(state[origin]) == 1:
                found = found[1:] - found[:1]  # one output stands for two classes
            found = found.reshape(state[origin].shape)
            if origin in written and not torch.equal(found, written[origin]):
                raise InvalidInput(
                    f"the numbers at {origin!r} are used by more than one layer of the module, so "
                    "they cannot change for one of them alone; choose another layer or method"
                )
            written[origin] = found
        module.load_state_dict(state | written)
        return module
