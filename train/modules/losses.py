"""Reconstruction losses: how far a denoised batch is from the clean one."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from train.config import Loss

_PUBLISHED_WEIGHTS = (0.0448, 0.2856, 0.3001)  # of five scales; the others are 0.2363 and 0.1333
MS_SSIM_WEIGHTS = tuple(weight / sum(_PUBLISHED_WEIGHTS) for weight in _PUBLISHED_WEIGHTS)
"""Exponents of the three finest scales, made to sum to 1 again."""

MS_SSIM_SMALLEST = 44
"""The smallest side, in pixels, that has three scales."""

MS_SSIM_SHARE = 0.84
"""Share of MS-SSIM in its mix with L1, from Zhao et al. 2017."""


def reconstruction_loss(denoised: torch.Tensor, clean: torch.Tensor, kind: Loss) -> torch.Tensor:
    """Return how far a denoised batch (B, C, H, W) is from the clean one, as the mean over pictures.

    - ``"mse"``: mean squared error.
    - ``"psnr"``: log mean squared error of each picture, see :func:`log_mse`.
    - ``"bce"``: binary cross-entropy, see :func:`binary_cross_entropy`.
    - ``"l1"``: mean absolute error.
    - ``"l1+ms-ssim"``: a mix of L1 and structural similarity, see :func:`l1_and_ms_ssim`.
    - ``"l1+ms-ssim+cosine"``: that, and how far colours point elsewhere, see :func:`cosine_distance`.
    """
    return _LOSSES[kind](denoised, clean)


def log_mse(denoised: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Mean of the pictures' log mean squared errors, which is PSNR up to sign and scale.

    It weighs a decibel the same on a faintly and on a heavily corrupted picture, where the mean squared
    error of a mixture all but ignores the faint ones.

    References:
        L. Chen et al., "Simple baselines for image restoration", ECCV 2022, arXiv:2204.04676.
    """
    errors = (denoised - clean).square().mean(dim=(1, 2, 3))
    return (errors + 1e-6).log().mean()  # 1e-6 is 60 dB: nothing is gained beyond it


def binary_cross_entropy(denoised: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of pictures in [0, 1], each pixel taken for a probability, as in reference D.

    Made for networks that end in a sigmoid. What is not inside (0, 1) is clipped, so the loss is finite,
    but such a pixel has no gradient. The smallest loss is not 0: it is the clean picture's own entropy.

    References:
        E. Solovyeva and A. Abdullah, "Dual autoencoder network with separable convolutional layers for
        denoising and deblurring images", J. Imaging 8(9):250, 2022, doi:10.3390/jimaging8090250.
    """
    tiny = 1e-6  # 1 - 1e-6 is not 1 in single precision
    share = denoised.float().clamp(tiny, 1 - tiny)
    return -(clean * share.log() + (1 - clean) * (1 - share).log()).mean()


def l1_and_ms_ssim(denoised: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """``0.84 (1 - MS-SSIM) + 0.16 L1``. L1 is a plain mean, without the paper's Gaussian weights.

    References:
        H. Zhao, O. Gallo, I. Frosio and J. Kautz, "Loss functions for image restoration with neural
        networks", IEEE TCI 3(1), 2017, doi:10.1109/TCI.2016.2644865.
    """
    similarity = ms_ssim(denoised, clean)
    return MS_SSIM_SHARE * (1 - similarity) + (1 - MS_SSIM_SHARE) * F.l1_loss(denoised, clean)


def ms_ssim(denoised: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Return the mean multi-scale structural similarity of a batch (B, C, H, W), data range 1.

    Three scales of the published five: at the fifth a 48x48 face has 3x3 pixels, far less than the 11x11
    window; at the third it has 12x12. Sides from 44 pixels up have three. Their weights are the
    published ones, made to sum to 1. A negative similarity of a scale counts as 0: it has no root.

    Raises:
        ValueError: The pictures are smaller.

    References:
        Z. Wang, E. P. Simoncelli and A. C. Bovik, "Multiscale structural similarity for image quality
        assessment", Asilomar 2003, doi:10.1109/ACSSC.2003.1292216.
    """
    # Variances are differences of large numbers: half precision has too few digits for them.
    with torch.autocast(denoised.device.type, enabled=False):
        return multiscale_structural_similarity_index_measure(
            denoised.float(), clean.float(), data_range=1.0, betas=MS_SSIM_WEIGHTS, normalize="relu"
        )


def l1_ms_ssim_and_cosine(denoised: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """The sum of :func:`l1_and_ms_ssim` and :func:`cosine_distance`."""
    return l1_and_ms_ssim(denoised, clean) + cosine_distance(denoised, clean)


def cosine_distance(denoised: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """1 less the mean cosine between the pixels' RGB vectors: whether a colour is the right one.

    It says nothing of how bright a pixel is, nor anything at all of gray pictures (reference B).
    """
    with torch.autocast(denoised.device.type, enabled=False):
        return 1 - F.cosine_similarity(denoised.float(), clean.float(), dim=1, eps=1e-3).mean()


_LOSSES: Mapping[Loss, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": F.mse_loss,
    "psnr": log_mse,
    "bce": binary_cross_entropy,
    "l1": F.l1_loss,
    "l1+ms-ssim": l1_and_ms_ssim,
    "l1+ms-ssim+cosine": l1_ms_ssim_and_cosine,
}
