"""Plotly figures of the committed results: pure functions that know nothing of the page.

A figure is made for a width in pixels, because plotly cuts a legend that has too little room.
"""

import html
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from denoiser.analysis.results import (
    METRICS,
    NOISY,
    NOISY_LABEL,
    Benchmark,
    Condition,
    Curve,
    History,
    Method,
    Metric,
    Series,
)
from denoiser.ui.common.charts import (
    LETTER,
    NARROW,
    NOISY_COLOUR,
    NOTE,
    SIDE,
    TEXT,
    Look,
    look,
    numbered_look,
    styled,
    with_legend_below,
    wrapped,
)
from denoiser.ui.common.colours import LIGHT_DIVERGING, colour_scale

_INK = "#1a1a1a"
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)

_CHART_HEIGHT = 350  # pixels without the legend
_COLOUR_BAR = 60  # pixels for one with its numbers
_AXIS = 60  # pixels for an axis with its title
_TOP = 15  # pixels above a chart
_PHONE_ROW = 30  # pixels of a row in the matrix, for up to three lines of small text
_ROW = 26
_CELL = 38  # pixels that a number in a cell of the matrix needs
_PANEL = 170  # pixels for one panel of a training history; the first one takes two
_LOSSES = 3  # as many as a training has at most; their steps are too close for a line with gaps
_GAP = 40  # pixels between two panels, with a heading in it


@dataclass(frozen=True)
class Point:
    """A denoiser's place in a chart of two qualities."""

    method: Method
    x: float
    y: float


@dataclass(frozen=True)
class _Level:
    """A dashed line across a chart of two qualities, with a name below one of its ends.

    Attributes:
        y: Where it is.
        text: Its name.
        right: Whether the name is at the right end.
    """

    y: float
    text: str
    right: bool = False

    def draw(self, figure: go.Figure, *, log: bool) -> None:
        """Draw it; ``log`` says that the vertical axis is a logarithm."""
        figure.add_hline(y=self.y, line={"color": NOISY_COLOUR, "dash": "dash", "width": 2})
        figure.add_annotation(
            text=self.text,
            x=float(self.right),
            xref="x domain",
            y=math.log10(self.y) if log else self.y,  # lines are placed by values, texts by exponents
            xanchor="right" if self.right else "left",
            yanchor="top",
            showarrow=False,
        )


@dataclass(frozen=True)
class _Area:
    """Where a chart of two qualities puts its points, in pixels, so that names find room.

    Attributes:
        points: All of them.
        x: The horizontal axis' ends; exponents of ten where it is a logarithm.
        y: The vertical axis' ends, likewise.
        width: Of the area between the axes, in pixels.
        log_x: Whether the horizontal axis is a logarithm.
        log_y: Whether the vertical axis is one.
    """

    points: Sequence[Point]
    x: tuple[float, float]
    y: tuple[float, float]
    width: int
    log_x: bool
    log_y: bool

    height: ClassVar[int] = _CHART_HEIGHT - _AXIS - _TOP

    @classmethod
    def around(
        cls,
        points: Sequence[Point],
        more_y: Iterable[float],
        width: int,
        *,
        more_x: Iterable[float] = (),
        log_x: bool = False,
        log_y: bool = False,
    ) -> "_Area":
        """Lay out an area that holds points and further values."""
        return cls(
            points,
            _range([*(point.x for point in points), *more_x], log_x),
            _range([*(point.y for point in points), *more_y], log_y),
            width - SIDE,
            log_x,
            log_y,
        )

    def scale(self, figure: go.Figure) -> None:
        """Set a figure's axes."""
        for update, ends, log, few in (
            (figure.update_xaxes, self.x, self.log_x, self.width < NARROW / 2),
            (figure.update_yaxes, self.y, self.log_y, False),
        ):
            update(range=ends)
            if log:
                ticks = [
                    tick
                    for tick in _TICKS
                    if ends[0] <= math.log10(tick) <= ends[1] and not (few and math.log10(tick) % 1)
                ]
                update(type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks])

    def name(
        self,
        figure: go.Figure,
        front: Sequence[Point],
        level: _Level | None,
        shape: str,
    ) -> None:
        """Write names beside points where there is room; the others are in the legend all the same.

        Args:
            figure: Where to.
            front: What is named; a line joins it.
            level: The line across.
            shape: Of the line that joins the front: ``"hv"``, across first, or ``"vh"``.
        """
        boxes = [(x - 7, y - 7, x + 7, y + 7) for x, y in map(self._pixels, self.points)]
        for (x0, y0), (x1, y1) in pairwise(map(self._pixels, front)):
            corner = (x1, y0) if shape == "hv" else (x0, y1)
            boxes += [_around((x0, y0), corner), _around(corner, (x1, y1))]
        if level:
            y, long = self._height_of(level.y), _long(level.text)
            left = self.width - long if level.right else 0.0
            boxes += [(0, y - 2, self.width, y + 2), (left, y - 20, left + long, y)]
        for point in sorted(front, key=lambda point: -point.y):
            x, y = self._pixels(point)
            long = _long(point.method.label)
            for below, right in ((False, True), (False, False), (True, True), (True, False)):
                left, low = (x if right else x - long), (y - 24 if below else y + 8)
                box = (left, low, left + long, low + 16)
                inside = left >= 0 and low >= 0 and box[2] <= self.width and box[3] <= self.height + _TOP
                if not inside or any(_overlap(box, other) for other in boxes):
                    continue
                boxes.append(box)
                figure.add_annotation(
                    x=math.log10(point.x) if self.log_x else point.x,
                    y=math.log10(point.y) if self.log_y else point.y,
                    text=html.escape(point.method.label),
                    showarrow=False,
                    xanchor="left" if right else "right",
                    yanchor="top" if below else "bottom",
                    yshift=-6 if below else 6,
                )
                break

    def _pixels(self, point: Point) -> tuple[float, float]:
        x = math.log10(point.x) if self.log_x else point.x
        return self.width * (x - self.x[0]) / (self.x[1] - self.x[0]), self._height_of(point.y)

    def _height_of(self, value: float) -> float:
        y = math.log10(value) if self.log_y else value
        return self.height * (y - self.y[0]) / (self.y[1] - self.y[0])


def strength_curves(
    benchmark: Benchmark,
    curve: Curve,
    metric: Metric,
    methods: Sequence[str],
    width: int,
    *,
    gain: bool = False,
) -> go.Figure:
    """Draw a metric against the strength of a noise; the noisy picture is the dashed gray line.

    Noise grows to the right, whatever the parameter says (fewer photons are more noise).

    Args:
        benchmark: The results.
        curve: Which noise.
        metric: Which metric.
        methods: Ids of the denoisers to draw.
        width: Of the chart, in pixels.
        gain: Draw what is gained over the noisy picture.
    """
    figure = go.Figure()
    read = benchmark.gain if gain else benchmark.value
    selected = [method for method in benchmark.methods if method.id in methods]
    for method in selected:
        x, y = _along(curve, method.id, metric, read)
        figure.add_scatter(x=x, y=y, name=method.label, mode="lines+markers", **look(method.id).curve)
    x, y = _along(curve, NOISY, metric, read)
    figure.add_scatter(x=x, y=y, name=NOISY_LABEL, mode="lines+markers", **look(NOISY).curve)
    figure.update_traces(
        hovertemplate=f"%{{fullData.name}}<br>%{{x:.4~g}}: %{{y:.{metric.digits}f}}<extra></extra>"
    )
    figure.update_xaxes(title=curve.axis, tickvals=x)
    _, noisy = _along(curve, NOISY, metric, benchmark.value)
    if len(noisy) > 1 and noisy[-1] > noisy[0]:
        figure.update_xaxes(autorange="reversed")
    figure.update_yaxes(title=f"Gain, {metric.label}" if gain else metric.label)
    return _finished(figure, width)


def quality_against_time(
    benchmark: Benchmark, condition: Condition, metric: Metric, width: int
) -> go.Figure:
    """Draw a metric against milliseconds; the line joins what nothing beats in both.

    Args:
        benchmark: The results.
        condition: Under which noise.
        metric: Which metric.
        width: Of the chart, in pixels.
    """
    points = [
        Point(method, method.milliseconds, value)
        for method in benchmark.methods
        if method.milliseconds
        and (value := benchmark.value(method.id, condition.id, metric.id)) is not None
    ]
    front = pareto_front(points, lower_x=True, lower_y=False)
    noisy = benchmark.value(NOISY, condition.id, metric.id)
    area = _Area.around(points, [] if noisy is None else [noisy], width, log_x=True)
    figure = go.Figure()
    _add_front(figure, front, "hv")
    hover = f"%{{x:.3~g}} ms, {metric.label} %{{y:.{metric.digits}f}}"
    for point in points:
        _add_marker(figure, point.x, point.y, point.method.label, look(point.method.id), hover)
    # Filters are fast and near the noisy picture: its name has more room at the other end.
    level = None if noisy is None else _Level(noisy, NOISY_LABEL, right=True)
    if level:
        level.draw(figure, log=False)
    area.name(figure, front, level, "hv")
    area.scale(figure)
    figure.update_xaxes(title="Milliseconds for one face, log scale")
    figure.update_yaxes(title=metric.label)
    return _finished(figure, width)


def distortion_against_perception(
    benchmark: Benchmark, condition: Condition, perception: Metric, width: int
) -> go.Figure:
    """Draw PSNR against a measure of how natural pictures look (Blau and Michaeli 2018).

    Args:
        benchmark: The results.
        condition: Under which noise.
        perception: Sharpness, best at 1; or another measure, of which less is better.
        width: Of the chart, in pixels.

    References:
        Y. Blau and T. Michaeli, CVPR 2018, doi:10.1109/CVPR.2018.00652.
    """
    psnr = METRICS["psnr"]
    points = [
        Point(method, x, y)
        for method in benchmark.methods
        if (x := benchmark.value(method.id, condition.id, psnr.id)) is not None
        and (y := benchmark.value(method.id, condition.id, perception.id)) is not None
        and y > 0  # the axis may be a logarithm
    ]
    x, y = (benchmark.value(NOISY, condition.id, metric.id) for metric in (psnr, perception))
    hover = f"{psnr.label} %{{x:.{psnr.digits}f}}<br>{perception.label} %{{y:.{perception.digits}f}}"

    def hover_of(method: str) -> str:
        ends = benchmark.interval(method, condition.id, perception.id)
        return hover + (f" (95 %: {' to '.join(map(perception.format, ends))})" if ends else "")

    figure = go.Figure()
    front: list[Point] = []
    best, text = benchmark.floors.get(perception.id), "Clean pictures"
    if perception.id == "sharpness":
        best, text = 1.0, "As sharp as the clean picture"
    else:
        front = pareto_front(points, lower_x=False, lower_y=True)
        _add_front(figure, front, "vh")
    log = perception.id != "detectability"  # from 0.5 to 1: nothing that a logarithm would spread
    level = None if best is None else _Level(best, text)
    if level:
        level.draw(figure, log=log)
    for point in points:
        method = point.method
        _add_marker(figure, point.x, point.y, method.label, look(method.id), hover_of(method.id))
    others = [] if best is None else [best]
    if x is not None and y is not None and y > 0:
        _add_marker(figure, x, y, NOISY_LABEL, look(NOISY), hover_of(NOISY))
        others.append(y)
    area = _Area.around(points, others, width, more_x=[] if x is None else [x], log_y=log)
    area.name(figure, front, level, "vh")
    area.scale(figure)
    figure.update_xaxes(title=f"{psnr.label} → less distortion")
    figure.update_yaxes(title=perception.label)
    return _finished(figure, width)


def train_test_matrix(benchmark: Benchmark, metric: Metric, width: int) -> go.Figure:
    """Draw what every network gains over the noisy picture under every noise.

    A frame marks what a specialist was trained for. Colours follow the square root, so that a small
    gain can be told from a small loss beside large ones. There are more noises than networks, and a
    phone has more room downwards: there, noises are rows, and cells hold no numbers.

    Args:
        benchmark: The results.
        metric: Which metric.
        width: Of the chart, in pixels.
    """
    narrow = width < NARROW
    conditions = [c for c in benchmark.conditions if _gains(benchmark, metric, [c])]
    groups = {
        title: [method for method in benchmark.networks if (method.specialty is None) == blind]
        for title, blind in (("Specialists", False), ("Trained on a mixture", True))
    }
    groups = {title: methods for title, methods in groups.items() if methods}
    figure = (_noises_down if narrow else _noises_across)(groups, conditions)
    numbers = not narrow and (width - 260) / max(1, len(conditions)) >= _CELL
    for index, methods in enumerate(groups.values(), start=1):
        panel = {"row": 1, "col": index} if narrow else {"row": index, "col": 1}
        figure.add_trace(_cells(benchmark, metric, methods, conditions, narrow, numbers), **panel)
        for column, row in _specialties(methods, conditions):
            x, y = (row, column) if narrow else (column, row)
            box = {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
            figure.add_shape(box, line={"color": _INK, "width": 3}, **panel)
    figure.update_yaxes(autorange="reversed", automargin=True, ticks="", showgrid=False)
    figure.update_xaxes(dtick=1, ticks="", showgrid=False)
    largest = max((abs(g) for g in _gains(benchmark, metric, conditions)), default=1.0) or 1.0
    ticks = _square_root_ticks(largest, room=0.3 if narrow else 0.1)
    signed = [*(-t for t in reversed(ticks)), 0, *ticks]
    figure.update_layout(
        coloraxis={
            "colorscale": colour_scale(LIGHT_DIVERGING),
            "cmin": -math.sqrt(largest),
            "cmax": math.sqrt(largest),
            "colorbar": {
                "orientation": "h",
                "thickness": 12,
                "len": 1.0 if narrow else 0.6,
                "yref": "container",
                "y": 0,
                "yanchor": "bottom",
                "tickangle": 0,
                "tickvals": [math.copysign(math.sqrt(abs(t)), t) for t in signed],
                "ticktext": [f"{t:+g}" if t else "0" for t in signed],
                "outlinewidth": 0,
            },
        },
    )
    return styled(figure)


def _noises_across(groups: Mapping[str, Sequence[Method]], conditions: Sequence[Condition]) -> go.Figure:
    """Lay out the empty matrix with a column for each noise and groups of networks below each other."""
    gap, size = 34, 12
    heights = [_ROW * len(methods) for methods in groups.values()]
    inner = sum(heights) + gap * (len(heights) - 1)
    figure = make_subplots(
        rows=max(1, len(groups)),
        shared_xaxes=True,
        row_heights=heights or None,
        vertical_spacing=gap / inner if len(groups) > 1 else 0,
        subplot_titles=list(groups),
    )
    figure.update_annotations(x=0, xanchor="left")
    figure.update_xaxes(tickangle=-45, tickfont={"size": size})
    figure.update_yaxes(tickfont={"size": size})
    return _with_room(figure, inner, 30, _longest(c.label for c in conditions) / math.sqrt(2))


def _noises_down(groups: Mapping[str, Sequence[Method]], conditions: Sequence[Condition]) -> go.Figure:
    """Lay it out with a row for each noise and groups of networks side by side."""
    size = 9
    figure = make_subplots(
        cols=max(1, len(groups)),
        shared_yaxes=True,
        column_widths=[len(methods) for methods in groups.values()] or None,
        horizontal_spacing=0.03,
        subplot_titles=[wrapped(title) for title in groups],
    )
    figure.update_xaxes(tickangle=-90, tickfont={"size": size})
    figure.update_yaxes(tickfont={"size": size})
    names = (method.label for methods in groups.values() for method in methods)
    figure = _with_room(figure, _PHONE_ROW * len(conditions), 44, _longest(names) * size / 12)
    return figure.update_layout(margin={"l": 0, "r": 2})  # half a frame's line


def in_short_lines(name: str) -> str:
    """Break a noise's name, but not before a number, so that it takes little of a phone's width."""
    kept = re.sub(r" (?=[\d%])", "\N{NO-BREAK SPACE}", name)
    return "<br>".join(textwrap.wrap(kept, 18, break_long_words=False, break_on_hyphens=False))


def _longest(names: Iterable[str]) -> float:
    """How many pixels the longest name needs at size 12."""
    return LETTER * max(map(len, names), default=0)


def _with_room(figure: go.Figure, inner: float, top: int, names: float) -> go.Figure:
    """Give a matrix so many pixels for its cells, for headings, and for the names of its columns."""
    bottom = _COLOUR_BAR + math.ceil(names)
    return figure.update_layout(
        height=inner + top + bottom, margin={"l": 10, "r": 10, "t": top, "b": bottom}
    )


def training_curves(history: History, width: int) -> go.Figure:
    """Draw validation PSNR and the losses by step: also a GAN's adversarial ones and a router's.

    Args:
        history: Whose training.
        width: Of the chart, in pixels.
    """
    training = [s for s in history.losses if s.name == "train_loss"]
    routing = [s for s in history.losses if s.name == "routing_loss"]
    adversarial = [s for s in history.losses if s not in training + routing]
    panels: list[tuple[str, list[Series]]] = [
        ("Validation PSNR in dB", list(history.validation)),
        ("Training loss", training),
        ("Cross-entropy of the router", routing),
        ("Adversarial losses", adversarial),
    ]
    panels = [(title, series) for title, series in panels if series]
    figure = make_subplots(
        rows=max(1, len(panels)),
        subplot_titles=[title for title, _ in panels],
        shared_xaxes=True,
        vertical_spacing=_GAP / (_PANEL * (1 + len(panels))) if len(panels) > 1 else 0,
        row_heights=[2.0 if index == 0 else 1.0 for index in range(len(panels))] or None,
    )
    # A noise, and the training loss, have the same look for every model, however many losses that has.
    first = max(_LOSSES, len(history.losses))
    numbers = {s.name: number for number, s in enumerate(training + routing + adversarial)}
    numbers |= {s.name: first + number for number, s in enumerate(history.validation)}
    for row, (_, series) in enumerate(panels, start=1):
        for line in series:
            figure.add_trace(_line(line, numbers[line.name]), row=row, col=1)
    if panels:
        figure.update_xaxes(title="Step (batches seen)", row=len(panels), col=1)
    return _finished(figure, width, height=_PANEL * (1 + max(1, len(panels))), top=30)


def pareto_front(points: Iterable[Point], *, lower_x: bool, lower_y: bool) -> list[Point]:
    """Return the points that none is at least as good as in both and better in one, sorted by x."""

    def cost(point: Point) -> tuple[float, float]:
        return (point.x if lower_x else -point.x), (point.y if lower_y else -point.y)

    best, front = math.inf, []
    for point in sorted(points, key=cost):
        if cost(point)[1] < best:
            best = cost(point)[1]
            front.append(point)
    return sorted(front, key=lambda point: point.x)


def _along(
    curve: Curve, method: str, metric: Metric, read: Callable[[str, str, str], float | None]
) -> tuple[list[float], list[float]]:
    """Strengths and values of a denoiser, where it has any."""
    values = {c.settings[0]: read(method, c.id, metric.id) for c in curve.conditions}
    known = {strength: value for strength, value in values.items() if value is not None}
    return list(known), list(known.values())


def _add_marker(figure: go.Figure, x: float, y: float, name: str, look: Look, hover: str) -> None:
    figure.add_scatter(
        x=[x],
        y=[y],
        name=name,
        mode="markers",
        marker=look.marker | {"size": look.size + 2},
        zorder=look.layer,
        hovertemplate=f"%{{fullData.name}}<br>{hover}<extra></extra>",
    )


def _add_front(figure: go.Figure, front: Sequence[Point], shape: str) -> None:
    figure.add_scatter(
        x=[point.x for point in front],
        y=[point.y for point in front],
        name="Nothing is better in both",
        mode="lines",
        line={"color": TEXT, "width": 1.5, "shape": shape},
        hoverinfo="skip",
    )


def _range(values: Sequence[float], log: bool) -> tuple[float, float]:
    """Return the ends of an axis that leaves some room around its values."""
    placed = [math.log10(value) if log else value for value in values] or [0.0]
    room = 0.09 * (max(placed) - min(placed)) or 0.5
    return min(placed) - room, max(placed) + room


def _long(name: str) -> float:
    """How many pixels a name in a chart needs, with some room beside it."""
    return LETTER * NOTE / 12 * len(name) + 8


def _around(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of what a line takes up."""
    (left, right), (low, high) = (sorted(ends) for ends in zip(start, end, strict=True))
    return left - 2, low - 2, right + 2, high + 2


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _gains(benchmark: Benchmark, metric: Metric, conditions: Iterable[Condition]) -> list[float]:
    gains = [
        benchmark.gain(method.id, condition.id, metric.id)
        for condition in conditions
        for method in benchmark.networks
    ]
    return [gain for gain in gains if gain is not None]


def _cells(
    benchmark: Benchmark,
    metric: Metric,
    methods: Sequence[Method],
    conditions: Sequence[Condition],
    down: bool,
    numbers: bool,
) -> go.Heatmap:
    """Colour the cells of a group of networks; noises are rows where they go ``down``."""
    gains = [
        [benchmark.gain(method.id, condition.id, metric.id) for condition in conditions]
        for method in methods
    ]
    networks = [method.label for method in methods]
    noises = [condition.label for condition in conditions]
    if down:
        gains = [list(column) for column in zip(*gains, strict=True)]
    return go.Heatmap(
        x=networks if down else noises,
        y=[in_short_lines(noise) for noise in noises] if down else networks,
        z=[[None if g is None else math.copysign(math.sqrt(abs(g)), g) for g in row] for row in gains],
        customdata=[["" if g is None else metric.format(g, sign=True) for g in row] for row in gains],
        text=[["" if g is None else _cell_text(g, metric) for g in row] for row in gains],
        texttemplate="%{text}" if numbers else None,
        textfont={"size": 11, "color": _INK},
        hovertemplate=f"{'%{x}<br>%{y}' if down else '%{y}<br>%{x}'}: %{{customdata}}<extra></extra>",
        hoverongaps=False,
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
    )


def _square_root_ticks(largest: float, room: float) -> list[float]:
    """Return round numbers up to ``largest`` that lie a share ``room`` of it apart as square roots."""
    ticks: list[float] = []
    for tick in reversed(_TICKS):
        above = math.sqrt(ticks[0]) if ticks else math.inf
        gap = room * math.sqrt(largest)
        if tick <= largest and above - math.sqrt(tick) >= gap and math.sqrt(tick) >= gap:
            ticks.insert(0, tick)
    return ticks


def _cell_text(gain: float, metric: Metric) -> str:
    digits = metric.digits - 1
    return f"{round(gain, digits) + 0.0:+.{digits}f}"  # adding zero takes the sign off -0.0


def _specialties(methods: Sequence[Method], conditions: Sequence[Condition]) -> list[tuple[int, int]]:
    """Column and row of every noise that a specialist was trained for."""
    return [
        (column, row)
        for row, method in enumerate(methods)
        for column, condition in enumerate(conditions)
        if condition.is_specialty(method.specialty)
    ]


def _line(series: Series, number: int) -> go.Scatter:
    is_mean = series.name == "val_psnr"
    look = Look(TEXT, "solid", "x", width=3.5) if is_mean else numbered_look(number)
    return go.Scatter(
        x=series.steps,
        y=series.values,
        name=series.label,
        mode="lines+markers",
        **look.curve,
        hovertemplate="%{fullData.name}<br>step %{x}: %{y:.4~g}<extra></extra>",
    )


def _finished(figure: go.Figure, width: int, height: int = _CHART_HEIGHT, top: int = _TOP) -> go.Figure:
    figure.update_layout(hovermode="closest")
    return with_legend_below(figure, width, height, top, _AXIS)
