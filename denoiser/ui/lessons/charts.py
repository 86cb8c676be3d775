"""Plotly figures of the lessons: pure functions that know nothing of the page."""

import textwrap

import plotly.graph_objects as go

from denoiser.lessons.base import Chart
from denoiser.ui.common.charts import TEXT, look, numbered_look, with_legend_below

_HEIGHT = 300  # pixels without title and legend
_TITLE_LINE = 20  # pixels
_TITLE_LETTERS = 42  # as many as a phone has room for
_TICKS = (0.01, 0.1, 1, 10, 100, 1000)
_FINE_TICKS = (0.1, 0.3, 1, 3, 10, 30, 100)  # where the axis spans less than three powers of ten
_AXIS = 55  # pixels for the horizontal axis with its title


def draw_chart(chart: Chart) -> go.Figure:
    """Draw a lesson's chart, with its legend below: one name a line, so that a phone cuts none."""
    figure = go.Figure()
    for index, line in enumerate(chart.lines):
        drawn = numbered_look(index) if line.method is None else look(line.method)
        modes = [name for name, is_on in (("lines", line.line), ("markers", line.dots)) if is_on]
        figure.add_scatter(
            x=list(line.x),
            y=list(line.y),
            name=line.label,
            mode="+".join(modes),
            **drawn.curve,
            hovertemplate="%{x:.3g}: %{y:.4g}<extra>" + line.label + "</extra>",
        )
    for index, mark in enumerate(chart.marks):
        figure.add_vline(
            x=mark.x,
            line={"color": TEXT, "width": 1, "dash": "dash"},
            annotation={"text": mark.label, "yshift": -15 * index, "xshift": 3},
        )
    title = textwrap.wrap(chart.title, _TITLE_LETTERS)
    top = len(title) * _TITLE_LINE + 20
    figure.update_layout(
        title={
            "text": "<br>".join(title),
            "font": {"size": 14},
            "x": 0.5,
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 10},
        },
    )
    figure.update_xaxes(title=chart.x_label)
    if chart.log_x:
        places = [x for line in chart.lines for x in line.x]
        is_short = bool(places) and max(places) < 1000 * min(places)
        figure.update_xaxes(type="log", tickvals=_FINE_TICKS if is_short else _TICKS)
    figure.update_yaxes(title=chart.y_label)
    return with_legend_below(figure, None, _HEIGHT + top + _AXIS, top, _AXIS)
