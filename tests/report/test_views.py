"""What the parts of a page say, before any markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import changed, compare_run, cure_run, prune_run, repair_run, scan_run, target

from goodnet.report import words
from goodnet.report.charts import is_spread
from goodnet.report.facts import FileFact, Run
from goodnet.report.read import read_run
from goodnet.report.verdict import judge
from goodnet.report.views.curve import NEVER, largest_drop, readout, step_data
from goodnet.report.views.network import layer_rows, size_text
from goodnet.report.views.pictures import picture_groups, target_view
from goodnet.report.views.run import run_view
from goodnet.report.views.tables import (
    Table,
    comparison_table,
    epochs_table,
    files_table,
    overview_table,
    scores_table,
    steps_table,
)
from goodnet.results import ScanRecord
from goodnet.stats import proportion


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return read_run(prune_run(tmp_path / "run"))


def column(table: Table, label: str) -> list[str]:
    place = [column.label for column in table.columns].index(label)
    return [row[place].text.replace("\u00a0", " ") for row in table.rows]


def test_a_percentage_is_not_rounded_to_all_or_nothing() -> None:
    assert words.percent(proportion(9999, 10000)) == "99.99\u00a0%"
    assert words.percent(proportion(10000, 10000)) == "100.0\u00a0%"
    assert words.percent(proportion(4, 10000)) == "0.04\u00a0%"
    assert words.percent(proportion(0, 0)) == "\u2013"
    assert words.percent(None) == "\u2013"


def test_names_keep_their_writing_direction_to_themselves() -> None:
    assert words.name("plain") == "plain"
    assert words.name("a\u202eb") == "a\\u202eb"
    assert words.name("\u05d0\u05d1") == "\u2068\u05d0\u05d1\u2069"
    assert words.name("\ud800") == "\\ud800"
    assert words.name("\U0001f600") == "\U0001f600"


def test_only_the_name_b_prime_gets_a_prime() -> None:
    assert words.network("B' answers the attacker's") == "B\u2032 answers the attacker's"


def test_large_amounts_are_readable() -> None:
    assert words.amount(1234567) == "1\u202f234\u202f567"
    assert words.time(125) == "2\u00a0min 5\u00a0s"
    assert words.memory(2**31) == "2\u202f048\u00a0MiB"


def test_the_comparison_has_b_and_every_drop(run: Run) -> None:
    table = comparison_table(run)
    assert column(table, "Allowed drop") == ["none", "X = 2", "X = 10", "X = 90"]
    assert column(table, "B\u2032 ASR") == ["100.0 %", "100.0 %", "80.0 %", ""]
    assert column(table, "Silent channels") == ["", "2", "3", ""]
    assert table.rows[3][0].small == "accuracy never falls that far"
    assert table.caption.endswith("the poisoned set is glasses")


def test_with_several_sets_each_has_a_row(tmp_path: Path) -> None:
    table = comparison_table(read_run(prune_run(tmp_path / "two", sets=("one", "two"))))
    assert column(table, "Poisoned set") == ["one", "two"] * 3 + [""]


def test_empty_columns_are_left_out(run: Run) -> None:
    labels = [column.label for column in comparison_table(run).columns]
    assert not {"Network", "DER", "Time", "B\u2032 robust accuracy"} & set(labels)


def test_the_overview_has_a_row_for_each_run(tmp_path: Path, run: Run) -> None:
    others = [
        read_run(repair_run(tmp_path / "repaired")),
        read_run(compare_run(tmp_path / "compared")),
        read_run(cure_run(tmp_path / "made")),
        read_run(scan_run(tmp_path / "scan")),
    ]
    table = overview_table([run, *others])
    assert [column.label for column in table.columns] == [
        *("Run", "Command", "Verdict"),
        *("Clean accuracy", "Worst attack success", "False alarms of G"),
    ]
    assert column(table, "Run") == ["run", "repaired", "compared", "cure", "scan"]
    assert [row[0].link for row in table.rows] == [f"#run{number}" for number in range(1, 6)]
    assert column(table, "Command") == ["prune", "repair", "compare", "cure", "scan"]
    assert [row[1].small for row in table.rows] == [
        *("X\u00a0=\u00a010", "fine-tune", "erase", "", "goodnet")
    ]
    assert column(table, "Verdict") == [
        *("Backdoor stays", "Attack rarely succeeds", "Attack rarely succeeds"),
        *("Backdoor taken out", "Backdoor found"),
    ]
    assert column(table, "Worst attack success") == ["80.0 %", "1.0 %", "2.0 %", "1.0 %", ""]
    assert column(table, "Clean accuracy") == ["84.0 %", "93.0 %", "93.0 %", "93.0 %", ""]
    assert column(table, "False alarms of G") == ["15.0 %", "2.0 %", "2.0 %", "2.0 %", ""]
    assert table.rows[0][3].small == "[78.2,\u00a088.8], B\u00a094.0\u00a0%"


def test_a_run_without_networks_says_so(run: Run) -> None:
    (row,) = overview_table([replace(run, shown=None)]).rows
    assert (row[1].text, row[1].small) == ("prune", "no network made")
    assert row[2].text == "Not known"


def test_the_script_gets_whole_counts(run: Run) -> None:
    data = step_data([run])
    (curve,) = data["curves"]
    assert curve["lost"] == [0, 0, 10, 20, 130]
    assert curve["total"] == 200
    assert curve["saved"] == {"2": "model_drop_2.h5", "3": "model_drop_10.h5"}
    assert [series["label"] for series in curve["series"]] == [
        "Clean accuracy (validation)",
        "Attack success: glasses",
    ]
    assert data["start"] == 10.0
    assert data["most"] == 65.0


def test_a_readout_says_what_a_drop_gives(run: Run) -> None:
    assert run.curve is not None
    (curve,) = step_data([run])["curves"]
    lines = dict(readout(curve, 10.0).lines)
    assert lines["Channels silenced"] == "3 of 4"
    assert lines["Saved as"] == "model_drop_10.h5"
    lines = dict(readout(curve, 66.0).lines)
    assert lines["Channels silenced"] == NEVER
    assert largest_drop(run.curve) == 65.0


def test_steps_and_epochs_are_tables_too(tmp_path: Path, run: Run) -> None:
    assert run.curve is not None
    steps = steps_table([run.curve])
    assert column(steps, "Channel") == ["", "2", "0", "3", "1"]
    assert column(steps, "ASR: glasses")[3] == "80.0 %"
    epochs = epochs_table(read_run(repair_run(tmp_path / "repaired")))
    assert [row[0].small for row in epochs.rows] == ["", "", "B\u2032 is from here"]


def test_the_network_marks_what_was_pruned(run: Run) -> None:
    rows = layer_rows(run)
    assert [row.layer.name for row in rows if row.pruned] == ["conv"]
    assert size_text(run) == (
        "2\u202f093 parameters; 1\u202f793 with the silent channels removed "
        "(\u221214.3\u00a0%). At X\u00a0=\u00a010, 3 of the 4 channels of conv are silent."
    )
    assert size_text(replace(run, parameters=(7, None), trials=(), shown=None)) == "7 parameters."
    assert rows[1].shape == "4 \u00d7 6 \u00d7 5"
    assert layer_rows(replace(run, layers=())) == ()


def test_pictures_come_in_groups_and_none_twice(run: Run) -> None:
    groups = picture_groups(run)
    assert [(group.title, len(group.tiles)) for group in groups] == [
        ("Clean images", 2),
        ("Clean images that G refused", 1),
        ("Poisoned images: glasses", 2),
        ("Poisoned images that G let through: glasses", 1),
    ]
    refused = groups[1].tiles[0]
    assert [(a.network, a.text, a.mark) for a in refused.answers] == [
        ("B", "2", "right"),
        ("B\u2032", "4", "wrong"),
        ("G", "N", "refused"),
    ]
    assert [a.mark for a in groups[2].tiles[0].answers] == ["target"] * 3
    assert groups[2].tiles[0].label == "shows 1, target 0"
    assert refused.image.width % 5 == 0


def test_a_failure_that_is_a_sample_is_counted_and_not_shown_again(run: Run) -> None:
    again = replace(next(p for p in run.pictures if p.why == "sample"), why="refused")
    groups = picture_groups(replace(run, pictures=(*run.pictures, again)))
    assert len(groups[1].tiles) == 1
    assert groups[1].note.endswith("1 of those above is one, too.")


def scan_of(folder: Path) -> ScanRecord:
    scan = read_run(folder).scan
    assert scan is not None
    return scan


def test_classes_have_their_names_where_these_are_known(tmp_path: Path) -> None:
    run = read_run(changed(scan_run(tmp_path / "scan"), class_names=["cat", "dog"]))
    assert run.scan is not None
    assert target_view(run.scan.targets[0], run).label == "0 (cat)"
    assert "are answered with label 0 (cat)" in judge(run).evidence
    assert run.called(2) == "2"


def test_a_trigger_comes_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    run = read_run(scan_run(tmp_path / "scan"))
    assert run.scan is not None
    found = target_view(run.scan.targets[0], run)
    assert (found.label, found.trigger is not None, len(found.samples)) == ("0", True, 3)
    lines = {word: (value, more) for word, value, more in found.lines}
    assert lines["Kind of trigger"] == ("painted, 0.44 x 1", "")
    assert lines["Success"] == ("96.7\u00a0%", "[82.8,\u00a099.9], 29 of 30 images")
    assert lines["Size"][0] == "40\u00a0% of the pixels"
    assert "20\u00a0% of the pixel range" in lines["Size"][1]
    assert lines["Its own class"][0] == "0.10"
    assert lines["Its own class"][1].endswith("in the layer left")
    assert lines["Score"] == ("7.1", "p\u00a0=\u00a00.001")
    assert lines["Also stands out in"] == ("added, 4 x 3", "")
    assert lines["File"] == ("triggers/label_0.npz", "")


def test_targets_beyond_the_first_few_are_counted(tmp_path: Path) -> None:
    targets = [target(label, 40.0 - label) for label in range(11)]
    run = read_run(scan_run(tmp_path / "s", targets=targets, scores=[0.5] * 40))
    triggers = run_view(run, "run1").sections[0]
    assert triggers.part == "triggers"
    assert len(triggers.shown["targets"]) == 8  # type: ignore[arg-type]
    assert triggers.shown["more"] == 3


def test_the_highest_scores_are_a_table(tmp_path: Path) -> None:
    table = scores_table(scan_of(scan_run(tmp_path / "scan")))
    assert table.caption == "All scores"
    assert column(table, "Label") == ["0", "3", "1", "4", "2"]
    assert column(table, "Score") == ["7.1", "0.9", "0.2", "0.1", "-0.4"]
    assert column(table, "p") == ["0.001", "", "", "", ""]
    assert column(table, "Success of the trigger")[0] == "96.7 %"
    assert [row[0].small for row in table.rows] == ["stands out", "", "", "", ""]
    many = scan_run(tmp_path / "many", targets=[], scores=[float(i) for i in range(3000)])
    table = scores_table(scan_of(many))
    assert table.caption == "The 20 highest of 3\u202f000 scores"
    assert column(table, "Label") == [str(label) for label in range(2999, 2979, -1)]


def test_scores_that_are_all_the_same_are_not_drawn(tmp_path: Path) -> None:
    folder = scan_run(tmp_path / "scan", targets=[], scores=[0.0, None, 0.0])
    assert not is_spread(scan_of(folder))
    assert column(scores_table(scan_of(folder)), "Label") == ["0", "2"]


def test_the_overview_says_what_a_scan_found(tmp_path: Path) -> None:
    nothing = scan_run(tmp_path / "nothing", verdict="no_finding", targets=[])
    table = overview_table([read_run(scan_run(tmp_path / "scan")), read_run(nothing)])
    assert column(table, "Verdict") == ["Backdoor found", "No backdoor found"]
    assert [row[2].small.replace("\u00a0", " ") for row in table.rows] == [
        "label 0, p = 0.0004",
        "p = 0.41",
    ]
    assert len(table.columns) == 3


def test_a_p_value_is_never_rounded_to_nothing() -> None:
    assert words.p_value(0.00042) == "0.00042"
    assert words.p_value(1e-9) == "<\u00a00.0001"
    assert words.chance(1e-9) == "p\u00a0<\u00a00.0001"
    assert words.chance(0.5) == "p\u00a0=\u00a00.5"


def test_things_are_listed_as_in_speech() -> None:
    assert words.series(["a"]) == "a"
    assert words.series(["a", "b", "c"]) == "a, b and c"


def test_links_stay_in_the_folder_whatever_the_name() -> None:
    files = [FileFact("", 'javascript:alert("1")?#&', "ab")]
    (row,) = files_table("", files, "a b/").rows
    assert row[0].link == "./a%20b/javascript%3Aalert%28%221%22%29%3F%23%26"
    assert files_table("", files).rows[0][0].link == ""
