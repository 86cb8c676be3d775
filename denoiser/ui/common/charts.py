"""The one style of all charts: colours, symbols, legends."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from denoiser.analysis.results import NOISY
from denoiser.denoisers.registry import list_denoisers

# Grays and hues of middling lightness: about 4.4:1 against white and against a dark page alike.
TEXT = "#787878"
GRID = "rgba(128, 128, 128, 0.25)"
NOISY_COLOUR = "#9a9a9a"

SIDE = 75  # pixels for the vertical axis and the right margin

LETTER = 6.3  # pixels of one letter at size 12, in a wide font

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
    )
    if figure.layout.margin.t is None:
        figure.update_layout(margin={"l": 10, "r": 10, "t": 30, "b": 25})
    figure.update_annotations(font={"size": 13, "color": TEXT})
    return figure


NARROW = 700
"""Charts for fewer pixels are for a phone."""


# At least 3:1 against white and against a dark page. Seven and eight make 56 different pairs.
COLOURS = ("#3f7fd0", "#d06a1e", "#1f9d61", "#c2559d", "#8f8a2a", "#8467d7", "#1b98a8")


SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "triangle-down",
    "star",
    "hexagram",
)


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


def looks(method_ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """Give every method of a chart, and the noisy picture, a colour and a symbol.

    A method has those of the benchmark's charts unless its colour is taken by one that is listed before
    it: then it has the next colour that fewest have. No two have both in common.

    Args:
        method_ids: What is drawn.
    """
    places = {name: index for index, name in enumerate(list_denoisers())}
    order = {name: places.get(name, len(places)) for name in method_ids if name != NOISY}
    styles: dict[str, dict[str, str]] = {NOISY: {"color": NOISY_COLOUR, "symbol": "x"}}
    for name, index in sorted(order.items(), key=lambda item: item[1]):
        colour_counts = Counter(look["color"] for look in styles.values())
        colour = min(_from(COLOURS, index), key=colour_counts.__getitem__)
        symbols = [look["symbol"] for look in styles.values() if look["color"] == colour]
        symbol = min(_from(SYMBOLS, index), key=symbols.count)
        styles[name] = {"color": colour, "symbol": symbol}
    return styles


def _from(offered: Sequence[str], index: int) -> Sequence[str]:
    """Return all of a round, beginning at a place in it."""
    first = index % len(offered)
    return [*offered[first:], *offered[:first]]
