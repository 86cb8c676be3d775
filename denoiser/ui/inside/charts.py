"""Plotly figures of a look inside: pure functions that know nothing of the page that shows them."""

import html
import math
from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from denoiser.analysis.inspection import LAGS, Map, Residual, autocorrelation
from denoiser.analysis.results import CLEAN, NOISY
from denoiser.metrics import radial_power_spectrum
from denoiser.ui.common.charts import TEXT, Look, look, styled, with_legend_below
from denoiser.ui.common.colours import DIVERGING, colour_scale

CORRELATION_MAX = 0.3
"""Where the colours of the autocorrelation end; its middle is 1."""

RESIDUAL_LABEL = "Residual"
NOISE_LABEL = "True noise"

_HEIGHT = 320  # pixels without the legend
_BINS = 41  # odd, so that zero is the middle of a bin
_AXIS = 50  # pixels for the horizontal axis with its title


def residual_histogram(residual: Residual, method: str) -> go.Figure:
    """Draw how a residual and the true noise are distributed, in units of 1/255.

    Args:
        residual: Both of them.
        method: Id of the method whose residual it is.
    """
    maps = {NOISE_LABEL: residual.noise, RESIDUAL_LABEL: residual.residual}
    reach = max(1.0, *(255 * float(np.abs(values).max()) for values in maps.values()))
    figure = go.Figure()
    for (name, values), drawn in zip(maps.items(), (NOISY, method), strict=True):
        density, edges = np.histogram(255 * values, _BINS, (-reach, reach), density=True)
        figure.add_scatter(
            x=((edges[:-1] + edges[1:]) / 2).tolist(),
            y=density.tolist(),
            mode="lines",
            name=f"{name}, standard deviation {255 * values.std():.1f}",
            hovertemplate="%{x:.0f} of 255: %{y:.4f}<extra></extra>",
            line=look(drawn).line | {"width": 2},
        )
    figure.update_xaxes(title="gray value, of 255", automargin=True)
    figure.update_yaxes(title="density", automargin=True, rangemode="tozero")
    return _finished(figure, "Histogram")


def power_spectra(residual: Residual, method: str) -> go.Figure:
    """Draw how strong a residual and the true noise are at every scale.

    The square root of the radial power spectrum in units of 1/255, so that white noise of standard
    deviation 25 of 255 is a level line at 25.

    Args:
        residual: Both of them.
        method: Id of the method whose residual it is.
    """
    figure = go.Figure()
    maps = {NOISE_LABEL: residual.noise, RESIDUAL_LABEL: residual.residual}
    for (name, values), drawn in zip(maps.items(), (NOISY, method), strict=True):
        power = radial_power_spectrum(values)
        shortest = min(values.shape)
        figure.add_scatter(
            x=(np.arange(1, power.size + 1) / shortest).tolist(),
            y=(255 * np.sqrt(power)).tolist(),
            mode="lines",
            name=name,
            hovertemplate="%{x:.2f} cycles per pixel: %{y:.1f} of 255<extra></extra>",
            line=look(drawn).line | {"width": 2},
        )
    figure.update_xaxes(
        title="cycles per pixel (left coarse, right fine)",
        automargin=True,
        range=[0, 0.5],
    )
    figure.update_yaxes(title="strength, of 255", automargin=True, rangemode="tozero")
    return _finished(figure, "Spectrum")


def autocorrelation_maps(residual: Residual, lags: int = LAGS) -> go.Figure:
    """Draw how alike the true noise and a residual are to themselves moved by some pixels.

    Args:
        residual: Both of them.
        lags: Largest move in pixels.
    """
    titles = (f"Autocorrelation:<br>{NOISE_LABEL.lower()}", RESIDUAL_LABEL.lower())
    figure = make_subplots(cols=2, subplot_titles=titles, horizontal_spacing=0.08)
    places = list(range(-lags, lags + 1))
    for column, values in enumerate((residual.noise, residual.residual), 1):
        alike = autocorrelation(values, lags)
        figure.add_heatmap(
            x=places,
            y=places,
            z=[[None if math.isnan(value) else round(value, 4) for value in row] for row in alike],
            zmin=-CORRELATION_MAX,
            zmax=CORRELATION_MAX,
            colorscale=colour_scale(DIVERGING),
            showscale=column == 2,
            colorbar={
                "orientation": "h",
                "y": -0.34,
                "yanchor": "top",
                "thickness": 12,
                "tickvals": [-CORRELATION_MAX, 0, CORRELATION_MAX],
                "ticktext": [f"\N{MINUS SIGN}{CORRELATION_MAX}", "0", f"+{CORRELATION_MAX}"],
                "ticklabeloverflow": "allow",
                "len": 0.8,
            },
            hovertemplate="%{x} right, %{y} down: %{z:.2f}<extra></extra>",
            row=1,
            col=column,
        )
    figure.update_xaxes(constrain="domain", ticks="outside", dtick=4, tick0=0, title="pixels right")
    figure.update_yaxes(scaleratio=1, autorange="reversed", dtick=4, tick0=0, constrain="domain")
    figure.update_yaxes(scaleanchor="x", title="pixels down", row=1, col=1)
    figure.update_yaxes(scaleanchor="x2", row=1, col=2)
    figure.update_layout(height=_HEIGHT + 25, margin={"l": 45, "r": 10, "t": 50, "b": 105})
    return styled(figure)


def profile_chart(profiles: Mapping[str, Map], labels: Mapping[str, str], width: int) -> go.Figure:
    """Draw gray values along a line.

    Args:
        profiles: By method id; ``CLEAN`` and ``NOISY`` are the pictures without and with the noise.
        labels: Names by the same ids.
        width: Of the chart, in pixels.
    """
    figure = go.Figure()
    for name, profile in profiles.items():
        drawn = Look(TEXT, "solid", "circle", width=5) if name == CLEAN else look(name)
        symbols = name not in (CLEAN, NOISY) or len(profile) == 1
        figure.add_scatter(
            x=list(range(len(profile))),
            y=(255 * profile).tolist(),
            mode="lines+markers" if symbols else "lines",
            name=html.escape(labels[name], quote=False),  # plotly reads names as HTML
            **drawn.curve,
            hovertemplate="%{y:.0f}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(title="pixels from the start", automargin=True)
    figure.update_yaxes(title="gray value, of 255", automargin=True)
    figure.update_layout(hovermode="x unified")
    return _finished(figure, "", width)


def _finished(figure: go.Figure, title: str, width: int | None = None) -> go.Figure:
    """Give a chart its title and its legend, and return it in the page's style."""
    if title:
        figure.update_layout(title={"text": title, "font": {"size": 14}, "x": 0.5})
    return with_legend_below(figure, width, _HEIGHT, 34 if title else 10, _AXIS)
