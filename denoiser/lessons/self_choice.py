"""Choosing a filter's strength without the clean picture."""

from dataclasses import dataclass

import numpy as np
from skimage.restoration import denoise_invariant

from denoiser.denoisers.filters import total_variation
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
    Table,
    score_picture,
)
from denoiser.metrics import write_psnr
from denoiser.noise import GaussianNoise
from denoiser.pipeline import Experiment, corrupt

_SIGMA = 25 / 255
_NOISE = GaussianNoise(sigma=_SIGMA)
_STRENGTHS = (2.0, 5.0, 8.0, 11.0, 14.0, 17.0, 20.0, 24.0, 28.0, 34.0, 42.0, 50.0)  # of 255
_STRIDE = 4  # one pixel in 16 is hidden at a time,
_MASKS = ((0, 0), (1, 2), (2, 1), (3, 3))  # and 4 of the 16 are, for speed
_SLIDER = Slider("Strength: the sigma that the filter assumes (of 255)", 1, 50, 40, 1)


@dataclass(frozen=True)
class Losses:
    """Mean squared errors at one strength, on the [0, 1] scale.

    Attributes:
        strength: Assumed sigma, of 255.
        blind: Blind-spot filter against the noisy picture: what anybody can compute.
        blind_true: Blind-spot filter against the clean picture.
        plain: Ordinary filter against the noisy picture.
        plain_true: Ordinary filter against the clean picture.
    """

    strength: float
    blind: float
    blind_true: float
    plain: float
    plain_true: float


def measure_losses(noisy: Image, clean: Image, strength: float) -> Losses:
    """Run total variation at one strength, ordinarily and with a blind spot.

    The blind-spot filter never sees the pixel that it predicts: it is replaced by the mean of its
    neighbours first (Batson and Royer; scikit-image's ``denoise_invariant``). A quarter of the pixels
    are predicted.
    """
    settings = {"sigma": strength / 255}
    masks = [(slice(row, None, _STRIDE), slice(column, None, _STRIDE)) for row, column in _MASKS]
    blind = denoise_invariant(noisy, total_variation, masks=masks, denoiser_kwargs=settings)
    plain = total_variation(noisy, **settings)
    hidden = np.zeros(noisy.shape, bool)
    for mask in masks:
        hidden[mask] = True

    def error(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.mean((first.astype(np.float64) - second) ** 2))

    return Losses(
        strength,
        error(blind[hidden], noisy[hidden]),
        error(blind[hidden], clean[hidden]),
        error(plain, noisy),
        error(plain, clean),
    )


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    noisy = corrupt(clean, _NOISE).noisy
    losses = [measure_losses(noisy, clean, tried) for tried in _STRENGTHS]
    choices = {
        "Least change": min(losses, key=lambda loss: loss.plain).strength,
        "Blind spot": min(losses, key=lambda loss: loss.blind).strength,
        "Oracle": min(losses, key=lambda loss: loss.plain_true).strength,
        "Yours": strength,
    }
    pictures = [
        score_picture(f"{name}, strength {chosen:g}", total_variation(noisy, chosen / 255), clean)
        for name, chosen in choices.items()
    ]
    scale = 255**2
    chart = Chart(
        "What can be known, and what is true",
        "strength (of 255)",
        "mean squared error (of 255²)",
        (
            Line(
                "Known: blind spot, less sigma²",
                _STRENGTHS,
                tuple(scale * (loss.blind - _SIGMA**2) for loss in losses),
                dots=True,
            ),
            Line(
                "True: blind spot",
                _STRENGTHS,
                tuple(scale * loss.blind_true for loss in losses),
            ),
            Line(
                "True: plain filter",
                _STRENGTHS,
                tuple(scale * loss.plain_true for loss in losses),
            ),
        ),
        (Mark(choices["Blind spot"], "blind spot"), Mark(choices["Oracle"], "oracle")),
    )
    needs = ("the noisy picture", "the noisy picture", "the clean picture", "your eyes")
    table = Table(
        "Four ways to choose the strength of total variation",
        ("Choice", "Needs", "Strength", "PSNR"),
        tuple(
            (name, need, f"{chosen:g} of 255", write_psnr(picture.psnr))
            for (name, chosen), need, picture in zip(choices.items(), needs, pictures, strict=True)
        ),
    )
    behind = (pictures[2].psnr or 0) - (pictures[1].psnr or 0)
    remark = (
        f"Without the clean face, the blind spot comes within {write_psnr(behind)} of the oracle."
        if choices["Blind spot"] != choices["Oracle"]
        else "Without the clean face, the blind spot picks the strength that the oracle picks."
    )
    all_pictures = (score_picture("Noisy", noisy, clean), *pictures)
    return Demonstration((Group(_NOISE.describe(), all_pictures),), (table,), chart, (remark,))


def _explain(results: Results) -> str:
    condition = "gaussian-25"
    return f"""
**Comparing with the noisy picture rewards doing nothing.** The less a filter changes, the closer it
stays to what it was given: the least change always picks the weakest filter.

**Unless the filter can't see the pixel it predicts.** Hide a pixel, predict it from its neighbours,
compare with the noisy value. If the noise of a pixel is independent of the others', the prediction
can't copy it, and the error against the noisy picture is the error against the clean one plus sigma²,
the same at every strength. So both curves have their lowest point in about the same place. Batson and
Royer call such a filter *J-invariant*; scikit-image has it as `calibrate_denoiser`.

**What it costs.** A blind filter has to do without the best witness, the pixel itself, so it may like
another strength more than the plain filter does; that is the gap to the oracle. And it fails when the
errors of neighbours depend on each other (JPEG, blur, shuffled pixels): then the neighbours give the
noise away.

**For scale**: at sigma 25 of 255, total variation told the true sigma scores
{results.score("total-variation", condition)} on FER2013's test split (noisy
{results.score("noisy", condition)}), and the Attention U-Net, told nothing,
{results.score("attention-unet", condition)}.
"""


SELF_CHOICE = Lesson(
    id="self-choice",
    title="Tuning without the answer",
    minutes=4,
    question=(
        "A noisy photo, and no clean one. You can try a filter at any strength. Can the photo "
        "itself tell which strength comes closest to the clean picture?"
    ),
    options=(
        "No: without the clean picture there is nothing to measure",
        "Yes: take the strength whose result is closest to the photo",
        "Yes, nearly: hide each pixel, predict it from its neighbours, and compare with the photo",
    ),
    answer=2,
    experiment=Experiment(
        noise=_NOISE, methods=("total-variation", "nl-means", "gaussian-filter", "attention-unet")
    ),
    look=(
        "Choose a strength by eye with the slider, then compare with the table. In the chart, the "
        "curve that anybody can compute and the true one below or above it have their lowest points "
        "in about the same place."
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(
        Source.arxiv("Batson and Royer 2019, Noise2Self", "1901.11365"),
        Source.doi("Chambolle 2004, total variation", "10.1023/B:JMIV.0000011325.36760.1e"),
    ),
    slider=_SLIDER,
)
