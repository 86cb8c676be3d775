"""Sweeps along everything, and what is known of where networks were trained."""

import csv
import io
import math

import numpy as np
import pytest

from denoiser.analysis.sweeps import (
    FACTORS,
    SEED,
    Axis,
    assumed_axis,
    find_hyperparameter,
    hyperparameter_axes,
    hyperparameter_axis,
    noise_axes,
    noise_axis,
    points_csv,
    sweep_assumed,
    sweep_hyperparameter,
    sweep_noises,
    sweep_seeds,
    trained_range,
    vary,
)
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.registry import create_denoiser, list_denoisers
from denoiser.metrics import sharpness
from denoiser.noise import (
    NOISES,
    PRESETS,
    GaussianNoise,
    ImpulseNoise,
    NoiseChain,
    PoissonNoise,
    SaltAndPepperNoise,
    SpeckleNoise,
    create_noise,
)
from denoiser.pipeline import compare, denoise
from denoiser.weights.training_noise import NoiseRange, TrainingNoise

CHAIN = NoiseChain((GaussianNoise(0.1), SaltAndPepperNoise(0.2, 0.5)))


def alone(kind, **ranges):
    return TrainingNoise(0.5, (NoiseRange(kind, ranges),))


MIXTURE = (
    alone("gaussian", sigma=(0.05, 0.1)),
    alone("gaussian", sigma=(0.08, 0.25)),
    alone("poisson", peak=(10, 60)),
    alone("speckle", sigma=(0.1, 0.3)),
    alone("salt-and-pepper", amount=(0.0, 0.4), salt_ratio=(0.3, 0.7)),
    alone("pixel-shuffle", amount=(0.0, 0.5), radius=(2, 2)),
    TrainingNoise(
        0.1,
        (
            NoiseRange("gaussian", {"sigma": (0.0, 0.5)}),
            NoiseRange("impulse", {"amount": (0.0, 0.2)}),
        ),
    ),
)


def methods(*names):
    return [create_denoiser(name) for name in names]


def network(*noises):
    return DenoiserInfo("net", "Net", "network", False, "-", 1, "-", trained_noises=noises)


class TestAxes:
    @pytest.mark.parametrize("kind", NOISES, ids=lambda kind: kind.id)
    def test_every_parameter_over_its_slider(self, kind, face):
        noise = kind()
        for axis_id, parameter in zip(noise_axes(noise), kind.parameters, strict=True):
            axis = noise_axis(face, noise, axis_id, 9)
            assert axis.values == tuple(sorted(set(axis.values)))
            assert axis.values[0] == pytest.approx(parameter.minimum * parameter.scale)
            assert axis.values[-1] == pytest.approx(parameter.slider_maximum * parameter.scale)
            assert 4 <= len(axis.values) <= 10
            for value in axis.values:
                vary(noise, axis_id, value)

    def test_the_experiment_itself_is_one_of_the_places(self, face):
        axis = noise_axis(face, GaussianNoise(17 / 255), "0:sigma", 9)
        assert 17 in axis.values
        assert axis.marks == ((17, "Compare: 17"),)
        assert vary(GaussianNoise(17 / 255), "0:sigma", 17) == GaussianNoise(17 / 255)

    def test_noise_grows_to_the_right(self, face):
        assert not noise_axis(face, GaussianNoise(), "0:sigma", 9).reversed
        photons = noise_axis(face, PoissonNoise(), "0:peak", 9)
        assert photons.reversed
        assert photons.log

    def test_chains_name_their_stages(self):
        assert list(noise_axes(CHAIN)) == ["0:sigma", "1:amount", "1:salt_ratio"]
        assert noise_axes(CHAIN)["1:amount"].startswith("Salt and pepper: ")
        changed = vary(CHAIN, "1:amount", 30)
        assert changed.stages == (GaussianNoise(0.1), SaltAndPepperNoise(0.3, 0.5))

    def test_two_of_a_kind_are_told_apart(self):
        axes = noise_axes(NoiseChain((GaussianNoise(), SaltAndPepperNoise(), GaussianNoise())))
        assert len(set(axes.values())) == len(axes) == 4
        assert axes["2:sigma"].startswith("Gaussian, noise 3: ")

    @pytest.mark.parametrize("axis_id", ["0:peak", "1:sigma", "median:radius", "", "0"])
    def test_unknown(self, axis_id):
        with pytest.raises(ValueError, match="no parameter"):
            vary(GaussianNoise(), axis_id, 10)


class TestSweeps:
    def test_along_a_noise(self, face):
        noise = GaussianNoise(25 / 255)
        places = [(shown, vary(noise, "0:sigma", shown)) for shown in (10, 25)]
        points = list(sweep_noises(face, places, [3, 4], methods("median"), round_8bit=True))
        assert [(p.value, p.seed) for p in points] == [(10, 3), (10, 4), (25, 3), (25, 4)]
        expected = compare(face, noise, 4, ["median"], round_8bit=True)
        assert points[-1].psnr == {"noisy": expected.noisy.psnr, "median": expected["median"].psnr}
        np.testing.assert_array_equal(points[-1].comparison["median"].image, expected["median"].image)
        assert points[-1].sharpness["median"] == sharpness(expected["median"].image, face)

    def test_along_seeds(self, face):
        points = list(sweep_seeds(face, GaussianNoise(), [5, 6], methods("median"), clip=False))
        assert [(p.value, p.seed) for p in points] == [(5, 5), (6, 6)]
        expected = compare(face, GaussianNoise(), 6, ["median"], clip=False)
        assert points[1].psnr["noisy"] == expected.noisy.psnr

    def test_along_a_hyperparameter(self, face):
        noise, median = SaltAndPepperNoise(0.3), create_denoiser("median")
        axis = hyperparameter_axis("median:radius", 9, current=2)
        assert axis.values == (1, 2, 3, 4, 5, 6, 7)
        assert axis.marks == ((2, "Compare: 2"),)
        (radius,) = median.info.hyperparameters
        others = methods("trimmed-median")
        points = list(sweep_hyperparameter(face, noise, [0, 1], median, radius, (1, 2, 3), others))
        assert [(p.value, p.seed) for p in points] == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)]
        listed = compare(face, noise, 0, ["median", "median-5", "trimmed-median"])
        drawn = [point.psnr["median"] for point in points if point.seed == 0]
        assert drawn[:2] == [listed["median"].psnr, listed["median-5"].psnr]
        assert len(set(drawn)) == 3
        assert {p.psnr["trimmed-median"] for p in points if p.seed == 0} == {
            listed["trimmed-median"].psnr
        }

    def test_others_are_computed_as_the_points_come(self, face):
        computed = []

        class Counting(type(create_denoiser("median"))):
            def __call__(self, noisy, sigma=None):
                computed.append(1)
                return super().__call__(noisy, sigma)

        median, wavelet = create_denoiser("median"), create_denoiser("trimmed-median")
        other = Counting(wavelet.info, wavelet.function)
        (radius,) = median.info.hyperparameters
        points = sweep_hyperparameter(face, GaussianNoise(), [0, 1], median, radius, (1, 2), [other])
        next(points)
        assert len(computed) == 1
        assert len(list(points)) == 3
        assert len(computed) == 2

    def test_the_method_is_told_the_strength(self, face):
        method = create_denoiser("nl-means")
        (strength,) = method.info.hyperparameters
        noise = GaussianNoise(0.2)
        (point,) = sweep_hyperparameter(face, noise, [3], method, strength, [1.5], [])
        own = method.with_hyperparameters(strength=1.5)
        assert point.psnr["nl-means"] == compare(face, noise, 3, [own])["nl-means"].psnr

    def test_every_hyperparameter_has_an_axis_over_its_slider(self):
        axes = hyperparameter_axes(list_denoisers())
        for axis_id in axes:
            method_id, parameter = find_hyperparameter(axis_id)
            axis = hyperparameter_axis(axis_id, 9, parameter.default)
            assert axis.label == axes[axis_id]
            assert (axis.values[0], axis.values[-1]) == parameter.slider_range
            for value in axis.values[:: len(axis.values) - 1]:
                create_denoiser(method_id).with_hyperparameters(
                    **{parameter.name: value / parameter.scale}
                )
        assert find_hyperparameter("median:sigma") is None
        with pytest.raises(ValueError, match="no method has"):
            hyperparameter_axis("median:sigma", 9, 1)

    def test_assumed_strength_reaches_those_who_want_it(self, face):
        noise = GaussianNoise(0.1)
        points = list(sweep_assumed(face, noise, 2, methods("nl-means", "median"), (0.5, 1.0, 2.0)))
        comparison = compare(face, noise, 2, ["nl-means", "median"])
        assert points[1].psnr["nl-means"] == comparison["nl-means"].psnr
        assert {p.psnr["median"] for p in points} == {comparison["median"].psnr}
        wrong = denoise(comparison.corruption.noisy, "nl-means", sigma=0.2, clean=face)
        assert points[2].psnr["nl-means"] == wrong.psnr
        assert points[2].comparison["nl-means"].sigma.value == pytest.approx(0.2)

    def test_assumed_strength_ends_at_one(self, face):
        noise = GaussianNoise(0.4)
        axis = assumed_axis(face, noise, 0, clip=True, round_8bit=False)
        assert axis.values == tuple(f for f in FACTORS if f * 0.4 <= 1)
        points = list(sweep_assumed(face, noise, 0, methods("bilateral")))
        assert [point.value for point in points] == list(axis.values)

    @pytest.mark.parametrize("noise", [SaltAndPepperNoise(), GaussianNoise(0)])
    def test_no_strength_to_be_wrong_about(self, face, noise):
        with pytest.raises(ValueError, match="standard deviation"):
            assumed_axis(face, noise, 0, clip=True, round_8bit=False)

    def test_points_come_one_by_one(self, face):
        asked = []
        places = ((asked.append(value) or value, GaussianNoise(value)) for value in (0.1, 0.2))
        next(sweep_noises(face, places, [0], []))
        assert asked == [0.1]


class TestTrainedRange:
    @pytest.mark.parametrize(
        ("noise", "axis_id", "expected"),
        [
            (GaussianNoise(), "0:sigma", (12.75, 63.75)),  # what it saw alone, over both of its parts
            (PoissonNoise(), "0:peak", (10, 60)),
            (SpeckleNoise(), "0:sigma", (25.5, 76.5)),
            (SaltAndPepperNoise(), "0:amount", (0, 40)),
            (SaltAndPepperNoise(), "0:salt_ratio", (30, 70)),
            (create_noise("pixel-shuffle"), "0:amount", (0, 50)),
            (create_noise("pixel-shuffle"), "0:radius", (2, 2)),
            (ImpulseNoise(), "0:amount", None),  # in combinations only
            (create_noise("blur"), "0:sigma", None),
            (CHAIN, "0:sigma", None),
            (GaussianNoise(), SEED, None),
        ],
    )
    def test_what_a_mixture_holds(self, noise, axis_id, expected):
        found = trained_range(network(*MIXTURE), noise, axis_id)
        assert found == (None if expected is None else pytest.approx(expected))

    def test_what_is_not_known(self):
        """Of filters, and of models on the Hub whose config says it in words only."""
        assert trained_range(network(), GaussianNoise(), "0:sigma") is None

    @pytest.mark.parametrize("preset", PRESETS)
    def test_shipped_specialists_know_one_noise(self, preset):
        noise = PRESETS[preset]
        info = create_denoiser(f"attention-unet.{preset}").info
        name, scale = noise.parameters[0].name, noise.parameters[0].scale
        strength = pytest.approx(getattr(noise, name) * scale)
        assert trained_range(info, noise, f"0:{name}") == (strength, strength)
        assert trained_range(info, SpeckleNoise(), "0:sigma") is None

    @pytest.mark.parametrize(
        ("noise_id", "axis_id"),
        [
            ("gaussian", "0:sigma"),
            ("salt-and-pepper", "0:amount"),
            ("impulse", "0:amount"),
            ("poisson", "0:peak"),
            ("speckle", "0:sigma"),
            ("pixel-shuffle", "0:amount"),
        ],
    )
    def test_the_shipped_blind_model_knows_all_of_its_kinds(self, noise_id, axis_id):
        """Poisson, speckle and shuffled pixels had no range while it was read out of a sentence."""
        found = trained_range(create_denoiser("attention-unet").info, create_noise(noise_id), axis_id)
        assert found is not None
        assert found[0] < found[1]


def test_csv_holds_all_that_was_computed(face):
    places = [(0.0, GaussianNoise(0)), (25.0, GaussianNoise(25 / 255))]
    points = list(sweep_noises(face, places, [0], methods("median")))
    axis = Axis("0:sigma", "Standard deviation (of 255)", (0.0, 25.0))
    rows = list(csv.DictReader(io.StringIO(points_csv(axis, points, {"median": "Median, 3x3"}))))
    assert [(row["value"], row["id"]) for row in rows] == [
        ("0", "noisy"),
        ("0", "median"),
        ("25", "noisy"),
        ("25", "median"),
    ]
    assert float(rows[0]["psnr"]) == math.inf
    assert float(rows[3]["psnr"]) == points[1].psnr["median"]
    assert float(rows[3]["gain"]) == pytest.approx(points[1].gain("median"))
    assert rows[3]["label"] == "Median, 3x3"
    assert {row["axis"] for row in rows} == {"Standard deviation (of 255)"}
