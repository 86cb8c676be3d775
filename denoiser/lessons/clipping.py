"""What clipping to black and white, and rounding to 8 bits, do to noise."""

import numpy as np
from scipy.stats import norm

from denoiser.images import Image
from denoiser.lessons.base import (
    Chart,
    Demonstration,
    Group,
    Lesson,
    Line,
    Results,
    Slider,
    Source,
    score_picture,
)
from denoiser.metrics import write_psnr
from denoiser.noise import GaussianNoise
from denoiser.pipeline import Experiment, corrupt

_DRAWS = 64
_LEVEL = 16  # gray levels, of 255, that are put into one dot of the chart
_FEWEST = 8  # pixels that make a dot worth drawing
_SLIDER = Slider("Standard deviation of the noise (of 255)", 5, 100, 50, 1)


def clipped_mean(level: np.ndarray, sigma: float) -> np.ndarray:
    """Return the mean of a gray level with Gaussian noise, clipped to [0, 1].

    Args:
        level: Gray levels in [0, 1].
        sigma: Standard deviation of the noise, above 0.
    """
    low, high = -level / sigma, (1 - level) / sigma
    inside = level * (norm.cdf(high) - norm.cdf(low)) + sigma * (norm.pdf(low) - norm.pdf(high))
    return inside + norm.sf(high)


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    noise = GaussianNoise(sigma=strength / 255)
    unclipped = corrupt(clean, noise, clip=False)
    clipped = corrupt(clean, noise)
    rounded = corrupt(clean, noise, round_8bit=True)
    once = (
        score_picture("Not clipped", unclipped.noisy, clean, "shown clipped, scored as it is"),
        score_picture("Clipped", clipped.noisy, clean),
        score_picture("Clipped and rounded", rounded.noisy, clean),
    )
    draws = [corrupt(clean, noise, seed, clip=False).noisy for seed in range(_DRAWS)]
    mean_kept = np.mean(draws, axis=0)
    mean_clipped = np.mean([np.clip(noisy, 0, 1) for noisy in draws], axis=0)
    averaged = (
        score_picture("Mean, not clipped", mean_kept, clean),
        score_picture("Mean, clipped first", mean_clipped, clean),
    )
    levels = np.linspace(0, 1, 52)
    theory = 255 * (clipped_mean(levels, strength / 255) - levels)
    dots = _dots(clean, mean_clipped)
    chart = Chart(
        "What clipping adds to a pixel on average",
        "gray level of the clean pixel (of 255)",
        "mean error (of 255)",
        (
            Line("Computed", tuple((255 * levels).tolist()), tuple(theory.tolist())),
            Line(f"Measured over {_DRAWS} draws", *dots, dots=True, line=False),
        ),
    )
    remark = (
        f"Before clipping, sigma {strength:.0f} means 20 log10(255 / {strength:.0f}) = "
        f"{20 * np.log10(255 / strength):.2f} dB for any picture; this one has "
        f"{write_psnr(once[0].psnr)}, clipped {write_psnr(once[1].psnr)}, rounded "
        f"{write_psnr(once[2].psnr)}. Averaging {_DRAWS} draws gives "
        f"{write_psnr(averaged[0].psnr)} without and {write_psnr(averaged[1].psnr)} with clipping."
    )
    groups = (
        Group("One draw of the noise", once),
        Group(f"Mean of {_DRAWS} draws of the same face", averaged),
    )
    return Demonstration(groups, (), chart, (remark,))


def _dots(clean: Image, averaged: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean gray level and mean error of the pixels of neighbouring levels."""
    error = 255 * (averaged - clean)
    bins = (255 * clean / _LEVEL).astype(int)
    masks = [bins == index for index in range(256 // _LEVEL) if (bins == index).sum() >= _FEWEST]
    places = tuple(float(255 * clean[where].mean()) for where in masks)
    return places, tuple(float(error[where].mean()) for where in masks)


def _explain(results: Results) -> str:
    return f"""
**Clipping moves every stray pixel towards the truth.** The clean pixel lies between black and white, so
a value beyond them gets closer by being clipped, and the PSNR of the noisy picture *rises*. At sigma
50, 20 log10(255 / 50) would be 14.15 dB; clipped, FER2013's test split has
{results.score("noisy", "gaussian-50")}, and at sigma 75 {results.score("noisy", "gaussian-75")} instead
of 10.63 dB. A table that clips can't be compared with one that does not.

**But the noise is no longer fair.** Near black only the upward half survives: dark areas are lifted,
bright ones lowered, as the chart shows. A denoiser that averages inherits that shift. Averaging many
draws removes the noise and keeps the shift, so the mean of clipped pictures stops getting better while
the other goes on. Foi gives the formulas to model and undo it.

**Rounding to 8 bits hardly matters here.** It adds an error of 1/√12 ≈ 0.29 of 255, a PSNR of 58.9 dB
by itself, far below any noise on this page. All our networks were trained on clipped noise, because
that is what an 8-bit picture holds.
"""


CLIPPING = Lesson(
    id="clipping",
    title="Clipping and 8 bits",
    minutes=4,
    question=(
        "Strong Gaussian noise (sigma 50 of 255) pushes many pixels below black or above white. The "
        "file format clips them to black and white. What does that do to the PSNR of the noisy "
        "picture?"
    ),
    options=(
        "It falls: clipping destroys information",
        "It stays the same",
        "It rises: clipped values are closer to the clean ones",
    ),
    answer=2,
    experiment=Experiment(
        noise=GaussianNoise(sigma=50 / 255),
        clip=False,
        methods=("gaussian-filter", "nl-means", "attention-unet"),
    ),
    look=(
        "The dark and the bright parts. Under Compare the noise comes unclipped: open “More noise "
        "options”, tick “Clip to black and white”, and watch the PSNR of the noisy picture."
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(Source.doi("Foi 2009, Clipped noisy images", "10.1016/j.sigpro.2009.04.035"),),
    slider=_SLIDER,
)
