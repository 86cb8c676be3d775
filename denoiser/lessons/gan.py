"""Why the GAN looks sharper and scores lower."""

import numpy as np

from denoiser.images import Image
from denoiser.lessons.base import (
    Chart,
    Demonstration,
    Group,
    Lesson,
    Line,
    Picture,
    Results,
    Source,
    Table,
    run_methods,
)
from denoiser.metrics import radial_power_spectrum, sharpness, write_psnr, write_ssim
from denoiser.noise import GaussianNoise
from denoiser.pipeline import Experiment, corrupt

_SIGMA = 25
_NOISE = GaussianNoise(sigma=_SIGMA / 255)
_METHODS = ("attention-unet", "patchgan", "nl-means")
_FLOOR = 1e-12  # keeps the logarithm of an empty frequency finite


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    corruption = corrupt(clean, _NOISE)
    pictures, missing = run_methods(corruption, _METHODS)
    all_pictures = (Picture("Clean", clean), *pictures)
    table = Table(
        "Close to the clean face, or as sharp as it",
        ("Picture", "PSNR", "SSIM", "Sharpness (clean: 1)"),
        tuple(
            (
                picture.label,
                write_psnr(picture.psnr),
                write_ssim(picture.ssim),
                f"{sharpness(picture.image, clean, check_range=False):.3f}",
            )
            for picture in pictures
        ),
    )
    chart = Chart(
        "How much fine detail there is",
        "frequency in cycles per pixel (right: finest detail)",
        "power in dB",
        tuple(_spectrum(picture) for picture in all_pictures if picture.label != "Noisy"),
    )
    remarks = missing or [_compare(clean, *pictures[1:3])]
    return Demonstration((Group(_NOISE.describe(), all_pictures),), (table,), chart, tuple(remarks))


def _compare(clean: Image, unet: Picture, gan: Picture) -> str:
    gap = (gan.psnr or 0.0) - (unet.psnr or 0.0)
    crisp = [sharpness(picture.image, clean, check_range=False) for picture in (unet, gan)]
    return (
        f"On this face the GAN is {write_psnr(abs(gap))} {'above' if gap > 0 else 'below'} the U-Net, "
        f"with a sharpness of {crisp[1]:.3f} against {crisp[0]:.3f}. Other faces differ; the "
        "explanation has the mean over the test split."
    )


def _spectrum(picture: Picture) -> Line:
    power = radial_power_spectrum(picture.image)
    side = min(picture.image.shape)
    places = tuple((k + 1) / side for k in range(len(power)))
    return Line(picture.label, places, tuple((10 * np.log10(power + _FLOOR)).tolist()))


def _explain(results: Results) -> str:
    condition, unet, gan = "gaussian-25", "attention-unet", "patchgan"

    def scores(method: str) -> str:
        return (
            f"{results.score(method, condition)}, SSIM {results.score(method, condition, 'ssim')}, "
            f"sharpness {results.score(method, condition, 'sharpness')} and spectral distance "
            f"{results.score(method, condition, 'spectral_distance')}"
        )

    return f"""
**Many faces fit one noisy picture.** Lowest squared error is reached by their average, and an average
of sharp pictures is blurred. That is what the U-Net is trained to return. The GAN's generator, the same
network, must also pass for a clean picture before a discriminator, so it is pushed to commit itself to
one sharp face. It will often not be the true one, and a sharp edge in the wrong place costs more
squared error than a soft one.

**Blau and Michaeli prove that this is no accident.** For any measure of distortion, past a point you
can only look more natural by being less close. The two networks stand at two places on that trade-off;
the more the discriminator's word counts in training, the further along a GAN goes.

**On FER2013's test split at sigma {_SIGMA} of 255:** U-Net {scores(unet)}; GAN {scores(gan)}.
(Sharpness of the clean pictures is 1; spectral distance says how unlike theirs the fine detail is,
lower is better.) Sharper and lower, as predicted: the fine detail is nearly that of photographs, for
{results.difference(gan, unet, condition)}. By theory, faces that nobody could tell from photographs cost
3 dB at most.

**Which is better?** For measuring, the U-Net; for looking at, perhaps the GAN, as long as nobody takes
the details it invents for real ones. The blind test tells what your own eyes prefer.
"""


GAN = Lesson(
    id="gan",
    title="Sharper, and further off",
    minutes=4,
    question=(
        "Two networks of the same shape. The U-Net was trained for the smallest squared error; the "
        "GAN also had to make a second network believe that its pictures are clean. What do you "
        "expect of the GAN?"
    ),
    options=(
        "Sharper pictures and a higher PSNR",
        "Sharper pictures and a lower PSNR",
        "Smoother pictures and a higher PSNR",
        "Smoother pictures and a lower PSNR",
    ),
    answer=1,
    experiment=Experiment(noise=_NOISE, methods=_METHODS),
    look=(
        "Hair, eyes and the edge of the face at large size: how crisp, and how true? In the chart, "
        "which network's line stays closer to the clean face's at the fine end? (What non-local "
        "means has there is left-over noise.)"
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(
        Source.doi(
            "Blau and Michaeli 2018, The perception-distortion tradeoff", "10.1109/CVPR.2018.00652"
        ),
        Source.doi("Isola et al. 2017, PatchGAN", "10.1109/CVPR.2017.632"),
    ),
)
