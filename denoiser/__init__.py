"""Corrupt faces, denoise them, and see why one denoiser beats another."""

from .base import Denoiser, DenoiserInfo
from .images import ImageError, load_image
from .metrics import psnr, ssim
from .noise import NoiseModel, create_noise, list_noises
from .pipeline import Comparison, DenoiseResult, compare, corrupt, denoise, sweep
from .registry import create_denoiser, list_denoisers
from .weights import WeightsError

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
