from __future__ import annotations

import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import goodnet
from goodnet.jobs import run_record
from goodnet.jobs.run_record import RECORD, Began, RepairCost, write_record


def written(folder: Path, began: Began, *costs: RepairCost) -> dict[str, Any]:
    write_record(folder, began, costs)
    found: dict[str, Any] = json.loads((folder / RECORD).read_text())
    return found


def test_a_record_says_what_when_and_by_what(tmp_path: Path) -> None:
    began = Began("goodnet prune net.h5", time.perf_counter() - 20)
    found = written(tmp_path, began)
    assert (found["schema"], found["command_line"]) == (1, "goodnet prune net.h5")
    assert found["seconds"] >= 20
    assert found["peak_memory"] > 1 << 20
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["finished"])
    assert found["versions"]["goodnet"] == goodnet.__version__
    assert {"python", "torch", "numpy"} <= found["versions"].keys()
    assert "rows" not in found


def test_the_costs_of_repairs_are_listed(tmp_path: Path) -> None:
    costs = RepairCost("net", "erase", 0.5, None), RepairCost("net", "prune-2", 1.5, 3 << 40)
    found = written(tmp_path, Began(), *costs)
    assert found["rows"] == [asdict(cost) for cost in costs]


def test_the_peak_is_that_of_the_hungriest_repair(tmp_path: Path) -> None:
    found = written(tmp_path, Began(), RepairCost("net", "erase", 0.5, 3 << 40))
    assert found["peak_memory"] == 3 << 40


def test_a_system_that_does_not_tell_the_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_record, "peak_memory", lambda: None)
    assert written(tmp_path, Began())["peak_memory"] is None
