"""Corrupt faces, denoise them, and see why one denoiser beats another."""

from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.registry import create_denoiser, list_denoisers
from denoiser.images import ImageError, load_image
from denoiser.metrics import psnr, ssim
from denoiser.noise import NoiseModel, create_noise, list_noises
from denoiser.pipeline import (
    Comparison,
    DenoiseResult,
    compare,
    corrupt,
    denoise,
    sweep,
)
from denoiser.weights.checkpoint import WeightsError

__all__ = [
    "Comparison",
    "DenoiseResult",
    "Denoiser",
    "DenoiserInfo",
    "ImageError",
    "NoiseModel",
    "WeightsError",
    "compare",
    "corrupt",
    "create_denoiser",
    "create_noise",
    "denoise",
    "list_denoisers",
    "list_noises",
    "load_image",
    "psnr",
    "ssim",
    "sweep",
]
