"""A denoiser as a prior: the steps, and what they are for."""

import math
from itertools import pairwise

import numpy as np
import pytest

from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.probability_flow import (
    LAST_LEVEL,
    ProbabilityFlow,
    describe_flow,
    noise_levels,
)
from denoiser.denoisers.registry import create_denoiser

MEAN, SPREAD, SIGMA = 0.5, 0.1, 0.2


class GaussianPrior(Denoiser):
    """The best denoiser of pixels that are Gaussian and know nothing of each other.

    A blind one would see the level in the picture. This one is told: it is asked once at each.
    """

    info = DenoiserInfo("prior", "Prior", "network", False, None, 1, "-")

    def __init__(self, levels):
        self.levels = iter(levels)

    def _denoise(self, noisy, sigma):
        variance = SPREAD**2
        return MEAN + variance / (variance + next(self.levels) ** 2) * (noisy - MEAN)


def flow_of(prior, **values):
    return ProbabilityFlow(describe_flow("flow", prior.info), prior).with_hyperparameters(**values)


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_levels_fall_by_equal_ratios(steps):
    levels = noise_levels(0.2, steps)
    assert len(levels) == steps
    assert levels[0] == pytest.approx(0.2)
    if steps > 1:
        assert levels[-1] == pytest.approx(LAST_LEVEL)
        ratios = [b / a for a, b in pairwise(levels)]
        assert ratios == pytest.approx([ratios[0]] * (steps - 1))


@pytest.mark.parametrize("sigma", [0.0, LAST_LEVEL / 2, LAST_LEVEL])
def test_with_next_to_no_noise_one_step_is_all(sigma):
    assert noise_levels(sigma, 8) == [sigma]


def test_one_step_is_the_denoiser_itself(face):
    prior = create_denoiser("median")
    np.testing.assert_array_equal(flow_of(prior, steps=1)(face, 0.1), prior(face))
    np.testing.assert_array_equal(flow_of(prior)(face, 0.0), prior(face))
    assert not np.array_equal(flow_of(prior)(face, 0.1), prior(face))


def test_many_steps_give_the_pictures_own_spread_and_one_step_too_little():
    rng = np.random.default_rng(0)
    pixels = MEAN + math.hypot(SPREAD, SIGMA) * rng.standard_normal((100, 100))
    noisy = pixels.astype(np.float32)
    spreads = [
        flow_of(GaussianPrior(noise_levels(SIGMA, steps)), steps=steps)(noisy, SIGMA).std()
        for steps in (1, 4, 8, 16)
    ]
    assert spreads == sorted(spreads)
    one_step = SPREAD**2 / math.hypot(SPREAD, SIGMA)
    error = 4 / math.sqrt(2 * noisy.size)  # of a standard deviation, relative
    assert spreads[0] == pytest.approx(one_step, rel=error)
    assert spreads[-1] == pytest.approx(SPREAD, rel=0.05 + error)
    assert spreads[-1] < SPREAD * (1 + error)


def test_estimates_the_strength_where_it_is_not_told(face):
    flow = flow_of(create_denoiser("median"))
    noisy = np.clip(face + 0.1 * np.random.default_rng(0).standard_normal(face.shape), 0, 1)
    noisy = noisy.astype(np.float32)
    used = flow.resolve_sigma(noisy)
    assert used.source == "estimated"
    np.testing.assert_array_equal(flow(noisy), flow(noisy, used.value))


def test_info_says_whose_weights_it_has():
    flow = create_denoiser("residual-unet-flow")
    prior = create_denoiser("residual-unet")
    assert flow.prior is prior
    assert flow.info.parameters == prior.info.parameters
    assert flow.info.trained_noises == prior.info.trained_noises
    assert (flow.info.family, flow.info.uses_sigma) == ("flow", True)
