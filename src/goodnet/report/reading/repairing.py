"""The run folders of `goodnet repair` and `goodnet cure`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.facts import Epoch, Left, Run, Trial
from goodnet.report.reading import parts
from goodnet.report.reading.fields import Unreadable
from goodnet.report.reading.measured import measured
from goodnet.report.reading.pictures import read_pictures
from goodnet.report.reading.scanning import read_scan

if TYPE_CHECKING:
    from pathlib import Path

    from goodnet.report.reading.fields import Fields

__all__ = ["read_repairing"]

_LEFT = ("before", "after", "again", "innocent")


def read_repairing(folder: Path, found: Fields, name: str) -> Run:
    """Read a repair or a cure.

    Raises:
        Unreadable: If something in the folder is not as this program writes it.
        GoodnetError: If a file cannot be read.
    """
    method, own, names = found.text("method"), found.inner("measured"), found.inner("files")
    shared, details = parts.shared_parts(folder, found), found.inner("details")
    trial = Trial(
        method,
        repaired=measured("B'", own.inner("repaired")),
        guarded=measured("G", own.inner("goodnet")),
        cost=shared["cost"],
        files={role: names.text(role) for role in names},
    )
    return Run(
        name=name,
        command=found.text("command"),
        method=method,
        classes=found.whole("classes"),
        baseline=measured("B", own.inner("baseline")),
        trials=(trial,),
        shown=0,
        epochs=_epochs(found),
        chosen=found.whole("chosen") or 0,
        pictures=read_pictures(folder, found),
        scan=read_scan(folder, found, found.inner("scan")) if "scan" in found else None,
        left=_left(details),
        layers=parts.layers(found),
        pruned_layer=details.text("layer") if "channels_pruned" in details else "",
        parameters=(found.inner("network").whole("parameters"), found.whole("parameters_left")),
        inputs=parts.inputs(found),
        options=_options(found),
        **shared,
    )


def _epochs(found: Fields) -> tuple[Epoch, ...]:
    epochs = []
    for each in found.each("epochs"):
        loss, accuracy = each.number("loss"), each.share("accuracy")
        if loss is None or accuracy is None:
            raise Unreadable("an epoch lacks its loss or its accuracy")
        epochs.append(Epoch(loss, accuracy))
    return tuple(epochs)


def _left(details: Fields) -> tuple[Left, ...]:
    left = []
    for each in details.each("left"):
        label, shares = each.whole("label"), [each.share(name) for name in _LEFT]
        known = [share for share in shares if share is not None]
        if label is None or len(known) < len(_LEFT):
            raise Unreadable("what is left of a backdoor lacks its label or a share")
        before, after, again, innocent = known
        stays = each.plain("stays") is not False
        left.append(Left(label, before, after, again, innocent, stays))
    return tuple(left)


def _options(found: Fields) -> dict[str, str]:
    own = parts.options(found, ("method", "triggers", "scale", "classes", "device"))
    chosen = found.inner("options")
    held_back = {
        key: str(share) for key in ("before", "after") if (share := found.share(key)) is not None
    }
    shown = {f"accuracy held back, {key} (%)": text for key, text in held_back.items()}
    return own | parts.options(chosen, chosen) | shown
