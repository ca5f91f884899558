"""What every scanner takes, what all of them check, and what each has to implement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch

from goodnet.errors import UsageError
from goodnet.network import check_network, check_pair
from goodnet.options import Checked
from goodnet.progress import Stage, no_progress
from goodnet.scan.case import Case, open_case
from goodnet.scan.result import ScanResult

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network


@dataclass(frozen=True)
class Scanner(Checked, ABC):
    """A method of telling whether a network carries a backdoor; its fields are its options.

    Attributes:
        layer: Layer whose value is the features; None for the input of the last linear layer.
        seed: Seed of the random numbers.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[str] = "clean labelled images, or none"

    layer: str | None = None
    seed: int = 0

    @final
    def __call__(
        self, network: Network, images: ImageSet | None = None, *, stage: Stage = no_progress
    ) -> ScanResult:
        """Scan a network.

        Args:
            network: The suspect, from a file or a module; it is not changed.
            images: Clean and labelled, the more the better up to 200; None to make them from the
                network, which is less certain.
            stage: Shows the progress of each stage.

        Returns:
            The verdict with its evidence. If the network's outputs are constant or not finite, or
            it does not classify the images as labelled, the verdict is never "no_finding".

        Raises:
            UsageError: If these are not a network and a set of images.
            InvalidInput: If the network does not take such images or has no such layer.
        """
        check_network(network)
        if images is not None:
            check_pair(network, images)
        generator = torch.Generator().manual_seed(self.seed)
        layer = self.layer or self._usual_layer(network)
        case = open_case(network, images, layer=layer, generator=generator)
        if case.failure:
            return self._inconclusive(case, case.failure, *case.notes)
        return _sealed(self._scan(case, generator, stage), case)

    @abstractmethod
    def _scan(self, case: Case, generator: torch.Generator, stage: Stage) -> ScanResult:
        """Look for a backdoor; the notes and image counts are filled in by the caller."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The fields as plain data."""
        return asdict(self)

    def _usual_layer(self, network: Network) -> str | None:  # noqa: ARG002
        """The layer whose value are the features where none is named; None as `layer` has it."""
        return None

    def _inconclusive(self, case: Case, *notes: str) -> ScanResult:
        """The result where nothing can be measured; the first note says why."""
        return ScanResult(
            self.name,
            self.options,
            "inconclusive",
            None,
            "nothing could be measured",
            np.zeros(case.subject.classes, np.float32),
            images=case.counts,
            notes=notes,
        )


def check_counts(scanner: Scanner, *names: str) -> None:
    """Options that count something are at least 1.

    Raises:
        UsageError: If one is not.
    """
    for name in names:
        value = scanner.options[name]
        if value < 1:
            raise UsageError(f"{scanner.name} needs {name} of at least 1, got {value}")


def check_shares(scanner: Scanner, *names: str) -> None:
    """Options that are a share or a level lie between 0 and 1.

    Raises:
        UsageError: If one does not.
    """
    for name in names:
        value = scanner.options[name]
        if not 0 < value < 1:
            raise UsageError(f"{scanner.name} needs {name} between 0 and 1, got {value:g}")


def _sealed(result: ScanResult, case: Case) -> ScanResult:
    """The result with its images, and "inconclusive" where "no finding" would weigh nothing."""
    why: tuple[str, ...] = ()
    if not np.isfinite(result.scores).all():
        return replace(
            result,
            verdict="inconclusive",
            p_value=None,
            images=case.counts,
            notes=("some scores are not finite numbers", *case.notes, *result.notes),
        )
    if case.search is case.judge:
        why = (f"{len(case.search)} images are too few to judge by others than were searched on",)
    elif len(torch.unique(case.everything.truth)) == 1:
        why = ("all images are of one class, whose own triggers cannot be judged",)
    weak = why and result.verdict != "backdoored"
    verdict = "inconclusive" if weak else result.verdict
    notes = (*why, *case.notes, *result.notes)
    return replace(result, verdict=verdict, images=case.counts, notes=notes)
