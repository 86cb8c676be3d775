"""A method looks the same in every chart, and unlike every other, whatever colours its reader sees."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from denoiser.analysis.inspection import Residual
from denoiser.analysis.results import METRICS, NOISY, read_benchmark, read_history
from denoiser.analysis.sweeps import SEED, Axis
from denoiser.denoisers.registry import DEFAULT_DENOISERS, describe_denoiser, list_denoisers
from denoiser.lessons.base import Chart, Line
from denoiser.noise import GaussianNoise
from denoiser.pipeline import SweepPoint, compare
from denoiser.ui.benchmark.charts import (
    distortion_against_perception,
    quality_against_time,
    strength_curves,
    training_curves,
)
from denoiser.ui.common.charts import (
    COLOURS,
    DASHES,
    NOISY_COLOUR,
    SYMBOLS,
    TEXT,
    look,
    numbered_look,
)
from denoiser.ui.common.colours import rgb
from denoiser.ui.compare.charts import metric_bars, noise_histogram
from denoiser.ui.inside.charts import power_spectra, profile_chart, residual_histogram
from denoiser.ui.lessons.charts import draw_chart
from denoiser.ui.sweep.charts import METRICS as SWEEP_METRICS
from denoiser.ui.sweep.charts import path_chart, repeats_chart, sweep_chart

# What the eye makes of linear red, green and blue without one kind of cone: G. M. Machado et al. 2009,
# doi:10.1109/TVCG.2009.113, severity 1.
VISION = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
PAGES = ("#ffffff", "#0a0f1e")  # a panel's background, light and dark
METHODS = (NOISY, *list_denoisers())


def linear(colour: str) -> np.ndarray:
    channels = np.array(rgb(colour)) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def as_seen(colour: str, vision: str) -> np.ndarray:
    """CIE Lab of what a colour looks like."""
    channels = np.clip(VISION[vision] @ linear(colour), 0, 1)
    curved = np.where(channels <= 0.0031308, channels * 12.92, 1.055 * channels ** (1 / 2.4) - 0.055)
    return rgb2lab(curved)


def difference(colour: str, other: str, vision: str) -> float:
    return float(deltaE_ciede2000(as_seen(colour, vision), as_seen(other, vision)))


def contrast(colour: str, other: str) -> float:
    low, high = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] for c in (colour, other))
    return (high + 0.05) / (low + 0.05)


def channels(method: str) -> tuple[str, str, str]:
    drawn = look(method)
    return drawn.color, drawn.dash, drawn.symbol


class TestAnyTwoMethods:
    def test_differ_in_two_of_colour_dash_and_symbol(self):
        for one, other in combinations(METHODS, 2):
            pairs = list(zip(channels(one), channels(other), strict=True))
            assert sum(a != b for a, b in pairs) >= 2, (one, other)

    @pytest.mark.parametrize("vision", VISION)
    def test_that_share_dash_or_symbol_have_colours_told_apart(self, vision):
        for one, other in combinations(METHODS, 2):
            (colour, *shapes), (other_colour, *other_shapes) = channels(one), channels(other)
            if any(a == b for a, b in zip(shapes, other_shapes, strict=True)):
                assert difference(colour, other_colour, vision) > 10, (one, other)

    def test_on_one_another_both_show(self):
        for one, other in combinations(map(look, list_denoisers()), 2):
            low, high = sorted((one, other), key=lambda drawn: drawn.layer)
            assert low.layer < high.layer
            if low.dash == high.dash:
                assert (high.width, high.size) < (low.width, low.size)
            else:
                assert high.dash != "solid"

    def test_that_the_page_shows_first_have_colours_of_their_own(self):
        assert len({look(method).color for method in (NOISY, *DEFAULT_DENOISERS)}) == 5


def test_thirty_can_be_told_apart():
    looks = {(drawn.color, drawn.dash, drawn.symbol) for drawn in map(numbered_look, range(30))}
    assert len(looks) == len(COLOURS) * len(DASHES) == 30
    assert len({(color, symbol) for color, _, symbol in looks}) == 30  # where there are no lines
    assert len(SYMBOLS) >= max(len(COLOURS), len(DASHES))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("colour", [*COLOURS, NOISY_COLOUR, TEXT])
def test_every_line_stands_out_from_the_page(colour, page):
    assert contrast(colour, page) >= 3


@pytest.fixture(scope="module")
def benchmark():
    return read_benchmark()


@pytest.fixture(scope="module")
def labels():
    return {NOISY: "Noisy picture"} | {m: describe_denoiser(m).label for m in list_denoisers()}


@pytest.fixture(scope="module")
def comparison(face):
    made = compare(face, GaussianNoise(25 / 255), 0, ["median"])
    median = made["median"]
    results = {m: replace(median, id=m, psnr=20 + i) for i, m in enumerate(list_denoisers())}
    return replace(made, results=results)


def points(seeds: bool = False) -> list[SweepPoint]:
    """A sweep from no noise on, which networks hardly change and where nothing else has bounds."""
    made = []
    for place in range(3):
        psnr = {m: 74.0 - i if place == 0 else 30.0 - i / place for i, m in enumerate(METHODS)}
        if place == 0 and not seeds:
            psnr[NOISY] = math.inf
        ssim = {m: value / 100 if math.isfinite(value) else 1.0 for m, value in psnr.items()}
        made.append(SweepPoint(float(place), place if seeds else 0, psnr, ssim, ssim))
    return made


AXIS = Axis("0:sigma", "Standard deviation", (0.0, 1.0, 2.0), ((1.0, "Compare: 1"),))
SEEDS = Axis(SEED, "Seed", (0.0, 1.0, 2.0))
RESIDUAL = Residual(*(np.random.default_rng(0).normal(0, spread, (48, 48)) for spread in (0.05, 0.1)))


def every_figure(benchmark, labels, comparison):
    """What every tab draws of methods, by tab."""
    noise = next(c for c in benchmark.conditions if c.id == "gaussian-50")
    ids = [method.id for method in benchmark.methods]
    psnr = METRICS["psnr"]
    return {
        "compare": [metric_bars(comparison, labels), noise_histogram(comparison)],
        "sweep": [
            *(sweep_chart(AXIS, points(), labels, metric, 1300) for metric in SWEEP_METRICS),
            sweep_chart(SEEDS, points(seeds=True), labels, "psnr", 1300),
            path_chart(AXIS, points(), labels, 1300),
            repeats_chart(points(seeds=True), labels, "psnr", 1300),
        ],
        "inside": [
            profile_chart({m: np.linspace(0, 1, 9) for m in METHODS}, labels, 900),
            residual_histogram(RESIDUAL, "median"),
            power_spectra(RESIDUAL, "median"),
        ],
        "lessons": [
            draw_chart(
                Chart("", "x", "y", tuple(Line(labels[m], (0, 1), (0, 1), method=m) for m in METHODS))
            )
        ],
        "benchmark": [
            *(strength_curves(benchmark, curve, psnr, ids, 1300) for curve in benchmark.curves),
            quality_against_time(benchmark, noise, psnr, 700),
            *(
                distortion_against_perception(benchmark, noise, METRICS[quality], 700)
                for quality in ("spectral_distance", "sharpness", "frechet_distance", "detectability")
            ),
            training_curves(read_history("patchgan"), 1300),
        ],
    }


@pytest.fixture(scope="module")
def figures(benchmark, labels, comparison):
    return every_figure(benchmark, labels, comparison)


def test_a_method_looks_the_same_in_the_charts_of_all_tabs(figures, labels):
    ids = {label: name for name, label in labels.items()}
    for tab, drawn in figures.items():
        seen = set()
        for figure in drawn:
            for trace in figure.data:
                if trace.type == "bar" and trace.orientation == "h":
                    assert list(trace.marker.color) == [look(ids[name]).color for name in trace.y]
                    seen |= {ids[name] for name in trace.y}
                elif trace.name in ids:
                    expected = look(ids[trace.name])
                    seen.add(ids[trace.name])
                    assert (trace.marker.color, trace.marker.symbol) == (
                        expected.color,
                        expected.symbol,
                    )
                    if "lines" in trace.mode:
                        assert (trace.line.color, trace.line.dash) == (expected.color, expected.dash)
        assert seen == set(METHODS), tab


def test_a_residual_has_the_colour_of_its_method():
    for draw in (residual_histogram, power_spectra):
        noise, residual = draw(RESIDUAL, "wavelet").data
        assert (noise.line.color, residual.line.color) == (NOISY_COLOUR, look("wavelet").color)


def ends(axis) -> tuple[float, float]:
    if axis.range is None:
        return -math.inf, math.inf
    low, high = sorted(10**end if axis.type == "log" else end for end in axis.range)
    return low, high


def test_no_curve_is_cut(figures):
    for drawn in figures.values():
        for figure in drawn:
            for trace in figure.data:
                if trace.type == "scatter":
                    assert trace.cliponaxis is False  # nor a symbol at the frame
                for values, name in ((trace.x, trace.xaxis or "x"), (trace.y, trace.yaxis or "y")):
                    low, high = ends(figure.layout[f"{name[0]}axis{name[1:]}"])
                    numbers = [v for v in values if isinstance(v, int | float)]
                    assert all(low <= number <= high for number in numbers), trace.name


def test_words_are_plotlys_own_only_where_the_page_recolours_them(figures):
    """Text has one gray, for which page.css puts the theme's own; a size of its own at most."""
    for drawn in figures.values():
        for figure in drawn:
            assert figure.layout.font.color == TEXT
            assert all(note.font.color == TEXT for note in figure.layout.annotations)
