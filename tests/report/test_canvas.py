"""The look of the pictures, whatever the user's own settings are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.figure import Figure

from goodnet.report import canvas

if TYPE_CHECKING:
    from pathlib import Path


def test_the_look_comes_and_goes() -> None:
    with matplotlib.rc_context({"font.size": 40, "lines.linewidth": 9}):
        with canvas.look():
            assert matplotlib.rcParams["font.size"] == 12
            assert (
                matplotlib.rcParams["lines.linewidth"]
                == matplotlib.rcParamsDefault["lines.linewidth"]
            )
        assert matplotlib.rcParams["font.size"] == 40


def test_each_part_has_a_colour_of_its_own() -> None:
    assert len(set(canvas.ROLES.values())) == len(canvas.ROLES)


def test_letters_are_smaller_on_a_phone() -> None:
    with canvas.look(narrow=True):
        assert matplotlib.rcParams["font.size"] == canvas.SMALL == 11


def test_names_keep_the_letters_of_the_font_and_spell_out_the_rest() -> None:
    assert canvas.name("é $x$ <b> 中\n") == "é $x$ <b> \\u4e2d\\n"


def test_a_picture_holds_no_date_and_no_program(tmp_path: Path) -> None:
    with canvas.look():
        canvas.save(Figure(figsize=(1, 1)), tmp_path / "picture.tmp")
    data = (tmp_path / "picture.tmp").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert not any(chunk in data for chunk in (b"tEXt", b"iTXt", b"tIME"))


def test_a_drawing_holds_no_date_and_no_program(tmp_path: Path) -> None:
    with canvas.look():
        canvas.save_vector(Figure(figsize=(1, 1)), tmp_path / "drawing.tmp")
    text = (tmp_path / "drawing.tmp").read_text(encoding="utf-8")
    assert "<svg" in text
    assert "atplotlib" not in text
    assert "date" not in text


def test_the_width_of_a_text_is_the_width_it_is_drawn_with() -> None:
    with canvas.look():
        figure = canvas.blank()
        width = canvas.text_width(figure, "clean accuracy")
        text = figure.text(0, 0, "clean accuracy")
        figure.set_size_inches(5, 5)
        assert text.get_window_extent().width * canvas.UNITS / figure.dpi == width
        assert figure.texts == [text]


def test_pictures_leave_pyplot_alone_and_importing_them_is_light(tmp_path: Path) -> None:
    code = """
import sys, pathlib
import goodnet.report.charts, goodnet.report.plots, goodnet.report.plots
import goodnet.report.exports, goodnet.report.sheet, goodnet.report.tables
assert not {"matplotlib", "PIL", "scipy", "torch"} & set(sys.modules)
goodnet.report.plots.plot_comparison({}, pathlib.Path(sys.argv[1]))
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)
