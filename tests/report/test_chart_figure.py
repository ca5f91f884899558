"""Charts as figures: their look whatever the user's own is, and labels that reach their marks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import matplotlib
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from goodnet.report.charts import NARROW, WIDE, Chart, chart
from goodnet.report.charts.figure import (
    UNITS,
    Place,
    draw,
    look,
    place_labels,
    save,
    save_png,
    text_width,
)

if TYPE_CHECKING:
    from pathlib import Path


EMPTY = Chart(WIDE, "", "", ("", ""), panels=(), depth=10)
SPAN, GAP = (0.0, 900.0), 5.0

marks_and_widths = st.lists(st.tuples(st.floats(0, 900), st.floats(10, 250)), max_size=12).map(
    lambda pairs: sorted(pairs)
)


def test_the_look_comes_and_goes() -> None:
    with matplotlib.rc_context({"font.size": 40, "lines.linewidth": 9}):
        with look():
            assert matplotlib.rcParams["font.size"] == 12
            assert (
                matplotlib.rcParams["lines.linewidth"]
                == matplotlib.rcParamsDefault["lines.linewidth"]
            )
        assert matplotlib.rcParams["font.size"] == 40


def test_each_part_has_a_colour_of_its_own() -> None:
    assert len(set(chart.ROLES.values())) == len(chart.ROLES)


def test_letters_are_smaller_on_a_phone() -> None:
    with look(NARROW):
        assert matplotlib.rcParams["font.size"] == chart.SMALL == 11


def test_names_keep_the_letters_of_the_font_and_spell_out_the_rest() -> None:
    assert chart.name("é $x$ <b> 中\n") == "é $x$ <b> \\u4e2d\\n"


def test_a_picture_holds_no_date_and_no_program(tmp_path: Path) -> None:
    with look():
        save_png(Figure(figsize=(1, 1)), tmp_path / "picture.tmp")
    data = (tmp_path / "picture.tmp").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert not any(chunk in data for chunk in (b"tEXt", b"iTXt", b"tIME"))


def test_a_drawing_holds_no_date_and_no_program(tmp_path: Path) -> None:
    save(EMPTY, tmp_path / "drawing.png")
    text = (tmp_path / "drawing.svg").read_text(encoding="utf-8")
    assert "<svg" in text
    assert "atplotlib" not in text
    assert "date" not in text


def test_the_width_of_a_text_is_the_width_it_is_drawn_with() -> None:
    figure = draw(replace(EMPTY, captions=[chart.Caption("clean accuracy", 0, 0, title=True)]))
    (text,) = figure.texts
    width = text_width(["a", "clean accuracy"], WIDE, fontweight="bold")
    assert text.get_window_extent().width * UNITS / figure.dpi == width


def test_pictures_leave_pyplot_alone_and_importing_them_is_light(tmp_path: Path) -> None:
    code = """
import sys, pathlib
import goodnet.report.charts, goodnet.report.exports
import goodnet.report.contact_sheet, goodnet.report.tables
assert not {"matplotlib", "PIL", "scipy", "torch"} & set(sys.modules)
goodnet.report.exports.plot_comparison({}, pathlib.Path(sys.argv[1]))
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)


@given(marks_and_widths)
def test_labels_of_a_row_keep_apart_and_reach_their_marks(
    pairs: list[tuple[float, float]],
) -> None:
    marks, widths = [mark for mark, _ in pairs], [width for _, width in pairs]
    places = place_labels(marks, widths, span=SPAN, gap=GAP)
    boxes = [
        (place.row, place.left, place.left + width)
        for place, width in zip(places, widths, strict=True)
    ]
    for mark, (_, left, right) in zip(marks, boxes, strict=True):
        assert SPAN[0] <= left <= mark + 1e-9
        assert mark - 1e-9 <= right <= SPAN[1] + 1e-9
    for (row, left, right), (other, start, end) in combinations(boxes, 2):
        assert row != other or right + GAP <= start + 1e-9 or end + GAP <= left + 1e-9


def test_close_marks_make_a_staircase_that_no_mark_crosses() -> None:
    assert place_labels([300, 310, 320], [100] * 3, span=SPAN, gap=GAP) == [
        Place(200, 0),
        Place(210, 1),
        Place(220, 2),
    ]


def test_at_the_left_edge_the_labels_stand_to_the_right() -> None:
    assert place_labels([0, 10, 20], [100] * 3, span=SPAN, gap=GAP) == [
        Place(0, 2),
        Place(10, 1),
        Place(20, 0),
    ]


def test_a_label_stays_above_a_mark_that_rises_through_its_row() -> None:
    # The second mark rises through row 0 at 60: the third label, 56 to 96, must go above it.
    places = place_labels([50, 60, 96], [40, 40, 40], span=SPAN, gap=GAP)
    assert [place.row for place in places] == [0, 1, 2]


def test_no_marks_need_no_labels() -> None:
    assert place_labels([], [], span=SPAN, gap=GAP) == []
