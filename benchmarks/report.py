"""The report: how long a page takes to make, how large it is, and how smooth it stays.

An ordinary run (60 channels, one poisoned set), a run of 1,000 channels with five poisoned sets,
and a comparison of 100 repairs, all made up. Where there is a Chromium, the page of each is opened
in it and its slider moved.
"""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _measure import header, options, seconds, show, verdict
from PIL import Image

from goodnet.runs.report import write_report
from goodnet.stats import proportion

TOTAL = 2_000
MOVES = 20


def main() -> None:
    args = options("Time, size and smoothness of the report.").parse_args()
    channels, methods = (60, 10) if args.quick else (1_000, 100)
    header(args.threads)
    with tempfile.TemporaryDirectory() as home:
        runs = {
            "60 channels, 1 poisoned set": pruned(Path(home) / "small", 60, 1),
            f"{channels:,} channels, 5 poisoned sets": pruned(Path(home) / "large", channels, 5),
            f"{methods} methods": compared(Path(home) / "methods", methods),
        }
        write_report([Path(home) / "small"])  # libraries are loaded once
        rows = [[name, *measure(folder)] for name, folder in runs.items()]
    show([["run", "seconds to make", "MB", "ms to open", "ms for a move of X"], *rows])
    slowest, largest = (max(float(row[place]) for row in rows) for place in (1, 2))
    print(f"\nseconds to make {verdict(slowest, 3)}\nMB {verdict(largest, 6)}")


def measure(folder: Path) -> list[str]:
    page = folder / "report.html"
    made = seconds(lambda: write_report([folder], force=True))
    return [f"{made:.2f}", f"{page.stat().st_size / 1e6:.2f}", *in_browser(page)]


def in_browser(page: Path) -> list[str]:
    """Milliseconds until the page stands, and for one step of its slider to be drawn."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return ["-", "-"]
    import shutil

    path = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    with sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error:
            return ["-", "-"]
        tab = browser.new_page()
        opened = seconds(lambda: tab.goto(page.as_uri()))
        moved = tab.evaluate(MOVE, MOVES) if tab.locator("input[type=range]").count() else None
        browser.close()
    return [f"{1000 * opened:.0f}", "-" if moved is None else f"{median(moved):.1f}"]


MOVE = """async (moves) => {
  const slider = document.querySelector("input[type=range]");
  const times = [];
  for (let i = 0; i < moves; i++) {
    const start = performance.now();
    slider.value = (slider.max * i) / moves;
    slider.dispatchEvent(new Event("input"));
    document.body.getBoundingClientRect();
    times.push(performance.now() - start);
    await new Promise(requestAnimationFrame);
  }
  return times;
}"""


def pruned(folder: Path, channels: int, sets: int) -> Path:
    """A pruning of so many channels."""
    folder.mkdir()
    accuracy = [round(TOTAL * 0.95 * (1 - (k / channels) ** 3)) for k in range(channels + 1)]
    success = [round(TOTAL * (1 - (k / channels) ** 8)) for k in range(channels + 1)]
    names = [f"set {number}" for number in range(1, sets + 1)]
    steps = {2.0: channels // 4, 10.0: channels // 2, 30.0: channels * 3 // 4}
    found = {
        **about("prune", names),
        "layer": "layer",
        "order": "ascending",
        "channels": list(range(channels)),
        "dead_channels": list(range(channels // 5)),
        "mean_activation": [k / channels for k in range(channels)],
        "poisoned_activation": {name: [0.5] * channels for name in names},
        "baseline": {"validation": share(accuracy[0]), **rates(accuracy[0], TOTAL, names)},
        "drops": [
            {
                "drop": drop,
                "channels_pruned": step,
                "repaired": rates(accuracy[step], success[step], names),
                "goodnet": rates(accuracy[step], success[step], names),
                "files": {"model": f"model_drop_{drop:g}.h5"},
            }
            for drop, step in steps.items()
        ],
        "pictures": pictures(folder, ["clean", *names]),
    }
    (folder / "results.json").write_text(json.dumps(found))
    with (folder / "curve.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        head = ["step", "channel", "mean_activation", "fraction_pruned", "clean_accuracy"]
        writer.writerow([*head, *names])
        for k in range(1, channels + 1):
            shares = [accuracy[k] / TOTAL, *[success[k] / TOTAL] * sets]
            writer.writerow([k, k - 1, 0.0, k / channels, *shares])
    return folder


def compared(folder: Path, methods: int) -> Path:
    """A comparison of so many methods."""
    folder.mkdir()
    rows = [row("none", 1.0)]
    rows += [row(f"method {number}", number / methods) for number in range(methods)]
    found = {**about("compare", []), "rows": rows}
    (folder / "results.json").write_text(json.dumps(found))
    return folder


def row(method: str, left: float) -> dict[str, Any]:
    one = {"success": share(round(TOTAL * left)), "detected": share(TOTAL // 2), "rating": 1 - left}
    base = {"model": "net", "method": method, "test": share(TOTAL - 100)}
    return {**base, "backdoor": {"set": one}, "rating": 1 - left, "false_alarms": share(9)}


def about(command: str, names: list[str]) -> dict[str, Any]:
    sets = {name: {"name": name, "sha256": "", "images": TOTAL} for name in names}
    return {"schema": 1, "command": command, "classes": 10, "inputs": {"backdoor": sets}}


def rates(correct: int, success: int, names: list[str]) -> dict[str, Any]:
    return {"test": share(correct), "backdoor": {name: share(success) for name in names}}


def share(count: int) -> dict[str, Any]:
    return proportion(count, TOTAL).to_dict()


def pictures(folder: Path, names: list[str]) -> dict[str, Any]:
    """Noise, which a PNG cannot make smaller: the worst there is."""
    (folder / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (16, 224, 224, 3)).astype(np.uint8)
    items = []
    for number, name in enumerate(names):
        for index, pixels in enumerate(noise):
            file = f"pictures/{number}_{index}.png"
            Image.fromarray(pixels).save(folder / file)
            answers = {"B": 0, "B'": 0, "G": 10}
            item = {"file": file, "set": name, "index": index, "label": 0, "why": "sample"}
            items.append({**item, "answers": answers})
    return {"drop": 10.0, "items": items}


if __name__ == "__main__":
    main()
