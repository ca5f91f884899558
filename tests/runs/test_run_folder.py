from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path
from typing import Any

import pytest

import goodnet
from goodnet import files
from goodnet.errors import InvalidInput
from goodnet.results import MethodCost, RepairResults, Results
from goodnet.runs import folder
from goodnet.runs.folder import RECORD, RunFolder, checkpoint_of, run_folder
from goodnet.runs.options import Place
from goodnet.typed_json import plain


def record(path: Path, *costs: MethodCost, line: str = "", began: float = 0.0) -> dict[str, Any]:
    RunFolder(path, checkpoint_of(path), line, began).write(Results(command="scan"), costs)
    found: dict[str, Any] = json.loads((path / RECORD).read_text())
    return found


def test_a_record_says_what_when_and_by_what(tmp_path: Path) -> None:
    found = record(tmp_path, line="goodnet prune net.h5", began=time.perf_counter() - 20)
    assert (found["schema"], found["command_line"]) == (1, "goodnet prune net.h5")
    assert found["seconds"] >= 20
    assert found["peak_memory"] > 1 << 20
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["finished"])
    assert found["versions"]["goodnet"] == goodnet.__version__
    assert {"python", "torch", "numpy"} <= found["versions"].keys()
    assert found["rows"] == []


def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    made = RepairResults(
        command="repair", details={"rows": [{"margin": 1.0}, {"margin": math.nan}]}
    )
    with pytest.raises(InvalidInput, match=r"^details\.rows\[1\]\.margin is NaN or infinite"):
        RunFolder(tmp_path, checkpoint_of(tmp_path)).write(made)
    assert list(tmp_path.iterdir()) == []


def test_the_costs_of_repairs_are_listed(tmp_path: Path) -> None:
    costs = [
        MethodCost(0.5, None, model="net", method="erase"),
        MethodCost(1.5, 3 << 40, model="net", method="prune-2"),
    ]
    found = record(tmp_path, *costs)
    assert found["rows"] == plain(costs)
    assert found["peak_memory"] == 3 << 40, "that of the hungriest repair"


def test_a_system_that_does_not_tell_the_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "peak_memory", lambda: None)
    assert record(tmp_path)["peak_memory"] is None


def test_results_that_make_no_report_are_kept_all_the_same(tmp_path: Path) -> None:
    said: list[str] = []
    with run_folder(Place(tmp_path / "run", report=True), say=said.append) as run:
        run.write(Results(command="another"))
    assert said[0].startswith("there is no report.html: cannot make a report of")
    assert (tmp_path / "run" / files.RESULTS).is_file()


def test_a_checkpoint_is_told_of_and_goes_when_the_folder_is_safe(tmp_path: Path) -> None:
    checkpoint, said = checkpoint_of(tmp_path / "run"), list[str]()
    checkpoint.write_bytes(b"state")
    with (
        pytest.raises(KeyboardInterrupt),
        run_folder(Place(tmp_path / "run"), say=said.append, resumes=True),
    ):
        raise KeyboardInterrupt
    assert said == [f"going on from {checkpoint}, if the same command left it"]
    with run_folder(Place(tmp_path / "other"), resumes=False) as run:
        run.write(RepairResults())
    assert [path.name for path in tmp_path.iterdir() if path.name != "other"] == ["run.checkpoint"]
    with run_folder(Place(tmp_path / "run"), resumes=True) as run:
        run.write(RepairResults())
    assert not checkpoint.exists()
