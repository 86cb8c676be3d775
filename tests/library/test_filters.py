"""What every classical filter must keep, and what each is for."""

from inspect import Parameter, signature

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from denoiser.denoisers.base import estimate_noise
from denoiser.denoisers.filters import CLASSICAL_DENOISERS

BY_ID = {denoiser.info.id: denoiser for denoiser in CLASSICAL_DENOISERS}
SIGMA_IDS = [id for id, denoiser in BY_ID.items() if denoiser.info.uses_sigma]
OTHER_IDS = [id for id in BY_ID if id not in SIGMA_IDS]
SHAPES = [(1, 1), (1, 7), (7, 1), (2, 2), (31, 37), (64, 65), (1, 1, 3), (1, 7, 3), (31, 37, 3)]

each_filter = pytest.mark.parametrize("denoiser", CLASSICAL_DENOISERS, ids=list(BY_ID))
each_sigma_filter = pytest.mark.parametrize("id", SIGMA_IDS)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def face():
    """A real face, gray, 48x48."""
    crop = cv2.cvtColor(data.astronaut()[20:180, 140:300], cv2.COLOR_RGB2GRAY)
    return cv2.resize(crop, (48, 48), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def add_gaussian(clean, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return np.clip(clean + noise, 0, 1).astype(np.float32)


def add_salt_and_pepper(clean, amount, seed=0):
    draw = np.random.default_rng(seed).random(clean.shape)
    salted = np.where(draw < amount / 2, 0, np.where(draw < amount, 1, clean))
    return salted.astype(np.float32)


def score(denoised, clean):
    return peak_signal_noise_ratio(clean, denoised, data_range=1.0)


# --- the list ---


def test_each_is_listed_once():
    assert len(BY_ID) == len(CLASSICAL_DENOISERS)


@each_filter
def test_a_filter_that_takes_a_strength_says_so(denoiser):
    """A second argument of its function without a default can be nothing else."""
    required = [
        p for p in signature(denoiser.function).parameters.values() if p.default is Parameter.empty
    ]
    assert (len(required) == 2) == denoiser.info.uses_sigma


@each_filter
def test_info_describes_a_filter(denoiser):
    info = denoiser.info
    assert info.family == "classical"
    assert info.trained_on is None
    assert info.parameters == 0
    assert info.label
    assert "doi:" in info.reference or "ISBN" in info.reference


# --- the contract ---


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_filter
def test_any_shape_gives_a_picture_of_that_shape(denoiser, shape, rng):
    noisy = rng.random(shape, dtype=np.float32)
    before = noisy.copy()
    denoised = denoiser(noisy, sigma=0.1)
    assert denoised.shape == shape
    assert denoised.dtype == np.float32
    assert denoised.min() >= 0
    assert denoised.max() <= 1
    np.testing.assert_array_equal(noisy, before)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("level", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_filter
def test_a_constant_picture_stays_constant(denoiser, shape, level):
    noisy = np.full(shape, level, np.float32)
    np.testing.assert_allclose(denoiser(noisy, sigma=0.1), noisy, atol=1e-6)


@each_filter
def test_same_picture_same_answer(denoiser, face):
    noisy = add_gaussian(face, 0.1)
    np.testing.assert_array_equal(denoiser(noisy, sigma=0.1), denoiser(noisy, sigma=0.1))


@each_filter
def test_gray_in_rgb_clothes_is_filtered_like_gray(denoiser, face):
    noisy = add_gaussian(face, 0.1)
    colour = denoiser(np.repeat(noisy[..., None], 3, axis=-1), sigma=0.1)
    gray = denoiser(noisy, sigma=0.1)
    np.testing.assert_allclose(colour, np.repeat(gray[..., None], 3, axis=-1), atol=1e-5)


@each_filter
def test_strided_views_and_unclipped_noise_are_fine(denoiser, face, rng):
    noisy = (face + rng.normal(0, 0.3, face.shape)).astype(np.float32)
    assert noisy.min() < 0
    assert noisy.max() > 1
    view = denoiser(noisy[::-1, ::2], sigma=0.3)
    np.testing.assert_array_equal(view, denoiser(noisy[::-1, ::2].copy(), sigma=0.3))


@each_filter
def test_the_border_is_as_clean_as_the_inside(denoiser):
    """On a flat picture, where only the treatment of the border can make a difference."""
    clean = np.full((40, 40), 0.5, np.float32)
    errors = [(denoiser(add_gaussian(clean, 0.1, seed), 0.1) - clean) ** 2 for seed in range(30)]
    error = np.mean(errors, axis=0)
    border = np.concatenate([error[0], error[-1], error[:, 0], error[:, -1]])
    # A window cut in half and mirrored holds half as many samples, so twice the error is fair.
    assert border.mean() < 3 * error[6:-6, 6:-6].mean()


# --- strength ---


@each_sigma_filter
def test_sigma_0_changes_nothing(id, face):
    np.testing.assert_array_equal(BY_ID[id](face, sigma=0.0), face)


@each_sigma_filter
def test_a_tiny_sigma_changes_next_to_nothing(id, face):
    np.testing.assert_allclose(BY_ID[id](face, sigma=1e-6), face, atol=1e-4)


@pytest.mark.parametrize("sigma", [0.02, 0.06, 25 / 255])
@each_sigma_filter
def test_gaussian_noise_is_reduced(id, sigma, face):
    noisy = add_gaussian(face, sigma)
    assert score(BY_ID[id](noisy, sigma=sigma), face) > score(noisy, face) + 0.2


@each_sigma_filter
def test_a_larger_sigma_smooths_more(id, face):
    noisy = add_gaussian(face, 0.1)
    variations = [
        np.abs(np.diff(BY_ID[id](noisy, sigma=sigma))).mean() for sigma in (0.02, 0.06, 0.1, 0.2)
    ]
    assert variations == sorted(variations, reverse=True)


@each_sigma_filter
def test_strength_is_known_or_estimated(id, face):
    noisy = add_gaussian(face, 0.1)
    known, estimated = BY_ID[id].resolve_sigma(noisy, 0.2), BY_ID[id].resolve_sigma(noisy)
    assert (known.value, known.source) == (0.2, "known")
    assert estimated.source == "estimated"
    assert estimated.value == pytest.approx(0.1, rel=0.25)
    np.testing.assert_array_equal(BY_ID[id](noisy), BY_ID[id](noisy, sigma=estimate_noise(noisy)))


@pytest.mark.parametrize("constants", [(0.0,), (1.0,), (0.0, 0.5)], ids=str)
def test_a_constant_channel_says_nothing_of_the_noise(face, constants):
    """As in a picture of a single hue: black in a channel, which noise that multiplies leaves black."""
    noisy = np.dstack([add_gaussian(face, 0.1)] * 3)
    for channel, constant in enumerate(constants):
        noisy[..., channel] = constant
    expected = estimate_noise(np.ascontiguousarray(noisy[..., 2]))
    assert expected == pytest.approx(0.1, rel=0.25)
    assert estimate_noise(noisy) == pytest.approx(expected)


@each_sigma_filter
def test_filters_work_on_a_picture_with_a_constant_channel(id, face):
    clean = np.dstack([face, face, np.zeros_like(face)])
    noisy = np.dstack([add_gaussian(face, 0.1, 1), add_gaussian(face, 0.1, 2), np.zeros_like(face)])
    assert score(BY_ID[id](noisy), clean) > score(noisy, clean) + 1


@pytest.mark.parametrize("id", OTHER_IDS)
def test_the_medians_take_no_strength(id, face):
    noisy = add_gaussian(face, 0.1)
    used = BY_ID[id].resolve_sigma(noisy, 0.2)
    assert (used.value, used.source) == (None, "unused")
    np.testing.assert_array_equal(BY_ID[id](noisy), BY_ID[id](noisy, sigma=0.2))


# --- impulses ---


@pytest.mark.parametrize("amount", [0.1, 0.3])
def test_the_switching_medians_beat_the_median_on_salt_and_pepper(amount, face):
    noisy = add_salt_and_pepper(face, amount)
    plain, adaptive, trimmed = (
        score(BY_ID[id](noisy), face) for id in ("median", "adaptive-median", "trimmed-median")
    )
    assert plain > score(noisy, face) + 5
    assert adaptive > plain + 2
    assert trimmed > adaptive + 1


def test_the_plain_medians_are_those_of_opencv(face):
    np.testing.assert_array_equal(BY_ID["median"](face), cv2.medianBlur(face, 3))
    np.testing.assert_array_equal(BY_ID["median-5"](face), cv2.medianBlur(face, 5))


def test_trimmed_median_leaves_other_pixels_alone(face):
    noisy = add_salt_and_pepper(np.clip(face, 0.01, 0.99), 0.3)
    ordinary = (noisy > 0) & (noisy < 1)
    np.testing.assert_array_equal(BY_ID["trimmed-median"](noisy)[ordinary], noisy[ordinary])


def test_trimmed_median_takes_the_median_of_the_pixels_that_are_not_extreme():
    noisy = np.array([[0.2, 0, 1], [0.3, 1, 0.6], [1, 0, 0.9]], np.float32)
    assert BY_ID["trimmed-median"](noisy)[1, 1] == pytest.approx(0.45)  # of 0.2 0.3 0.6 0.9


def test_trimmed_median_grows_its_window():
    noisy = np.ones((5, 5), np.float32)
    noisy[0, 0] = 0.4
    assert BY_ID["trimmed-median"](noisy)[2, 2] == pytest.approx(0.4)


def test_trimmed_median_averages_where_all_is_black_and_white():
    noisy = np.ones((3, 3), np.float32)
    noisy[0, 0] = 0
    assert BY_ID["trimmed-median"](noisy)[1, 1] == pytest.approx(8 / 9)


def test_trimmed_median_knows_8_bit_black_and_white():
    noisy = np.full((3, 3), 0.5, np.float32)
    noisy[0, 0], noisy[1, 1], noisy[2, 2] = 0.4 / 255, 254.6 / 255, 254 / 255
    denoised = BY_ID["trimmed-median"](noisy)
    assert denoised[0, 0] == denoised[1, 1] == 0.5
    assert denoised[2, 2] == noisy[2, 2]


def test_adaptive_median_keeps_what_is_no_extreme_of_its_window():
    noisy = np.linspace(0.1, 0.9, 49, dtype=np.float32).reshape(7, 7)
    noisy[3, 3] = 1
    denoised = BY_ID["adaptive-median"](noisy)
    inside = np.zeros((7, 7), bool)
    inside[1:-1, 1:-1] = True
    inside[3, 3] = False
    np.testing.assert_array_equal(denoised[inside], noisy[inside])
    assert denoised[3, 3] < 0.7


def test_adaptive_median_grows_its_window_over_a_clump_of_impulses():
    noisy = np.random.default_rng(0).uniform(0.4, 0.6, (9, 9)).astype(np.float32)
    noisy[3:6, 3:6] = 1
    assert BY_ID["median"](noisy)[4, 4] == 1
    assert BY_ID["adaptive-median"](noisy)[4, 4] < 0.6


# --- colour ---


@each_filter
def test_noise_in_colour_is_reduced(denoiser):
    clean = (
        cv2.resize(data.astronaut()[20:180, 140:300], (80, 80), interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        / 255
    )
    noisies = add_gaussian(clean, 25 / 255), add_salt_and_pepper(clean, 0.1)
    gains = [score(denoiser(noisy, sigma=25 / 255), clean) - score(noisy, clean) for noisy in noisies]
    # A filter may be for either; what takes a strength is told that of the first.
    assert (gains[0] if denoiser.info.uses_sigma else max(gains)) > 2
