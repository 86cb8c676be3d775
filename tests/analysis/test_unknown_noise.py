"""Noise of unknown kind and strength, and PSNR without the clean picture, where the truth is known."""

import math

import numpy as np
import pytest
import skimage.data

import denoiser
from denoiser.analysis import unknown_noise
from denoiser.analysis.unknown_noise import (
    CLEAN,
    KINDS,
    UNKNOWN,
    estimate_noise_of,
    estimate_uncalibrated,
    stein_psnr,
)
from denoiser.images import from_uint8, to_uint8
from denoiser.noise import NoiseChain, create_noise, list_noises
from tests.doubles import Fixed

PORTRAIT = from_uint8(skimage.data.astronaut()[:256, 100:356])
GRAY = from_uint8(skimage.data.camera()[40:296, 100:356])


def add(kind: str, picture=PORTRAIT, seed=0, **strength: float) -> np.ndarray:
    return create_noise(kind, **strength)(picture, seed, round_8bit=True)


# Kind and strength


@pytest.mark.parametrize(
    ("kind", "name", "value", "tolerance"),
    [
        ("gaussian", "sigma", 10 / 255, 0.1),
        ("gaussian", "sigma", 25 / 255, 0.05),
        ("gaussian", "sigma", 50 / 255, 0.05),
        ("salt-and-pepper", "amount", 0.02, 0.1),
        ("salt-and-pepper", "amount", 0.3, 0.05),
        ("impulse", "amount", 0.1, 0.15),
        ("poisson", "peak", 30, 0.1),
        ("poisson", "peak", 100, 0.1),
        ("speckle", "sigma", 0.141, 0.1),
    ],
)
@pytest.mark.parametrize("picture", [PORTRAIT, GRAY], ids=["colour", "gray"])
def test_kind_and_strength_of_known_noise(kind, name, value, tolerance, picture):
    noise = create_noise(kind, **{name: value})
    noisy = noise(picture, 1, round_8bit=True)
    found = estimate_noise_of(noisy)
    assert found.kind == kind
    assert found.noise is not None
    assert getattr(found.noise, name) == pytest.approx(value, rel=tolerance)
    true = noise.known_sigma(picture) or math.sqrt(float(np.mean((noisy - picture) ** 2)))
    assert found.sigma == pytest.approx(true, rel=tolerance)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [("gaussian", "sigma", 10 / 255), ("poisson", "peak", 300), ("speckle", "sigma", 0.141)],
)
def test_what_estimates_are_off_on_average_is_taken_off(kind, name, value):
    noise = create_noise(kind, **{name: value})
    noisy = noise(PORTRAIT, 1, round_8bit=True)
    plain, found = estimate_uncalibrated(noisy), estimate_noise_of(noisy)
    true = noise.known_sigma(PORTRAIT)
    assert found.kind == plain.kind == kind
    assert abs(found.sigma - true) < abs(plain.sigma - true)
    assert found.noise.known_sigma(PORTRAIT) == pytest.approx(found.sigma, rel=0.05)


def test_an_estimate_says_how_far_it_may_be_trusted():
    found = estimate_noise_of(add("gaussian", sigma=25 / 255))
    assert found.low < 25 / 255 < found.high
    assert found.confidence > 0.9
    assert 0 < found.sigma_error < 0.05 * found.sigma
    assert math.isnan(estimate_noise_of(add("jpeg", quality=20)).sigma_error)


def test_the_share_of_salt_is_told():
    found = estimate_noise_of(add("salt-and-pepper", amount=0.1, salt_ratio=0.8))
    assert found.kind == "salt-and-pepper"
    assert found.noise.salt_ratio == pytest.approx(0.8, abs=0.02)


def test_strong_noise_is_not_read_as_less_for_what_clipping_took_of_it():
    """The estimator that filters use reads at most nine tenths here."""
    noisy = add("gaussian", sigma=60 / 255)
    assert denoiser.denoisers.base.estimate_noise(noisy) < 0.9 * 60 / 255
    assert estimate_noise_of(noisy).sigma == pytest.approx(60 / 255, rel=0.05)


@pytest.mark.parametrize("picture", [PORTRAIT, GRAY], ids=["colour", "gray"])
def test_a_clean_picture_is_called_clean(picture):
    found = estimate_noise_of(picture)
    assert (found.kind, found.noise) == (CLEAN, None)
    assert found.sigma < 3.5 / 255


@pytest.mark.parametrize("corner", [0, 3])
def test_compression_is_told_wherever_the_blocks_begin(corner):
    found = estimate_noise_of(add("jpeg", quality=20)[corner:, corner:])
    assert (found.kind, found.noise) == ("jpeg", None)


def test_two_noises_at_once_are_called_unknown():
    both = NoiseChain((create_noise("gaussian", sigma=15 / 255), create_noise("salt-and-pepper")))
    found = estimate_noise_of(both(PORTRAIT, 0, round_8bit=True))
    assert (found.kind, found.noise) == (UNKNOWN, None)


def test_a_large_picture_is_judged_by_pieces_from_all_over_it(monkeypatch):
    seen = []
    whole = np.tile(add("gaussian", sigma=25 / 255), (5, 4, 1))
    votes = unknown_noise._votes
    monkeypatch.setattr(unknown_noise, "_votes", lambda pieces: seen.extend(pieces) or votes(pieces))
    assert estimate_noise_of(whole).kind == "gaussian"
    assert [piece.shape for piece in seen] == [(256, 256, 3)] * 9


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2, 3), (8, 8), (20, 20)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_of_a_tiny_or_even_picture_nothing_is_said(shape, value):
    found = estimate_noise_of(np.full(shape, value, np.float32))
    assert (found.kind, found.sigma, found.noise) == (CLEAN, 0.0, None)


def test_what_can_be_told_are_noises_here():
    assert set(KINDS) < set(list_noises())
    assert not {CLEAN, UNKNOWN} & set(list_noises())


def test_what_is_no_picture_is_refused():
    with pytest.raises(TypeError, match="floating-point"):
        estimate_noise_of(to_uint8(PORTRAIT))
    with pytest.raises(ValueError, match="NaN"):
        estimate_noise_of(np.full((9, 9), np.nan))


# PSNR by Stein's method

# Beside twice its standard error, how far the estimate may lie off, in dB: what was measured of clipped
# noise, see docs/unknown-noise.md.
BIAS = {False: 0.1, True: 0.5}


@pytest.mark.parametrize("clip", [False, True], ids=["unclipped", "clipped"])
@pytest.mark.parametrize("sigma", [5, 10, 25, 50])
@pytest.mark.parametrize("method", ["residual-unet", "attention-unet", "median", "nl-means"])
def test_the_estimated_psnr_is_the_true_one(method, sigma, clip):
    method = denoiser.create_denoiser(method)
    for picture, seed in ((PORTRAIT[:160, :160], 1), (GRAY, 2)):
        noise = create_noise("gaussian", sigma=sigma / 255)
        noisy = noise(picture, seed, clip=clip, round_8bit=clip)
        found = stein_psnr(noisy, method, sigma / 255)
        true = denoiser.psnr(method(noisy, sigma / 255), picture)
        assert abs(found.psnr - true) < 2 * found.standard_error + BIAS[clip]
        assert found.low < found.psnr < found.high
        assert found.standard_error < 1


def test_without_what_was_cut_off_the_estimate_would_be_far_off():
    """What SURE takes for noise is less than it was told: at sigma 50, all the error there is."""
    sigma = 50 / 255
    noisy = add("gaussian", GRAY, sigma=sigma)
    found = stein_psnr(noisy, denoiser.create_denoiser("residual-unet"), sigma)
    assert found.clipped > 0.05
    assert float(np.mean((noisy - GRAY) ** 2)) < 0.9 * sigma**2
    assert abs(found.psnr - denoiser.psnr(denoiser.create_denoiser("residual-unet")(noisy), GRAY)) < 0.7


def test_of_a_method_that_does_nothing_the_noise_is_left():
    class Nothing(Fixed):
        def _denoise(self, noisy, sigma):
            return noisy

    sigma = 10 / 255
    picture = np.full((64, 64), 0.5, np.float32)
    noisy = create_noise("gaussian", sigma=sigma)(picture, 0)
    found = stein_psnr(noisy, Nothing(noisy), sigma)
    assert found.psnr == pytest.approx(-20 * math.log10(sigma), abs=1e-3)
    # That the noise happens to be a little more or less than sigma is not seen: it is the error.
    expected = 10 / math.log(10) * math.sqrt(2 / noisy.size)
    assert found.standard_error == pytest.approx(expected, rel=1e-3)


def test_an_error_too_small_to_be_told_from_none():
    """Of a method that returns the clean picture, SURE is chance around 0: half the time below it."""
    sigma = 10 / 255
    found = []
    for seed in range(8):
        noisy = create_noise("gaussian", sigma=sigma)(GRAY, seed, clip=False)
        found.append(stein_psnr(noisy, Fixed(GRAY), sigma))
    negative = [estimate for estimate in found if math.isnan(estimate.psnr)]
    assert 0 < len(negative) < 8
    for estimate in found:
        assert not estimate.low < 40
        assert estimate.high == math.inf
        assert math.isnan(estimate.psnr) == math.isnan(estimate.standard_error)


def test_a_strength_that_the_picture_contradicts():
    found = stein_psnr(np.full((64, 64), 0.5, np.float32), denoiser.create_denoiser("median"), 0.1)
    assert math.isnan(found.psnr)
    assert math.isnan(found.low)
    assert found.high == math.inf


def test_a_strength_that_is_not_well_known_widens_the_interval():
    sigma, method = 25 / 255, denoiser.create_denoiser("median")
    noisy = add("gaussian", GRAY, sigma=sigma)
    known = stein_psnr(noisy, method, sigma)
    guessed = stein_psnr(noisy, method, sigma, sigma_error=0.02 * sigma)
    assert guessed.psnr == known.psnr
    assert guessed.standard_error > 1.2 * known.standard_error
    # It is right about how much: had sigma been wrong by that, the estimate would have moved so far.
    moved = stein_psnr(noisy, method, 1.02 * sigma).psnr - known.psnr
    added = math.sqrt(guessed.standard_error**2 - known.standard_error**2)
    assert abs(moved) == pytest.approx(added, rel=0.2)


def test_the_same_seed_gives_the_same_estimate_and_another_one_close_to_it():
    noisy, method = add("gaussian", GRAY, sigma=0.1), denoiser.create_denoiser("residual-unet")
    first, again, other = (stein_psnr(noisy, method, 0.1, seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert abs(first.psnr - other.psnr) < 2 * first.standard_error


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2, 3), (9, 9), (17, 30, 3)])
def test_any_size(shape):
    noisy = create_noise("gaussian", sigma=0.1)(np.full(shape, 0.5, np.float32), 0)
    found = stein_psnr(noisy, denoiser.create_denoiser("median"), 0.1)
    assert 0 <= found.clipped <= 1
    assert not found.low > found.psnr


@pytest.mark.parametrize(
    ("sigma", "error"), [(0.0, 0.0), (-0.1, 0.0), (2.0, 0.0), (math.nan, 0.0), (0.1, -1.0)]
)
def test_strengths_out_of_range_are_refused(sigma, error):
    with pytest.raises(ValueError, match="sigma"):
        stein_psnr(GRAY, denoiser.create_denoiser("median"), sigma, sigma_error=error)
