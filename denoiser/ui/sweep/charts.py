"""Plotly figures of sweeps: pure functions that know nothing of the page that shows them.

A figure is made for a width in pixels, because plotly cuts a legend that has too little room.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from denoiser.analysis.repeats import Spread, spread
from denoiser.analysis.results import NOISY
from denoiser.analysis.sweeps import SEED, Axis
from denoiser.pipeline import SweepPoint
from denoiser.ui.common.charts import (
    NARROW,
    TEXT,
    Look,
    look,
    styled,
    with_legend_below,
    wrapped,
)

METRICS: Mapping[str, tuple[str, int]] = {
    "psnr": ("PSNR in dB", 2),
    "ssim": ("SSIM", 3),
    "gain": ("Gain over noisy, in dB", 2),
    "sharpness": ("Sharpness (clean: 1)", 3),
}
"""What a chart can show: its name, and how many decimals mean something."""

PATH = "path"
"""The two of them that :func:`path_chart` shows."""

_CHART = 400  # pixels of the curves: without noise they begin far above the rest
_LANE = 13  # pixels of one network's training range
_LANES = 34  # pixels above the lanes, for their heading
_AXIS = 55  # pixels for the axis with its title
_TOP = 26  # pixels above, for the names of the marks
_ROW = 46  # pixels of one method's repeated draws


def metric_value(point: SweepPoint, method_id: str, metric: str) -> float | None:
    """Return what a chart draws for a method: None where there is nothing finite to draw."""
    if method_id not in point.psnr:
        return None
    value = point.gain(method_id) if metric == "gain" else getattr(point, metric)[method_id]
    return value if value is not None and math.isfinite(value) else None


def sweep_chart(
    axis: Axis,
    points: Sequence[SweepPoint],
    labels: Mapping[str, str],
    metric: str,
    width: int,
    *,
    trained: Mapping[str, tuple[float, float]] | None = None,
) -> go.Figure:
    """Draw a metric along a sweep; the noisy picture is the dashed gray line.

    The horizontal axis is that of the finished sweep, so that curves grow into a frame that stays. Where
    a place was computed with several seeds, the curve is their mean and the bars are their standard
    deviation.

    Args:
        axis: What the sweep goes along.
        points: Its points so far.
        labels: Names by id of all that is drawn, the noisy picture included.
        metric: A key of :data:`METRICS`.
        width: Of the chart, in pixels.
        trained: Which part of the axis a network was trained on, by id.
    """
    ranges = {name: ends for name, ends in (trained or {}).items() if name in labels}
    figure, lanes = _frame(ranges)
    for name, label in labels.items():
        add = partial(_add_draws, axis=axis) if axis.id == SEED else _add_curve
        add(figure, points, name, label, metric)
    digits = METRICS[metric][1]
    # On a phone a label would cover the chart; the numbers stand below the pictures.
    hover = f"%{{fullData.name}}: %{{y:.{digits}f}}<extra></extra>"
    figure.update_traces(hovertemplate=hover, selector={"hoverinfo": None})
    _add_lanes(figure, axis, ranges, labels)
    for value, text in axis.marks:
        _add_mark(figure, axis, value, text)
    _place_axis(figure, axis, width)
    figure.update_xaxes(title=axis.label, row=2 if ranges else 1, col=1)
    figure.update_yaxes(title=METRICS[metric][0], row=1, col=1)
    figure.update_layout(hovermode="x unified" if width >= NARROW else "x")
    if width < NARROW:
        figure.update_traces(hoverinfo="none", hovertemplate=None, selector={"hoverinfo": None})
    return _finished(figure, width, _CHART + lanes)


def path_chart(
    axis: Axis,
    points: Sequence[SweepPoint],
    labels: Mapping[str, str],
    width: int,
    *,
    flat: Iterable[str] = (),
) -> go.Figure:
    """Draw how sharp each method is against how close: the way that one face takes along a sweep.

    Each marker knows its place on the sweep's axis (``customdata``), and the layout that a pointer along
    the horizontal axis would mean nothing (``meta``). Draws of one place are a cloud, not a way.

    Args:
        axis: What the sweep goes along.
        points: Its points so far.
        labels: Names by id of all that is drawn, the noisy picture included.
        width: Of the chart, in pixels.
        flat: Ids of methods that stay where they are by nature.

    References:
        Y. Blau and T. Michaeli, CVPR 2018, doi:10.1109/CVPR.2018.00652: the plane, there with a distance
        between sets of pictures, which a single face has none of.
    """
    figure, still = go.Figure(), {*flat, NOISY}
    for name, label in labels.items():
        psnr, sharpness = (_by_place(points, name, metric) for metric in ("psnr", "sharpness"))
        figure.add_scatter(
            x=[value for value, _ in psnr.values()],
            y=[value for value, _ in sharpness.values()],
            customdata=list(psnr),
            name=label,
            mode="markers" if axis.id == SEED else "lines+markers",
            **look(name).curve,
            hovertemplate=(
                f"%{{fullData.name}}<br>{axis.label}: %{{customdata:g}}<br>"
                "PSNR %{x:.2f} dB, sharpness %{y:.3f}<extra></extra>"
            ),
        )
    moving = [trace for name, trace in zip(labels, figure.data, strict=True) if name not in still]
    if len(moving) == 1:  # more would cover each other
        _name_ends(figure, moving[0])
    figure.add_hline(1, line={"color": TEXT, "dash": "dot", "width": 1.5})
    text = {"text": "as sharp as clean", "showarrow": False, "xanchor": "left", "yanchor": "bottom"}
    figure.add_annotation(text, xref="x domain", x=0, y=0)  # the logarithm of 1
    figure.update_xaxes(title="PSNR in dB → closer")
    # A logarithm: noise is many times as sharp, and half and twice are equally far from 1.
    ticks = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50]
    figure.update_yaxes(title=METRICS["sharpness"][0], type="log")
    figure.update_yaxes(tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    figure.update_layout(hovermode="closest", meta=PATH)
    return _finished(figure, width, _CHART)


def repeats_chart(
    points: Sequence[SweepPoint], labels: Mapping[str, str], metric: str, width: int
) -> go.Figure:
    """Draw every draw of every method, and its mean with two bars.

    The thick bar is the standard error, how sure the mean is; the thin one is the standard deviation,
    how far single draws lie from it.

    Args:
        points: One for each draw.
        labels: Names by id of all that is drawn, the noisy picture included.
        metric: A key of :data:`METRICS`.
        width: Of the chart, in pixels.
    """
    figure = go.Figure()
    title, digits = METRICS[metric]
    narrow = width < NARROW
    for name, label in labels.items():
        values = [metric_value(point, name, metric) for point in points]
        numbers = [value for value in values if value is not None]
        row = wrapped(label) if narrow else label
        figure.add_scatter(
            x=numbers,
            y=[row] * len(numbers),
            mode="markers",
            marker={"color": look(name).color, "size": 6, "opacity": 0.45, "symbol": "line-ns-open"},
            hovertemplate=f"one draw: %{{x:.{digits}f}}<extra></extra>",
        )
        if numbers:
            _add_mean(figure, spread(numbers), row, look(name), digits)
    figure.update_xaxes(title=title)
    figure.update_yaxes(autorange="reversed", automargin=True, ticksuffix=" ")
    figure.update_layout(
        height=_ROW * max(1, len(labels)) + _AXIS + 20,
        width=None,
        showlegend=False,
        hovermode="closest",
        margin={"l": 10, "r": 20, "t": 10, "b": _AXIS},
    )
    return styled(figure)


def _frame(ranges: Mapping[str, Any]) -> tuple[go.Figure, int]:
    """Make a figure with or without lanes below the curves, and say how high the lanes are."""
    if not ranges:
        return make_subplots(rows=1, cols=1), 0
    lanes = _LANE * len(ranges) + 10
    inner = _CHART - _AXIS - _TOP + lanes
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=_LANES / (inner + _LANES),
        row_heights=[_CHART - _AXIS - _TOP, lanes],
    )
    return figure, lanes + _LANES


def _by_place(
    points: Iterable[SweepPoint], name: str, metric: str
) -> dict[float, tuple[float | None, float]]:
    """Mean and standard deviation at every place; None where nothing finite can be drawn."""
    grouped: dict[float, list[float | None]] = {}
    for point in points:
        grouped.setdefault(point.value, []).append(metric_value(point, name, metric))
    statistics: dict[float, tuple[float | None, float]] = {}
    for place, values in grouped.items():
        numbers = [value for value in values if value is not None]
        if len(numbers) < len(values):
            statistics[place] = (None, 0.0)
            continue
        at_place = spread(numbers)
        statistics[place] = (at_place.mean, at_place.deviation if at_place.count > 1 else 0.0)
    return statistics


def _add_curve(
    figure: go.Figure,
    points: Sequence[SweepPoint],
    name: str,
    label: str,
    metric: str,
) -> None:
    by_place = _by_place(points, name, metric)
    several = len(points) > len(by_place)
    bars = {"type": "data", "array": [bar for _, bar in by_place.values()], "thickness": 1.2, "width": 3}
    figure.add_scatter(
        x=list(by_place),
        y=[value for value, _ in by_place.values()],
        name=label,
        mode="lines+markers",
        **look(name).curve,
        error_y=bars if several else None,
        row=1,
        col=1,
    )


def _name_ends(figure: go.Figure, trace: go.Scatter) -> None:
    """Write at a line's ends where on the sweep's axis they are."""
    places = zip(trace.x, trace.y, trace.customdata, strict=True)
    drawn = [(x, y, place) for x, y, place in places if x is not None and y]
    for x, y, place in {at[2]: at for at in (drawn[0], drawn[-1])}.values() if drawn else ():
        figure.add_annotation(x=x, y=math.log10(y), text=f"{place:g}", showarrow=False, yshift=14)


def _add_draws(
    figure: go.Figure,
    points: Sequence[SweepPoint],
    name: str,
    label: str,
    metric: str,
    axis: Axis,
) -> None:
    """Draw every seed as a symbol, their mean as a line, and one standard deviation as a band."""
    draws = [(p.value, metric_value(p, name, metric)) for p in points]
    numbers = [value for _, value in draws if value is not None]
    if len(numbers) > 1:
        statistics, ends = spread(numbers), [axis.values[0], axis.values[-1]]
        low, high = statistics.mean - statistics.deviation, statistics.mean + statistics.deviation
        shared = {"showlegend": False, "hoverinfo": "skip", "legendgroup": name, "row": 1, "col": 1}
        figure.add_scatter(
            x=[*ends, *reversed(ends)],
            y=[low, low, high, high],
            mode="none",
            fill="toself",
            fillcolor=_faint(look(name).color),
            **shared,
        )
        mean = [statistics.mean] * 2
        figure.add_scatter(x=ends, y=mean, mode="lines", line=look(name).line, **shared)
    figure.add_scatter(
        x=[place for place, _ in draws],
        y=[value for _, value in draws],
        name=label,
        legendgroup=name,
        mode="markers",
        marker=look(name).marker,
        zorder=look(name).layer,
        row=1,
        col=1,
    )


def _add_lanes(
    figure: go.Figure,
    axis: Axis,
    ranges: Mapping[str, tuple[float, float]],
    labels: Mapping[str, str],
) -> None:
    """Draw, below the curves, a bar from end to end of what each network was trained on."""
    if not ranges:
        return
    for lane, (name, (low, high)) in enumerate(ranges.items()):
        # The axis ends where the slider does.
        ends = [max(low, axis.values[0]), min(high, axis.values[-1])]
        places = ends[:1] if low == high else ends
        if ends[0] > ends[1]:
            continue
        figure.add_scatter(
            x=places,
            y=[lane] * len(places),
            name=f"{labels[name]}, trained on",
            mode="lines+markers",
            line={"color": look(name).color, "width": 5},
            marker=look(name).marker | {"size": 9},
            showlegend=False,
            hoverinfo="skip",
            row=2,
            col=1,
        )
    figure.add_annotation(
        text="Strength each network was trained on",
        xref="paper",
        x=0,
        xanchor="left",
        yref="y2 domain",
        y=1,
        yanchor="bottom",
        yshift=1,
        showarrow=False,
    )
    figure.update_yaxes(range=[len(ranges) - 0.4, -0.6], visible=False, fixedrange=True, row=2, col=1)
    figure.update_xaxes(showticklabels=False, row=1, col=1)


def _add_mark(figure: go.Figure, axis: Axis, value: float, text: str) -> None:
    place = math.log10(value) if axis.log and value > 0 else value
    first, last = axis.values[0], axis.values[-1]
    late = value > (math.sqrt(first * last) if axis.log else (first + last) / 2)
    # The name lies on the inner side of its line, so that it is not cut.
    left = late != axis.reversed
    if axis.marks[0][0] != value:  # of two that stand close together, each has a side
        left = value < axis.marks[0][0]
    elif len(axis.marks) > 1:
        left = value < axis.marks[1][0]
    figure.add_shape(
        type="line",
        xref="x",
        x0=value,
        x1=value,
        yref="y domain",
        y0=0,
        y1=1.03,
        line={"color": TEXT, "dash": "dot", "width": 1.5},
    )
    figure.add_annotation(
        text=text,
        xref="x",
        x=place,
        yref="y domain",
        y=1.0,
        yanchor="bottom",
        xanchor="right" if left else "left",
        showarrow=False,
    )


def _place_axis(figure: go.Figure, axis: Axis, width: int) -> None:
    first, last = axis.values[0], axis.values[-1]
    if axis.log:
        first, last = math.log10(first), math.log10(last)
    room = 0.03 * (last - first) or 0.5
    ends = [first - room, last + room]
    figure.update_xaxes(
        type="log" if axis.log else "linear",
        range=ends[::-1] if axis.reversed else ends,
    )
    if axis.log:
        ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
        figure.update_xaxes(tickvals=ticks, ticktext=[str(tick) for tick in ticks])


def _add_mean(figure: go.Figure, statistics: Spread, row: str, look: Look, digits: int) -> None:
    known = statistics.count > 1
    for size, thickness, cap in ((statistics.deviation, 1.5, 6), (statistics.error, 6, 0)):
        bar = {"type": "data", "array": [size], "thickness": thickness, "width": cap}
        text = (
            f"mean %{{x:.{digits}f}}<br>standard error {statistics.error:.{digits + 1}f}"
            f"<br>standard deviation {statistics.deviation:.{digits + 1}f}<extra></extra>"
        )
        figure.add_scatter(
            x=[statistics.mean],
            y=[row],
            mode="markers",
            marker=look.marker | {"size": 11, "line": {"color": TEXT, "width": 1}},
            error_x={**bar, "color": look.color} if known else None,
            hovertemplate=text if known else None,
        )


def _faint(colour: str) -> str:
    red, green, blue = bytes.fromhex(colour.lstrip("#"))
    return f"rgba({red}, {green}, {blue}, 0.13)"


def _finished(figure: go.Figure, width: int, height: int) -> go.Figure:
    return with_legend_below(figure, width, height, _TOP, _AXIS)
