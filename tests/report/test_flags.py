"""Labels of vertical marks: none covers another, each reaches its mark."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from goodnet.report.flags import Flag, place_flags

SPAN = (0.0, 900.0)
GAP = 5.0

marks_and_widths = st.lists(st.tuples(st.floats(0, 900), st.floats(10, 250)), max_size=12).map(
    lambda pairs: sorted(pairs)
)


@given(marks_and_widths)
def test_labels_of_a_row_keep_apart_and_reach_their_marks(
    pairs: list[tuple[float, float]],
) -> None:
    marks, widths = [mark for mark, _ in pairs], [width for _, width in pairs]
    flags = place_flags(marks, widths, span=SPAN, gap=GAP)
    boxes = [
        (flag.row, flag.left, flag.left + width) for flag, width in zip(flags, widths, strict=True)
    ]
    for mark, (_, left, right) in zip(marks, boxes, strict=True):
        assert SPAN[0] <= left <= mark + 1e-9
        assert mark - 1e-9 <= right <= SPAN[1] + 1e-9
    for (row, left, right), (other, start, end) in combinations(boxes, 2):
        assert row != other or right + GAP <= start + 1e-9 or end + GAP <= left + 1e-9


def test_close_marks_make_a_staircase_that_no_mark_crosses() -> None:
    assert place_flags([300, 310, 320], [100] * 3, span=SPAN, gap=GAP) == [
        Flag(200, 0),
        Flag(210, 1),
        Flag(220, 2),
    ]


def test_at_the_left_edge_the_labels_stand_to_the_right() -> None:
    assert place_flags([0, 10, 20], [100] * 3, span=SPAN, gap=GAP) == [
        Flag(0, 2),
        Flag(10, 1),
        Flag(20, 0),
    ]


def test_a_label_stays_above_a_mark_that_rises_through_its_row() -> None:
    # The second mark rises through row 0 at 60: the third label, 56 to 96, must go above it.
    flags = place_flags([50, 60, 96], [40, 40, 40], span=SPAN, gap=GAP)
    assert [flag.row for flag in flags] == [0, 1, 2]


def test_no_marks_need_no_flags() -> None:
    assert place_flags([], [], span=SPAN, gap=GAP) == []
