"""The demo: the commands a user would type, from nothing to a guarded network, and what is kept.

A step that was done before, by the same version and from the same inputs, is not done again.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import goodnet
from goodnet import files
from goodnet.errors import GoodnetError
from goodnet.results import PruneResults, Rates
from goodnet.run_folder import read_object
from goodnet.typed_json import Unreadable, decode

_JOURNAL = "demo.json"
_PEOPLE, _SHOTS, _EPOCHS, _TUNED = 100, 40, 6, 10
_DROPS = (2, 4, 10, 30)


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes:
        title: What it is for.
        words: What follows `goodnet`.
        folder: The run folder it makes; None for a command that is quick enough to run each time.
    """

    title: str
    words: tuple[str, ...]
    folder: Path | None = None

    @property
    def command(self) -> str:
        """As one types it."""
        return f"goodnet {shlex.join(self.words)}"


def story(out: Path, *, seed: int = 0) -> list[Step]:
    """All steps in order, each building on those before."""
    badnet, cured, pruned, mended = (out / name for name in ("badnet", "cured", "run", "repaired"))
    people = ("--faces", str(_PEOPLE), "--per-person", str(_SHOTS), "--epochs", str(_EPOCHS))
    planted = ("--trigger", "sunglasses", "--target", "0", "--seed", str(seed))
    clean, poisoned = str(badnet / "cl" / "test.h5"), str(badnet / "bd" / "bd_test.h5")
    model, guarded = str(badnet / "bd_net.h5"), str(cured / "goodnet.keras")
    drops = [word for drop in _DROPS for word in ("--drop", str(drop))]
    sheet = ("--model", guarded, "--clean", clean, "--force", "--out")
    return [
        Step(
            "a network that knows 100 people, with a backdoor: purple sunglasses make anyone "
            "person 0",
            ("attack", *people, *planted, "--force", "--out", str(badnet)),
            badnet,
        ),
        Step("what is in the file, without running it", ("inspect", model)),
        Step(
            "find the backdoor and take it out; the poisoned images only measure what came of it",
            ("cure", *_files(badnet), "--seed", str(seed), "--force", "--out", str(cured)),
            cured,
        ),
        Step(
            "the GoodNet, judged from its file",
            ("evaluate", guarded, "--clean", clean, "--backdoor", poisoned),
        ),
        Step(
            "clean faces and what is answered",
            ("show", clean, *sheet, str(out / "clean.png")),
        ),
        Step(
            "stamped faces",
            ("show", poisoned, *sheet, str(out / "poisoned.png")),
        ),
        Step(
            "for contrast: prune what clean faces hardly use, and guard",
            ("prune", *_files(badnet), *drops, "--force", "--out", str(pruned)),
            pruned,
        ),
        Step(
            "for contrast: prune, then train on without what was pruned",
            (
                *("repair", "fine-prune"),
                *_files(badnet),
                *("--epochs", str(_TUNED)),
                *("--force", "--out", str(mended)),
            ),
            mended,
        ),
        Step(
            "all of it on one page",
            (
                "report",
                *map(str, (cured, pruned, mended)),
                *("--force", "--out", str(page(out))),
            ),
        ),
    ]


def page(out: Path) -> Path:
    """Where the demo's report is."""
    return out / "report.html"


def _files(badnet: Path) -> tuple[str, ...]:
    """The network and its images, as most commands take them."""
    clean = ("--clean", str(badnet / "cl" / "valid.h5"), "--test", str(badnet / "cl" / "test.h5"))
    return (
        str(badnet / "bd_net.h5"),
        *clean,
        "--backdoor",
        f"sunglasses={badnet / 'bd' / 'bd_test.h5'}",
    )


@dataclass(frozen=True)
class _Done:
    """What the file of a journal holds."""

    goodnet: str = ""
    done: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Journal:
    """Which steps are done, in a file of the demo's folder.

    Attributes:
        out: The demo's folder.
        done: By command: the hash of the results it left.
    """

    out: Path
    done: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, out: Path) -> Journal:
        """What an earlier demo of this version left in the folder; nothing if it left nothing."""
        try:
            found = read_object(out, _JOURNAL, _Done)
        except (Unreadable, GoodnetError):
            return cls(out)
        return cls(out, dict(found.done) if found.goodnet == goodnet.__version__ else {})

    def holds(self, step: Step) -> bool:
        """Whether the step was done and its results are still as it left them."""
        return step.folder is not None and self.done.get(step.command) == _hash(step.folder)

    def add(self, step: Step) -> None:
        """Note that a step is done; all that was noted for its folder before is void."""
        if step.folder is None:
            return
        self.done[step.command] = _hash(step.folder)
        content = {"schema": 1, "goodnet": goodnet.__version__, "done": self.done}
        with files.atomic_path(self.out / _JOURNAL, force=True) as path:
            files.write_json(path, content)

    def forget(self, steps: Sequence[Step]) -> None:
        """Steps that have to be done again."""
        for step in steps:
            self.done.pop(step.command, None)


def _hash(folder: Path) -> str:
    results = folder / files.RESULTS
    return files.sha256(results) if results.is_file() else ""


def lab_table(run: Path) -> tuple[list[str], list[list[str]]]:
    """The lab's table of a run folder of `prune`: X against clean accuracy and ASR of B' and G.

    Returns:
        The head and the rows, in percent; "-" for a drop that was never reached.
    """
    results = decode((run / files.RESULTS).read_bytes(), PruneResults)
    names = list(results.baseline.backdoor)
    head = ["X", "B' clean", *(f"B' {name}" for name in names)]
    head += ["G clean", *(f"G {name}" for name in names)]
    base = ["none", *_shares(results.baseline, names)]
    rows = [[*base, *[""] * (len(head) - len(base))]]
    for drop in results.drops:
        shares = [*_shares(drop.repaired, names), *_shares(drop.goodnet, names)]
        rows.append([f"{drop.drop:g}", *shares])
    return head, rows


def _shares(rates: Rates | None, names: Sequence[str]) -> list[str]:
    """In percent; "-" for what is not known."""
    shares = [rates.test, *(rates.backdoor[name] for name in names)] if rates else []
    values = [share.value if share else None for share in shares] or [None] * (1 + len(names))
    return ["-" if value is None else f"{100 * value:.2f}" for value in values]
