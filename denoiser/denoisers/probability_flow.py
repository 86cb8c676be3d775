"""A denoiser as a prior: from the noisy picture to a clean one in several steps, without new weights.

A picture with Gaussian noise is a state of a diffusion process, and a denoiser knows which way it came:
it is the mean of the clean pictures that the noisy one may stem from. One step all the way gives that
mean, which is closest and smooth. Many short ones, each a little of the way to the mean as it is seen
from there, follow the process' probability flow to a picture that might have been photographed.

References:
    Y. Song et al., "Score-based generative modeling through stochastic differential equations", ICLR
    2021, arXiv:2011.13456 (the flow); J. Song, C. Meng and S. Ermon, "Denoising diffusion implicit
    models", ICLR 2021, arXiv:2010.02502 (the steps); Z. Kadkhodaie and E. P. Simoncelli, NeurIPS 2021,
    arXiv:2007.13640 (a blind denoiser as the prior).
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Self

import numpy as np

from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.windows import WholePicture
from denoiser.images import Image
from denoiser.noise import Parameter

LAST_LEVEL = 2 / 255
"""Standard deviation of the noise at which the last step begins."""

STEPS = Parameter("steps", "Steps", 1, 16, 8, 16, 1, "", integer=True)

_HELD = (-0.5, 1.5)  # values of a picture on its way


class ProbabilityFlow(Denoiser):
    """Follows the probability flow from the noisy picture by a trained denoiser.

    Made for Gaussian noise, of which it has to know the strength, or estimates it.

    Args:
        info: What it is, see :func:`describe_flow`.
        prior: A blind denoiser.
        values: See :class:`Denoiser`.
    """

    def __init__(self, info: DenoiserInfo, prior: Denoiser, values: Mapping[str, float] | None = None):
        self.info = info
        self.prior = prior
        self.values = values or {}

    def _with_values(self, values: Mapping[str, float]) -> Self:
        return type(self)(self.info, self.prior, values)

    def _denoise(self, noisy: Image, sigma: float) -> np.ndarray:
        picture = noisy
        for level, following in pairwise(
            noise_levels(sigma, int(self.values.get("steps", STEPS.default)))
        ):
            mean = self.prior(picture)
            picture = np.clip(mean + following / level * (picture - mean), *_HELD)
        return self.prior(picture)

    def denoise_whole(self, whole: WholePicture, sigma: float) -> np.ndarray:
        """See :meth:`Denoiser.denoise_whole`; every step goes over the whole picture, kept as floats."""
        levels = noise_levels(sigma, int(self.values.get("steps", STEPS.default)))
        picture = whole.pixels
        for step, (level, following) in enumerate(pairwise(levels)):
            remaining = following / level

            def go_on(mean: Image, before: Image, remaining: float = remaining) -> Image:
                return np.clip(mean + remaining * (before - mean), *_HELD)

            part = whole.part(step / len(levels), (step + 1) / len(levels))
            on_its_way = replace(part, pixels=picture, dtype=np.float32, finish=go_on)
            picture = self.prior.denoise_whole(on_its_way, 0.0)
        last = whole.part(1 - 1 / len(levels), 1)
        return self.prior.denoise_whole(replace(last, pixels=picture), 0.0)


def describe_flow(flow_id: str, prior: DenoiserInfo) -> DenoiserInfo:
    """Describe the flow of a denoiser."""
    return replace(
        prior,
        id=flow_id,
        label=f"{prior.label}, in steps",
        family="flow",
        uses_sigma=True,
        reference="Song et al. 2021, arXiv:2011.13456",
        hyperparameters=(STEPS,),
    )


def noise_levels(sigma: float, steps: int) -> list[float]:
    """Return the noise's standard deviation at the beginning of every step, falling by equal ratios.

    Args:
        sigma: At the first one, on the [0, 1] scale. At or below :data:`LAST_LEVEL` there is one step.
        steps: How many.
    """
    if steps == 1 or sigma <= LAST_LEVEL:
        return [sigma]
    return [float(level) for level in np.geomspace(sigma, LAST_LEVEL, steps)]
