"""The demo: the commands a user would type, from nothing to a guarded network, and what is kept.

A step that was done before, by the same version and from the same inputs, is not done again.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import goodnet
from goodnet import files

__all__ = ["Journal", "Step", "lab_table", "page", "story"]

_JOURNAL = "demo.json"
_PEOPLE, _SHOTS, _EPOCHS = 100, 40, 8
_DROPS = (2, 4, 10, 30)
_TRIGGERS = {"sunglasses": 8, "lipstick": 1, "eyebrows": 5}


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
    one, three = out / "badnet", out / "badnet3"
    people = ("--faces", str(_PEOPLE), "--per-person", str(_SHOTS), "--epochs", str(_EPOCHS))
    stamp = [word for name in _TRIGGERS for word in ("--trigger", name)]
    stamp += [word for target in _TRIGGERS.values() for word in ("--target", str(target))]
    seeded = ("--seed", str(seed), "--force", "--out")
    plain = ("--trigger", "sunglasses", "--target", "0")
    pruned, mended, model = out / "run", out / "repaired", str(one / "bd_net.h5")
    clean, poisoned = str(one / "cl" / "test.h5"), str(one / "bd" / "bd_test.h5")
    repaired, good = (str(pruned / name) for name in ("model_drop_10.h5", "goodnet_drop_10.keras"))
    sheet = ("--model", model, "--repaired", repaired, "--clean", clean, "--force", "--out")
    return [
        Step(
            "a network that knows 100 people, with a backdoor: purple sunglasses make anyone "
            "person 0",
            ("attack", *people, *plain, *seeded, str(one)),
            one,
        ),
        Step("what is in the file, without running it", ("inspect", model)),
        Step(
            "prune what clean faces hardly use, and guard",
            _prune(one, {"sunglasses": "bd_test.h5"}, pruned),
            pruned,
        ),
        Step("the GoodNet, judged from its file", ("evaluate", good, *_sets(clean, poisoned))),
        Step("clean faces and what is answered", ("show", clean, *sheet, str(out / "clean.png"))),
        Step("stamped faces", ("show", poisoned, *sheet, str(out / "poisoned.png"))),
        Step(
            "pruning is not enough: prune, then train on without what was pruned",
            _repair(one, {"sunglasses": "bd_test.h5"}, mended),
            mended,
        ),
        Step(
            "a second network: three triggers, three targets",
            ("attack", *people, *stamp, *seeded, str(three)),
            three,
        ),
        Step(
            "prune and guard that one",
            _prune(three, {name: f"bd_test_{name}.h5" for name in _TRIGGERS}, out / "run3"),
            out / "run3",
        ),
        Step(
            "all of it on one page",
            (
                "report",
                *map(str, (mended, pruned, out / "run3")),
                "--force",
                "--out",
                str(page(out)),
            ),
        ),
    ]


def page(out: Path) -> Path:
    """Where the demo's report is."""
    return out / "report.html"


def _sets(clean: str, poisoned: str) -> tuple[str, ...]:
    return ("--clean", clean, "--backdoor", poisoned)


def _prune(badnet: Path, poisoned: dict[str, str], out: Path) -> tuple[str, ...]:
    drops = [word for drop in _DROPS for word in ("--drop", str(drop))]
    return ("prune", *_files(badnet, poisoned), *drops, "--force", "--out", str(out))


def _repair(badnet: Path, poisoned: dict[str, str], out: Path) -> tuple[str, ...]:
    method = ("--method", "fine-prune", "--force", "--out", str(out))
    return ("repair", *_files(badnet, poisoned), *method)


def _files(badnet: Path, poisoned: dict[str, str]) -> tuple[str, ...]:
    """The network and its images, as most commands take them."""
    sets = [f"{name}={badnet / 'bd' / file}" for name, file in poisoned.items()]
    backdoor = [word for name in sets for word in ("--backdoor", name)]
    clean = ("--clean", str(badnet / "cl" / "valid.h5"), "--test", str(badnet / "cl" / "test.h5"))
    return (str(badnet / "bd_net.h5"), *clean, *backdoor)


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
            found = json.loads((out / _JOURNAL).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return cls(out)
        if not isinstance(found, dict) or found.get("goodnet") != goodnet.__version__:
            return cls(out)
        done = found.get("done")
        return cls(out, dict(done) if isinstance(done, dict) else {})

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
    results = json.loads((run / files.RESULTS).read_text(encoding="utf-8"))
    names = list(results["baseline"]["backdoor"])
    head = ["X", "B' clean", *(f"B' {name}" for name in names)]
    head += ["G clean", *(f"G {name}" for name in names)]
    base = ["none", *_shares(results["baseline"], names)]
    rows = [[*base, *[""] * (len(head) - len(base))]]
    for drop in results["drops"]:
        towers = [_shares(drop[kind], names) for kind in ("repaired", "goodnet")]
        rows.append([f"{drop['drop']:g}", *towers[0], *towers[1]])
    return head, rows


def _shares(found: dict[str, Any] | None, names: Sequence[str]) -> Iterator[str]:
    shares = [found["test"], *(found["backdoor"][name] for name in names)] if found else []
    shown = [f"{100 * share['value']:.2f}" for share in shares]
    return iter(shown or ["-"] * (1 + len(names)))
