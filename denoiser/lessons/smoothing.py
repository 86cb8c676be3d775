"""Why more smoothing is not better: bias and variance."""

import numpy as np

from denoiser.analysis.repeats import maps
from denoiser.denoisers.filters import GAUSSIAN_WIDTH, gaussian
from denoiser.images import Image
from denoiser.lessons.base import (
    Chart,
    Demonstration,
    Group,
    Lesson,
    Line,
    Mark,
    Results,
    Slider,
    Source,
    score_picture,
)
from denoiser.metrics import write_psnr
from denoiser.noise import GaussianNoise
from denoiser.pipeline import Experiment, corrupt

_NOISE = GaussianNoise(sigma=25 / 255)
_DRAWS = 16
_WIDTHS = tuple(round(0.1 * step, 1) for step in range(31))
_SLIDER = Slider("Width of the Gaussian filter (pixels)", 0, 3, 2, 0.1)


def smooth(noisy: Image, width: float) -> Image:
    """Blur with a Gaussian of ``width`` pixels; 0 leaves the picture as it is."""
    if width == 0:
        return noisy
    return np.asarray(gaussian(noisy, (width / GAUSSIAN_WIDTH) ** 3), np.float32)


def bias_and_variance(clean: Image, width: float, draws: list[Image]) -> tuple[float, float]:
    """Split the mean squared error of a filter over several draws of the noise.

    Args:
        clean: (H, W).
        width: The filter's, in pixels.
        draws: Noisy pictures, (H, W) each.

    Returns:
        Estimates of squared bias and variance without bias of their own, averaged over pixels; they
        add up to the mean squared error. A squared bias near 0 may come out a little below it.
    """
    errors = maps([smooth(noisy, width) for noisy in draws], clean)
    variance = float(np.mean(errors.deviation**2))
    # The mean of the draws keeps its share of the noise, which is no bias.
    return float(np.mean(errors.bias**2)) - variance / len(draws), variance


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    draws = [corrupt(clean, _NOISE, seed).noisy for seed in range(_DRAWS)]
    parts = np.array([bias_and_variance(clean, width, draws) for width in _WIDTHS]) * 255**2
    total = parts.sum(axis=1)
    oracle = _WIDTHS[int(np.argmin(total))]
    pictures = [score_picture("Noisy, width 0", draws[0], clean)]
    for name, width in (("Yours", strength), ("Oracle", oracle), ("Widest", _WIDTHS[-1])):
        image = smooth(draws[0], width)
        pictures.append(score_picture(f"{name}, width {width:.1f}", image, clean))
    chart = Chart(
        f"Error of the filter, over {_DRAWS} draws of the noise",
        "width of the filter in pixels",
        "mean squared error (of 255²)",
        (
            Line("Total", _WIDTHS, tuple(total.tolist())),
            Line("Squared bias: detail lost", _WIDTHS, tuple(parts[:, 0].tolist())),
            Line("Variance: noise left", _WIDTHS, tuple(parts[:, 1].tolist())),
        ),
        (Mark(oracle, "oracle"), Mark(strength, "yours")),
    )
    behind = (pictures[2].psnr or 0) - (pictures[1].psnr or 0)
    remark = (
        f"The oracle, which looks at the clean face, picks a width of {oracle:.1f} pixels. Yours, "
        f"{strength:.1f}, is {write_psnr(behind)} behind on this draw."
    )
    return Demonstration((Group(_NOISE.describe(), tuple(pictures)),), (), chart, (remark,))


def _explain(results: Results) -> str:
    low, high = "gaussian-low", "gaussian-50"
    return f"""
**Two errors pull in opposite directions.** Averaging over more pixels leaves less of the noise: the
*variance* falls. It also mixes pixels that should differ, so edges and eyes fade: the *squared bias*
rises. Their sum is the mean squared error, and PSNR is only that on a logarithmic scale. It has one
best width, and past it every further bit of smoothing costs more detail than it removes noise.

**The best width depends on the noise.** For smoothing in the plane it grows as the cube root of sigma;
the filter in this app does that. A fixed strength can't: the 3x3 median always smooths alike, so under
faint noise (sigma 5.1 of 255) it does harm, {results.score("median", low)} against
{results.score("noisy", low)} for the untouched noisy picture, while the adapting Gaussian filter gets
{results.score("gaussian-filter", low)}. At sigma 50 the same median gains
({results.score("median", high)} against {results.score("noisy", high)}).

**Better methods bend the curve, they don't escape it.** Non-local means and networks average only where
it costs little, and reach {results.score("nl-means", high)} and {results.score("attention-unet", high)}
at sigma 50.
"""


SMOOTHING = Lesson(
    id="smoothing",
    title="More smoothing is not better",
    minutes=4,
    question=(
        "The noise stays the same (Gaussian, sigma 25 of 255). You widen a Gaussian filter from 0 to "
        "3 pixels. What does the PSNR do?"
    ),
    options=(
        "It rises all the way: more smoothing, less noise",
        "It rises, then levels off",
        "It rises, then falls again",
        "It falls from the start",
    ),
    answer=2,
    experiment=Experiment(
        noise=_NOISE, methods=("gaussian-filter", "median", "median-5", "total-variation")
    ),
    look=(
        "Find the best width with the slider, by eye first, then by the numbers. Under Compare, "
        "look at the view “Error map” of the two medians: 3x3 leaves noise, 5x5 leaves edges."
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(
        Source.doi("Wand and Jones 1995, Kernel smoothing", "10.1201/b14876"),
        Source.doi(
            "Geman, Bienenstock and Doursat 1992, the bias/variance dilemma", "10.1162/neco.1992.4.1.1"
        ),
    ),
    slider=_SLIDER,
)
