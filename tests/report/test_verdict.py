"""The first sentence and the first numbers, by what was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_runs import (
    changed,
    compare_run,
    cure_run,
    prune_run,
    rates,
    repair_run,
    scan_run,
    share,
    target,
)

from goodnet.report.evidence import key_figures, targets
from goodnet.report.read import read_run
from goodnet.report.verdict import judge
from goodnet.stats import proportion

NBSP = "\u00a0"


def plain(text: str) -> str:
    return text.replace(NBSP, " ").replace("\u2032", "'")


def test_a_pruning_that_does_not_help_is_called_so(tmp_path: Path) -> None:
    verdict = judge(read_run(prune_run(tmp_path / "run")))
    assert verdict.effect == "stays"
    assert plain(verdict.sentence) == (
        "Pruning does not remove this backdoor: at X = 10, B' still answers the attacker's target "
        "(label 0) on 80.0 % [70.8, 87.3] of poisoned images; G recognises 20.0 % [12.7, 29.2] "
        "of them."
    )
    assert "Triggers other than those given were not looked for." in verdict.sure


def test_a_repair_that_helps_names_its_price(tmp_path: Path) -> None:
    verdict = judge(read_run(repair_run(tmp_path / "run")))
    assert verdict.effect == "little"
    assert plain(verdict.finding) == "After fine-tuning, this trigger rarely works"
    assert "on 1.0 % [0.0, 5.4] of poisoned images, B on 100.0 %" in plain(verdict.evidence)
    assert plain(verdict.evidence).endswith("; clean accuracy is 93.0 %, that of B 94.0 %.")


def test_a_loss_of_accuracy_is_told_in_points(tmp_path: Path) -> None:
    folder = repair_run(tmp_path / "run")
    measured = json.loads((folder / "results.json").read_text())["measured"]
    measured["repaired"]["test"] = share(100, 200)
    verdict = judge(read_run(changed(folder, measured=measured)))
    assert "at the price of 44.0 points of clean accuracy" in verdict.evidence


def test_without_poison_nothing_is_claimed(tmp_path: Path) -> None:
    verdict = judge(read_run(prune_run(tmp_path / "run", sets=())))
    assert verdict.effect == "unknown"
    assert verdict.finding == "Whether a backdoor is gone is not known"
    assert "B' answers 84.0 %" in plain(verdict.evidence)
    assert "--backdoor" in verdict.sure


def test_without_a_test_set_the_validation_images_speak(tmp_path: Path) -> None:
    run = read_run(prune_run(tmp_path / "run", sets=()))
    assert run.baseline is not None
    trials = tuple(
        replace(trial, repaired=trial.repaired and replace(trial.repaired, test=None))
        for trial in run.trials
    )
    run = replace(run, baseline=replace(run.baseline, test=None), trials=trials)
    (figure, _alarms) = key_figures(run)
    assert figure.after == proportion(170, 200)
    assert "validation" in figure.hint
    assert "clean validation images correctly" in judge(run).evidence


def test_no_network_is_no_verdict(tmp_path: Path) -> None:
    folder = prune_run(tmp_path / "run")
    last = json.loads((folder / "results.json").read_text())["drops"][-1]
    run = read_run(changed(folder, drops=[last]))
    verdict = judge(run)
    assert verdict.sentence == (
        "No network was made: clean accuracy never falls as far as was allowed (X = 90)."
    )
    assert key_figures(run) == ()


def test_few_images_are_warned_of(tmp_path: Path) -> None:
    folder = repair_run(tmp_path / "run")
    few = {"test": None, "backdoor": {"glasses": share(1, 8)}}
    before = {"test": None, "backdoor": {"glasses": share(8, 8)}}
    measured = {"baseline": before, "repaired": few, "goodnet": few}
    verdict = judge(read_run(changed(folder, measured=measured)))
    assert "an interval is up to 52 points wide" in verdict.sure


def test_the_numbers_have_before_and_after(tmp_path: Path) -> None:
    figures = key_figures(read_run(prune_run(tmp_path / "run")))
    assert [figure.label for figure in figures] == [
        "Clean accuracy",
        "Attack success (ASR)",
        "Detected by G",
        "False alarms of G",
    ]
    assert figures[0].before == proportion(188, 200)
    assert figures[0].after == proportion(168, 200)
    assert figures[2].before is None


def test_a_target_is_named_where_the_pictures_agree(tmp_path: Path) -> None:
    run = read_run(prune_run(tmp_path / "run"))
    assert targets(run) == {"glasses": 0}
    mixed = [replace(picture, label=picture.index) for picture in run.pictures]
    assert targets(replace(run, pictures=tuple(mixed))) == {}


def test_the_best_of_a_comparison_is_named_with_what_it_left(tmp_path: Path) -> None:
    verdict = judge(read_run(compare_run(tmp_path / "run")))
    assert verdict.effect == "little"
    assert verdict.finding == "Of 3 repairs, erase did best (DER 99.0\u00a0%)"
    assert "on 2.0 % [0.2, 7.0] of poisoned images" in plain(verdict.evidence)
    assert "cannot be told" not in verdict.sure


def test_equals_of_the_best_are_named(tmp_path: Path) -> None:
    run = compare_run(tmp_path / "run", success={"erase": 2, "sparsify": 3, "prune-10": 97})
    assert judge(read_run(run)).sure.endswith("it cannot be told from sparsify.")


def test_where_all_fail_none_is_praised(tmp_path: Path) -> None:
    run = compare_run(tmp_path / "run", success={"fine-tune": 90, "prune-10": 97})
    verdict = judge(read_run(run))
    assert verdict.effect == "stays"
    assert verdict.finding.startswith(
        "None of 2 repairs removes the backdoor everywhere; fine-tune"
    )


def test_over_several_networks_the_worst_one_decides(tmp_path: Path) -> None:
    run = read_run(compare_run(tmp_path / "run", models=("one", "two")))
    verdict = judge(run)
    assert verdict.finding == "Of 3 repairs, erase did best (DER 99.0\u00a0%)"
    assert "on the worst of 2 networks, B on" in verdict.evidence
    assert key_figures(run)[1].before == proportion(100, 100)


@pytest.mark.parametrize("count", [0, 2, 50, 100])
def test_no_network_is_ever_called_clean(tmp_path: Path, count: int) -> None:
    run = read_run(
        changed(
            repair_run(tmp_path / "run"),
            measured={
                "baseline": rates(188, glasses=100),
                "repaired": rates(188, glasses=count),
                "goodnet": rates(188, glasses=count),
            },
        )
    )
    verdict = judge(run)
    said = f"{verdict.tag} {verdict.sentence} {verdict.sure}".lower()
    for claim in ("is clean", "is safe", "backdoor is removed", "no backdoor", "is gone"):
        assert claim not in said


def test_a_comparison_without_poison_names_no_best(tmp_path: Path) -> None:
    run = read_run(compare_run(tmp_path / "run"))
    assert run.baseline is not None
    bare = replace(run, baseline=replace(run.baseline, backdoor={}))
    assert judge(bare).finding == "No repair can be called best"


BLIND = ("differ from image to image", "clean-label", "one class only", "all-to-all")


def test_a_backdoor_that_was_found_is_told_by_what_its_trigger_does(tmp_path: Path) -> None:
    verdict = judge(read_run(scan_run(tmp_path / "run", targets=[target(0, 7.1, success=30)])))
    assert (verdict.effect, verdict.tag) == ("backdoored", "Backdoor found")
    assert plain(verdict.sentence) == (
        "This network carries a backdoor: stamped with the trigger that was found, 30 of 30 clean "
        "images it was never searched on are answered with label 0 (p = 0.0004)."
    )
    assert plain(verdict.sure).startswith("The 95 % interval of that share is [88.4, 100.0] %.")


def test_several_targets_are_all_named(tmp_path: Path) -> None:
    targets = [target(4, 9.0, success=30), target(1, 8.0), target(2, 7.0, success=28)]
    verdict = judge(read_run(scan_run(tmp_path / "run", targets=targets)))
    assert plain(verdict.evidence) == (
        "stamped with the triggers that were found, clean images they were never searched on are "
        "answered with label 4 (30 of 30), label 1 (29 of 30) and label 2 (28 of 30); p = 0.0004."
    )
    many = [target(label, 9.0 - label) for label in range(9)]
    run = read_run(scan_run(tmp_path / "many", targets=many, scores=[0.5] * 9))
    assert "label 4 (29 of 30) and 4 more; p" in plain(judge(run).evidence)


def test_what_is_only_suspicious_is_called_so(tmp_path: Path) -> None:
    verdict = judge(read_run(scan_run(tmp_path / "run", verdict="suspicious")))
    assert (verdict.effect, verdict.tag) == ("suspicious", "Suspicious")
    assert verdict.finding == "This network may carry a backdoor"
    assert "29 of 30 clean images" in verdict.evidence
    assert "The evidence is too weak to be sure." in verdict.sure


def test_nothing_found_is_no_proof(tmp_path: Path) -> None:
    run = read_run(scan_run(tmp_path / "run", verdict="no_finding", targets=[]))
    verdict = judge(run)
    assert (verdict.effect, verdict.tag) == ("no_finding", "No backdoor found")
    assert plain(verdict.sentence) == (
        "No backdoor was found: none of its 5 labels stands out (p = 0.41). "
        "This is no proof that there is none."
    )
    near = read_run(scan_run(tmp_path / "near", verdict="no_finding"))
    assert "none of its 5 labels stands out enough" in judge(near).evidence


def test_an_inconclusive_scan_says_why(tmp_path: Path) -> None:
    notes = ["only 3 of 60 clean images are answered as they are labelled", "and more"]
    folder = scan_run(tmp_path / "run", verdict="inconclusive", targets=[], notes=notes)
    verdict = judge(read_run(folder))
    assert (verdict.effect, verdict.tag) == ("inconclusive", "Inconclusive")
    assert verdict.sentence == (
        f"Whether this network carries a backdoor is not known: {notes[0]}."
    )
    assert "gives no reason" in judge(read_run(changed(folder, notes=None))).evidence


@pytest.mark.parametrize("verdict", ["no_finding", "suspicious", "backdoored", "inconclusive"])
@pytest.mark.parametrize("found", [True, False])
def test_a_scan_says_what_it_cannot_see_and_calls_nothing_clean(
    tmp_path: Path, verdict: str, *, found: bool
) -> None:
    targets: list[dict[str, Any]] | None = None if found else []
    judged = judge(read_run(scan_run(tmp_path / "run", verdict=verdict, targets=targets)))
    assert all(blind in judged.sure for blind in BLIND)
    said = f"{judged.tag} {judged.sentence} {judged.sure}".lower()
    for claim in ("is clean", "is safe", "has no backdoor", "is free"):
        assert claim not in said


def test_images_that_were_searched_on_or_made_are_called_so(tmp_path: Path) -> None:
    folder = scan_run(tmp_path / "run")
    both = judge(read_run(changed(folder, images={"searched": 60, "judged": 60})))
    assert "29 of 30 clean images, the same that it was searched on, are" in both.evidence
    files = json.loads((folder / "results.json").read_text())["inputs"] | {"clean": None}
    made = judge(read_run(changed(folder, inputs=files)))
    assert "29 of 30 images made from the network and not searched on are" in made.evidence


def test_labels_without_a_trigger_only_stand_out(tmp_path: Path) -> None:
    folder = scan_run(tmp_path / "run")
    bare: list[dict[str, Any]] = [
        {"label": label, "score": 7.0, "families": []} for label in (3, 1)
    ]
    one = judge(read_run(changed(folder, targets=bare[:1], p_value=0.00001)))
    assert plain(one.evidence) == "label 3 stands out among the 5 labels (p < 0.0001)."
    two = judge(read_run(changed(folder, targets=bare)))
    assert plain(two.evidence) == "labels 3 and 1 stand out among the 5 labels (p < 0.0001)."
    none = judge(read_run(changed(folder, targets=[])))
    assert "no label can be named" in none.evidence


def test_a_scan_has_no_numbers_of_a_repair(tmp_path: Path) -> None:
    assert key_figures(read_run(scan_run(tmp_path / "run"))) == ()


def test_a_cure_says_what_was_found_and_what_is_left(tmp_path: Path) -> None:
    verdict = judge(read_run(cure_run(tmp_path / "run")))
    assert (verdict.effect, verdict.tag) == ("removed", "Backdoor taken out")
    assert verdict.finding == "A backdoor for label 0 was found and taken out"
    assert "answers the attacker's target on 1.0 %" in plain(verdict.evidence)
    assert all(blind in verdict.sure for blind in BLIND)


def test_a_cure_without_poison_is_judged_by_what_was_found(tmp_path: Path) -> None:
    verdict = judge(read_run(cure_run(tmp_path / "run", poisoned=False)))
    assert verdict.effect == "removed"
    assert "works on 0.0 % [0.0, 11.6] of clean images with B" in plain(verdict.evidence)
    assert "The attacker's own trigger is not at hand" in plain(verdict.sure)


def test_what_still_works_or_comes_back_is_not_taken_out(tmp_path: Path) -> None:
    folder = cure_run(tmp_path / "run", after=9, stays=True, poisoned=False)
    verdict = judge(read_run(folder))
    assert (verdict.effect, verdict.tag) == ("kept", "Backdoor not taken out")
    assert verdict.finding == "A backdoor for label 0 was found, but not taken out"


def test_a_cure_of_nothing_says_that_nothing_was_changed(tmp_path: Path) -> None:
    verdict = judge(read_run(cure_run(tmp_path / "run", found=False)))
    assert verdict.effect == "no_finding"
    assert verdict.sure.startswith("B' is B, to the last bit. ")
