"""The figures of a look inside hold the numbers they are given, and fit their place."""

import math
from functools import partial

import numpy as np
import pytest

from denoiser.analysis.inspection import Residual, autocorrelation
from denoiser.denoisers.registry import list_denoisers
from denoiser.ui.inside.charts import (
    autocorrelation_maps,
    power_spectra,
    profile_chart,
    residual_histogram,
)


@pytest.fixture
def residual():
    rng = np.random.default_rng(0)
    return Residual(rng.normal(0, 0.05, (48, 48)), rng.normal(0, 0.1, (48, 48)))


def nothing():
    return Residual(np.zeros((48, 48)), np.zeros((48, 48)))


def test_histograms_share_their_bins_and_hold_everything(residual):
    noise, taken = residual_histogram(residual, "median").data
    assert noise.x == taken.x
    step = noise.x[1] - noise.x[0]
    for trace, values in ((noise, residual.noise), (taken, residual.residual)):
        assert sum(trace.y) * step == pytest.approx(1)
        assert f"{255 * values.std():.1f}" in trace.name
    assert noise.line.dash != taken.line.dash  # not told apart by colour alone


def test_the_spectrum_of_white_noise_is_level_at_its_strength(residual):
    noise, taken = power_spectra(residual, "median").data
    assert np.mean(noise.y) == pytest.approx(25.5, rel=0.1)
    assert np.mean(taken.y) == pytest.approx(12.75, rel=0.1)
    assert noise.x[-1] == pytest.approx(0.5)


def test_autocorrelation_maps_hold_both(residual):
    noise, taken = autocorrelation_maps(residual).data
    for trace, values in ((noise, residual.noise), (taken, residual.residual)):
        np.testing.assert_allclose(np.array(trace.z, float), autocorrelation(values), atol=1e-4)
    assert noise.zmin == -noise.zmax  # zero is the middle colour


@pytest.mark.parametrize(
    "make",
    [
        partial(residual_histogram, method="median"),
        partial(power_spectra, method="median"),
        autocorrelation_maps,
    ],
)
def test_nothing_at_all_can_be_drawn(make):
    assert "NaN" not in make(nothing()).to_json()


def test_profiles_in_their_order():
    ids = ["clean", "noisy", *list_denoisers()]
    values = {name: np.linspace(0, i / 30, 30) for i, name in enumerate(ids)}
    traces = profile_chart(values, dict(zip(ids, map(str.upper, ids), strict=True)), 900).data
    assert [trace.name for trace in traces] == [name.upper() for name in ids]
    for trace, value in zip(traces, values.values(), strict=True):
        np.testing.assert_allclose(trace.y, 255 * value)
    looks = {(t.line.color, t.line.dash, t.marker.symbol, t.line.width) for t in traces}
    assert len(looks) == len(ids)


def test_methods_keep_their_colours():
    values = dict.fromkeys(["clean", "noisy", "median", "wavelet"], np.zeros(3))
    labels = {name: name for name in values}
    both = profile_chart(values, labels, 900).data
    del values["median"]
    alone = profile_chart(values, labels, 900).data
    assert alone[2].line.color == both[3].line.color != both[2].line.color


def test_names_are_no_markup():
    values = {"clean": np.zeros(3), "median": np.zeros(3)}
    chart = profile_chart(values, {"clean": "Clean", "median": "<b>x</b>"}, 900)
    assert chart.data[1].name == "&lt;b&gt;x&lt;/b&gt;"


def test_legends_have_room_on_a_phone():
    values = {name: np.zeros(5) for name in list_denoisers()[:8]}
    wide, narrow = (profile_chart(values, {name: name for name in values}, w) for w in (1400, 320))
    assert narrow.layout.height - wide.layout.height >= 22 * 5
    plot_heights = {c.layout.height - c.layout.margin.t - c.layout.margin.b for c in (wide, narrow)}
    assert len(plot_heights) == 1


def test_a_line_of_one_pixel_can_be_seen():
    [trace] = profile_chart({"clean": np.array([0.5])}, {"clean": "Clean"}, 900).data
    assert "markers" in trace.mode
    assert not math.isnan(trace.y[0])
