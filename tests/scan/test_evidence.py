from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from goodnet.scan.evidence import Evidence, apart, economy, leads, scores, standings
from goodnet.scan.families import FAMILIES, Kind
from goodnet.scan.null import ALL, DISTANCE, LEAST, beyond_usual, p_value, score_at

KINDS: tuple[Kind, ...] = ("fine", "patch", "patch", "band")


def drawn(seed: int, classes: int = 12, families: int = 4) -> Evidence:
    random = np.random.default_rng(seed)
    margins = random.exponential(5, (families, classes)) - 2
    shifts = random.uniform(1, 3, (families, classes))
    shifts[:, :2] = np.nan
    return Evidence(margins, shifts, 1.5, KINDS[:families], random.exponential(5, classes))


@given(st.integers(0, 999), st.integers(2, 20))
def test_numbering_the_classes_anew_numbers_the_scores_anew(seed: int, classes: int) -> None:
    evidence = drawn(seed, classes)
    order = np.random.default_rng(seed).permutation(classes)
    other = Evidence(
        evidence.margins[:, order],
        evidence.shifts[:, order],
        evidence.unit,
        evidence.kinds,
        evidence.distances[order],
    )
    np.testing.assert_allclose(scores(other), scores(evidence)[order])


@given(st.integers(0, 999), st.floats(0.01, 100))
def test_the_unit_of_logits_does_not_matter(seed: int, factor: float) -> None:
    evidence = drawn(seed)
    scaled = replace(evidence, margins=factor * evidence.margins, unit=factor * evidence.unit)
    np.testing.assert_allclose(scores(scaled), scores(evidence), rtol=1e-6, atol=1e-9)


def test_a_lead_is_counted_in_spreads_and_in_usual_margins() -> None:
    margins = np.array([[9.0, 3.0, 2.0, 2.0, 1.0, 0.0]])
    found = leads(Evidence(margins, np.ones_like(margins), 1.0, ("fine",), np.ones(6)))
    spread = (3 - 0) / (1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) + 0.075 * 4
    assert found[0, 0] == pytest.approx(6 / spread + 6 / 3)
    assert not found[0, 1:].any()


def test_spacings_of_exponential_margins_lead_by_about_one() -> None:
    random = np.random.default_rng(0)
    margins = 100 * random.exponential(1, (4000, 200))
    found = leads(Evidence(margins, np.ones_like(margins), 1e-9, ("fine",) * 4000, np.ones(200)))
    ordered = -np.sort(-margins, axis=1)
    usual = (ordered[:, :1] - ordered[:, 1:2]) / np.abs(ordered[:, 3:4])
    spreads = found.max(1) - usual[:, 0].clip(0, 5)
    # The floor of the spread takes a little off, the few labels it is from add a little.
    assert 0.7 < spreads.mean() < 1.1


def test_economy_is_for_those_that_were_climbed_to_the_end() -> None:
    evidence = drawn(1)
    assert not economy(evidence)[:, :2].any()
    cheap = evidence.shifts.copy()
    cheap[:, 5] = 0.01
    found = economy(replace(evidence, margins=np.abs(evidence.margins) + 1, shifts=cheap))
    assert (found[:, 5] == 2.5).all()


def test_labels_that_are_left_out_have_no_lead() -> None:
    evidence = drawn(2)
    first = int(leads(evidence)[0].argmax())
    without = evidence.without([first])
    assert leads(without)[0, first] == 0
    assert economy(without)[0, first] == 0
    assert leads(without)[0].max() > 0
    assert np.isfinite(evidence.margins).all(), "the evidence itself stays"


def nothing(value: float) -> NDArray[np.float64]:
    return np.full((3, 4), value)


@pytest.mark.parametrize("margins", [nothing(0.0), nothing(-7.0)])
def test_equal_margins_give_no_lead(margins: NDArray[np.float64]) -> None:
    found = standings(Evidence(margins, np.ones_like(margins), 1.0, KINDS[:3], np.ones(4)))
    assert not any(values.any() for values in found.values())


def test_a_score_is_what_is_beyond_the_usual_in_all_kinds() -> None:
    evidence = drawn(3)
    margins = evidence.margins.copy()
    margins[1:3, 4] = 200.0
    found = replace(evidence, margins=margins)
    standing = standings(found)
    assert set(standing) == {ALL, DISTANCE, "fine", "patch", "band"}
    assert int(standing["patch"].argmax()) == 4
    beyond = [beyond_usual(name, values)[4] for name, values in standing.items()]
    assert scores(found)[4] == pytest.approx(sum(max(value, 0) for value in beyond))
    assert int(scores(found).argmax()) == 4


def test_every_kind_of_triggers_has_its_usual() -> None:
    for family in FAMILIES:
        assert np.isfinite(beyond_usual(family.kind, np.zeros(2))).all()


@given(st.floats(0.0011, 0.9), st.integers(2, 20_000))
def test_a_score_has_the_p_value_it_was_asked_for(p: float, classes: int) -> None:
    assert p_value(score_at(p, classes), classes) == pytest.approx(p)


@given(st.floats(-10, 50), st.floats(0, 5), st.integers(2, 20_000))
def test_larger_scores_are_never_more_probable(score: float, more: float, classes: int) -> None:
    assert LEAST <= p_value(score + more, classes) <= p_value(score, classes) <= 1


@given(st.floats(0.0011, 0.3), st.integers(2, 10_000))
def test_among_more_classes_less_is_needed(p: float, classes: int) -> None:
    assert score_at(p, 2 * classes) <= score_at(p, classes)


def test_labels_without_a_trigger_score_nothing() -> None:
    evidence = drawn(4)
    margins = evidence.margins.copy()
    margins[:, 0] = 500.0
    assert scores(replace(evidence, margins=margins))[0] == 0


def test_a_distance_counts_in_spreads_of_the_others() -> None:
    distances = np.array([9.0, 10.0, 11.0, 12.0, 13.0, 30.0, np.nan])
    found = apart(distances)
    spread = 1.4826 * 1.5 + 0.1 * 11.5
    np.testing.assert_allclose(found[:6], (distances[:6] - 11.5) / spread)
    assert found[6] == 0
    assert apart(np.append(distances, 1e6)).max() == 12
    assert not apart(distances[2:]).any(), "five are too few to compare"
