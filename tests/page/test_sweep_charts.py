"""Charts of sweeps hold the numbers of their points."""

import math

import pytest

from denoiser.analysis.sweeps import SEED, Axis, noise_axis
from denoiser.noise import GaussianNoise, PoissonNoise
from denoiser.pipeline import SweepPoint
from denoiser.ui.common.charts import look
from denoiser.ui.sweep.charts import metric_value, path_chart, repeats_chart, sweep_chart

LABELS = {"noisy": "Noisy picture", "median": "Median 3x3", "nl-means": "Non-local means"}
AXIS = Axis("0:sigma", "Standard deviation (of 255)", (0.0, 25.0, 50.0), ((25.0, "Compare: 25"),))


def point(value, seed=0, **changes):
    psnr = {"noisy": 20.0, "median": 24.0 + value / 10, "nl-means": 25.0} | changes
    ssim, sharpness = ({name: n / scale for name, n in psnr.items()} for scale in (100, 30))
    return SweepPoint(value, seed, psnr, ssim, sharpness)


def curves(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


class TestSweepChart:
    def test_curves_hold_the_points_so_far(self):
        figure = sweep_chart(AXIS, [point(0), point(25)], LABELS, "psnr", 1200)
        drawn = curves(figure)
        assert list(drawn) == list(LABELS.values())
        assert list(drawn["Median 3x3"].x) == [0, 25]
        assert list(drawn["Median 3x3"].y) == [24, 26.5]
        assert drawn["Noisy picture"].line.dash == "dash"
        # The frame is that of the finished sweep, so that curves grow into it.
        low, high = figure.layout.xaxis.range
        assert low < 0
        assert high > 50

    @pytest.mark.parametrize(("metric", "expected"), [("psnr", 26.5), ("ssim", 0.265), ("gain", 6.5)])
    def test_metrics(self, metric, expected):
        drawn = curves(sweep_chart(AXIS, [point(25)], LABELS, metric, 1200))
        assert drawn["Median 3x3"].y[0] == pytest.approx(expected)

    def test_what_is_infinite_is_a_gap(self):
        drawn = curves(sweep_chart(AXIS, [point(0, noisy=math.inf)], LABELS, "psnr", 1200))
        assert drawn["Noisy picture"].y == (None,)
        assert metric_value(point(0, noisy=math.inf), "median", "gain") is None

    def test_without_noise_all_of_a_curve_is_shown(self):
        nothing = {"noisy": math.inf, "median": 33.0, "nl-means": 74.0}
        figure = sweep_chart(AXIS, [point(0, **nothing), point(25)], LABELS, "psnr", 1200)
        assert curves(figure)["Non-local means"].y == (74, 25)
        assert figure.layout.yaxis.range is None

    def test_several_draws_are_a_mean_with_bars(self):
        points = [point(25, seed, median=20.0 + seed) for seed in (0, 2)]
        drawn = curves(sweep_chart(AXIS, points, LABELS, "psnr", 1200))["Median 3x3"]
        assert list(drawn.y) == [21]
        assert drawn.error_y.array[0] == pytest.approx(math.sqrt(2))

    def test_training_ranges_are_bars_below_that_end_where_the_axis_does(self):
        ranges = {"median": (0.0, 80.0), "nl-means": (12.0, 12.0)}
        figure = sweep_chart(AXIS, [point(0)], LABELS, "psnr", 1200, trained=ranges)
        lanes = [trace for trace in figure.data if trace.yaxis == "y2"]
        assert [list(lane.x) for lane in lanes] == [[0, 50], [12]]
        assert [lane.marker.color for lane in lanes] == [look(name).color for name in ranges]
        plain = sweep_chart(AXIS, [point(0)], LABELS, "psnr", 1200)
        assert all(trace.yaxis != "y2" for trace in plain.data)

    def test_marks_stand_at_their_place(self, face):
        axis = noise_axis(face, PoissonNoise(30), "0:peak", 9)
        figure = sweep_chart(axis, [], LABELS, "psnr", 1200)
        assert figure.layout.xaxis.type == "log"
        assert figure.layout.xaxis.range[0] > figure.layout.xaxis.range[1]  # fewer photons right
        (line,) = figure.layout.shapes
        (note,) = (a for a in figure.layout.annotations if a.text == "Compare: 30")
        assert line.x0 == 30
        assert note.x == pytest.approx(math.log10(30))

    def test_seeds_are_symbols_with_a_mean_and_a_band(self):
        axis = Axis(SEED, "Seed", (0.0, 1.0, 2.0))
        points = [point(seed, seed, median=20.0 + seed) for seed in range(3)]
        figure = sweep_chart(axis, points, LABELS, "psnr", 1200)
        assert curves(figure)["Median 3x3"].mode == "markers"
        own = [t for t in figure.data if t.legendgroup == "median"]
        (band,) = (t for t in own if t.fill == "toself")
        assert (min(band.y), max(band.y)) == pytest.approx((20, 22))
        (mean,) = (t for t in own if t.mode == "lines")
        assert set(mean.y) == {21}

    def test_a_phone_gets_no_label_over_the_chart(self):
        narrow = sweep_chart(AXIS, [point(0)], LABELS, "psnr", 320)
        assert {trace.hoverinfo for trace in narrow.data} == {"none"}
        assert narrow.layout.height > sweep_chart(AXIS, [point(0)], LABELS, "psnr", 1200).layout.height

    def test_every_axis_of_gaussian_noise_has_a_chart_without_points(self, face):
        axis = noise_axis(face, GaussianNoise(), "0:sigma", 9)
        assert sweep_chart(axis, [], LABELS, "gain", 320).layout.height > 300


class TestPathChart:
    def test_it_is_sharpness_against_psnr_in_the_order_of_the_axis(self):
        figure = path_chart(AXIS, [point(0), point(25), point(50)], LABELS, 1200)
        way = curves(figure)["Median 3x3"]
        assert list(way.x) == [24, 26.5, 29]
        assert list(way.y) == pytest.approx([24 / 30, 26.5 / 30, 29 / 30])
        assert list(way.customdata) == [0, 25, 50]  # where the pointer is on the sweep
        assert way.mode == "lines+markers"
        assert figure.layout.meta == "path"
        assert [shape.y0 for shape in figure.layout.shapes] == [1]

    def test_several_draws_are_a_mean(self):
        points = [point(25, seed, median=20.0 + seed) for seed in (0, 2)]
        assert list(curves(path_chart(AXIS, points, LABELS, 1200))["Median 3x3"].x) == [21]

    def test_the_ends_of_one_that_moves_alone_are_named(self):
        points = [point(0), point(25), point(50)]
        named = path_chart(AXIS, points, LABELS, 1200, flat=["nl-means"])
        assert [note.text for note in named.layout.annotations] == ["0", "50", "as sharp as clean"]
        alone = path_chart(AXIS, points[:1], LABELS, 1200, flat=["nl-means"])
        assert [note.text for note in alone.layout.annotations] == ["0", "as sharp as clean"]
        several = path_chart(AXIS, points, LABELS, 1200)
        assert [note.text for note in several.layout.annotations] == ["as sharp as clean"]

    def test_draws_are_a_cloud(self):
        axis = Axis(SEED, "Seed of the noise", (0.0, 1.0))
        figure = path_chart(axis, [point(0), point(1)], LABELS, 1200)
        assert {trace.mode for trace in figure.data} == {"markers"}

    def test_what_is_infinite_is_a_gap(self):
        points = [point(0, noisy=math.inf, median=math.inf), point(25)]
        figure = path_chart(AXIS, points, LABELS, 1200, flat=["nl-means"])
        assert curves(figure)["Noisy picture"].x == (None, 20)
        assert [note.text for note in figure.layout.annotations] == ["25", "as sharp as clean"]


class TestRedrawChart:
    def test_every_draw_the_mean_and_two_bars(self):
        points = [point(seed, seed, median=20.0 + 2 * seed) for seed in range(3)]
        figure = repeats_chart(points, LABELS, "psnr", 1200)
        own = [trace for trace in figure.data if trace.y and trace.y[0] == "Median 3x3"]
        draws, deviation, error = own
        assert list(draws.x) == [20, 22, 24]
        assert (deviation.x, deviation.error_x.array) == ((22,), (2,))
        assert error.error_x.array[0] == pytest.approx(2 / math.sqrt(3))
        assert error.error_x.thickness > deviation.error_x.thickness

    def test_no_draws_yet(self):
        assert repeats_chart([], LABELS, "ssim", 320).layout.height > 100
