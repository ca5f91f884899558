"""What a cure returns: the network, what it was cured of and what is left, also in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from goodnet.notebook import html_table
from goodnet.repair.result import RepairResult
from goodnet.results import Left
from goodnet.stats import proportion
from goodnet.typed_json import plain

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet
    from goodnet.repair.watch import Watch
    from goodnet.scan import ScanResult
    from goodnet.scan.result import RecoveredTrigger
    from goodnet.types import Proportion

# A trigger that was found and works on more images than this is not taken out.
_LITTLE = 0.1
# A trigger comes back that works on more images than this share, and than those of innocent labels.
_BACK = 0.2


@dataclass(frozen=True)
class CureResult(RepairResult):
    """A cured network and what it was cured of.

    Attributes:
        scan: What was found; B' is B if it found nothing.
        watches: The units, label by label.
        left: What is left, label by label.
    """

    scan: ScanResult = field(kw_only=True)
    watches: tuple[Watch, ...] = ()
    left: tuple[Left, ...] = ()

    def __str__(self) -> str:
        """What was found, a line for each label of what is left, and what it costs."""
        left = [
            f"label {one.label}: its trigger works on {one.after} percent, on {one.before} before"
            for one in self.left
        ]
        return "\n".join([str(self.scan), *left, super().__str__()])

    def _repr_html_(self) -> str:
        header = ("label", "found trigger, B", "found trigger, B'", "searched on B'")
        rows = [(one.label, one.before, one.after, one.again) for one in self.left]
        left = html_table("what is left, success of triggers in percent", header, rows)
        return f"{self.scan._repr_html_()}{left if rows else ''}{super()._repr_html_()}"

    @property
    def removed(self) -> bool:
        """Whether nothing that was found still works, and nothing comes back."""
        known = len(self.left) == len(self.scan.targets)
        return known and self.searched and not any(one.stays for one in self.left)

    @property
    def searched(self) -> bool:
        """Whether B' was searched for what comes back, wherever something was found."""
        return all(one.searched for one in self.left)


def left_of(
    label: int,
    found: Sequence[Proportion],
    again: Mapping[int, Sequence[RecoveredTrigger]],
    *,
    watched: Collection[int],
) -> Left:
    """What is left of the backdoor of a label.

    Args:
        label: The label.
        found: Success of the best trigger that was found, before and after.
        again: By label the triggers that a search of B' found; nothing where none was made.
        watched: Labels that are not innocent.
    """
    before, after = found
    nothing = proportion(0, 0)
    works = {
        each: max((trigger.success for trigger in triggers), key=_value, default=nothing)
        for each, triggers in again.items()
    }
    others = [share for each, share in works.items() if each not in watched]
    innocent = max(others, key=_value, default=nothing)
    left = Left(label, before, after, works.get(label, nothing), innocent)
    return replace(left, stays=comes_back(left) or _value(after) > _LITTLE)


def comes_back(left: Left) -> bool:
    """Whether a search of B' finds more than it finds for any label."""
    return _value(left.again) > max(_BACK, _value(left.innocent))


def _value(share: Proportion) -> float:
    return share.value or 0.0


def details_of(found: ScanResult, watches: Sequence[Watch], left: Sequence[Left]) -> dict[str, Any]:
    """What a cure did, plain data."""
    named = [target.label for target in found.targets]
    return {
        "labels": named,
        "beside": [one.label for one in watches if one.label not in named],
        "units": [
            {"label": unit.label, "layer": unit.layer, "room": unit.room}
            for one in watches
            for unit in one.units
        ],
        "alarms": [
            {"label": one.label, "images": one.own, "at_most": one.alarms} for one in watches
        ],
        "left": [plain(one) for one in left],
    }


def notes_of(
    images: ImageSet | None, found: ScanResult, watches: Sequence[Watch], left: Sequence[Left]
) -> tuple[str, ...]:
    """What a user should know of a cure, a sentence each."""
    notes, named = list(found.notes), [target.label for target in found.targets]
    if not found.targets:
        notes.append("nothing was found, so nothing was changed: B' is B")
    notes += [
        f"label {one.label} was found, but no layer tells its triggers from clean images: nothing "
        "was changed for it"
        for one in watches
        if not one.units and one.label in named
    ]
    known = () if images is None else images.labels
    if unseen := [str(one.label) for one in watches if one.units and one.label not in known]:
        which = f"class {unseen[0]}" if len(unseen) == 1 else f"the classes {', '.join(unseen)}"
        notes.append(
            f"no clean image of {which} is at hand: how many of its own images B' still answers "
            "with it is not known"
        )
    notes += [
        f"a trigger for label {one.label} can still be found: it works on {one.again} percent of "
        f"the images, where one for an innocent label works on {one.innocent}"
        for one in left
        if comes_back(one)
    ]
    if not all(one.searched for one in left):
        notes.append(
            "the time was over before triggers were searched on B': whether any comes back is not "
            "known"
        )
    return tuple(notes)
