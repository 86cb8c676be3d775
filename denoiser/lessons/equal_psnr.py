"""Different pictures of one PSNR."""

from collections.abc import Callable

import numpy as np

from denoiser.images import Image
from denoiser.lessons.base import (
    Demonstration,
    Group,
    Lesson,
    Picture,
    Results,
    Slider,
    Source,
    score_picture,
)
from denoiser.metrics import psnr, write_ssim
from denoiser.noise import GaussianBlur, GaussianNoise, PixelShuffleNoise, SaltAndPepperNoise
from denoiser.pipeline import Experiment

_SLIDER = Slider("PSNR of all five (dB)", 18, 35, 25, 0.5)
_STEPS = 24  # halvings: as many as float32 can tell apart

Distortion = Callable[[Image, float], Image]


def _noise(clean: Image, amount: float) -> Image:
    return GaussianNoise(sigma=amount)(clean, 0)


def _blur(clean: Image, amount: float) -> Image:
    return GaussianBlur(sigma=10 * amount)(clean, 0)


def _salt_and_pepper(clean: Image, amount: float) -> Image:
    return SaltAndPepperNoise(amount=amount)(clean, 0)


def _contrast(clean: Image, amount: float) -> Image:
    return clean + amount * (clean.mean() - clean)


def _brightness(clean: Image, amount: float) -> Image:
    return np.clip(clean + np.float32(amount), 0, 1)


DISTORTIONS: dict[str, Distortion] = {
    "Brightness shift": _brightness,
    "Blur": _blur,
    "Gaussian noise": _noise,
    "Salt and pepper": _salt_and_pepper,
    "Less contrast": _contrast,
}


def reach_psnr(clean: Image, distort: Distortion, target: float) -> Image | None:
    """Distort a picture so far that it has a PSNR, by bisection.

    Args:
        clean: (H, W) in [0, 1].
        distort: Its second argument goes from 0, which changes nothing, to 1.
        target: The PSNR in dB.

    Returns:
        The distorted picture; None if the distortion can't do as much damage.
    """
    low, high = 0.0, 1.0
    if psnr(distort(clean, high), clean) > target:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if psnr(distort(clean, middle), clean) > target:
            low = middle
        else:
            high = middle
    distorted = distort(clean, high)
    # Salt and pepper comes in whole pixels; what is too much is taken back from all of them.
    share = min(1.0, 10 ** ((psnr(distorted, clean) - target) / 20))
    return (clean + share * (distorted - clean)).astype(np.float32)


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    pictures: list[Picture] = []
    remarks = []
    for label, distort in DISTORTIONS.items():
        image = reach_psnr(clean, distort, strength)
        if image is None:
            remarks.append(f"{label} can't do as much damage to this picture.")
        else:
            pictures.append(score_picture(label, image, clean))
    ranked = sorted(pictures, key=lambda picture: -(picture.ssim or 0))
    if len(ranked) > 1:
        remarks.insert(
            0,
            f"SSIM runs from {write_ssim(ranked[-1].ssim)} ({ranked[-1].label}) to "
            f"{write_ssim(ranked[0].ssim)} ({ranked[0].label}); the mean squared error is the same.",
        )
    original = Picture("Clean", clean)
    first = (original, *ranked[:1], *ranked[-1:]) if len(ranked) > 1 else (original, *ranked)
    rest = tuple(ranked[1:-1])
    groups = [Group(f"Two pictures, one PSNR: {strength:.1f} dB", first)]
    if rest:
        groups.append(Group(f"More pictures of {strength:.1f} dB, by falling SSIM", rest))
    return Demonstration(tuple(groups), remarks=tuple(remarks))


def _explain(results: Results) -> str:
    condition = "pixel-shuffle-15"
    return f"""
**PSNR adds up squared errors and forgets where they are.** A shift of every pixel by the same small
amount, a soft blur and a few wild pixels can have the same sum, and so the same PSNR. An eye hardly
notices the first and stumbles over the last.

**SSIM compares structure.** In a small window around each pixel it compares mean, contrast and
correlation with the clean picture. A brightness shift leaves contrast and correlation alone and keeps a
high SSIM; noise and blur destroy the correlation and don't. Wang and Bovik show such a gallery, at one
mean squared error for all pictures.

**It matters when methods are ranked.** When 15 % of the pixels have swapped places with a neighbour,
the 5x5 median has the same PSNR on FER2013's test split as doing nothing,
{results.score("median-5", condition)} and {results.score("noisy", condition)}. SSIM tells them apart
({results.score("median-5", condition, "ssim")} and {results.score("noisy", condition, "ssim")}): one is
blurred everywhere, the other sharp with wrong dots. SSIM has oddities of its own and is no perfect eye
either: report both.
"""


EQUAL_PSNR = Lesson(
    id="equal-psnr",
    title="Five pictures, one PSNR",
    minutes=3,
    question=(
        "A face is damaged in five ways: noise, blur, black and white dots, less contrast, more "
        "brightness. Each is tuned until the PSNR is exactly 25.0 dB. What does SSIM say about the "
        "five?"
    ),
    options=(
        "About the same for all: their error is the same",
        "It is far lower for noise and blur than for changed contrast and brightness",
        "It is lowest for more brightness, where every single pixel is wrong",
    ),
    answer=1,
    experiment=Experiment(
        noise=PixelShuffleNoise(amount=0.15),
        methods=("median-5", "trimmed-median", "median", "attention-unet"),
    ),
    look=(
        "Which of the five you would keep if it were your portrait. Under Compare, the noisy "
        "picture and the 5x5 median: nearly one PSNR, and two very different pictures."
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(
        Source.doi(
            "Wang and Bovik 2009, Mean squared error: love it or leave it?", "10.1109/MSP.2008.930649"
        ),
        Source.doi("Wang et al. 2004, SSIM", "10.1109/TIP.2003.819861"),
        Source.arxiv("Nilsson and Akenine-Möller 2020, Understanding SSIM", "2006.13846"),
    ),
    slider=_SLIDER,
)
