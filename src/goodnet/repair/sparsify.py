"""Set weights to zero, the smallest first and more in each epoch, while fine-tuning.

Zhu and Gupta, To Prune, or Not to Prune, ICLR workshop 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput, UsageError
from goodnet.repair.clean import prepare
from goodnet.repair.method import Context, Trained

if TYPE_CHECKING:
    from goodnet.formats.spec import Array, NetworkSpec
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.repair.result import RepairResult
    from goodnet.training import Frozen

_FIRST = 0.5


@dataclass(frozen=True)
class Sparsify(Trained):
    """Set the smallest weights of some layers to zero, more in each epoch, while fine-tuning.

    The sparsity rises during the first half of the epochs and stays constant during the second;
    the best epoch of the second half is kept. A weight that is zero stays zero. Biases are not
    changed. The details of the result hold `initial`, `final`, and `sparsity`, the share of zero
    weights of each layer by name.

    Attributes:
        sparsity: Final share of zero weights in each layer, 0..1.
        initial: Share in the first epoch; None for 0.5, or `sparsity` if that is less.
        layers: Convolutions and dense layers to sparsify; None for all dense layers.

    Raises:
        UsageError: If a sparsity is outside 0..1, or the last is below the first.

    References:
        Zhu and Gupta, To Prune, or Not to Prune, ICLR workshop 2018. Departure: masks change
        before each epoch, not every so many steps.
    """

    name = "sparsify"
    summary = "fine-tune while setting more and more of the smallest weights to zero"
    paper = "Zhu, Gupta, ICLR workshop 2018"
    output = "B' with sparse weights"

    sparsity: float = 0.7
    initial: float | None = None
    layers: tuple[str, ...] | None = None

    def _check(self) -> None:
        for share in (self._first, self.sparsity):
            if not 0 <= share <= 1:
                raise UsageError(f"expected a sparsity from 0 to 1, got {share:g}")
        if self._first > self.sparsity:
            raise UsageError(
                f"expected a sparsity that does not fall, got {self._first:g} to {self.sparsity:g}"
            )

    @property
    def _first(self) -> float:
        return min(_FIRST, self.sparsity) if self.initial is None else self.initial

    def _repair(self, network: Network, images: ImageSet, context: Context) -> RepairResult:
        from goodnet.formats.build import extract
        from goodnet.repair.effort import epochs_for, tune_hard

        chosen = _chosen(network.spec, self.layers)
        clean = prepare(network, images, context.training)
        rise = epochs_for(clean, context.training) // 2
        course = _Course(chosen, self._first, self.sparsity, rise=rise)
        found = tune_hard(network, clean, start=network.spec, context=context, course=course)
        own = {
            "initial": self._first,
            "final": self.sparsity,
            "sparsity": _zeros(extract(found.network), chosen),
        }
        return replace(found, details={**found.details, **own})


def sparsity_at(epoch: int, initial: float, final: float, *, rise: int) -> float:
    """The sparsity in an epoch: fast at first, slower and slower, there after `rise` epochs.

    Example:
        >>> [round(sparsity_at(epoch, 0.5, 0.7, rise=2), 3) for epoch in range(4)]
        [0.5, 0.675, 0.7, 0.7]
    """
    if epoch >= rise:
        return final
    return final + (initial - final) * (1 - epoch / rise) ** 3


def smallest(weights: Array, share: float) -> NDArray[np.bool_]:
    """Which numbers are a share of all, to the nearest number, and the smallest in size.

    Among numbers of the same size the first come first; so zeros of a smaller share are zeros of a
    larger one.
    """
    order = np.argsort(np.abs(weights), axis=None, kind="stable")
    mask = np.zeros(weights.size, np.bool_)
    mask[order[: round(share * weights.size)]] = True
    return mask.reshape(weights.shape)


@dataclass(frozen=True)
class _Course:
    """Holds the smallest weights of some layers at zero; a function of epoch and network only."""

    layers: tuple[str, ...]
    initial: float
    final: float
    rise: int

    def __call__(self, epoch: int, network: Network) -> Frozen:
        import torch

        share = sparsity_at(epoch, self.initial, self.final, rise=self.rise)
        frozen = {}
        for layer in self.layers:
            weight = network.layer(layer).get_parameter("weight")
            mask = smallest(weight.detach().cpu().numpy(), share)
            with torch.no_grad():
                weight.masked_fill_(torch.from_numpy(mask).to(weight.device), 0)
            frozen[f"{layer}/weight"] = mask
        return frozen


def _chosen(spec: NetworkSpec, layers: Sequence[str] | None) -> tuple[str, ...]:
    """The layers to thin out, each once, in running order."""
    possible = [layer.name for layer in spec.layers if layer.op in ("conv2d", "dense")]
    wanted = [name for name in possible if spec[name].op == "dense"] if layers is None else layers
    for name in wanted:
        if name not in possible:
            raise InvalidInput(
                f"no layer with weights to make sparse is called {name!r}; there are "
                + (", ".join(possible) or "none")
            )
    if not wanted:
        raise InvalidInput(
            "expected layers to make sparse, by default the dense ones, got none; name some of "
            + (", ".join(possible) or "those of another network, for this one has no weights")
        )
    return tuple(name for name in possible if name in wanted)


def _zeros(spec: NetworkSpec, layers: Sequence[str]) -> dict[str, float]:
    return {name: float(np.mean(spec.arrays[f"{name}/weight"] == 0)) for name in layers}
