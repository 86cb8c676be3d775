"""Plotly figures of a comparison: pure functions that know nothing of the page that shows them."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from denoiser.analysis.contact_sheet import method_labels
from denoiser.metrics import write_number
from denoiser.pipeline import SSIM_TIE, TIE, Comparison, DenoiseResult
from denoiser.ui.common.charts import NOISY_COLOUR, TEXT, look, styled, with_legend_below

_MEASURED = "rgba(128, 128, 128, 0.45)"  # noise is gray in every chart
_GAUSSIAN = "#6366f1"

_BAR_HEIGHT = 24  # pixels for each bar, gap included
_PANEL_MARGIN = 60  # pixels for each panel's heading and axis
_HISTOGRAM_HEIGHT = 300  # pixels
_AXIS = 50  # pixels for the histogram's horizontal axis with its title
_HISTOGRAM_BINS = 63  # odd, so that zero is the middle of a bin


def metric_bars(comparison: Comparison, labels: Mapping[str, str] | None = None) -> go.Figure:
    """Draw PSNR and SSIM of the noisy picture and of every method, one panel each.

    A dashed line marks the noisy picture; the best bar, if it beats that, has a frame and a star.
    A PSNR of infinity ends where the axis ends; a score that is not defined has no bar.

    Args:
        comparison: What to draw.
        labels: Names by id; see :func:`method_labels`.
    """
    names = method_labels(comparison, labels)
    scored = [comparison.noisy, *comparison.values()]
    figure = make_subplots(
        rows=2,
        subplot_titles=("PSNR in dB (higher is better)", "SSIM (1 is identical)"),
        vertical_spacing=_PANEL_MARGIN / _bars_height(len(scored)),
    )
    _add_panel(figure, 1, scored, [result.psnr for result in scored], names, "psnr")
    _add_panel(figure, 2, scored, [result.ssim for result in scored], names, "ssim")
    figure.update_layout(height=_bars_height(len(scored)), showlegend=False, bargap=0.25)
    figure.update_yaxes(autorange="reversed", automargin=True, ticksuffix=" ", showgrid=False)
    return styled(figure)


def noise_histogram(comparison: Comparison) -> go.Figure:
    """Draw how ``noisy - clean`` is distributed, in units of 1/255, clipping included.

    Where one standard deviation describes the noise, the Gaussian of that strength is drawn over
    it: what the noise would look like if it were Gaussian and not clipped.

    Args:
        comparison: Whose noise to draw.
    """
    corruption = comparison.corruption
    noise = 255 * (corruption.noisy.astype(np.float64) - corruption.clean)
    reach = max(1.0, float(np.abs(noise).max()))
    density, edges = np.histogram(noise, _HISTOGRAM_BINS, (-reach, reach), density=True)
    centres = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure(
        go.Bar(
            x=centres.tolist(),
            y=density.tolist(),
            width=float(edges[1] - edges[0]),
            marker_color=_MEASURED,
            name="measured",
            hovertemplate="%{x:.0f} of 255: %{y:.4f}<extra></extra>",
        )
    )
    sigma = 255 * (corruption.sigma or 0.0)
    if sigma > 0:
        figure.add_scatter(
            x=centres.tolist(),
            y=_gaussian_density(centres, sigma).tolist(),
            mode="lines",
            line={"color": _GAUSSIAN, "width": 2.5},
            name=f"Gaussian, sigma {sigma:.3g}",
            hoverinfo="skip",
        )
    figure.update_layout(
        title={
            "text": (  # two lines, or a phone cuts them
                f"Noise: mean {noise.mean():.2f},<br>standard deviation {noise.std():.2f} of 255"
            ),
            "font": {"size": 14},
            "x": 0.5,
        },
        bargap=0,
    )
    figure.update_xaxes(title="noisy \N{MINUS SIGN} clean, of 255")
    figure.update_yaxes(title="density", rangemode="tozero")
    return with_legend_below(figure, None, _HISTOGRAM_HEIGHT, 60, _AXIS)


def _add_panel(
    figure: go.Figure,
    row: int,
    scored: Iterable[DenoiseResult],
    values: list[float | None],
    names: Mapping[str, str],
    metric: Literal["psnr", "ssim"],
) -> None:
    ids = [result.id for result in scored]
    best = _best(values, TIE if metric == "psnr" else SSIM_TIE)
    finite = [v for v in values if v is not None and math.isfinite(v)]
    # SSIM has a natural end; for PSNR, the best bar and the room for its text make one.
    longest = 1.0 if metric == "ssim" else max(finite, default=1.0)
    end = longest * (1.1 if math.inf in values else 1.0)
    lengths = [_bar_length(v, end) for v in values]
    figure.add_bar(
        x=lengths,
        y=[names[method_id] for method_id in ids],
        orientation="h",
        marker={
            "color": [look(method_id).color for method_id in ids],
            "line": {"color": TEXT, "width": [2 * (v is not None and v == best) for v in values]},
        },
        text=[_bar_text(v, metric, is_best=v is not None and v == best) for v in values],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
        row=row,
        col=1,
    )
    if lengths[0] is not None:
        line = {"color": NOISY_COLOUR, "dash": "dash", "width": 1}
        figure.add_vline(x=lengths[0], line=line, row=row, col=1)
    # A third of the width stays free for "34.56 ★", at 390 pixels too.
    start = min([0.0, *finite])
    figure.update_xaxes(range=[start, start + (end - start) * 1.5], row=row, col=1)


def _best(values: list[float | None], tie: float) -> float | None:
    """Return the best value of all but the first, the noisy picture's; None where none beats that."""
    noisy, *others = (None if v is None or math.isnan(v) else v for v in values)
    best = max((v for v in others if v is not None), default=None)
    return best if best is not None and noisy is not None and best > noisy + tie else None


def _bar_length(value: float | None, end: float) -> float | None:
    if value is None or math.isnan(value):
        return None
    return end if value == math.inf else float(value)


def _bar_text(value: float | None, metric: Literal["psnr", "ssim"], is_best: bool) -> str:
    text = write_number(value, 2 if metric == "psnr" else 3)
    return f"{text} ★" if is_best else text


def _bars_height(bars: int) -> int:
    return 2 * (bars * _BAR_HEIGHT + _PANEL_MARGIN)


def _gaussian_density(x: np.ndarray, sigma: float) -> np.ndarray:
    return np.exp(-((x / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))
