"""The charts of a report, as SVG that takes its colours from the page."""

from goodnet.report.charts.channels import channels_chart
from goodnet.report.charts.curve import curve_chart
from goodnet.report.charts.epochs import epochs_chart
from goodnet.report.charts.scores import scores_chart
from goodnet.report.charts.svg import Chart
from goodnet.report.charts.towers import towers_chart

__all__ = ["Chart", "channels_chart", "curve_chart", "epochs_chart", "scores_chart", "towers_chart"]
