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
            assert matplotlib.rcParams["font.size"] == 9.5
            assert (
                matplotlib.rcParams["lines.linewidth"]
                == matplotlib.rcParamsDefault["lines.linewidth"]
            )
        assert matplotlib.rcParams["font.size"] == 40


def test_names_keep_the_letters_of_the_font_and_spell_out_the_rest() -> None:
    assert canvas.name("é $x$ <b> 中\n") == "é $x$ <b> \\u4e2d\\n"


def test_a_picture_holds_no_date_and_no_program(tmp_path: Path) -> None:
    with canvas.look():
        canvas.save(Figure(figsize=(1, 1)), tmp_path / "picture.tmp")
    data = (tmp_path / "picture.tmp").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert not any(chunk in data for chunk in (b"tEXt", b"iTXt", b"tIME"))


def test_pictures_leave_pyplot_alone_and_importing_them_is_light(tmp_path: Path) -> None:
    code = """
import sys, pathlib
import goodnet.report.comparison_plot, goodnet.report.curve_plot, goodnet.report.sheet
assert not {"matplotlib", "PIL", "scipy", "torch"} & set(sys.modules)
goodnet.report.comparison_plot.plot_comparison({}, pathlib.Path(sys.argv[1]))
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)
