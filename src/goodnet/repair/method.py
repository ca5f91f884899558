"""What every repair method is: a frozen dataclass whose fields are its options."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast, final

from goodnet.errors import UsageError
from goodnet.options import Checked
from goodnet.process import peak_memory
from goodnet.progress import Stage, no_progress
from goodnet.repair.result import RepairResult
from goodnet.training import TrainingConfig

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network

ResultT = TypeVar("ResultT", bound=RepairResult)


@dataclass(frozen=True)
class Context:
    """A repair under way.

    Attributes:
        training: How it trains; a method that does not train uses only a part of it.
        stage: Shows the progress of each stage of the work.
        checkpoint: A file to resume from after an interruption; remove it when done.
    """

    training: TrainingConfig = field(default_factory=TrainingConfig)
    stage: Stage = no_progress
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Repair(Checked, ABC, Generic[ResultT]):
    """A method of making B'; its fields are its options.

    Example:
        `FinePrune(drop=10)(network, images)` is a `RepairResult`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[str] = "clean labelled images"
    output: ClassVar[str] = "B'"
    # Whether it can do without clean images.
    alone: ClassVar[bool] = False

    @final
    def __call__(
        self,
        network: Network,
        images: ImageSet | None = None,
        *,
        stage: Stage = no_progress,
        checkpoint: Path | None = None,
    ) -> ResultT:
        """Repair a network with clean images, and with nothing else.

        Args:
            network: B, from a file or a module; it is not changed.
            images: Clean and labelled.
            stage: Shows the progress of each stage of the work.
            checkpoint: A file to resume from after an interruption, for methods that train; remove
                it when the result is saved.

        Raises:
            InvalidInput: If B does not take the clean images or does not classify them as labelled,
                all are of one class, or the method does not work on such a network.
            OverBudget: If the images do not fit in memory.
            UsageError: If there are no images, and the method needs some.
        """
        from goodnet.network import check_network, check_pair

        since = time.perf_counter()
        check_network(network)
        if images is not None:
            check_pair(network, images, several=True)
        elif not self.alone:
            raise UsageError(f"{self.name} needs clean labelled images, got none")
        context = Context(self._training, stage, checkpoint)
        # A method that can do without them says so in the type of its own.
        found = self._repair(network, cast("ImageSet", images), context)
        return replace(
            found,
            method=self.name,
            seconds=time.perf_counter() - since,
            peak_memory=peak_memory(),
        )

    @abstractmethod
    def _repair(self, network: Network, images: ImageSet, context: Context) -> ResultT:
        """Make B'; name, time and memory are filled in by the caller."""

    @property
    def _training(self) -> TrainingConfig:
        return TrainingConfig()


@dataclass(frozen=True)
class Trained(Repair[RepairResult]):
    """A repair that trains.

    Attributes:
        training: How it trains.
    """

    training: TrainingConfig = field(default_factory=TrainingConfig, kw_only=True)

    @property
    def _training(self) -> TrainingConfig:
        return self.training
