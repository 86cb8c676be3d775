"""Figures hold the numbers they claim to show."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from denoiser.analysis.contact_sheet import method_labels
from denoiser.noise import GaussianNoise, SaltAndPepperNoise
from denoiser.pipeline import compare
from denoiser.ui.compare.charts import metric_bars, noise_histogram
from tests.doubles import Fixed

METHODS = ("median", "gaussian-filter", "bilateral")


@pytest.fixture(scope="module")
def comparison(face):
    return compare(face, GaussianNoise(0.1), 3, METHODS)


def dashed_lines(figure):
    return [shape.x0 for shape in figure.layout.shapes if shape.line.dash == "dash"]


class TestMetricBars:
    def test_bars_are_the_scores(self, comparison):
        psnr, ssim = metric_bars(comparison).data
        results = [comparison.noisy, *comparison.values()]
        assert list(psnr.x) == [result.psnr for result in results]
        assert list(ssim.x) == [result.ssim for result in results]
        assert list(psnr.y) == list(ssim.y) == list(method_labels(comparison).values())

    def test_values_are_written_out(self, comparison):
        psnr, ssim = metric_bars(comparison).data
        assert psnr.text[0] == f"{comparison.noisy.psnr:.2f}"
        assert ssim.text[0] == f"{comparison.noisy.ssim:.3f}"

    def test_best_stands_out_by_more_than_colour(self, comparison):
        for trace, scores in zip(
            metric_bars(comparison).data,
            ([r.psnr for r in comparison.values()], [r.ssim for r in comparison.values()]),
            strict=True,
        ):
            best = 1 + int(np.argmax(scores))
            assert [i for i, text in enumerate(trace.text) if "★" in text] == [best]
            assert [i for i, width in enumerate(trace.marker.line.width) if width] == [best]

    @pytest.mark.parametrize("sigma", [0, 0.001])
    def test_nothing_is_best_that_does_not_beat_the_noisy_picture(self, face, sigma):
        for panel in metric_bars(compare(face, GaussianNoise(sigma), 0, ["median"])).data:
            assert not any("★" in text for text in panel.text)

    def test_a_gain_too_small_to_be_shown_is_none(self, face):
        noisy = compare(face, GaussianNoise(0.1), 0, []).noisy
        for gain, best in ((0.04, False), (0.06, True)):
            method = replace(noisy, id="median", psnr=noisy.psnr + gain)
            made = replace(compare(face, GaussianNoise(0.1), 0, ["median"]), results={"median": method})
            assert ("★" in metric_bars(made).data[0].text[1]) == best

    def test_dashed_line_is_the_noisy_picture(self, comparison):
        assert dashed_lines(metric_bars(comparison)) == [
            comparison.noisy.psnr,
            comparison.noisy.ssim,
        ]

    def test_labels(self, comparison):
        psnr, _ = metric_bars(comparison, {"median": "My median", "noisy": "As it came"}).data
        assert list(psnr.y[:2]) == ["As it came", "My median"]
        assert psnr.y[2] == "Gaussian filter"

    def test_infinity_fits_on_the_axis(self, face):
        figure = metric_bars(compare(face, GaussianNoise(0.1), 0, ["median", Fixed(face)]))
        psnr = figure.data[0]
        assert "∞" in psnr.text[2]
        assert max(psnr.x) == psnr.x[2] < figure.layout.xaxis.range[1]

    def test_everything_infinite(self, face):
        psnr, _ = metric_bars(compare(face, GaussianNoise(0), 0, [Fixed(face)])).data
        assert all("∞" in text for text in psnr.text)
        assert all(math.isfinite(length) for length in psnr.x)

    def test_score_that_is_not_defined_has_no_bar(self):
        small = np.full((5, 5), 0.5, np.float32)
        _, ssim = metric_bars(compare(small, GaussianNoise(0.1), 0, ["median"])).data
        assert list(ssim.x) == [None, None]
        assert set(ssim.text) == {"not defined"}

    def test_negative_ssim_stays_visible(self, face):
        figure = metric_bars(compare(face, GaussianNoise(0.1), 0, [Fixed(1 - face)]))
        assert figure.data[1].x[1] < 0
        assert figure.layout.xaxis2.range[0] <= figure.data[1].x[1]

    def test_no_methods(self, face):
        psnr, _ = metric_bars(compare(face, GaussianNoise(0.1), 0, [])).data
        assert len(psnr.x) == 1

    def test_more_methods_make_it_taller(self, face, comparison):
        few = metric_bars(compare(face, GaussianNoise(0.1), 3, ["median"])).layout.height
        assert metric_bars(comparison).layout.height == few + 2 * 2 * 24


class TestNoiseHistogram:
    def test_is_a_density_of_the_noise(self, comparison):
        bars = noise_histogram(comparison).data[0]
        noise = 255 * (comparison.corruption.noisy - comparison.corruption.clean)
        density, x = np.array(bars.y), np.array(bars.x)
        assert density.sum() * bars.width == pytest.approx(1)
        assert (density * x).sum() * bars.width == pytest.approx(noise.mean(), abs=1)
        spread = math.sqrt((density * x**2).sum() * bars.width)
        assert spread == pytest.approx(noise.std(), rel=0.03)

    def test_title_says_mean_and_deviation(self, comparison):
        noise = 255 * (comparison.corruption.noisy.astype(np.float64) - comparison.corruption.clean)
        title = noise_histogram(comparison).layout.title.text
        assert f"{noise.mean():.2f}" in title
        assert f"{noise.std():.2f}" in title

    def test_known_sigma_is_drawn(self, comparison):
        curve = noise_histogram(comparison).data[1]
        assert "25.5" in curve.name
        middle = len(curve.y) // 2
        assert curve.x[middle] == pytest.approx(0)
        assert curve.y[middle] == pytest.approx(1 / (25.5 * math.sqrt(2 * math.pi)))

    def test_no_curve_where_no_sigma_describes_it(self, face):
        figure = noise_histogram(compare(face, SaltAndPepperNoise(0.1), 0, []))
        assert len(figure.data) == 1

    def test_no_noise(self, face):
        figure = noise_histogram(compare(face, GaussianNoise(0), 0, []))
        assert len(figure.data) == 1
        bars = figure.data[0]
        assert np.flatnonzero(bars.y).tolist() == [len(bars.y) // 2]

    def test_colour(self, face):
        clean = np.stack([face] * 3, axis=-1)
        bars = noise_histogram(compare(clean, GaussianNoise(0.1), 0, [])).data[0]
        assert sum(bars.y) * bars.width == pytest.approx(1)


@pytest.mark.parametrize("draw", [metric_bars, noise_histogram])
class TestEveryFigure:
    def test_fixed_height_lean_and_see_through(self, draw, comparison):
        figure = draw(comparison)
        payload = json.loads(figure.to_json())
        assert 200 <= figure.layout.height <= 1000
        assert len(figure.to_json()) < 12_000
        assert payload["layout"]["paper_bgcolor"].endswith(" 0)")
        assert "NaN" not in figure.to_json()
        assert "Infinity" not in figure.to_json()

    def test_text_is_legible_on_light_and_dark(self, draw, comparison):
        def luminance(red, green, blue):
            linear = [
                c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                for c in (red / 255, green / 255, blue / 255)
            ]
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

        colour = draw(comparison).layout.font.color.lstrip("#")
        text = luminance(*bytes.fromhex(colour))
        for page in ((255, 255, 255), (11, 15, 25)):
            low, high = sorted([text, luminance(*page)])
            assert (high + 0.05) / (low + 0.05) > 4
