"""What can be set of a denoiser, wherever there is something."""

import math

import cv2
import numpy as np
import pytest

from denoiser.denoisers.base import describe_values
from denoiser.denoisers.network import load_denoiser
from denoiser.denoisers.registry import (
    create_denoiser,
    describe_denoiser,
    find_available,
    list_denoisers,
    list_hyperparameters,
)
from denoiser.noise import GaussianNoise

ALL = list_hyperparameters(list_denoisers())


@pytest.fixture(scope="module")
def flow():
    return load_denoiser("flow-unet")


@pytest.fixture
def noisy(face):
    return GaussianNoise(0.1)(face, 0)


def each(pair):
    return f"{pair[0]}-{pair[1].name}"


@pytest.mark.parametrize(("denoiser_id", "parameter"), ALL, ids=map(each, ALL))
def test_the_default_is_what_is_done_without_and_other_values_do_something(denoiser_id, parameter, face):
    method = create_denoiser(denoiser_id)
    noisy = GaussianNoise(0.1)(face, 0)
    plain = method(noisy, 0.1)
    default = method.with_hyperparameters(**{parameter.name: parameter.default})
    np.testing.assert_array_equal(default(noisy, 0.1), plain)
    for value in (parameter.minimum, parameter.maximum):
        changed = method.with_hyperparameters(**{parameter.name: value})
        denoised = changed(noisy, 0.1)
        assert (denoised.shape, denoised.dtype) == (face.shape, np.float32)
        assert 0 <= denoised.min() <= denoised.max() <= 1
        assert np.array_equal(denoised, plain) == (value == parameter.default)
        np.testing.assert_array_equal(changed(noisy, 0.1), denoised)
    np.testing.assert_array_equal(method(noisy, 0.1), plain)  # which is nobody else's


@pytest.mark.parametrize(("denoiser_id", "parameter"), ALL, ids=map(each, ALL))
@pytest.mark.parametrize("beyond", [-1, 1, None])
def test_out_of_range(denoiser_id, parameter, beyond):
    value = {
        -1: parameter.minimum - 0.01,
        1: parameter.maximum + 1,
        None: math.nan,
    }[beyond]
    with pytest.raises(ValueError, match=f"{parameter.name} must be"):
        create_denoiser(denoiser_id).with_hyperparameters(**{parameter.name: value})


def test_unknown():
    with pytest.raises(ValueError, match="median has no hyperparameter 'steps'; it has: radius"):
        create_denoiser("median").with_hyperparameters(steps=2)
    with pytest.raises(ValueError, match="it has: none"):
        create_denoiser("wavelet").with_hyperparameters(steps=2)


def test_those_left_out_take_their_defaults():
    median = create_denoiser("median")
    wide = median.with_hyperparameters(radius=3)
    assert wide.values == {"radius": 3}
    assert wide.with_hyperparameters().values == {}
    assert median.with_hyperparameters(radius=1) is median
    assert describe_values(wide.info, wide.values) == "radius 3 pixels"
    assert describe_values(median.info, median.values) == ""


@pytest.mark.parametrize("shape", [(48, 48), (5, 9), (20, 31, 3)])
def test_a_median_of_any_window(shape):
    noisy = np.random.default_rng(0).random(shape, dtype=np.float32)
    median = create_denoiser("median")
    for radius in (1, 2):
        wide = median.with_hyperparameters(radius=radius)
        np.testing.assert_array_equal(wide(noisy), cv2.medianBlur(noisy, 2 * radius + 1))
    np.testing.assert_array_equal(wide(noisy), create_denoiser("median-5")(noisy))
    padded = np.pad(noisy, [(3, 3), (3, 3), (0, 0)][: noisy.ndim], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(0, 1))
    expected = np.median(windows, axis=(-2, -1))
    np.testing.assert_allclose(median.with_hyperparameters(radius=3)(noisy), expected, atol=1e-7)


def test_available_ones_are_set():
    found = find_available(["median", "wavelet"], hyperparameters={"median": {"radius": 2}})
    assert found.denoisers["median"].values == {"radius": 2}
    assert found.denoisers["wavelet"] is create_denoiser("wavelet")


def test_a_description_needs_no_weights(monkeypatch):
    expected = {name: create_denoiser(name).info for name in list_denoisers()}
    monkeypatch.delattr("denoiser.denoisers.network.load_network")
    assert {name: describe_denoiser(name) for name in list_denoisers()} == expected


class TestFlow:
    def test_the_dial_runs_along_a_line(self, flow, noisy):
        closest, middle, real = (flow.with_hyperparameters(realism=r)(noisy) for r in (0, 0.5, 1))
        np.testing.assert_allclose(closest, flow.intermediate(noisy), atol=1e-6)
        np.testing.assert_array_equal(real, flow(noisy))
        # Where nothing was clipped.
        inside = (real > 0) & (real < 1) & (closest > 0) & (closest < 1)
        np.testing.assert_allclose(middle[inside], (closest + real)[inside] / 2, atol=2e-6)

    def test_draws_are_other_faces(self, flow, noisy):
        first, second = (flow.with_hyperparameters(draw=d)(noisy) for d in (0, 1))
        assert np.abs(first - second).mean() > 0.01

    def test_in_batches_it_is_set_as_well(self, flow, noisy):
        other = flow.with_hyperparameters(draw=3, steps=2)
        batch = other.run(np.stack([noisy, noisy])[:, None])[:, 0]
        np.testing.assert_allclose(np.clip(batch[1], 0, 1), other(noisy), atol=2e-5)
