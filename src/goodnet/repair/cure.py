"""Find the backdoor without any trigger being given, and take it out.

The network is scanned; units watch its layers for what was found (see `repair.watch`) and take the
logit of the label away where they fire (see `repair.veto`). Then triggers of the same labels are
searched again on the result: what comes back is watched for, too.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from goodnet.errors import UsageError
from goodnet.formats.build import build
from goodnet.progress import unseen
from goodnet.repair.result import Repair, Settings
from goodnet.repair.tune import finish, plain_spec
from goodnet.repair.veto import with_veto
from goodnet.repair.watch import Watch, WatchedLayer, stamp_of, watch, watched_layers
from goodnet.scan.case import open_case, pixels_of
from goodnet.scan.families import FAMILIES
from goodnet.scan.scan import Hunt, Scan
from goodnet.scan.subject import Subject
from goodnet.stats import proportion

if TYPE_CHECKING:
    from torch import Tensor

    from goodnet.images import ImageSet
    from goodnet.network import Network
    from goodnet.progress import Stage
    from goodnet.scan import ScanResult
    from goodnet.scan.case import Case
    from goodnet.scan.families import Family
    from goodnet.scan.result import RecoveredTrigger
    from goodnet.types import Proportion

__all__ = ["Cure", "CureResult", "Left", "cure"]

Triggers = tuple["RecoveredTrigger", ...]

# Clean images of a label's own class that are looked at, the most.
_OWN = 500
# Innocent labels whose triggers tell what a search finds in any network.
_INNOCENT = 8
# A trigger that was found and works on more images than this is not taken out.
_LITTLE = 0.1
# Families of triggers that are searched again.
_LIKELY = 4
# A trigger comes back that works on more images than this share, and than those of innocent labels.
_BACK = 0.2


@dataclass(frozen=True)
class Left:
    """What is left of a backdoor in B', judged without the attacker's trigger.

    Attributes:
        label: The label it leads to.
        before: Success of the best trigger the scan found, on B.
        after: Its success on a B' made without triggers of its family.
        again: Success of the best trigger that is found when B' is searched.
        innocent: The largest success of triggers that are found so for innocent labels.
    """

    label: int
    before: Proportion
    after: Proportion
    again: Proportion
    innocent: Proportion

    @property
    def comes_back(self) -> bool:
        """Whether a search of B' finds more than it finds for any label."""
        again, innocent = self.again.value or 0.0, self.innocent.value or 0.0
        return again > max(_BACK, innocent)

    @property
    def stays(self) -> bool:
        """Whether what was found still works, or something comes back."""
        return self.comes_back or _value(self.after) > _LITTLE

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        shares = {name: getattr(self, name) for name in ("before", "after", "again", "innocent")}
        told = {name: each.to_dict() for name, each in shares.items()}
        return {"label": self.label, **told, "stays": self.stays}


@dataclass(frozen=True)
class CureResult(Repair):
    """A cured network and what it was cured of.

    Attributes:
        scan: What was found; B' is B where it found nothing.
        watches: The units, label by label.
        left: What is left, label by label.
    """

    scan: ScanResult = field(kw_only=True)
    watches: tuple[Watch, ...] = ()
    left: tuple[Left, ...] = ()

    @property
    def removed(self) -> bool:
        """Whether nothing that was found still works, and nothing comes back."""
        known = len(self.left) == len(self.scan.targets)
        return known and not any(one.stays for one in self.left)


@dataclass(frozen=True)
class Cure:
    """Scan a network, and take out what is found.

    Attributes:
        alpha: Share of clean networks that may be changed at all, 0..1.
        rounds: How often triggers are searched again on the result, at most; at least once.
        seed: Same seed, same result.

    References:
        Ours. Watching a linear reader of a layer's value is what Mahalanobis detectors do (Lee et
        al., NeurIPS 2018); here its direction is that of triggers.
    """

    alpha: float = 0.01
    rounds: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UsageError(f"a cure needs at least 1 round, got {self.rounds}")

    def __call__(
        self, network: Network, images: ImageSet | None, *, stage: Stage = unseen
    ) -> CureResult:
        """Cure a network with clean images, and with nothing else.

        Args:
            network: B, from a file; it is not changed.
            images: Clean, labelled and already scaled; None to make some from the network.
            stage: Shows the progress.

        Returns:
            B' as it is where nothing was found.

        Raises:
            InvalidInput: If B is a traced module or the images do not fit it.
        """
        since = time.perf_counter()
        plain_spec(network)
        found = Scan(alpha=self.alpha, seed=self.seed)(network, images, stage=stage)
        generator = torch.Generator().manual_seed(self.seed)
        case = open_case(network, images, layer=None, generator=generator)
        cured, watches, left = network, tuple[Watch, ...](), tuple[Left, ...]()
        if found.targets:
            work = _Work.begin(network, images, case, found, generator, stage)
            cured, watches, left = work.done(self.rounds)
        before, after = _accuracy(case, watches)
        result = CureResult(
            "",
            cured,
            before=before,
            after=after,
            notes=_notes(images, found, watches, left),
            scan=found,
            watches=watches,
            left=left,
        )
        return finish(result, "cure", since=since, **_details(found, watches, left))


def cure(network: Network, images: ImageSet, *, settings: Settings | None = None) -> Repair:
    """Cure a network as `Cure` does; of the settings it heeds the seed."""
    given = settings or Settings()
    return Cure(seed=given.seed)(network, images, stage=given.stage)


@dataclass(frozen=True, eq=False)
class _Work:
    """A network in which something was found, while it is cured.

    Attributes:
        network: B.
        case: B with its clean images, as a scan sees them.
        found: By the scan.
        layers: To watch.
        own: Clean images of the class of each label that is watched, pixels 0..1.
        generator: Of all that is random.
        stage: Shows the progress.
    """

    network: Network
    case: Case
    found: ScanResult
    layers: Sequence[WatchedLayer]
    own: Mapping[int, Tensor | None]
    generator: torch.Generator
    stage: Stage

    @classmethod
    def begin(
        cls,
        network: Network,
        images: ImageSet | None,
        case: Case,
        found: ScanResult,
        generator: torch.Generator,
        stage: Stage,
    ) -> _Work:
        """Look at the layers of a network and at the images of the classes to watch."""
        names = watched_layers(network)
        with stage(len(names), "looking at layers") as advance:
            layers = []
            for name in names:
                layers.append(WatchedLayer.of(network, case, name))
                advance(1)
        suspects = (*found.targets, *found.beside)
        own = {each.label: _own(case, images, each.label) for each in suspects if each.triggers}
        return cls(network, case, found, layers, own, generator, stage)

    @property
    def named(self) -> list[int]:
        """The labels that were found."""
        return [target.label for target in self.found.targets]

    def done(self, rounds: int) -> tuple[Network, tuple[Watch, ...], tuple[Left, ...]]:
        """Watch for what was found, search again, and watch for what comes back.

        Returns:
            B', its units, and what is left; B itself where no layer can be watched.
        """
        suspects = (*self.found.targets, *self.found.beside)
        triggers = {each.label: each.triggers for each in suspects if each.triggers}
        for turn in range(rounds):
            watches = self._watch(triggers)
            units = [unit for one in watches for unit in one.units]
            if not units:
                return self.network, watches, ()
            spread = _spread(self.case, triggers)
            cured = build(with_veto(plain_spec(self.network), units, spread=spread))
            cured = cured.to(self.network.device)
            again = self._search_again(cured)
            left = tuple(
                _left(one, again, watched=self.own) for one in watches if one.label in self.named
            )
            back = [one.label for one in left if one.comes_back]
            if not back or turn == rounds - 1:
                break
            triggers |= {label: triggers[label] + again[label] for label in back}
        return cured, watches, left

    def _watch(self, triggers: Mapping[int, Triggers]) -> tuple[Watch, ...]:
        with self.stage(len(self.layers) * len(triggers), "watching layers") as advance:
            return tuple(
                watch(
                    self.layers,
                    self.case,
                    label,
                    found,
                    own=self.own[label],
                    named=label in self.named,
                    advance=advance,
                )
                for label, found in triggers.items()
            )

    def _search_again(self, cured: Network) -> dict[int, Triggers]:
        """Triggers of the labels that are watched, and of others, searched on B'."""
        ranked = np.argsort(-self.found.scores, kind="stable").tolist()
        innocent = [label for label in ranked if label not in self.own][:_INNOCENT]
        plain = self.case.subject
        subject = Subject.of(cured, low=plain.low, high=plain.high)
        labels = sorted([*self.own, *innocent])
        hunt = Hunt.begin(
            replace(self.case, subject=subject),
            torch.tensor(labels, device=subject.device),
            self.generator,
            self.stage,
            label="searching again",
            families=_families(self.found),
        )
        return {label: hunt.triggers(label, of=subject) for label in labels}


def _own(case: Case, images: ImageSet | None, label: int) -> Tensor | None:
    """Clean images of a class, pixels 0..1, whether or not the scan saw them."""
    if images is None or not (images.labels == label).any():
        return None
    return pixels_of(case.subject, images.take(np.flatnonzero(images.labels == label)[:_OWN]))


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


def _left(one: Watch, again: Mapping[int, Triggers], *, watched: Collection[int]) -> Left:
    nothing = proportion(0, 0)
    works = {
        label: max((trigger.success for trigger in found), key=_value, default=nothing)
        for label, found in again.items()
    }
    others = [share for label, share in works.items() if label not in watched]
    innocent = max(others, key=_value, default=nothing)
    return Left(one.label, one.led[0], one.escaped[0], works[one.label], innocent)


def _value(share: Proportion) -> float:
    return share.value or 0.0


def _accuracy(case: Case, watches: Sequence[Watch]) -> tuple[Proportion, Proportion]:
    """Of B, and of B' on images that its units were not made from."""
    truth = case.everything.truth[: len(watches[0].changed) if watches else None].cpu().numpy()
    answers = case.subject.all_logits(case.everything.images[: len(truth)]).argmax(1).cpu().numpy()
    right = answers == truth
    changed = np.zeros(len(truth), np.bool_)
    for one in watches:
        changed |= one.changed
    before, after = int(right.sum()), int((right & ~changed).sum())
    return proportion(before, len(truth)), proportion(after, len(truth))


def _details(found: ScanResult, watches: Sequence[Watch], left: Sequence[Left]) -> dict[str, Any]:
    named = [target.label for target in found.targets]
    return {
        "labels": [one.label for one in watches if one.label in named],
        "beside": [one.label for one in watches if one.label not in named],
        "units": [
            {"label": unit.label, "layer": unit.layer, "room": unit.room}
            for one in watches
            for unit in one.units
        ],
        "left": [one.to_dict() for one in left],
    }


def _notes(
    images: ImageSet | None, found: ScanResult, watches: Sequence[Watch], left: Sequence[Left]
) -> tuple[str, ...]:
    notes, named = list(found.notes), [target.label for target in found.targets]
    if not found.targets:
        notes.append("nothing was found, so nothing was changed: B' is B")
    for one in watches:
        if not one.units and one.label in named:
            notes.append(
                f"label {one.label} was found, but no layer tells its triggers from clean images: "
                "nothing was changed for it"
            )
        elif one.units and (images is None or not (images.labels == one.label).any()):
            notes.append(
                f"no clean image of class {one.label} is at hand: how many of its own images B' "
                "still answers with it is not known"
            )
    notes += [
        f"a trigger for label {one.label} can still be found: it works on {one.again} percent of "
        f"the images, where one for an innocent label works on {one.innocent}"
        for one in left
        if one.comes_back
    ]
    return tuple(notes)
