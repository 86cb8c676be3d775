"""Poisson noise with and without a variance-stabilising transform, and its exact unbiased inverse."""

import numpy as np
from scipy.stats import poisson

from denoiser.denoisers.registry import create_denoiser
from denoiser.images import Image
from denoiser.lessons.base import (
    Chart,
    Demonstration,
    Group,
    Lesson,
    Line,
    Picture,
    Results,
    Slider,
    Source,
    best_picture,
    score_picture,
)
from denoiser.metrics import write_number, write_psnr
from denoiser.noise import PoissonNoise
from denoiser.pipeline import Experiment, corrupt

_SLIDER = Slider("Photons at white", 1, 100, 5, 1)
_LOWEST = 2 * np.sqrt(3 / 8)  # what the transform makes of 0 photons
_MEANS = np.geomspace(0.1, 20, 60)


def stabilise(counts: np.ndarray) -> np.ndarray:
    """Give photon counts a standard deviation of about 1, whatever their mean (Anscombe)."""
    return 2 * np.sqrt(counts + 3 / 8)


def invert_algebraically(stabilised: np.ndarray) -> np.ndarray:
    """Solve :func:`stabilise` for the count. Biased for a mean: the transform is curved."""
    return (stabilised / 2) ** 2 - 3 / 8


def invert_unbiased(stabilised: np.ndarray) -> np.ndarray:
    """Return the mean count whose stabilised counts have this mean.

    The closed form of Makitalo and Foi, doi:10.1109/TIP.2011.2121085; what no count can give, below
    the transform of 0, is 0.
    """
    d = np.maximum(stabilised, _LOWEST)
    root = np.sqrt(3 / 2)
    counts = d**2 / 4 + root / (4 * d) - 11 / (8 * d**2) + 5 * root / (8 * d**3) - 1 / 8
    return np.maximum(counts, 0)


def inverse_bias(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much each inverse of a perfect average misses the mean count.

    Args:
        means: (N,) mean photon counts, above 0.

    Returns:
        Algebraic and unbiased inverse, (N,) each, in photons.
    """
    counts = np.arange(int(means.max() + 10 * np.sqrt(means.max()) + 20))
    averages = poisson.pmf(counts, means[:, None]) @ stabilise(counts)
    return invert_algebraically(averages) - means, invert_unbiased(averages) - means


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    # Not clipped: a pixel may count more photons than white has on average.
    corruption = corrupt(clean, PoissonNoise(peak=strength), clip=False)
    method = create_denoiser("nl-means")
    counts = strength * corruption.noisy.astype(np.float64)
    stabilised = stabilise(counts)
    scale = float(stabilised.max())
    smooth = scale * method((stabilised / scale).astype(np.float32), sigma=1 / scale).astype(np.float64)
    candidates = (
        ("Direct", method(corruption.noisy, sigma=min(corruption.sigma or 0.0, 1.0))),
        ("Stabilised, algebraic inverse", invert_algebraically(smooth) / strength),
        ("Stabilised, unbiased inverse", invert_unbiased(smooth) / strength),
    )
    pictures = [_with_bias("Noisy", corruption.noisy, clean)]
    pictures += [_with_bias(label, np.clip(image, 0, 1), clean) for label, image in candidates]
    algebraic, unbiased = inverse_bias(_MEANS)
    places = tuple(_MEANS.tolist())
    chart = Chart(
        "What each inverse makes of a perfect average",
        "true mean of the photon count",
        "error in photons",
        (
            Line("Algebraic inverse", places, tuple(algebraic.tolist())),
            Line("Unbiased inverse", places, tuple(unbiased.tolist())),
        ),
        log_x=True,
    )
    best = best_picture(pictures[1:])
    remark = f"Closest on this face: {best.label.lower()}, {write_psnr(best.psnr)}."
    return Demonstration((Group(corruption.noise.describe(), tuple(pictures)),), (), chart, (remark,))


def _with_bias(label: str, image: np.ndarray, clean: Image) -> Picture:
    shift = write_number(255 * float(np.mean(image - clean)), 1, signed=True)
    return score_picture(label, image, clean, f"mean error {shift} of 255")


def _explain(results: Results) -> str:
    few, more = "poisson-10", "poisson-30"
    return f"""
**Photon noise is strong where it is bright.** A pixel that expects n photons counts n ± √n. A filter
told one sigma for the whole face smooths bright parts too little and dark ones too much.

**A square root evens it out.** Anscombe's transform 2√(n + 3/8) turns a count into a number with a
standard deviation of about 1 (from 4 expected photons on; 0.85 at a single one), so that a filter for
Gaussian noise fits nearly everywhere.

**The way back has a trap.** Solving the formula for n looks right, but the filter returns the *mean* of
transformed counts, and the mean of a curved function is not the function of the mean. With few photons
that makes the picture too dark, by up to a quarter of a photon per pixel, as the chart shows: enough to
eat up what the transform has gained. Makitalo and Foi invert the mean instead; their closed form, used
here, is one line and stays within 0.02 photons of it. At 100 photons the two inverses agree.

**On FER2013's test split** (noise clipped, filters told one sigma), at 10 photons non-local means goes
from {results.score("noisy", few)} to {results.score("nl-means", few)}; our Attention U-Net, which has
seen photon noise in training and needs no transform, reaches {results.score("attention-unet", few)}. At
30 photons it is {results.score("nl-means", more)} against {results.score("attention-unet", more)}.
"""


PHOTONS = Lesson(
    id="photons",
    title="Counting photons",
    minutes=4,
    question=(
        "A dark room: white is only 5 photons (Poisson noise). You have a good filter for Gaussian "
        "noise of one strength. What gives the best picture?"
    ),
    options=(
        "Use the filter directly",
        "Take square roots, filter, and square again by solving the formula",
        "Take square roots, filter, and go back with an inverse that is right on average",
    ),
    answer=2,
    experiment=Experiment(
        noise=PoissonNoise(peak=5),
        methods=("nl-means", "total-variation", "attention-unet", "autoencoder"),
    ),
    look=(
        "The mean error below each picture: one of them is too dark. Raise the number of photons "
        "and see when the difference goes away."
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(
        Source.doi("Anscombe 1948, the transform", "10.1093/biomet/35.3-4.246"),
        Source.doi("Makitalo and Foi 2011, the exact unbiased inverse", "10.1109/TIP.2010.2056693"),
        Source.doi("Makitalo and Foi 2011, its closed form", "10.1109/TIP.2011.2121085"),
    ),
    slider=_SLIDER,
)
