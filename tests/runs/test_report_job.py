"""Pages, figures and tables as files."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import Lab

from goodnet.cli.main import run
from goodnet.errors import InvalidInput, UsageError
from goodnet.runs.report import export, write_report


@pytest.fixture(scope="module")
def pruned(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as the command makes it, with its report."""
    folder = tmp_path_factory.mktemp("report") / "run"
    command = ["prune", lab.model, "--clean", lab.valid, "--test", lab.test, "--out", folder]
    command += ["--drop", "5", "--backdoor", f"toy={lab.poisoned}"]
    assert run([str(part) for part in command]) == 0
    return folder


def test_a_run_comes_with_its_report_under_its_own_name(pruned: Path) -> None:
    page = (pruned / "report.html").read_text(encoding="utf-8")
    assert '<p class="meta">Run run' in page
    assert ".goodnet-" not in page
    assert 'href="./model_drop_5.h5"' in page
    assert not [path for path in pruned.iterdir() if path.name.startswith(".")]


def test_the_same_folder_gives_the_same_page(pruned: Path) -> None:
    first = (pruned / "report.html").read_bytes()
    assert write_report([pruned], force=True).read_bytes() == first


def test_an_old_page_is_kept_without_force(pruned: Path) -> None:
    with pytest.raises(UsageError, match="the output exists already, use --force"):
        write_report([pruned])


def test_links_lead_from_the_page_to_the_folder(pruned: Path, tmp_path: Path) -> None:
    page = write_report([pruned], tmp_path / "page.html").read_text(encoding="utf-8")
    way = page.partition('href="./')[2].partition('"')[0]
    assert (tmp_path / way).resolve().parent == pruned.resolve()


def test_several_runs_need_a_name_for_the_page(pruned: Path) -> None:
    with pytest.raises(UsageError, match=r"--out page\.html"):
        write_report([pruned, pruned.parent])
    with pytest.raises(UsageError, match="given twice"):
        write_report([pruned, pruned / ".." / pruned.name])


def test_a_folder_that_is_no_run_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"there is no results\.json"):
        write_report([tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_figures_and_tables_are_written_for_papers(pruned: Path, tmp_path: Path) -> None:
    written = export(pruned, tmp_path / "paper")
    names = {path.name for path in (tmp_path / "paper").iterdir()}
    assert names == {path.name for path in written}
    assert {"curve.png", "curve.svg", "channels.svg", "comparison.svg", "table.csv"} <= names
    assert (tmp_path / "paper" / "table.tex").read_text().startswith("\\begin{tabular}")
    with pytest.raises(UsageError, match="use --force"):
        export(pruned, tmp_path / "paper")
    assert export(pruned, tmp_path / "paper", force=True) == written
