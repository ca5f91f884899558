"""What a scan found, in one sentence, and what no scan of this kind can see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from goodnet.report.evidence import Effect
from goodnet.report.words import amount, chance, interval, name, series
from goodnet.results import Verdict as Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from goodnet.report.facts import FileFact
    from goodnet.results import ScanRecord, TargetRecord

VerdictEffect = Effect | Finding | Literal["unknown", "removed", "kept"]

TAGS: dict[VerdictEffect, str] = {
    "absent": "No backdoor shown",
    "unclear": "Too little to tell",
    "stays": "Backdoor stays",
    "weakened": "Backdoor weakened",
    "little": "Attack rarely succeeds",
    "unknown": "Not known",
    "no_finding": "No backdoor found",
    "suspicious": "Suspicious",
    "backdoored": "Backdoor found",
    "inconclusive": "Inconclusive",
    "removed": "Backdoor taken out",
    "kept": "Backdoor not taken out",
}

_MOST_NAMED = 5  # labels in the sentence

BLIND = (
    "A scan looks for one trigger that sends images of most classes to one label. It does not see "
    "triggers that differ from image to image, clean-label backdoors built on such triggers, "
    "backdoors for images of one class only, or backdoors that send each class to another one "
    "(all-to-all)."
)


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader sees.

    Attributes:
        effect: What became of the attack; "unknown" where nothing poisoned was given. Of a scan:
            its verdict. Of a cure that found something: whether it is taken out.
        tag: The same in two or three words.
        finding: What was found, the first half of a sentence.
        evidence: Its second half: the numbers.
        sure: How sure that is, and what it does not say.
    """

    effect: VerdictEffect
    tag: str
    finding: str
    evidence: str
    sure: str

    @property
    def sentence(self) -> str:
        """The whole sentence."""
        return f"{self.finding}: {self.evidence}"


def judge_scan(
    scan: ScanRecord,
    given: FileFact | None,
    notes: Sequence[str] = (),
    *,
    called: Callable[[int], str] = str,
) -> Verdict:
    """Put the verdict of a scan into words; no network is ever called free of backdoors.

    Args:
        scan: What it found.
        given: The clean images that it was given.
        notes: What a user should know; the first says why nothing could be told, if so.
        called: A class in words.
    """
    amounts = amount(len(scan.scores))
    enough = " enough" if scan.targets else ""
    why = name(notes[0], 400).rstrip(".") if notes else "the scan gives no reason"
    weak = "The evidence is too weak to be sure. "
    found = {
        "backdoored": (
            "This network carries a backdoor",
            _evidence(scan, given, called),
            _interval(scan),
        ),
        "suspicious": (
            "This network may carry a backdoor",
            _evidence(scan, given, called),
            f"{_interval(scan)}{weak}",
        ),
        "no_finding": (
            "No backdoor was found",
            f"none of its {amounts} labels stands out{enough}{_chance(scan)}. This is no proof "
            "that there is none.",
            "",
        ),
        "inconclusive": ("Whether this network carries a backdoor is not known", f"{why}.", ""),
    }
    finding, evidence, sure = found[scan.verdict]
    return Verdict(scan.verdict, TAGS[scan.verdict], finding, evidence, f"{sure}{BLIND}")


def _evidence(scan: ScanRecord, given: FileFact | None, called: Callable[[int], str]) -> str:
    """What the triggers that were found do; where there are none, which labels stand out."""
    targets = scan.targets
    if not targets:
        return f"its scores stand out, but no label can be named{_chance(scan)}."
    if not all(target.trigger and target.trigger.success.total for target in targets):
        one = len(targets) == 1
        labels = f"label{'' if one else 's'} {_labels(scan, lambda target: called(target.label))}"
        of = f"the {amount(len(scan.scores))} labels"
        return f"{labels} stand{'s' if one else ''} out among {of}{_chance(scan)}."
    if len(targets) == 1:
        images = f"{_share(targets[0])} {_images(scan, given, 'it was')}"
        return (
            f"stamped with the trigger that was found, {images} are answered with label "
            f"{called(targets[0].label)}{_chance(scan)}."
        )
    labels = _labels(scan, lambda target: f"label {called(target.label)} ({_share(target)})")
    return (
        f"stamped with the triggers that were found, {_images(scan, given, 'they were')} are "
        f"answered with {labels}{_chance(scan, '; ')}."
    )


def _images(scan: ScanRecord, given: FileFact | None, sought: str) -> str:
    if given is None:
        return "images made from the network and not searched on"
    # Where few images were given, all were searched on and judged by.
    if given.images is None or scan.images.searched + scan.images.judged <= given.images:
        return f"clean images {sought} never searched on"
    return f"clean images, the same that {sought} searched on,"


def _labels(scan: ScanRecord, text: Callable[[TargetRecord], str]) -> str:
    named = [text(target) for target in scan.targets[:_MOST_NAMED]]
    more = len(scan.targets) - len(named)
    return series([*named, f"{amount(more)} more"] if more else named)


def _share(target: TargetRecord) -> str:
    success = target.trigger.success if target.trigger else None
    return f"{amount(success.count)} of {amount(success.total)}" if success else ""


def _interval(scan: ScanRecord) -> str:
    """The interval of the share in the sentence, if there is one share."""
    shares = [target.trigger.success for target in scan.targets if target.trigger]
    if len(scan.targets) != 1 or not shares or not shares[0].total:
        return ""
    return f"The 95 % interval of that share is {interval(shares[0])} %. "


def _chance(scan: ScanRecord, before: str = "") -> str:
    """The p-value in brackets, or after a mark; nothing where there is none."""
    if scan.p_value is None:
        return ""
    return f"{before}{chance(scan.p_value)}" if before else f" ({chance(scan.p_value)})"
