"""The pictures beside a model's card on the Hub: a noisy face to try it on, and what becomes of it.

The face is cut from NASA's portrait of the astronaut Eileen Collins, which is in the public domain.
"""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from denoiser.denoisers.network import as_batch
from denoiser.faces.samples import ASTRONAUT, Sample, bundled_faces, face_at, get_sample
from denoiser.images import Image, from_uint8, to_png, to_uint8
from denoiser.noise import GaussianNoise, NoiseChain, NoiseModel, create_noise
from denoiser.pipeline import corrupt
from denoiser.weights.checkpoint import WEIGHTS, ModelConfig, read_config
from train.export import draw_noise, input_names, load_for_strangers

NOISY_NAME = "noisy.png"
"""A noisy face for the card's code."""

SAMPLE_NAME = "sample.png"
"""The face clean, noisy and denoised, side by side and enlarged."""

_USUAL = GaussianNoise(25 / 255)
_SIDE = 192  # of each picture in the sample, in pixels
_GAP = 8
_SIZES = {1: 48, 3: 96}  # of the face by channels: as faces are that networks are tested on


def make_sample(model_id: str, weights: Path = WEIGHTS) -> dict[str, bytes]:
    """Return the two pictures, as PNG files by name.

    The code in the card makes of the noisy one what stands last in the other.

    Raises:
        WeightsError: See :func:`~denoiser.architectures.loading.load_network`.
    """
    model = load_for_strangers(model_id, weights)
    channels = model.network.channels
    face = _astronaut()
    clean = face_at(face.image, face.detail, _SIZES[channels], channels == 3)
    noise = sample_noise(read_config(model_id, weights))
    noisy = from_uint8(to_uint8(corrupt(clean, noise, 0).noisy))  # as the file holds it
    batch = as_batch(noisy, channels)
    inputs = (batch, draw_noise(batch.shape))[: len(input_names(model))]
    with torch.inference_mode():
        (denoised,) = model(*map(torch.from_numpy, map(np.ascontiguousarray, inputs))).numpy()
    panels = [clean, noisy, np.moveaxis(denoised, 0, 2) if channels == 3 else denoised[0]]
    return {NOISY_NAME: to_png(noisy), SAMPLE_NAME: to_png(_side_by_side(panels))}


def sample_noise(config: ModelConfig) -> NoiseModel:
    """Return the noise to show a model with: the usual one, if it is validated on that, or its first."""
    noises = [_noise(entry) for entry in config.validation.values()]
    return _USUAL if not noises or any(map(_is_usual, noises)) else noises[0]


def _is_usual(noise: NoiseModel) -> bool:
    return isinstance(noise, GaussianNoise) and math.isclose(noise.sigma, _USUAL.sigma, abs_tol=1e-3)


@cache
def _astronaut() -> Sample:
    return get_sample(bundled_faces(), ASTRONAUT)


def _noise(entry: Mapping[str, Any]) -> NoiseModel:
    stages = [create_noise(e["kind"], **e["parameters"]) for e in entry.get("stages", [entry])]
    return stages[0] if len(stages) == 1 else NoiseChain(tuple(stages))


def _side_by_side(panels: list[Image]) -> Image:
    """Enlarge pictures of one shape, and put white between them."""
    factor = _SIDE // panels[0].shape[0]
    enlarged = [panel.repeat(factor, axis=0).repeat(factor, axis=1) for panel in panels]
    gap = np.ones((_SIDE, _GAP, *panels[0].shape[2:]), np.float32)
    return np.concatenate([enlarged[0], gap, enlarged[1], gap, enlarged[2]], axis=1)
