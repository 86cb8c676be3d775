"""One picture under six conventions, and a published table that mixed two."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from denoiser.images import Image
from denoiser.lessons.base import (
    Demonstration,
    Group,
    Lesson,
    Picture,
    Results,
    Source,
    Table,
    run_methods,
)
from denoiser.metrics import SSIM_WINDOW, write_psnr, write_ssim
from denoiser.noise import PRESETS, GaussianNoise
from denoiser.pipeline import Experiment, corrupt

_NOISE = GaussianNoise(sigma=25 / 255)
_BORDER = 4
_WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
_CODE = "https://github.com/MahanVeisi8/From-Chaos-to-Clarity-Denoising-Images-with-UNet-and-GANs"


@dataclass(frozen=True)
class Published:
    """One row of the published table, as printed there.

    Attributes:
        model: The network.
        noise: Its noise.
        loss: Mean squared error on the test split, on a scale of width 4.
        psnr: In dB.
        data_range: What its code gave the metric as the width of the scale.
    """

    model: str
    noise: str
    loss: float
    psnr: float
    data_range: float

    @property
    def true_psnr(self) -> float:
        """What the loss means: ``10 log10(4^2 / loss)`` in dB."""
        return 10 * math.log10(_WIDTH**2 / self.loss)


_WIDTH = 4.0  # its pictures were scaled twice, to [-3, 1]

PUBLISHED = (
    Published("Attention U-Net", "Gaussian, sigma 5.1", 0.0039, 30.15, 2),
    Published("PatchGAN", "Gaussian, sigma 5.1", 0.0064, 21.97, 1),
    Published("Attention U-Net", "Gaussian, sigma 15.3", 0.0161, 23.95, 2),
    Published("PatchGAN", "Gaussian, sigma 15.3", 0.0270, 15.68, 1),
    Published("Attention U-Net", "Salt and pepper", 0.0037, 30.40, 2),
)
"""Reference A's test results. Its code is linked from the lesson."""


def mirrored_ssim(image: np.ndarray, clean: np.ndarray) -> float:
    """Return SSIM as torchmetrics 1.9 computes it for a data range of 1.

    Wang's window and population covariance, but the picture is mirrored at its border (without
    repeating the border pixels), and windows that reach over it count.

    Args:
        image: (H, W), sides of 6 pixels or more.
        clean: Same shape.
    """

    def blur(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, mode="mirror", radius=SSIM_WINDOW // 2)

    image, clean = image.astype(np.float64), clean.astype(np.float64)
    mean, clean_mean = blur(image), blur(clean)
    variances = blur(image**2) - mean**2 + blur(clean**2) - clean_mean**2
    covariance = blur(image * clean) - mean * clean_mean
    similarity = (2 * mean * clean_mean + 0.01**2) * (2 * covariance + 0.03**2)
    return float(np.mean(similarity / ((mean**2 + clean_mean**2 + 0.01**2) * (variances + 0.03**2))))


def score_six_ways(image: Image, clean: Image) -> tuple[tuple[str, float, float], ...]:
    """Score one picture under six conventions.

    Args:
        image: (H, W) in [0, 1], sides of 19 pixels or more.
        clean: Same shape.

    Returns:
        Name of the convention, PSNR in dB and SSIM, for each; NaN where they are not defined.
    """
    pair = clean.astype(np.float64), image.astype(np.float64)
    inner = slice(_BORDER, -_BORDER), slice(_BORDER, -_BORDER)
    cropped = pair[0][inner], pair[1][inner]
    own = float(np.ptp(pair[1]))

    def score(data_range: float, **settings: object) -> tuple[float, float]:
        if data_range == 0 or np.array_equal(*pair):
            return (math.nan, math.nan) if data_range == 0 else (math.inf, 1.0)
        return (
            float(peak_signal_noise_ratio(*pair, data_range=data_range)),
            float(structural_similarity(*pair, data_range=data_range, **settings)),
        )

    ours = score(1, **_WANG)
    edgeless = (
        float("inf")
        if np.array_equal(*cropped)
        else float(peak_signal_noise_ratio(*cropped, data_range=1)),
        float(structural_similarity(*cropped, data_range=1, **_WANG)),
    )
    return (
        ("This app: range 1, Wang's window, inside only", *ours),
        ("scikit-image default: 7x7 flat window, sample covariance", *score(1)),
        ("torchmetrics: mirrored border counts", ours[0], mirrored_ssim(*pair[::-1])),
        (f"Border of {_BORDER} pixels cut off first", *edgeless),
        (f"Range of the denoised picture: its max minus its min, here {own:.2f}", *score(own, **_WANG)),
        ("Range 2, meant for pictures in \N{MINUS SIGN}1 to 1", *score(2, **_WANG)),
    )


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    pictures, missing = run_methods(corrupt(clean, _NOISE), ["nl-means"])
    scores = score_six_ways(pictures[-1].image, clean)
    finite = [score for _, score, _ in scores if math.isfinite(score)]
    ssims = [score for _, _, score in scores if math.isfinite(score)]
    table = Table(
        "The same two pictures under six conventions",
        ("Convention", "PSNR", "SSIM"),
        tuple((name, write_psnr(psnr), write_ssim(ssim)) for name, psnr, ssim in scores),
    )
    published = Table(
        "A published table, read again",
        ("Network and noise", "Loss", "Range used", "Published PSNR", "PSNR on the true range of 4"),
        tuple(
            (
                f"{row.model}, {row.noise}",
                f"{row.loss:.4f}",
                f"{row.data_range:g}",
                write_psnr(row.psnr),
                write_psnr(row.true_psnr, 1),
            )
            for row in PUBLISHED
        ),
    )
    low = corrupt(clean, PRESETS["gaussian-low"])
    noisy = run_methods(low, [])[0][0]
    remarks = [
        f"The published table's faint noise, put on this face, leaves {write_psnr(noisy.psnr)}: "
        "that is what a network has to beat there.",
        *missing,
    ]
    if finite and ssims:
        remarks.insert(
            0,
            f"PSNR runs from {write_psnr(min(finite))} to {write_psnr(max(finite))}, SSIM from "
            f"{write_ssim(min(ssims))} to {write_ssim(max(ssims))}, and no pixel changed.",
        )
    all_pictures = (Picture("Clean", clean), *pictures)
    return Demonstration(
        (Group(_NOISE.describe(), all_pictures),), (table, published), None, tuple(remarks)
    )


def _explain(results: Results) -> str:
    unet, gan = PUBLISHED[0], PUBLISHED[1]
    published, true = unet.psnr - gan.psnr, unet.true_psnr - gan.true_psnr
    return f"""
**PSNR needs to know how wide the scale is.** It is 10 log10(range² / mean squared error): doubling the
range adds 6.02 dB to the same error. SSIM depends on the range too, through its two small constants,
and further on the window, on dividing by N or by one less, and on whether the border counts, which is
over a third of a 48x48 picture. Of the six, two are plainly mistakes: a range of 2 for pictures from 0
to 1, and the range of the denoised picture, which another method changes, so that each is scored on a
scale of its own. The others are habits; but any two of the six in one table are a mistake.

**That has happened.** A published comparison of a U-Net and a GAN on FER2013 scaled its pictures twice,
so that they lay between minus 3 and 1, a width of 4; then it computed PSNR with a range of 2 for one
network and of 1 for the other. At faint noise the table shows a gap of {published:.1f} dB. The losses
it prints tell the true one: {true:.1f} dB; the other {published - true:.1f} dB are the range. They also
show what no number in the table says: its GAN, at {gan.true_psnr:.1f} dB, gained nothing over the noisy
picture, which has {results.score("noisy", "gaussian-low")} there. Anyone can make this mistake; a row
for the noisy picture shows it at once, so our benchmark has one.

**On one scale**, our networks on the same test split and noise reach
{results.score("attention-unet", "gaussian-low")} (Attention U-Net) and
{results.score("patchgan", "gaussian-low")} (GAN). This app always uses a range of 1 and Wang's
settings, and averages the scores of single pictures.
"""


CONVENTIONS = Lesson(
    id="conventions",
    title="One picture, six scores",
    minutes=4,
    question=(
        "One clean face, one denoised face. Six people score the same two pictures with well-known "
        "software, each in the way they are used to. How far apart can their PSNR values be?"
    ),
    options=(
        "Not at all: PSNR is one formula",
        "By some hundredths of a dB, from rounding",
        "By 6 dB or more",
    ),
    answer=2,
    experiment=Experiment(
        noise=PRESETS["gaussian-low"], methods=("attention-unet", "patchgan", "nl-means", "median")
    ),
    look=(
        "The two tables. Under Compare, the published table's faint noise: the gain over the noisy "
        "picture says more than the PSNR alone."
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(
        Source.doi("Wang et al. 2004, SSIM", "10.1109/TIP.2003.819861"),
        Source("The published comparison's code and table (MahanVeisi8 on GitHub)", _CODE),
    ),
)
