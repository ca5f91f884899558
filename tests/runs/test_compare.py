from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, make_lab
from tiny import deepid_spec

from goodnet.errors import FileError, InvalidInput, UsageError
from goodnet.formats import load_network
from goodnet.formats.keras import write
from goodnet.progress import no_progress
from goodnet.repair import repairs
from goodnet.results import Attacked, ComparedRow
from goodnet.runs import compare as job
from goodnet.runs.cells import Cell, name_models, plan_cells
from goodnet.runs.compare import by_rating, compare, defence_rating, partial_of, write_comparison
from goodnet.runs.folder import RECORD, checkpoint_of, run_folder
from goodnet.runs.inputs import Inputs, open_files
from goodnet.runs.options import InputFiles, InputOptions, Place
from goodnet.runs.prune import PruneOptions, prune, write_prune
from goodnet.runs.repair import read_triggers
from goodnet.stats import proportion

SHORT: dict[str, Any] = {"epochs": 1, "lr": 0.01}


class Seen:
    """A stage that remembers which repairs were run, and is interrupted where told."""

    def __init__(self, stop: str = "") -> None:
        self.labels: list[str] = []
        self._stop = stop

    @contextmanager
    def __call__(self, _work: int, label: str) -> Iterator[Callable[[int], None]]:
        name = label.split(":")[0]
        if self.labels[-1:] != [name]:
            self.labels.append(name)
        if name == self._stop:
            raise KeyboardInterrupt
        yield lambda _count: None


def opened(lab: Lab, model: Path | None = None) -> Inputs:
    job = InputFiles(model or lab.model, lab.valid, lab.test, {"toy": lab.poisoned})
    return open_files(job, InputOptions(scale="raw"))


def labels(cells: Sequence[Cell]) -> list[str]:
    return [cell.label for cell in cells]


def test_the_rating_is_the_papers() -> None:
    def rating(*values: int) -> float | None:
        before, after, asr_before, asr_after = (proportion(value, 100) for value in values)
        return defence_rating(accuracy=(before, after), success=(asr_before, asr_after))

    assert rating(100, 100, 100, 0) == 1
    assert rating(100, 0, 100, 100) == 0
    assert rating(90, 90, 50, 50) == rating(80, 90, 50, 60) == 0.5
    # BadNets-A2O, fine-tuned: Table 1 of the paper.
    share = [proportion(count, 10_000) for count in (9182, 9029, 9379, 170)]
    found = defence_rating(accuracy=(share[0], share[1]), success=(share[2], share[3]))
    assert found == pytest.approx(0.9528, abs=1e-4)
    assert defence_rating(accuracy=(None, share[0]), success=(share[2], share[3])) is None


def test_rows_are_ordered_by_rating_then_accuracy_and_failures_come_last() -> None:
    def row(method: str, rating: float, accuracy: int, reason: str | None = None) -> ComparedRow:
        attack = Attacked(proportion(1, 2), None, None, rating)
        share = proportion(accuracy, 100)
        return ComparedRow("m", method, share, None, {"a": attack}, rating, reason=reason)

    rows = [row("failed", 0.99, 99, "no"), row("b", 0.7, 80), row("a", 0.7, 90), row("c", 0.9, 1)]
    rows.append(ComparedRow("m", "none"))
    found = sorted(rows, key=by_rating)
    assert [each.method for each in found] == ["none", "c", "a", "b", "failed"]


def test_without_names_all_methods_are_compared_that_need_nothing_more() -> None:
    pruned = ["prune-2", "prune-4", "prune-10", "prune-30"]
    without = labels(plan_cells(None, {}))
    assert without == [*pruned, "cure", "fine-tune", "fine-prune", "sparsify"]
    triggers = read_triggers(["patch"])
    assert labels(plan_cells(None, {}, triggers=triggers)) == [
        *without,
        "unlearn",
        "erase",
    ]


def test_choices_go_to_the_methods_that_take_them() -> None:
    names = ["prune", "fine-prune", "sparsify", "erase"]
    choices = SHORT | {"sparsity": 0.6, "seed": 4}
    cells = plan_cells(names, choices, drops=[30, 5], triggers=read_triggers(["patch"]))
    plans = {cell.label: cell.plan for cell in cells}
    assert list(plans) == ["prune-5", "prune-30", "fine-prune-5", "fine-prune-30", *names[2:]]
    options = {name: plan.about()["options"] for name, plan in plans.items()}
    assert options["fine-prune-5"]["drop"] == 5
    assert options["sparsify"]["sparsity"] == 0.6
    assert plans["erase"].triggers[0].trigger.name == "patch"
    assert {each["seed"] for each in options.values() if "seed" in each} == {4}
    assert options["sparsify"]["epochs"] == 1
    assert "epochs" not in options["erase"]


@pytest.mark.parametrize(
    ("names", "choices", "extra", "message"),
    [
        (["magic"], SHORT, {}, "the methods are prune, cure, fine-tune, .*, erase, got 'magic'"),
        (["unlearn"], SHORT, {}, "needs at least one --trigger"),
        (["prune"], {"sparsity": 0.5}, {}, "--sparsity goes with none of the methods prune"),
        (["prune"], SHORT, {}, "--epochs goes with none of the methods prune"),
        (["fine-tune"], SHORT, {"drops": [3]}, "--drop goes with none of the methods fine-tune"),
        (["prune"], {}, {"drops": [0]}, "above 0 and below 100"),
        (None, {"sparsity": -1.0}, {}, "a sparsity from 0 to 1, got -1"),
        (None, {"epochs": 0}, {}, "at least 1 epoch, got 0"),
    ],
)
def test_what_does_not_go_together_is_refused(
    names: list[str] | None, choices: dict[str, Any], extra: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan_cells(names, choices, **extra)


def test_models_are_told_apart_by_their_folders_where_need_be() -> None:
    assert list(name_models([Path("a/x.h5"), Path("a/y.h5")])) == ["x", "y"]
    assert list(name_models([Path("a/x.h5"), Path("b/x.h5")])) == ["a-x", "b-x"]
    assert list(name_models([Path("a/...h5"), Path("a/.h5")])) == ["model", "h5"]
    with pytest.raises(UsageError, match="the same name in folders of the same name"):
        name_models([Path("a/x.h5"), Path("a/x.h5")])


def test_pruning_here_is_pruning_there(lab: Lab, tmp_path: Path) -> None:
    inputs = opened(lab)
    with run_folder(Place(tmp_path / "run")) as run:
        (drop,) = write_prune(inputs, prune(inputs, PruneOptions(drops=[20])), run).drops
    cells = plan_cells(["prune"], {}, drops=[20])
    found = compare({"net": inputs}, cells, tmp_path / "partial", stage=no_progress)
    untouched, row = found.rows
    assert drop.repaired
    assert drop.goodnet
    assert row.test == drop.repaired.test
    assert row.false_alarms == drop.goodnet.false_alarms
    assert row.backdoor["toy"].success == drop.repaired.backdoor["toy"]
    assert row.backdoor["toy"].detected == drop.goodnet.detected["toy"]
    assert (untouched.method, untouched.test) == ("none", proportion(135, 150))


def test_a_method_that_fails_is_a_row_and_the_others_go_on(lab: Lab, tmp_path: Path) -> None:
    cells = plan_cells(["prune", "fine-tune"], SHORT, drops=[5, 99])
    rows = compare({"net": opened(lab)}, cells, tmp_path / "partial", stage=no_progress).rows
    assert {row.method for row in rows[1:3]} == {"prune-5", "fine-tune"}
    assert rows[3].method == "prune-99"
    assert "accuracy never falls by 99 points" in (rows[3].reason or "")


def test_if_nothing_works_there_is_no_comparison(lab: Lab, tmp_path: Path) -> None:
    cells = plan_cells(["prune"], {}, drops=[99])
    with pytest.raises(InvalidInput, match=r"no repair worked; prune-99: accuracy never falls"):
        compare({"net": opened(lab)}, cells, tmp_path / "partial", stage=no_progress)
    assert list(tmp_path.iterdir()) == []


def test_a_file_error_is_not_a_row(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise FileError("no room")

    monkeypatch.setattr(job, "write_repair", full)
    cells = plan_cells(["prune"], {})
    with pytest.raises(FileError, match="no room"):
        compare({"net": opened(lab)}, cells, tmp_path / "partial", stage=no_progress)


def test_the_run_folder_holds_the_table_and_every_repair(lab: Lab, out: Path) -> None:
    triggers = read_triggers(["patch"])
    cells = plan_cells(["prune", "erase"], {}, drops=[5, 99], triggers=triggers)
    partial = partial_of(out)
    comparison = compare({"=net": opened(lab)}, cells, partial, stage=no_progress)
    rows = comparison.rows
    with run_folder(Place(out)) as run:
        write_comparison(comparison, partial, run)
    shutil.rmtree(partial)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert {path.name for path in out.iterdir()} == {
        *("results.json", RECORD, "comparison.csv", "prune-5", "erase")
    }
    assert load_network(out / "erase" / "model_repaired.h5").num_classes == 5
    found = json.loads((out / "results.json").read_text())
    assert (found["schema"], found["command"]) == (1, "compare")
    assert [row["method"] for row in found["rows"]] == [row.method for row in rows]
    assert "seconds" not in found["rows"][1]
    record = json.loads((out / RECORD).read_text())
    assert [(cost["model"], cost["method"]) for cost in record["rows"]] == [
        (row.model, row.method) for row in rows if row.folder
    ]
    assert record["rows"][0]["seconds"] == comparison.costs["=net", rows[1].method].seconds
    assert (out / "erase" / "pictures" / "clean_0.png").is_file()
    with (out / "comparison.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["method"] for line in lines] == [row.method for row in rows]
    assert lines[0]["model"] == "'=net"
    assert float(lines[1]["rating"]) == rows[1].rating
    assert float(lines[1]["seconds"]) > 0
    assert lines[-1]["reason"].startswith("accuracy never falls")


def test_finished_repairs_are_not_done_again_after_an_interruption(
    lab: Lab, tmp_path: Path
) -> None:
    cells = plan_cells(["prune", "fine-tune"], SHORT, drops=[5, 20])
    with pytest.raises(KeyboardInterrupt):
        compare({"net": opened(lab)}, cells, tmp_path / "a", stage=Seen(stop="fine-tune"))
    second = Seen()
    found = compare({"net": opened(lab)}, cells, tmp_path / "a", stage=second)
    assert second.labels == ["fine-tune"]
    whole = compare({"net": opened(lab)}, cells, tmp_path / "b", stage=no_progress)
    assert found.rows == whole.rows


def test_a_repair_whose_costs_are_not_known_is_done_again(lab: Lab, tmp_path: Path) -> None:
    cells = plan_cells(["prune"], {}, drops=[5, 20])
    partial = tmp_path / "partial"
    compare({"net": opened(lab)}, cells, partial, stage=no_progress)
    (partial / "prune-5" / RECORD).unlink()
    again = Seen()
    compare({"net": opened(lab)}, cells, partial, stage=again)
    assert again.labels == ["prune-5"]


def test_every_repair_records_the_command_it_comes_from(lab: Lab, tmp_path: Path) -> None:
    cells = plan_cells(["prune"], {}, drops=[5])
    partial = tmp_path / "partial"
    compare({"net": opened(lab)}, cells, partial, stage=no_progress, line="goodnet compare net.h5")
    record = json.loads((partial / "prune-5" / RECORD).read_text())
    assert record["command_line"] == "goodnet compare net.h5"


def test_a_repair_of_other_files_or_settings_is_done_again(lab: Lab, tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    compare({"net": opened(lab)}, plan_cells(["fine-tune"], SHORT), partial, stage=no_progress)
    again = Seen()
    cells = plan_cells(["fine-tune"], SHORT | {"seed": 1})
    compare({"net": opened(lab)}, cells, partial, stage=again)
    other = tmp_path / "other.h5"
    write.write(deepid_spec(3), other)
    with pytest.raises(InvalidInput, match="no repair worked; fine-tune: the network answers only"):
        compare({"net": opened(lab, other)}, cells, partial, stage=again)
    assert again.labels == ["fine-tune"]
    assert not checkpoint_of(partial / "fine-tune").exists()


def test_a_folder_of_another_kind_is_never_used(lab: Lab, tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    partial.mkdir()
    (partial / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="a folder that holds something else"):
        compare({"net": opened(lab)}, plan_cells(["prune"], {}), partial, stage=no_progress)
    assert (partial / "thesis.txt").is_file()


def test_several_models_each_have_a_folder_and_keep_their_order(
    lab: Lab, tmp_path: Path, out: Path
) -> None:
    copy = tmp_path / "copy.h5"
    shutil.copy(lab.model, copy)
    models = {"one": opened(lab), "two": opened(lab, copy)}
    cells = plan_cells(["prune"], {}, drops=[5, 20])
    found = compare(models, cells, tmp_path / "partial", stage=no_progress)
    rows = found.rows
    assert [row.model for row in rows] == ["one"] * 3 + ["two"] * 3
    with run_folder(Place(out)) as run:
        write_comparison(found, tmp_path / "partial", run)
    assert (out / "two" / "prune-5" / "goodnet.keras").is_file()
    assert [replace(row, model="", folder="") for row in rows[:3]] == [
        replace(row, model="", folder="") for row in rows[3:]
    ]


def test_every_method_can_be_compared(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, suffix=".keras")
    triggers = read_triggers(["patch"])
    cells = plan_cells(list(repairs()), SHORT, drops=[20], triggers=triggers)
    rows = compare({"net": opened(lab)}, cells, tmp_path / "partial", stage=no_progress).rows
    assert [row.reason for row in rows] == [None] * 8
    ratings = [row.rating for row in rows[1:]]
    assert ratings == sorted(ratings, key=lambda rating: -(rating or 0))
