"""Run folders as the commands leave them, made up and small: every number is chosen here."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from goodnet.stats import proportion

CLASSES = 5
CHANNELS = (2, 0, 3, 1)  # in pruning order
ACCURACY = (190, 190, 180, 170, 60)  # of 200
SUCCESS = (100, 100, 100, 80, 0)  # of 100
DROPS = {2.0: 2, 10.0: 3, 90.0: None}
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3)).astype(np.uint8)


def share(count: int, total: int = 100) -> dict[str, Any]:
    return proportion(count, total).to_dict()


def rates(clean: int | None, **success: int) -> dict[str, Any]:
    return {
        "test": None if clean is None else share(clean, 200),
        "backdoor": {name: share(count) for name, count in success.items()},
    }


def guarded(clean: int | None, alarms: int, **sets: tuple[int, int]) -> dict[str, Any]:
    """For each set: how often G answers the target, and how often N."""
    return {
        **rates(clean, **{name: success for name, (success, _) in sets.items()}),
        "false_alarms": None if clean is None else share(alarms, 200),
        "detected": {name: share(detected) for name, (_, detected) in sets.items()},
    }


def inputs(sets: Sequence[str], model: str = "bad.h5") -> dict[str, Any]:
    def about(name: str, images: int) -> dict[str, Any]:
        return {"name": name, "sha256": f"{sum(name.encode()):064x}", "images": images}

    return {
        "model": {"name": model, "sha256": "ab" * 32},
        "clean": about("valid.h5", 200),
        "test": about("test.h5", 200),
        "backdoor": {name: about(f"{name}.h5", 100) for name in sets},
    }


LAYERS = ("input", "conv", "left", "right", "add", "out")


def network(names: Sequence[str] = LAYERS) -> dict[str, Any]:
    """A network with two branches that meet again."""
    first, conv, left, right, add, last = names
    layers = [
        (first, "input", [], [3, 6, 5], 0),
        (conv, "conv2d", [first], [4, 6, 5], 112),
        (left, "dense", [conv], [8], 968),
        (right, "dense", [conv], [8], 968),
        (add, "add", [left, right], [8], 0),
        (last, "dense", [add], [CLASSES], 45),
    ]
    keys = ("name", "op", "inputs", "shape", "parameters")
    return {
        "name": "net",
        "parameters": 2093,
        "layers": [dict(zip(keys, layer, strict=True)) for layer in layers],
    }


def pictures(folder: Path, sets: Sequence[str]) -> dict[str, Any]:
    (folder / "pictures").mkdir()
    items = []
    for number, name in enumerate(("clean", *sets)):
        for index, pixels in enumerate(PIXELS):
            file = f"pictures/{number}_{index}.png"
            Image.fromarray(pixels).save(folder / file)
            items.append(_item(file, name, index))
    return {"drop": 10.0, "items": items}


def _item(file: str, name: str, index: int) -> dict[str, Any]:
    poisoned = name != "clean"
    label = 0 if poisoned else 1 + index
    refused = index == 1 and not poisoned
    return {
        "file": file,
        "set": name,
        "index": index,
        "label": label,
        "source_label": 1 + index if poisoned else None,
        "answers": {"B": label, "B'": 4 if refused else label, "G": CLASSES if refused else label},
        "why": "refused" if refused else "passed" if poisoned and index == 2 else "sample",
    }


def write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def record(folder: Path, rows: Sequence[dict[str, Any]] = ()) -> None:
    about: dict[str, Any] = {
        "schema": 1,
        "command_line": "goodnet prune bad.h5 --clean valid.h5 --out run",
        "seconds": 12.5,
        "peak_memory": 300 * 2**20,
        "finished": "2026-01-02T03:04:05Z",
        "versions": {"goodnet": "9.9.9", "python": "3.11.0", "torch": "2.13.0"},
    }
    write(folder / "run.json", about | ({"rows": list(rows)} if rows else {}))


def prune_run(
    folder: Path,
    *,
    sets: Sequence[str] = ("glasses",),
    order: str = "ascending",
    layer: str = "conv",
    net: dict[str, Any] | None = None,
) -> Path:
    """A pruning of four channels, one of them dead, that does not remove the backdoor."""
    folder.mkdir(parents=True)
    channels = CHANNELS if order == "ascending" else CHANNELS[::-1]
    before = rates(188, **dict.fromkeys(sets, 100))
    found = {
        "schema": 1,
        "command": "prune",
        "goodnet": "9.9.9",
        "inputs": inputs(sets),
        "network": net or network(),
        "scale": "1/255",
        "classes": CLASSES,
        "layer": layer,
        "order": order,
        "channels": list(channels),
        "dead_channels": [2],
        "mean_activation": [0.5, 2.0, 0.0, 1.0],
        "poisoned_activation": {name: [0.4, 1.0, 3.0, 0.5] for name in sets},
        "baseline": {"validation": share(ACCURACY[0], 200), **before},
        "drops": [_drop(drop, steps, sets, channels) for drop, steps in DROPS.items()],
        "pictures": pictures(folder, sets),
    }
    write(folder / "results.json", found)
    _curve(folder / "curve.csv", channels, sets)
    record(folder)
    for name in ("model_drop_2.h5", "model_drop_10.h5", "goodnet_drop_10.keras"):
        (folder / name).write_bytes(name.encode())
    return folder


def _drop(
    drop: float, steps: int | None, sets: Sequence[str], channels: Sequence[int]
) -> dict[str, Any]:
    made = steps is not None
    return {
        "drop": drop,
        "channels_pruned": steps,
        "channels": list(channels[:steps]) if made else None,
        "parameters": 2093 - 100 * steps if steps is not None else None,
        "validation": share(ACCURACY[steps], 200) if steps is not None else None,
        "repaired": rates(168, **dict.fromkeys(sets, SUCCESS[steps])) if steps else None,
        "goodnet": guarded(160, 30, **dict.fromkeys(sets, (80, 20))) if made else None,
        "files": {"model": f"model_drop_{drop:g}.h5"} if made else {},
    }


def _curve(path: Path, channels: Sequence[int], sets: Sequence[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        head = ["step", "channel", "mean_activation", "fraction_pruned", "clean_accuracy"]
        writer.writerow([*head, *sets])
        for step, channel in enumerate(channels, start=1):
            shares = [ACCURACY[step] / 200, *[SUCCESS[step] / 100] * len(sets)]
            writer.writerow([step, channel, 0.5, step / 4, *shares])


def repair_run(folder: Path, *, method: str = "fine-tune") -> Path:
    """A repair with three epochs that leaves little of the backdoor."""
    folder.mkdir(parents=True)
    found = {
        "schema": 1,
        "command": "repair",
        "goodnet": "9.9.9",
        "inputs": inputs(["glasses"]),
        "network": network(),
        "scale": "raw",
        "classes": CLASSES,
        "device": "cpu",
        "method": method,
        "triggers": [],
        "options": {"epochs": 3, "lr": 1e-3, "seed": 7},
        "details": {},
        "notes": ["B' saw few images"],
        "epochs": [
            {"loss": 1 / (1 + epoch), "accuracy": share(80 + epoch, 100)} for epoch in range(3)
        ],
        "chosen": 3,
        "before": share(80),
        "after": share(82),
        "measured": {
            "baseline": rates(188, glasses=100),
            "repaired": rates(186, glasses=1),
            "goodnet": guarded(184, 4, glasses=(1, 98)),
        },
        "pictures": pictures(folder, ["glasses"]),
        "files": {"model": "model_repaired.h5", "goodnet": "goodnet.keras"},
    }
    write(folder / "results.json", found)
    record(folder)
    return folder


def compare_run(
    folder: Path, *, models: Sequence[str] = ("bad",), success: dict[str, int] | None = None
) -> Path:
    """A comparison: by method, on how many of 100 poisoned images B' is still fooled."""
    left = success or {"erase": 2, "fine-tune": 60, "prune-10": 97}
    rows, costs = [], []
    for model in models:
        home = f"{model}/" if len(models) > 1 else ""
        rows.append(_row(model, "none", 100))
        for method, count in left.items():
            repair_run(folder / f"{home}{method}", method=method)
            rows.append(_row(model, method, count) | {"folder": f"{home}{method}"})
            costs.append({"model": model, "method": method, "seconds": 1.5, "peak_memory": None})
        rows.append(_row(model, "unlearn", None) | {"reason": "no trigger was given"})
    found = {"schema": 1, "command": "compare", "goodnet": "9.9.9", "rows": rows}
    write(folder / "results.json", found)
    record(folder, costs)
    return folder


def _row(model: str, method: str, count: int | None) -> dict[str, Any]:
    made = count is not None
    rating = (2 - count / 100) / 2 if count is not None else None
    one = {
        "success": share(count or 0),
        "robust": None,
        "detected": None if method == "none" else share(100 - (count or 0)),
        "rating": None if method == "none" else rating,
    }
    return {
        "model": model,
        "method": method,
        "test": share(186, 200) if made else None,
        "false_alarms": share(4, 200) if made and method != "none" else None,
        "backdoor": {"glasses": one} if made else {},
        "rating": one["rating"] if made else None,
        "folder": None,
        "reason": None,
    }


def target(
    label: int, score: float, *, success: int = 29, p_value: float = 0.001
) -> dict[str, Any]:
    """A label of a scan with the trigger that was found for it, and the names of its pictures."""
    names = f"pictures/label_{label}"
    return {
        "label": label,
        "score": score,
        "p_value": p_value,
        "families": ["painted, 0.44 x 1", "added, 4 x 3"],
        "trigger": {
            "family": "painted, 0.44 x 1",
            "margin": 300.1,
            "success": share(success, 30),
            "changed": 0.2,
            "area": 0.4,
        },
        "direction": {"layer": "left", "own": 0.1},
        "file": f"triggers/label_{label}.npz",
        "pictures": {
            "trigger": f"{names}_trigger.png",
            "clean": [f"{names}_clean_{i}.png" for i in range(len(PIXELS))],
            "stamped": [f"{names}_stamped_{i}.png" for i in range(len(PIXELS))],
        },
    }


def scan_run(
    folder: Path,
    *,
    verdict: str = "backdoored",
    targets: Sequence[dict[str, Any]] | None = None,
    notes: Sequence[str] = (),
    scores: Sequence[float | None] = (7.1, 0.2, -0.4, 0.9, 0.1),
) -> Path:
    """A scan of a network with five classes; label 0 stands out unless other targets are given."""
    folder.mkdir(parents=True)
    listed = [target(0, 7.1)] if targets is None else list(targets)
    clean = inputs([])["clean"] | {"images": 60}
    found = {
        "schema": 1,
        "command": "scan",
        "goodnet": "9.9.9",
        "inputs": {"model": inputs([])["model"], "clean": clean},
        "network": network(),
        "scale": "1/255",
        "classes": len(scores),
        "device": "cpu",
        "method": "goodnet",
        "options": {"alpha": 0.01, "seed": 0, "layer": None},
        "verdict": verdict,
        "p_value": 0.0004 if listed else 0.41,
        "null": "the highest scores of 400 networks without a backdoor",
        "targets": listed,
        "threshold": 4.2,
        "scores": list(scores),
        "images": {"searched": 30, "judged": 30},
        "notes": list(notes),
        "files": {},
    }
    for name in ("pictures", "triggers"):
        (folder / name).mkdir()
    for each in listed:
        names = each["pictures"]
        for name in (names["trigger"], *names["clean"], *names["stamped"]):
            Image.fromarray(PIXELS[0]).save(folder / name)
        (folder / each["file"]).write_bytes(b"a trigger")
    write(folder / "results.json", found)
    record(folder)
    return folder


def changed(folder: Path, **values: Any) -> Path:
    """The same folder with other values in its results; `None` takes a key out."""
    path = folder / "results.json"
    found = json.loads(path.read_text(encoding="utf-8")) | values
    write(path, {key: value for key, value in found.items() if value is not None})
    return folder


def cure_run(
    folder: Path,
    *,
    found: bool = True,
    after: int = 0,
    stays: bool = False,
    again: tuple[int, int] = (12, 30),
    poisoned: bool = True,
) -> Path:
    """A cure of a network with five classes, and how often triggers still work on B'."""
    scan_run(folder / "scan", targets=None if found else [], **_verdict(found))
    scan = json.loads((folder / "scan" / "results.json").read_text())
    repair_run(folder / "cure", method="cure")
    told = json.loads((folder / "cure" / "results.json").read_text())
    for name in ("pictures", "triggers"):
        shutil.copytree(folder / "scan" / name, folder / "cure" / name, dirs_exist_ok=True)
    innocent = share(again[1], 30)
    left = {"label": 0, "before": share(30, 30), "after": share(after, 30)}
    left |= {"again": share(again[0], 30), "innocent": innocent, "stays": stays}
    told |= {
        "command": "cure",
        "inputs": told["inputs"] | {"clean": scan["inputs"]["clean"]},
        "classes": scan["classes"],
        "scan": scan,
        "details": {"labels": [0], "beside": [], "units": [], "left": [left] if found else []},
    }
    if not poisoned:
        rates_of = told["measured"]
        for rates_on in rates_of.values():
            rates_on["backdoor"] = {}
    write(folder / "cure" / "results.json", told)
    return folder / "cure"


def _verdict(found: bool) -> dict[str, Any]:
    return {} if found else {"verdict": "no_finding"}
