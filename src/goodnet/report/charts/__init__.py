"""The charts of a report: each described once, then drawn for a page or a file."""

from goodnet.report.charts.channels import channels_chart
from goodnet.report.charts.chart import NARROW, WIDE, Chart, Width
from goodnet.report.charts.comparison import comparison_chart, groups_of
from goodnet.report.charts.curve import curve_chart
from goodnet.report.charts.epochs import epochs_chart
from goodnet.report.charts.figure import save
from goodnet.report.charts.scores import is_spread, scores_chart
from goodnet.report.charts.svg import both_widths, to_svg

__all__ = [
    "NARROW",
    "WIDE",
    "Chart",
    "Width",
    "both_widths",
    "channels_chart",
    "comparison_chart",
    "curve_chart",
    "epochs_chart",
    "groups_of",
    "is_spread",
    "save",
    "scores_chart",
    "to_svg",
]
