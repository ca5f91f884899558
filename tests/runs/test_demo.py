from __future__ import annotations

import re
from pathlib import Path

import pytest

from goodnet import files
from goodnet.cli.main import run
from goodnet.results import GuardedRates, PruneBaseline, PruneDrop, PruneResults
from goodnet.runs import demo
from goodnet.runs.demo import Journal, Step, lab_table, story
from goodnet.scan import plan
from goodnet.scan.plan import Plan, Stage
from goodnet.stats import proportion
from goodnet.typed_json import plain
from goodnet.types import Proportion


def step(out: Path, name: str = "run", content: str = "{}") -> Step:
    folder = out / name
    folder.mkdir(exist_ok=True)
    (folder / files.RESULTS).write_text(content)
    return Step("a step", ("prune", "model.h5"), folder)


def test_what_was_done_is_known_to_the_next_run(tmp_path: Path) -> None:
    done = step(tmp_path)
    journal = Journal.read(tmp_path)
    assert not journal.holds(done)
    journal.add(done)
    assert Journal.read(tmp_path).holds(done)


def test_changed_results_have_to_be_made_again(tmp_path: Path) -> None:
    done = step(tmp_path)
    Journal(tmp_path).add(done)
    step(tmp_path, content='{"other": 1}')
    assert not Journal.read(tmp_path).holds(done)


def test_missing_results_have_to_be_made_again(tmp_path: Path) -> None:
    done = step(tmp_path)
    Journal(tmp_path).add(done)
    (tmp_path / "run" / files.RESULTS).unlink()
    assert not Journal.read(tmp_path).holds(done)


def test_another_command_for_the_same_folder_is_not_done(tmp_path: Path) -> None:
    done = step(tmp_path)
    Journal(tmp_path).add(done)
    other = Step("a step", ("prune", "model.h5", "--drop", "3"), done.folder)
    assert not Journal.read(tmp_path).holds(other)


@pytest.mark.parametrize("content", ["", "[]", '{"goodnet": "0.0.0", "done": {}}', '{"done": 3}'])
def test_an_unreadable_journal_knows_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "demo.json").write_text(content)
    assert Journal.read(tmp_path).done == {}


def test_steps_after_one_that_is_done_again_are_forgotten(tmp_path: Path) -> None:
    done = step(tmp_path)
    journal = Journal(tmp_path)
    journal.add(done)
    journal.forget([done])
    assert not journal.holds(done)


def test_the_lab_table_says_what_pruning_leaves(tmp_path: Path) -> None:
    def share(percent: int) -> Proportion:
        return proportion(percent, 100)

    worse = GuardedRates(share(80), {"glasses": share(25)})
    results = PruneResults(
        baseline=PruneBaseline(share(90), {"glasses": share(100)}),
        drops=(PruneDrop(drop=10, repaired=worse, goodnet=worse), PruneDrop(drop=30)),
    )
    files.write_json(tmp_path / files.RESULTS, plain(results))
    head, rows = lab_table(tmp_path)
    assert head == ["X", "B' clean", "B' glasses", "G clean", "G glasses"]
    assert rows == [
        ["none", "90.00", "100.00", "", ""],
        ["10", "80.00", "25.00", "80.00", "25.00"],
        ["30", "-", "-", "-", "-"],
    ]


@pytest.mark.slow
def test_the_whole_demo_in_small_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("_PEOPLE", 10), ("_SHOTS", 24), ("_EPOCHS", 10), ("_TUNED", 2)):
        monkeypatch.setattr(demo, name, value)
    # The story is the same however long the scan looks.
    few = Plan(first=(Stage(24, 1, 2), Stage(8, 1, 2)), second=Stage(4, 1, 2))
    monkeypatch.setattr(plan, "USUAL", few)
    out = tmp_path / "made" / "demo"
    assert run(["demo", "--out", str(out)]) == 0
    first = capfd.readouterr()
    assert "done before" not in first.err
    typed = re.findall(r"^\$ (.*)$", first.out, flags=re.M)
    assert typed == [s.command for s in story(out)]
    made = [*(s.folder for s in story(out) if s.folder), out / "clean.png", out / "poisoned.png"]
    listed = first.out.split("written:\n")[1].split("\n\n")[0].split()
    assert sorted(listed) == sorted(map(str, made))
    assert all(path is not None and path.exists() for path in made)
    assert "cured" in (out / "report.html").read_text()

    model = out / "badnet" / "bd_net.h5"
    before = model.stat().st_mtime_ns
    assert run(["demo", "--out", str(out)]) == 0
    again = capfd.readouterr()
    assert again.err.count("done before") == 4
    assert model.stat().st_mtime_ns == before
    assert again.out.split("written:\n")[0].endswith(first.out.split("written:\n")[0][-800:])


def test_a_file_where_the_folder_should_be(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert run(["demo", "--out", str(taken)]) == 6
    assert "cannot write the output" in capfd.readouterr().err
    assert taken.read_text() == "mine"
