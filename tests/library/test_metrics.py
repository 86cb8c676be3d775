"""Axioms, hand-computed values and agreement with scikit-image."""

import math

import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from denoiser.metrics import (
    psnr,
    radial_power_spectrum,
    score_pixels,
    sharpness,
    spectral_distance,
    ssim,
)

PAIR_METRICS = (psnr, ssim, sharpness)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=[(48, 48), (31, 37), (48, 48, 3)], ids=str)
def pair(request, rng):
    """A random clean picture and a noisy copy."""
    clean = rng.random(request.param, dtype=np.float32)
    noisy = np.clip(clean + rng.normal(0, 0.1, clean.shape), 0, 1).astype(np.float32)
    return noisy, clean


@pytest.fixture(scope="module")
def face():
    return data.astronaut()[20:180, 140:300].mean(axis=-1) / 255


# --- PSNR ---


def test_psnr_of_a_constant_error_of_a_tenth_is_20_db():
    assert psnr(np.full((4, 5), 0.6), np.full((4, 5), 0.5)) == pytest.approx(20.0, abs=1e-12)


def test_psnr_of_black_against_white_is_0_db():
    assert psnr(np.zeros((3, 3)), np.ones((3, 3))) == 0.0


def test_psnr_of_identical_pictures_is_infinite(pair):
    _, clean = pair
    assert psnr(clean, clean) == math.inf


def test_psnr_is_taken_over_all_channels():
    clean = np.zeros((8, 8, 3), np.float32)
    denoised = clean.copy()
    denoised[..., 0] = 0.3
    assert psnr(denoised, clean) == pytest.approx(-10 * math.log10(0.03), abs=1e-5)


def test_psnr_computes_in_float64(rng):
    clean = rng.random((64, 64), dtype=np.float32)
    denoised = np.nextafter(clean, np.float32(0))
    assert math.isfinite(psnr(denoised, clean))


# --- agreement and axioms ---


def test_psnr_agrees_with_scikit_image(pair):
    noisy, clean = pair
    expected = peak_signal_noise_ratio(clean, noisy, data_range=1.0)
    assert psnr(noisy, clean) == pytest.approx(expected, abs=1e-6)


def reference_ssim(denoised, clean):
    """The mean and the map, as scikit-image computes them."""
    return structural_similarity(
        denoised.astype(np.float64),
        clean.astype(np.float64),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1 if clean.ndim == 3 else None,
    )


def test_ssim_agrees_with_scikit_image(pair):
    assert ssim(*pair) == pytest.approx(reference_ssim(*pair), abs=1e-12)


@pytest.mark.parametrize("shape", [(11, 11), (11, 37), (12, 64), (48, 48), (30, 21, 3)])
def test_ssim_agrees_with_scikit_image_at_any_size(rng, shape):
    first, second = rng.random(shape), rng.random(shape)
    assert ssim(first, second) == pytest.approx(reference_ssim(first, second), abs=1e-12)


def test_ssim_of_two_constants_follows_the_formula():
    first, second, c1 = 0.25, 0.75, 0.01**2
    expected = (2 * first * second + c1) / (first**2 + second**2 + c1)
    assert ssim(np.full((16, 16), first), np.full((16, 16), second)) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_pair_metrics_are_symmetric(metric, pair):
    noisy, clean = pair
    assert metric(noisy, clean) == pytest.approx(metric(clean, noisy), rel=1e-12)


def test_identical_pictures_score_1(pair):
    _, clean = pair
    assert ssim(clean, clean) == pytest.approx(1.0, abs=1e-12)
    assert sharpness(clean, clean) == 1.0


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_more_noise_scores_lower(metric, face, rng):
    noise = rng.normal(0, 1, face.shape)
    scores = [metric(np.clip(face + s * noise, 0, 1), face) for s in (0.02, 0.06, 0.1, 0.2)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("metric", PAIR_METRICS)
def test_inputs_are_left_alone(metric, pair):
    noisy, clean = pair
    before = noisy.copy(), clean.copy()
    metric(noisy, clean)
    np.testing.assert_array_equal(noisy, before[0])
    np.testing.assert_array_equal(clean, before[1])


# --- small pictures ---


@pytest.mark.parametrize("shape", [(1, 1), (10, 48), (48, 10), (5, 5, 3)])
def test_ssim_is_undefined_below_its_window(shape, rng):
    picture = rng.random(shape)
    assert math.isnan(ssim(picture, picture))


def test_ssim_is_defined_at_exactly_its_window(rng):
    picture = rng.random((11, 11))
    assert ssim(picture, picture) == pytest.approx(1.0)


# --- sharpness ---


def test_halving_contrast_quarters_gradient_energy(face):
    assert sharpness(face / 2, face) == pytest.approx(0.25)


def test_blur_lowers_sharpness_and_noise_raises_it(face, rng):
    blurred = (face + np.roll(face, 1, 0) + np.roll(face, 1, 1)) / 3
    noisy = np.clip(face + rng.normal(0, 0.1, face.shape), 0, 1)
    assert sharpness(blurred, face) < 1 < sharpness(noisy, face)


def test_sharpness_against_a_constant_picture_is_undefined(rng):
    assert math.isnan(sharpness(rng.random((8, 8)), np.full((8, 8), 0.5)))
    assert math.isnan(sharpness(np.zeros((1, 1)), np.ones((1, 1))))


# --- spectra ---


@pytest.mark.parametrize("shape", [(400, 32, 32), (400, 24, 33)])
def test_white_noise_has_a_flat_spectrum_at_its_variance(shape, rng):
    spectrum = radial_power_spectrum(rng.normal(0.5, 0.1, shape))
    assert spectrum.shape == (min(shape[1:]) // 2,)
    np.testing.assert_allclose(spectrum, 0.01, rtol=0.12)


def test_spectrum_peaks_at_the_frequency_of_a_grating():
    column = np.arange(64)
    grating = np.tile(0.5 + 0.4 * np.sin(2 * np.pi * 10 * column / 64), (64, 1))
    assert np.argmax(radial_power_spectrum(grating)) + 1 == 10


def test_a_single_picture_is_a_set_of_one(face):
    np.testing.assert_array_equal(radial_power_spectrum(face), radial_power_spectrum(face[None]))


def test_spectral_distance_compares_sets_not_pairs(rng):
    pictures = rng.random((6, 16, 16))
    assert spectral_distance(pictures[::-1], pictures) == pytest.approx(0, abs=1e-9)
    assert spectral_distance(np.concatenate([pictures, pictures]), pictures) < 1e-9


def test_spectral_distance_of_a_tenfold_contrast_is_20_db(face):
    assert spectral_distance(face, face / 10) == pytest.approx(20, abs=0.5)


def test_spectral_distance_is_symmetric(face, rng):
    other = rng.random(face.shape)
    assert spectral_distance(face, other) == spectral_distance(other, face) > 0


def test_spectral_distance_of_constant_pictures_is_0():
    assert spectral_distance(np.full((16, 16), 0.2), np.full((16, 16), 0.8)) == 0


def test_spectral_distance_of_one_pixel_is_undefined():
    assert math.isnan(spectral_distance(np.zeros((1, 1)), np.zeros((1, 1))))


def test_spectral_distance_needs_one_picture_size(rng):
    with pytest.raises(ValueError, match="one size"):
        spectral_distance(rng.random((16, 16)), rng.random((16, 17)))


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (np.zeros((4, 4), np.uint8), TypeError),
        (np.zeros(4), ValueError),
        (np.zeros((2, 4, 4, 3)), ValueError),
        (np.zeros((0, 4, 4)), ValueError),
        (np.full((4, 4), np.nan), ValueError),
    ],
)
def test_spectrum_rejects_what_is_no_set_of_gray_pictures(images, error):
    with pytest.raises(error, match="images"):
        radial_power_spectrum(images)


# --- bad pairs ---


@pytest.mark.parametrize("metric", PAIR_METRICS)
@pytest.mark.parametrize(
    ("denoised", "error", "message"),
    [
        (np.zeros((16, 15)), ValueError, "one shape"),
        (np.zeros((16, 16, 3)), ValueError, "one shape"),
        (np.zeros((16, 16), np.uint8), TypeError, "floating-point"),
        ([[0.0]], TypeError, "floating-point"),
        (np.full((16, 16), np.nan), ValueError, "NaN"),
        (np.full((16, 16), 1.01), ValueError, r"within \[0, 1\]"),
        (np.full((16, 16), -0.01), ValueError, r"within \[0, 1\]"),
        (np.full((16, 16), 128.0), ValueError, r"within \[0, 1\]"),
    ],
)
def test_pictures_that_do_not_fit_are_errors(metric, denoised, error, message):
    with pytest.raises(error, match=message):
        metric(denoised, np.zeros((16, 16)))


@pytest.mark.parametrize("metric", PAIR_METRICS)
def test_the_clean_picture_is_checked_too(metric):
    with pytest.raises(ValueError, match="clean must lie within"):
        metric(np.zeros((16, 16)), np.full((16, 16), 255.0))


@pytest.mark.parametrize("metric", PAIR_METRICS)
def test_float_rounding_beyond_the_range_passes(metric):
    metric(np.full((16, 16), 1 + 1e-7), np.full((16, 16), -1e-7))


def test_unclipped_noise_can_be_scored_on_request():
    clean = np.full((16, 16), 0.95)
    with pytest.raises(ValueError, match="denoised must lie"):
        psnr(clean + 0.1, clean)
    assert psnr(clean + 0.1, clean, check_range=False) == pytest.approx(20)
    assert math.isfinite(ssim(clean + 0.1, clean, check_range=False))


def test_ssim_is_never_above_1():
    """Of almost flat pictures, rounding takes the quotient a hair above."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        clean = np.full((16, 16), rng.random())
        denoised = clean + rng.normal(0, 1e-8, clean.shape)
        assert ssim(denoised, clean) <= 1
    assert ssim(clean, clean) == 1


class TestScoresOfLargePictures:
    @pytest.mark.parametrize(
        "shape", [(300, 20), (256, 11, 3), (266, 12), (267, 15), (11, 11), (600, 12)]
    )
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_band_by_band_it_is_the_same(self, shape, kind):
        rng = np.random.default_rng(0)
        one, other = (rng.integers(0, np.iinfo(kind).max, shape).astype(kind) for _ in range(2))
        highest = np.iinfo(kind).max
        floats = one.astype(np.float32) / highest, other.astype(np.float32) / highest
        assert score_pixels(one, other) == pytest.approx((psnr(*floats), ssim(*floats)), rel=1e-5)

    def test_limits(self):
        pixels = np.full((10, 300), 7, np.uint8)
        assert score_pixels(pixels, pixels)[0] == math.inf
        assert math.isnan(score_pixels(pixels, pixels)[1])
        with pytest.raises(ValueError, match="must have one shape"):
            score_pixels(pixels, pixels[:5])
