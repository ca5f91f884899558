"""The network under scan: its logits and features as functions of pixels that can be derived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.softmax import without_softmax
from goodnet.network import channels_last, workers

if TYPE_CHECKING:
    from goodnet.network import Network

Job = TypeVar("Job")
Result = TypeVar("Result")

_CLOSE = 1e-3  # of the largest logit: the last layer is linear if it gives the logits this well
_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Subject:
    """A network as a function of pixels 0..1; its weights take no gradients.

    Attributes:
        network: The network itself.
        head: Pixels 0..1 -> features, shape (images, ...).
        tail: Features -> logits, shape (images, classes).
        layer: The layer the features are the value of; "" for the logits themselves.
        weight: Of the last layer where it is linear in the features, shape (classes, features);
            None where it is not.
        shape: Of one image, (channels, height, width).
        classes: How many.
        batch: Images to run at a time.
        device: Where it computes.
    """

    network: Network
    head: nn.Module
    tail: nn.Module
    layer: str
    weight: Tensor | None
    shape: tuple[int, int, int]
    classes: int
    batch: int
    device: torch.device

    @classmethod
    def of(cls, network: Network, *, layer: str | None = None) -> Subject:
        """Look at a network.

        Args:
            network: From a file or a module; it is not changed.
            layer: The layer whose value are the features; None for what feeds the last linear
                layer, or the logits where the last layer is not linear.

        Raises:
            InvalidInput: If it does not take images or has no such layer.
        """
        if len(network.input_shape) != 3:
            raise InvalidInput(
                f"expected a network that takes images, got one that takes {network.input_shape}"
            )
        channels, height, width = network.input_shape
        bare = _bare(network)
        name = _only_way(bare) if layer is None else layer
        head, tail = _parts(bare, name)
        subject = cls(
            network,
            head,
            tail,
            name or "",
            None,
            (channels, height, width),
            network.num_classes,
            bare.batch_size,
            network.device,
        )
        return replace(subject, weight=subject._linear_end(bare))

    def features(self, images: Tensor) -> Tensor:
        """Features of pixels 0..1, shape (images, ...)."""
        found: Tensor = self.head(channels_last(images))
        return found

    def logits(self, images: Tensor) -> Tensor:
        """Logits of pixels 0..1, shape (images, classes)."""
        found: Tensor = self.tail(self.features(images))
        return found

    def all_logits(self, images: Tensor) -> Tensor:
        """Logits of any number of images, without gradients."""
        with torch.inference_mode():
            return self._run(self.logits, images)

    def all_features(self, images: Tensor) -> Tensor:
        """Features of any number of images, without gradients."""
        with torch.inference_mode():
            return self._run(self.features, images)

    def each(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Apply a function to each job, one job a core; results in order."""
        with workers(self.device) as run:
            return list(run(function, jobs))

    def _run(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        def part(some: Tensor) -> Tensor:
            with torch.inference_mode():
                return function(some)

        return torch.cat(self.each(part, torch.split(images, self.batch)))

    def _linear_end(self, network: Network) -> Tensor | None:
        """The weight of the last layer if the logits are its product with the features."""
        found = network.last_linear
        if found is None or self.layer != network.features_layer:
            return None
        weight = network.layer(found).get_parameter("weight").detach()
        images = torch.rand(4, *self.shape, generator=torch.Generator().manual_seed(0))
        features = self.all_features(images.to(self.device))
        if features.ndim != 2 or weight.shape != (self.classes, features.shape[1]):
            return None
        logits, product = self.all_logits(images.to(self.device)), features @ weight.T
        gap = (logits - product) - (logits - product)[:1]
        return weight if gap.abs().max() <= _CLOSE * logits.abs().max() else None


class _First(nn.Module):
    """Of the values that cross a cut the first and only one."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        values: Sequence[Tensor] = self.head(images)
        return values[0]


class _Logarithm(nn.Module):
    """Logits from probabilities: they differ by a constant for each image, margins do not."""

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs.clamp_min(_TINY).log()


def _bare(network: Network) -> Network:
    """A copy that takes no gradients, without the softmax at its end."""
    bare = build(without_softmax(network.spec)).to(network.device)
    bare.graph.requires_grad_(False)
    return bare


def _only_way(network: Network) -> str | None:
    """What feeds the last linear layer, unless it feeds something else, too."""
    layer = network.features_layer
    return layer if layer is not None and network.cut(layer).values == 1 else None


def _parts(network: Network, layer: str | None) -> tuple[nn.Module, nn.Module]:
    end: nn.Module = _Logarithm() if _answers_probabilities(network) else nn.Identity()
    if layer is None:
        return nn.Sequential(network.graph, end), nn.Identity()
    cut = network.cut(layer)
    if cut.values > 1:
        raise InvalidInput(
            f"other values pass by layer {layer!r}; choose one that all of them pass through"
        )
    return _First(cut.head), nn.Sequential(cut.tail, end)


def _answers_probabilities(network: Network) -> bool:
    random = torch.Generator().manual_seed(0)
    images = torch.rand(4, *network.input_shape, generator=random).to(network.device)
    outputs = network(images)
    ones = torch.ones(len(outputs), device=outputs.device)
    return bool((outputs >= 0).all()) and torch.allclose(outputs.sum(1), ones, atol=1e-4)
