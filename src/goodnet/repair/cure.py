"""Find the backdoor without being given a trigger, and remove it.

The network is scanned. Units read several layers for the triggers found (see `repair.watch`) and
suppress the logit of the label where they fire (see `repair.veto`). Then the result is searched for
triggers of the same labels: those that come back are watched for, too. Where no layer may be added,
the triggers are unlearned or erased, whichever does better on clean images held back (see
`repair.unlearn`, `repair.erase`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from goodnet.errors import UsageError
from goodnet.repair.cured import CureResult
from goodnet.repair.method import Context, Repair

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.network import Network

Form = Literal["clamped", "same"]


@dataclass(frozen=True)
class Cure(Repair[CureResult]):
    """Scan a network and remove the backdoors found. B' is B if there are none.

    Without images, some are made from the network.

    Attributes:
        alpha: Share of clean networks in which a label may be named, 0..1.
        form: Form of B': "clamped" adds layers that suppress the logit of a watched label, and
            changes no prediction but those of these labels; "same" changes the weights of the
            existing layers.
        rounds: Maximum number of searches for triggers on the result, at least 1.
        minutes: Minutes that all searches may take, about: the first tries fewer triggers where it
            would take more than half of them, as `Scan` does, and none begins once they have
            passed; None for no limit.
        tolerance: Clean accuracy that B' may lose, in percentage points; labels that stand out
            without being named are not watched where that costs more.
        false_alarms: Share of the clean images of a watched class on which its units may fire,
            0..1; images with other predictions are never refused.
        seed: Seed of the random numbers.

    References:
        Ours. Watching a linear reader of a layer's value is what Mahalanobis detectors do (Lee et
        al., NeurIPS 2018); here its direction is that of triggers.
    """

    name = "cure"
    summary = "scan the network and remove the backdoors found; no trigger is needed"
    paper = "ours"
    needs = "clean labelled images, or none"
    output = "B' with units that watch its layers"
    alone = True

    alpha: float = 0.01
    form: Form = "clamped"
    rounds: int = 2
    minutes: float | None = None
    tolerance: float = 1.0
    false_alarms: float = 0.01
    seed: int = 0

    def _check(self) -> None:
        from goodnet.scan.scan import Scan

        Scan(alpha=self.alpha, seed=self.seed)
        if self.form not in get_args(Form):
            raise UsageError(f"the forms of B' are {', '.join(get_args(Form))}, got {self.form!r}")
        if self.rounds < 1:
            raise UsageError(f"a cure needs at least 1 round, got {self.rounds}")
        if self.minutes is not None and not self.minutes > 0:
            raise UsageError(f"expected minutes above 0, got {self.minutes:g}")
        if not 0 <= self.tolerance < 100:
            raise UsageError(
                f"expected a tolerance from 0 to 100 percentage points, got {self.tolerance:g}"
            )
        if not 0 < self.false_alarms < 1:
            raise UsageError(
                f"expected a share of false alarms between 0 and 1, got {self.false_alarms:g}"
            )

    def _repair(self, network: Network, images: ImageSet | None, context: Context) -> CureResult:
        import torch

        from goodnet.repair.curing import Work
        from goodnet.scan.case import open_case
        from goodnet.scan.scan import Scan

        since, stage = time.perf_counter(), context.stage
        if images is None and self.form == "same":
            raise UsageError("a cure of the form same needs clean images, got none")
        first = None if self.minutes is None else self.minutes / 2
        scan = Scan(alpha=self.alpha, minutes=first, seed=self.seed)
        found = scan(network, images, stage=stage)
        generator = torch.Generator().manual_seed(self.seed)
        case = open_case(network, images, layer=None, generator=generator)
        end = math.inf if self.minutes is None else since + 60 * self.minutes
        work = Work(self, network, images, case, found, generator, stage, end=end)
        result = work.done()
        return result if images is None else result.with_warning(self.tolerance)
