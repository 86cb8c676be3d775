"""The one style of all charts: how a method is drawn, legends, axes."""

import math
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from denoiser.analysis.results import NOISY
from denoiser.denoisers.registry import list_denoisers

# Of middling lightness, so that lines have 3:1 against white and against a dark page alike. Text needs
# more, which no gray has on both: page.css gives it the theme's own colour.
TEXT = "#787878"
GRID = "rgba(128, 128, 128, 0.25)"
NOISY_COLOUR = "#808080"

SIDE = 75  # pixels for the vertical axis and the right margin

LETTER = 6.3  # pixels of one letter at size 12, in a wide font

NOTE = 13  # size of what is written into a chart

_LEGEND_LINE = 19  # pixels

_LEGEND_SYMBOL = 50  # pixels of a legend's symbol and the gap after it


def with_legend_below(
    figure: go.Figure, width: int | None, height: int, top: int, axis: int
) -> go.Figure:
    """Put the legend below, with room for all of it, style the figure, and return it.

    Plotly's own layout of a legend would cut into the plot.

    Args:
        figure: What to finish.
        width: Of the figure, in pixels; None for one name a line, which fits any.
        height: Of the figure without its legend, in pixels.
        top: Pixels above the plot.
        axis: Pixels for the horizontal axis with its title.
    """
    names = [trace.name for trace in figure.data if trace.name and trace.showlegend is not False]
    entry = _LEGEND_SYMBOL + math.ceil(max(map(len, names), default=0) * LETTER)
    per_line = 1 if width is None else max(1, (width - SIDE + 10) // entry)  # as many as Plotly fits
    lines = math.ceil(len(names) / per_line)
    legend = _LEGEND_LINE * lines + 12
    figure.update_layout(
        height=height + legend,
        margin={"l": 10, "r": 15, "t": top, "b": axis + legend},
        legend={
            "orientation": "v" if width is None else "h",
            "maxheight": 2 * height + legend,  # whatever it needs; by default, half the figure
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
            "entrywidth": entry - _LEGEND_SYMBOL + 10,
            "tracegroupgap": 0,  # a legend in groups would be higher
            "font": {"size": 12},
        },
        showlegend=True,
    )
    figure.update_yaxes(automargin=True)
    return styled(figure)


def styled(figure: go.Figure) -> go.Figure:
    """Give a figure the page's text and background, and return it."""
    figure.update_layout(
        template="none",  # the default one would travel with every figure
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font={"color": TEXT, "size": 12, "family": "system-ui, sans-serif"},
        dragmode=False,  # on a phone, dragging over a chart has to scroll the page
        hoverlabel={"bgcolor": "#282828", "bordercolor": TEXT, "font": {"color": "#ffffff"}},
        # page.css puts it above the chart, where it covers nothing.
        modebar={
            "bgcolor": "rgba(0, 0, 0, 0)",
            "color": TEXT,
            "activecolor": COLOURS[0],
            "remove": ["select2d", "lasso2d", "autoScale2d"],
        },
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, title_standoff=8)
    figure.update_yaxes(gridcolor=GRID, zeroline=False)
    figure.update_traces(cliponaxis=False, selector={"type": "scatter"})  # whole symbols at the edge
    if figure.layout.margin.t is None:
        figure.update_layout(margin={"l": 10, "r": 10, "t": 30, "b": 25})
    figure.update_annotations(font={"size": NOTE, "color": TEXT})
    return figure


NARROW = 700
"""Charts for fewer pixels are for a phone."""


COLOURS = ("#1873cd", "#b44302", "#137352", "#349fca", "#974987", "#b98e14")
"""Okabe and Ito's blue, vermillion, green, sky blue, purple and orange; no yellow.

Each as near to theirs as 3:1 against a white and a dark page allows, and all of them, and gray, told
apart without red or green cones, too.

References:
    M. Okabe and K. Ito, Color Universal Design, 2008, https://jfly.uni-koeln.de/color.
"""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star")


@dataclass(frozen=True)
class Look:
    """How a line and its points are drawn.

    Attributes:
        color: One of :data:`COLOURS`, or a gray.
        dash: Pattern of the line.
        symbol: Of the points.
        width: Of the line, in pixels.
        size: Of the points, in pixels.
        layer: What has a higher one is drawn above.
    """

    color: str
    dash: str
    symbol: str
    width: float = 2.0
    size: float = 8.0
    layer: int = 0

    @property
    def marker(self) -> dict[str, Any]:
        """A trace's ``marker``."""
        return {"color": self.color, "symbol": self.symbol, "size": self.size}

    @property
    def line(self) -> dict[str, Any]:
        """A trace's ``line``."""
        return {"color": self.color, "dash": self.dash, "width": self.width}

    @property
    def curve(self) -> dict[str, Any]:
        """What a trace of lines and points needs."""
        return {"line": self.line, "marker": self.marker, "zorder": self.layer}


def numbered_look(number: int) -> Look:
    """Return the look of the first, second and so on of whatever is drawn, counted from 0.

    Any two of the first thirty differ in two of colour, dash and symbol. What lies on another line does
    not hide it: of two lines without gaps the upper is thinner, and one with gaps is above one without.
    """
    row, column = divmod(number, len(COLOURS))
    colour = (column + row) % len(COLOURS)
    dash = row % len(DASHES)
    return Look(
        COLOURS[colour],
        DASHES[dash],
        SYMBOLS[(colour + 2 * dash) % len(SYMBOLS)],
        width=3.3 - 0.3 * colour,
        size=10.5 - 0.5 * colour,
        layer=1 + len(COLOURS) * dash + colour,
    )


def look(method_id: str) -> Look:
    """Return how a method, or the noisy picture, is drawn: the same in every chart."""
    if method_id == NOISY:
        return Look(NOISY_COLOUR, "dash", "x")
    methods = list_denoisers(colour=True)
    return numbered_look(methods.index(method_id) if method_id in methods else len(methods))


def wrapped(label: str) -> str:
    """Break a long name in two: after its comma, or else at the space nearest its middle."""
    if len(label) <= 16:
        return label
    breaks = [i for i, letter in enumerate(label) if letter == " "]
    commas = [i for i in breaks if label[i - 1] == ","]
    places = commas or breaks
    if not places:
        return label
    place = min(places, key=lambda i: abs(i - len(label) / 2))
    return f"{label[:place]}<br>{label[place + 1 :]}"
