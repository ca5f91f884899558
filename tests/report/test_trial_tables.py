"""The table of trials as CSV and LaTeX."""

from __future__ import annotations

import csv
import re

import pytest
from chart_samples import GUARDED, HOSTILE, REPAIRED, B

from goodnet.report.facts import Run, Trial
from goodnet.report.tables import text_cell, trials_csv, trials_latex
from goodnet.results import Cost, Rates
from goodnet.stats import proportion

MADE = Trial("X = 2", repaired=REPAIRED, guarded=GUARDED, rating=0.75, cost=Cost(12.5, 80_000_000))
FAILED = Trial("X = 90", reason="accuracy never falls by 90 points")


def run(*trials: Trial, baseline: Rates | None = B) -> Run:
    return Run("run", "prune", "prune", 10, baseline, trials, 0)


def rows(*trials: Trial, baseline: Rates | None = B) -> list[dict[str, str]]:
    return list(csv.DictReader(trials_csv(run(*trials, baseline=baseline)).splitlines()))


def test_a_row_for_each_network() -> None:
    names = [(row["trial"], row["network"]) for row in rows(MADE, FAILED)]
    assert names == [("", "B"), ("X = 2", "B'"), ("X = 2", "G"), ("X = 90", "B'")]


def test_shares_are_fractions_with_their_interval() -> None:
    repaired, guarded = rows(MADE)[1:]
    share = proportion(4, 10)
    for end, value in (("", share.value), ("_low", share.low), ("_high", share.high)):
        assert float(repaired[f"attack_success{end} sunglasses"]) == value
    assert float(repaired["clean_accuracy"]) == 0.8
    assert repaired["false_alarms"] == repaired["detected sunglasses"] == ""
    assert float(guarded["false_alarms"]) == 0.1
    assert float(guarded["detected sunglasses"]) == 0.5


def test_cost_and_rating_stand_once_with_what_was_made() -> None:
    _, repaired, guarded = rows(MADE)
    keys = ("rating", "seconds", "peak_memory_bytes")
    assert [repaired[key] for key in keys] == ["0.75", "12.5", "80000000"]
    assert [guarded[key] for key in keys] == [""] * 3


def test_columns_without_a_value_are_left_out() -> None:
    assert "robust sunglasses" not in rows(MADE)[0]
    assert list(rows(FAILED, baseline=None)[0]) == ["trial", "model", "network", "reason"]
    known = Rates(None, {"a": proportion(1, 2)}, {"a": proportion(1, 4)})
    assert rows(Trial("t", repaired=known), baseline=None)[0]["robust a"] == "0.25"


def test_what_failed_says_why() -> None:
    assert rows(FAILED)[-1]["reason"] == "accuracy never falls by 90 points"
    assert r"\multicolumn{2}{l}{accuracy never falls by 90 points}" in trials_latex(run(FAILED))


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_cell_is_a_formula(start: str) -> None:
    trial = Trial(f"{start}cmd", model=f"{start}model", reason=f"{start}B")
    row = rows(trial, baseline=None)[0]
    cells = (row["trial"], row["model"], row["reason"])
    assert cells == (f"'{start}cmd", f"'{start}model", f"'{start}B")


def test_nothing_hidden_stands_in_the_table() -> None:
    hidden = "x\x1b[31m\u202ey\udcff"
    rates = Rates(None, {hidden: proportion(1, 2)})
    text = trials_csv(run(Trial(hidden, reason=hidden, repaired=rates), baseline=None))
    assert text.replace("\n", "").isprintable()
    assert r"attack_success x\x1b[31m\u202ey\udcff" in text.splitlines()[0]


def test_latex_is_percent_with_intervals() -> None:
    lines = trials_latex(run(MADE)).splitlines()
    assert lines[0] == r"\begin{tabular}{llrrrrrrr}"
    assert lines[-1] == r"\end{tabular}"
    assert lines[2] == (
        r" & network & clean accuracy & ASR sunglasses & detected sunglasses & false alarms"
        r" & DER & seconds & MB \\"
    )
    assert lines[6] == (
        r"X = 2 & B'{} & 80.00 [44.4, 97.5] & 40.00 [12.2, 73.8] & -- & -- & 75.00 & 12.5 & 80 \\"
    )
    assert lines[7].startswith(" & G & 70.00 [34.8, 93.3]")


def test_every_row_of_latex_has_as_many_cells_as_columns() -> None:
    text = trials_latex(run(MADE, FAILED, Trial(HOSTILE, model="a_b & c", repaired=REPAIRED)))
    columns = len(re.search(r"\{tabular\}\{(\w+)\}", text)[1])  # type: ignore[index]
    for line in (line for line in text.splitlines() if line.endswith(r"\\")):
        spanned = [int(count) - 1 for count in re.findall(r"\\multicolumn\{(\d+)\}", line)]
        assert len(re.split(r"(?<!\\)&", line)) + sum(spanned) == columns


def test_latex_is_ascii_and_names_cannot_be_commands() -> None:
    text = trials_latex(run(Trial(r"\input{x} 100% $a_b^2$ ~ #1 <é> --- 'q'", repaired=REPAIRED)))
    assert text.isascii()
    assert (
        r"\textbackslash{}input\{x\} 100\% \$a\_b\textasciicircum{}2\$ \textasciitilde{} \#1 "
        r"\textless{}\textbackslash{}xe9\textgreater{} -{}-{}-{} '{}q'{}"
    ) in text


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM"])
def test_a_cell_is_no_formula(name: str) -> None:
    assert text_cell(name) == "'" + name


@pytest.mark.parametrize("name", ["\t=1", "\r=1", "\u200e=1"])
def test_a_cell_that_begins_with_something_hidden_is_no_formula(name: str) -> None:
    assert text_cell(name).lstrip("'").startswith("\\")


@pytest.mark.parametrize("name", ["", "sunglasses", "a=b", "1-2"])
def test_other_cells_stay(name: str) -> None:
    assert text_cell(name) == name
