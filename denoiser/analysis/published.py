"""What published denoisers score on these faces, for comparison; no command here measures it.

Each has its authors' own weights, trained on photographs of all sorts, and denoised the first 1,000
test pictures (BM3D: 300) once, with code that is not part of this repository. Neither those weights nor
BM3D's code may be shipped here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

NOISES = ("gaussian-low", "gaussian-high", "gaussian-25", "gaussian-50")
"""The benchmark's noises that they were measured under."""


@dataclass(frozen=True)
class PublishedDenoiser:
    """A published denoiser and its scores.

    Attributes:
        label: Its name; "clipped" was trained on noisy pictures that are clipped, as ours are.
        reference: The paper, or who published it.
        told_sigma: Whether it is told how strong the noise is.
        psnr: In dB, by noise.
    """

    label: str
    reference: str
    told_sigma: bool
    psnr: Mapping[str, float]


def _published(label: str, reference: str, told_sigma: bool, *psnr: float) -> PublishedDenoiser:
    return PublishedDenoiser(label, reference, told_sigma, dict(zip(NOISES, psnr, strict=True)))


PUBLISHED = (
    _published(
        "DnCNN", "Zhang et al. 2017, doi:10.1109/TIP.2017.2662206", False, 36.84, 30.23, 27.31, 23.09
    ),
    _published(
        "ADNet", "Tian et al. 2020, doi:10.1016/j.neunet.2019.12.024", False, 37.00, 30.28, 27.31, 22.86
    ),
    _published(
        "FFDNet, clipped",
        "Zhang et al. 2018, doi:10.1109/TIP.2018.2839891",
        True,
        36.93,
        30.41,
        27.67,
        23.98,
    ),
    _published("FDnCNN, clipped", "K. Zhang, published with FFDNet", True, 37.24, 30.51, 27.72, 23.96),
    _published(
        "BM3D", "Dabov et al. 2007, doi:10.1109/TIP.2007.901238", True, 36.52, 29.59, 26.74, 22.69
    ),
)
