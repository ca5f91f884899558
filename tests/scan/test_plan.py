from __future__ import annotations

import planted_badnets as planted
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from goodnet.errors import UsageError
from goodnet.scan import Scan
from goodnet.scan.case import open_case
from goodnet.scan.families import FAMILIES
from goodnet.scan.plan import USUAL, Plan, effort_for
from goodnet.scan.search import search
from goodnet.scan.subject import Subject

CLASSES = 6


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject.of(planted.watched()[0])


def passes(plan: Plan, subject: Subject) -> float:
    return plan.passes(subject, FAMILIES, CLASSES)


def test_the_whole_effort_is_the_usual_plan() -> None:
    assert Plan.of(1.0) == USUAL


@given(st.floats(0.001, 1), st.floats(0.001, 1))
def test_less_effort_tries_no_more(one: float, other: float) -> None:
    less, more = Plan.of(min(one, other)), Plan.of(max(one, other))
    stages = zip((*less.first, less.second), (*more.first, more.second), strict=True)
    assert all(a.passes <= b.passes for a, b in stages)
    assert less.last_of(1000).passes <= more.last_of(1000).passes
    assert less.derived <= more.derived
    assert less.places(10) <= more.places(10)


def test_some_triggers_are_tried_however_little_effort() -> None:
    least = Plan.of(1e-9)
    assert all(stage.triggers > 0 for stage in (*least.first, least.second, least.last))
    assert least.places(1283) == (1, 1)
    assert least.derived == 2


@pytest.mark.parametrize("effort", [1.0, 0.2])
def test_a_plan_tells_about_how_many_images_run(effort: float) -> None:
    network, _ = planted.watched()
    case = open_case(
        network, planted.clean_images(network), layer=None, generator=torch.Generator()
    )
    subject, run = case.subject, []

    def count(_module: nn.Module, given: tuple[Tensor], _found: Tensor) -> None:
        run.append(len(given[0]) * (1 if torch.is_grad_enabled() else 1 / 3))

    subject.head.register_forward_hook(count)
    labels, generator = torch.arange(CLASSES), torch.Generator().manual_seed(0)
    plan = Plan.of(effort)
    search(subject, FAMILIES, case.search, labels=labels, generator=generator, plan=plan)
    # A network for small images has fewer places to try patches at.
    assert passes(plan, subject) / 2 < sum(run) < 1.1 * passes(plan, subject)


def test_the_effort_is_what_the_time_allows(subject: Subject) -> None:
    assert effort_for(subject, FAMILIES, CLASSES, seconds=1e9) == 1
    assert effort_for(subject, FAMILIES, CLASSES, seconds=1e-9) == 0.02


def test_the_effort_fits_the_speed(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goodnet.scan.plan._speed", lambda _subject: 100.0)
    half = passes(Plan.of(0.5), subject)
    found = effort_for(subject, FAMILIES, CLASSES, seconds=half / 100)
    assert found == pytest.approx(0.5, abs=0.02)
    assert passes(Plan.of(found), subject) <= half


def test_with_little_time_a_finding_is_suspicious_and_says_why() -> None:
    network, _ = planted.watched()
    result = Scan(minutes=1e-6)(network, planted.clean_images(network))
    assert result.verdict == "suspicious"
    assert [target.label for target in result.targets] == [2]
    assert result.p_value is None
    assert result.targets[0].p_value is None
    assert "a search that tries less than usual was not measured" in result.null
    assert "only 2% of the usual triggers were tried" in result.notes
    assert result.options["effort"] == 0.02
    assert result.options["minutes"] is None


def test_with_little_effort_nothing_found_says_nothing() -> None:
    network = planted.linear(target=None)
    result = Scan(effort=0.05)(network, planted.clean_images(network))
    assert result.verdict == "inconclusive"
    assert result.targets == ()


def test_with_time_enough_a_limit_changes_nothing() -> None:
    network, _ = planted.watched()
    images = planted.clean_images(network)
    limited, free = (Scan(minutes=each)(network, images) for each in (1e6, None))
    assert limited.verdict == free.verdict == "backdoored"
    assert (limited.scores == free.scores).all()
    assert limited.options == free.options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effort": 0.0}, "an effort above 0, at most 1, got 0"),
        ({"effort": 1.5}, "an effort above 0, at most 1, got 1.5"),
        ({"minutes": 0.0}, "minutes above 0, got 0"),
        ({"minutes": float("nan")}, "a number as minutes, got nan"),
    ],
)
def test_wrong_limits_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Scan(**options)  # type: ignore[arg-type]
