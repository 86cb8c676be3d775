"""Functions of one's own as denoisers: what is wrapped, what is refused, and how that is said."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage

import denoiser
from denoiser.denoisers import callables
from denoiser.denoisers.callables import OwnDenoiserError, check_result, probe_picture, wrap

GRAY = np.linspace(0, 1, 31 * 37, dtype=np.float32).reshape(31, 37)
COLOUR = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], axis=-1)


def mean_filter(noisy):
    return ndimage.uniform_filter(noisy, 3)


def half(noisy):
    return noisy / 2


class TestWrap:
    def test_is_a_denoiser_that_does_what_the_function_does(self):
        method = wrap(mean_filter)
        assert isinstance(method, denoiser.Denoiser)
        np.testing.assert_array_equal(method(GRAY), mean_filter(GRAY))
        assert (method.info.id, method.info.label) == ("mean_filter", "Mean filter")
        assert (method.info.family, method.info.parameters) == ("own", 0)
        assert not method.info.uses_sigma
        assert method.info.milliseconds is not None
        assert method.info.milliseconds > 0

    def test_a_label_makes_the_id(self):
        info = wrap(lambda noisy: noisy, "My filter, 3x3: v1.2").info
        assert (info.id, info.label) == ("my-filter-3x3-v1-2", "My filter, 3x3: v1.2")

    @pytest.mark.parametrize(
        "taken", ["median", "attention-unet", "residual-unet-flow", "noisy", "own-model"]
    )
    def test_no_id_of_ours_is_taken(self, taken):
        assert wrap(half, taken).info.id == f"own-{taken}"

    @pytest.mark.parametrize("label", ["フィルタ", "..."])
    def test_there_is_always_an_id(self, label):
        assert wrap(half, label).info.id == "own"

    def test_partial_functions_and_objects_have_names(self):
        class Halver:
            def __call__(self, noisy):
                return noisy / 2

        assert wrap(partial(ndimage.gaussian_filter, sigma=1.0)).info.id == "gaussian_filter"
        assert wrap(Halver()).info.id == "halver"
        assert wrap(lambda noisy: noisy).info.id == "lambda"

    def test_what_the_function_does_to_its_picture_nobody_sees(self):
        def spoil(noisy):
            noisy *= 0.5
            return noisy

        before = GRAY.copy()
        result = wrap(spoil)(GRAY)
        np.testing.assert_array_equal(GRAY, before)
        np.testing.assert_array_equal(result, before / 2)

    def test_colour_goes_channel_by_channel(self):
        def stretch(noisy):
            assert noisy.ndim == 2
            return noisy / max(noisy.max(), 1e-6)

        expected = np.stack([COLOUR[..., c] / COLOUR[..., c].max() for c in range(3)], axis=-1)
        np.testing.assert_allclose(wrap(stretch)(COLOUR), expected)

    def test_results_are_clipped_and_float32(self):
        result = wrap(lambda noisy: noisy.astype(np.float64) + 0.5)(GRAY)
        assert result.dtype == np.float32
        assert result.max() == 1


class TestSigma:
    def test_is_told_where_it_is_asked_for(self):
        told = []

        def filtered(noisy, sigma):
            told.append(sigma)
            return noisy

        method = wrap(filtered)
        assert method.info.uses_sigma
        told.clear()
        method(GRAY, 0.1)
        assert told == [0.1]

    def test_is_estimated_where_nobody_knows_it(self):
        seen = []

        def filtered(noisy, *, sigma=None):
            seen.append(sigma)
            return noisy

        method = wrap(filtered)
        noisy = probe_picture()
        method(noisy)
        assert seen[-1] == method.resolve_sigma(noisy).value > 0

    def test_is_never_zero(self):
        def divided(noisy, sigma):
            return noisy * (sigma / sigma)

        flat = np.full((20, 20), 0.5, np.float32)
        np.testing.assert_array_equal(wrap(divided)(flat, 0.0), flat)

    def test_one_with_a_default_is_another_sigma(self):
        def blur(noisy, sigma=1.5):
            assert sigma == 1.5
            return ndimage.gaussian_filter(noisy, sigma)

        assert not wrap(blur).info.uses_sigma
        np.testing.assert_array_equal(wrap(blur)(GRAY, 0.1), ndimage.gaussian_filter(GRAY, 1.5))
        bound = wrap(partial(ndimage.gaussian_filter, sigma=2.0))
        np.testing.assert_array_equal(bound(GRAY, 0.1), ndimage.gaussian_filter(GRAY, 2.0))


def divides_by_zero(noisy):
    with np.errstate(all="ignore"):
        return noisy / np.zeros_like(noisy)


def fails(noisy):
    return noisy[:, :, 0]  # the line that the error names


def leaves(noisy):
    raise SystemExit


def forgets(noisy):
    noisy.mean()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (forgets, "returned nothing; does it end with `return`"),
        (lambda noisy: noisy.tolist(), "not an object of type list"),
        (lambda noisy: torch.from_numpy(noisy), "not an object of type Tensor"),
        (lambda noisy: noisy[1:-1, 1:-1], r"shape \(46, 46\) .* \(48, 48\).*pad the picture first"),
        (lambda noisy: noisy[..., None], r"shape \(48, 48, 1\) .* has to be the same\.$"),
        (lambda noisy: (255 * noisy).astype(np.uint8), "type uint8.*/ 255"),
        (lambda noisy: noisy > 0.5, "type bool"),
        (lambda noisy: 255 * noisy, "values from 0 to 255, but pictures go from 0"),
        (divides_by_zero, "infinity in 2304 of 2304 pixels, first in row 0, column 0"),
        (leaves, "failed in line .* with SystemExit"),
        (lambda noisy: noisy + np.random.default_rng().normal(0, 0.01, noisy.shape), "two different"),
        (lambda noisy, size: noisy, r"not as lambda\(noisy, size\); give other parameters a default"),
        (lambda: None, r"has to be called as lambda\(noisy\)"),
        (dict, "not a class"),
        ("median", "not an object of type str"),
        (torch.nn.Conv2d(1, 1, 3), "Conv2d is a PyTorch module, which takes tensors"),
    ],
)
def test_what_is_no_denoiser_is_refused_in_one_sentence(function, words):
    with pytest.raises(OwnDenoiserError, match=words) as caught:
        wrap(function)
    text = str(caught.value)
    assert text.endswith((".", "?"))
    assert "\n" not in text
    assert len(text) < 300


def test_the_error_names_the_line_and_keeps_the_cause():
    with pytest.raises(OwnDenoiserError) as caught:
        wrap(fails)
    line = fails.__code__.co_firstlineno + 1
    assert f"fails failed in line {line} with IndexError: too many indices" in str(caught.value)
    assert isinstance(caught.value.__cause__, IndexError)


@pytest.fixture
def takes(monkeypatch):
    """Has the two runs that try a function out take so many seconds."""

    def take(*seconds):
        clock = iter(seconds)
        monkeypatch.setattr(callables, "_timed", lambda method, noisy: (method(noisy), next(clock)))

    return take


def test_what_is_too_slow_is_refused(takes):
    takes(12.4, 12.0)
    with pytest.raises(OwnDenoiserError, match=r"half took 12 seconds for one face.*may take 10; NumPy"):
        wrap(half)


def test_what_only_the_first_call_does_does_not_count(takes):
    takes(14.0, 0.25)
    assert wrap(half).info.milliseconds == 250


def test_results_are_checked_every_time():
    def fragile(noisy):
        return noisy if noisy.shape == (48, 48) else noisy[1:]

    method = wrap(fragile)
    with pytest.raises(OwnDenoiserError, match=r"shape \(30, 37\) for a picture of shape \(31, 37\)"):
        method(GRAY)


def test_noise_that_was_not_clipped_may_pass():
    noisy = 3 * GRAY - 1
    assert check_result(noisy, noisy, "it") is noisy


def test_ids_denoisers_and_functions_are_compared_together():
    noise = denoiser.create_noise("gaussian", sigma=25 / 255)
    wide = denoiser.create_denoiser("median").with_hyperparameters(radius=2)
    face = probe_picture()
    comparison = denoiser.compare(face, noise, denoisers=["median-5", wide, mean_filter])
    assert list(comparison) == ["median-5", "median", "mean_filter"]
    assert comparison["mean_filter"].psnr == denoiser.psnr(
        mean_filter(comparison.corruption.noisy), face
    )
    assert denoiser.denoise(face, half).id == "half"
    (point,) = denoiser.sweep(face, "gaussian", "sigma", [0.1], [half])
    assert set(point.psnr) == {"noisy", "half"}


def test_two_functions_of_one_name_can_be_told_apart_by_labels():
    noise = denoiser.create_noise("gaussian")
    two = [wrap(lambda noisy: noisy, "One"), wrap(lambda noisy: noisy / 2, "Two")]
    assert list(denoiser.compare(GRAY, noise, denoisers=two)) == ["one", "two"]
    with pytest.raises(ValueError, match="compared once"):
        denoiser.compare(GRAY, noise, denoisers=[lambda noisy: noisy, lambda noisy: noisy / 2])
