"""Corrupt faces, denoise them, and see why one denoiser beats another."""

from denoiser.analysis.scoring import ScoreRow, ScoreTable, score
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.callables import OwnDenoiserError, wrap
from denoiser.denoisers.registry import create_denoiser, list_denoisers
from denoiser.images import ImageError, Photo, load_image, read_photo, write_photo
from denoiser.metrics import psnr, ssim
from denoiser.noise import NoiseModel, create_noise, list_noises
from denoiser.pipeline import (
    Comparison,
    DenoisedPhoto,
    DenoiseResult,
    compare,
    corrupt,
    denoise,
    sweep,
)
from denoiser.weights.checkpoint import WeightsError

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "DenoiseResult",
    "DenoisedPhoto",
    "Denoiser",
    "DenoiserInfo",
    "ImageError",
    "NoiseModel",
    "OwnDenoiserError",
    "Photo",
    "ScoreRow",
    "ScoreTable",
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
    "read_photo",
    "score",
    "ssim",
    "sweep",
    "wrap",
    "write_photo",
]
