"""A network that was scanned, while it is cured: watched or changed, then searched again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from goodnet.attack.trigger_file import trigger_of
from goodnet.formats.build import build
from goodnet.network import answers
from goodnet.repair.cured import CureResult, comes_back, details_of, left_of, notes_of
from goodnet.repair.erase import Erase
from goodnet.repair.stamped import LED
from goodnet.repair.unlearn import Unlearn
from goodnet.repair.veto import with_veto
from goodnet.repair.watch import Watch, stamp_of, watch
from goodnet.repair.watched_layers import WatchedLayer, shown, watched_layers
from goodnet.scan.case import pixels_of
from goodnet.scan.families import FAMILIES
from goodnet.scan.plan import Plan
from goodnet.scan.scan import Hunt
from goodnet.scan.subject import Subject
from goodnet.stats import proportion
from goodnet.training import TrainingConfig

if TYPE_CHECKING:
    from torch import Tensor

    from goodnet.imagesets import ImageSet
    from goodnet.network import Network
    from goodnet.progress import Stage
    from goodnet.repair.cure import Cure
    from goodnet.repair.method import Repair
    from goodnet.repair.result import RepairResult
    from goodnet.results import Left
    from goodnet.scan import ScanResult
    from goodnet.scan.case import Case
    from goodnet.scan.families import Family
    from goodnet.scan.result import RecoveredTrigger
    from goodnet.types import Proportion

    Triggers = tuple[RecoveredTrigger, ...]

# Clean images of a label's own class that are looked at, the most.
_OWN = 500
# Innocent labels whose triggers tell what a search finds in any network.
_INNOCENT = 8
# Families of triggers that are searched again.
_LIKELY = 4
# Triggers of each label that are taken out, of different families.
_TAKEN_OUT = 3


@dataclass(frozen=True, eq=False)
class Work:
    """A network that was scanned, while it is cured.

    Attributes:
        options: How.
        network: B.
        images: Clean ones; None where there are none.
        case: B with its clean images, as a scan sees them.
        found: By the scan.
        generator: Of all that is random.
        stage: Shows the progress.
        end: When nothing more is searched, as `time.perf_counter` tells it.
    """

    options: Cure
    network: Network
    images: ImageSet | None
    case: Case
    found: ScanResult
    generator: torch.Generator
    stage: Stage
    end: float

    @cached_property
    def named(self) -> list[int]:
        """The labels that were found."""
        return [target.label for target in self.found.targets]

    @cached_property
    def layers(self) -> list[WatchedLayer]:
        """Those to watch."""
        names, found = watched_layers(self.network), []
        with self.stage(len(names), "looking at layers") as advance:
            for name in names:
                found.append(WatchedLayer.of(self.case, name))
                advance(1)
        return found

    def done(self) -> CureResult:
        """Take out what was found, if anything was."""
        if not self.found.targets:
            return self._result(self.network)
        if self.options.form == "same" and self.images is not None:
            return self._same(self.images)
        return self._clamped()

    def _clamped(self) -> CureResult:
        """Watch for what was found, search again, and watch for what comes back."""
        suspects = (*self.found.targets, *self.found.beside)
        triggers = {each.label: each.triggers for each in suspects if each.triggers}
        for turn in range(self.options.rounds):
            watches = self._affordable(self._watch(triggers))
            units = [unit for one in watches for unit in one.units]
            if not units:
                return self._result(self.network, watches)
            spread = _spread(self.case, triggers)
            cured = build(with_veto(self.network.spec, units, spread=spread))
            cured = cured.to(self.network.device)
            again = self._search_again(cured, watched=list(triggers))
            left = tuple(
                left_of(one.label, (one.led[0], one.escaped[0]), again, watched=triggers)
                for one in watches
                if one.label in self.named
            )
            back = [one.label for one in left if comes_back(one)]
            if not back or turn == self.options.rounds - 1 or self._late:
                break
            triggers |= {label: triggers[label] + again[label] for label in back}
        return self._result(cured, watches, left)

    def _same(self, images: ImageSet) -> CureResult:
        """Unlearn or erase the triggers of the labels named, whichever does better."""
        given = [
            (target.label, trigger)
            for target in self.found.targets
            for trigger in target.triggers[:_TAKEN_OUT]
        ]
        triggers = tuple(
            trigger_of(f"label {label}, {trigger.family}", trigger.arrays)
            for label, trigger in given
        )
        seed = self.options.seed
        methods: tuple[Repair[RepairResult], ...] = (
            Unlearn(triggers, training=TrainingConfig(seed=seed)),
            Erase(triggers, layer=self.network.features_layer, seed=seed),
        )
        results = [method(self.network, images, stage=self.stage) for method in methods]
        best = min(results, key=lambda each: _rank(each, self.options.tolerance))
        again = self._search_again(best.network, watched=self.named)
        told = best.details["triggers"]
        left = []
        for label in self.named:
            place = next(i for i, (each, _) in enumerate(given) if each == label)
            works = tuple(
                proportion(row["count"], row["total"])
                for row in (told[place]["led_before"], told[place]["led_after"])
            )
            left.append(left_of(label, works, again, watched=self.named))
        result = self._result(best.network, left=tuple(left))
        return replace(
            result,
            before=best.before,
            after=best.after,
            notes=(*result.notes, *best.notes),
            details={**result.details, "weights": {"method": best.method, **best.details}},
        )

    @property
    def _late(self) -> bool:
        return time.perf_counter() > self.end

    def _watch(self, triggers: Mapping[int, Triggers]) -> tuple[Watch, ...]:
        with self.stage(len(self.layers) * len(triggers), "watching layers") as advance:
            return tuple(
                watch(
                    self.layers,
                    self.case,
                    label,
                    found,
                    own=_own(self.case, self.images, label),
                    named=label in self.named,
                    false_alarms=self.options.false_alarms,
                    advance=advance,
                )
                for label, found in triggers.items()
            )

    def _affordable(self, watches: tuple[Watch, ...]) -> tuple[Watch, ...]:
        """Without labels beside those named, the last first, while all cost too much."""
        kept = list(watches)
        for one in reversed(watches):
            before, after = _accuracy(self.case, kept)
            if 100 * (before.count - after.count) <= self.options.tolerance * before.total:
                break
            if one.label not in self.named and one.changed.any():
                kept.remove(one)
        return tuple(kept)

    def _search_again(self, cured: Network, *, watched: Sequence[int]) -> dict[int, Triggers]:
        """Triggers of the labels that are watched, and of others, searched on B'.

        Returns:
            By label; none where there is no time left.
        """
        if self._late:
            return {}
        ranked = np.argsort(-self.found.scores, kind="stable").tolist()
        innocent = [label for label in ranked if label not in watched][:_INNOCENT]
        subject = Subject.of(cured.with_preprocessing(self.case.subject.network.preprocessing))
        labels = sorted([*watched, *innocent])
        hunt = Hunt.begin(
            replace(self.case, subject=subject),
            torch.tensor(labels, device=subject.device),
            self.generator,
            self.stage,
            label="searching again",
            families=_families(self.found),
            plan=Plan.of(self.found.options["effort"]),
        )
        return {label: hunt.triggers(label) for label in labels}

    def _result(
        self, cured: Network, watches: tuple[Watch, ...] = (), left: tuple[Left, ...] = ()
    ) -> CureResult:
        before, after = _accuracy(self.case, watches)
        return CureResult(
            "",
            cured,
            before=before,
            after=after,
            notes=notes_of(self.images, self.found, watches, left),
            details=details_of(self.found, watches, left),
            scan=self.found,
            watches=watches,
            left=left,
        )


def _rank(result: RepairResult, tolerance: float) -> tuple[bool, bool, float]:
    """The smaller the better: what a trigger still does, whether it costs too much, what."""
    led = max(told["led_after"]["value"] or 0.0 for told in result.details["triggers"])
    return led > LED, result.cost > tolerance, result.cost


def _own(case: Case, images: ImageSet | None, label: int) -> Tensor | None:
    """Clean images of a class, pixels 0..1, that no unit is made from; None if there are none."""
    if images is None or not (images.labels == label).any():
        return None
    found = pixels_of(case.subject, images.take(np.flatnonzero(images.labels == label)[:_OWN]))
    seen, made_from = torch.zeros(len(found), dtype=torch.bool, device=found.device), shown(case)
    for image in made_from.images[made_from.truth == label]:
        seen |= (found == image).flatten(1).all(1)
    return None if seen.all() else found[~seen]


def _spread(case: Case, triggers: Mapping[int, Triggers]) -> float:
    """What the logits of an image differ by at most, stamped or not."""
    images = case.everything.images
    stamped = [stamp_of(each[0], images.device).on(images)[0] for each in triggers.values()]
    logits = case.subject.all_logits(torch.cat([images, *stamped]))
    return float((logits.amax(1) - logits.amin(1)).max())


def _families(found: ScanResult) -> list[Family]:
    """Those of the triggers that gain most: what was found looks like them."""
    best = sorted((t for target in found.targets for t in target.triggers), key=lambda t: -t.margin)
    names = list(dict.fromkeys(trigger.family for trigger in best))[:_LIKELY]
    return [family for family in FAMILIES if family.name in names]


def _accuracy(case: Case, watches: Sequence[Watch]) -> tuple[Proportion, Proportion]:
    """Of B, and of B' on images that its units were not made from."""
    truth = case.everything.truth[: len(watches[0].changed) if watches else None].cpu().numpy()
    logits = case.subject.all_logits(case.everything.images[: len(truth)])
    right = answers(logits).cpu().numpy() == truth
    changed = np.zeros(len(truth), np.bool_)
    for one in watches:
        changed |= one.changed
    before, after = int(right.sum()), int((right & ~changed).sum())
    return proportion(before, len(truth)), proportion(after, len(truth))
