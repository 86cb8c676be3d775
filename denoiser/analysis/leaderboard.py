"""A few methods on the same few faces, under noises of the benchmark: to set one's own beside ours."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from denoiser.denoisers.base import Denoiser
from denoiser.faces.fer2013 import FaceSet
from denoiser.images import Image, from_uint8
from denoiser.metrics import PERFECT_PSNR
from denoiser.noise import PRESETS, NoiseModel, create_noise
from denoiser.pipeline import corrupt, denoise, score_noisy

FACES = 50
"""How many faces are scored, drawn once and for all from those that there are."""

CONDITIONS: Mapping[str, NoiseModel] = {
    "gaussian-low": PRESETS["gaussian-low"],
    "gaussian-25": create_noise("gaussian", sigma=25 / 255),
    "salt-and-pepper-10": PRESETS["salt-and-pepper-10"],
    "impulse-30": create_noise("impulse", amount=0.3),
    "poisson-30": create_noise("poisson", peak=30),
}
"""The noises, by their ids in the benchmark: those of the README's table."""


@dataclass(frozen=True)
class Score:
    """What a method scores on the faces.

    Attributes:
        psnr: Of each face in dB, by noise.
        ssim: Mean over the faces, by noise.
    """

    psnr: Mapping[str, tuple[float, ...]]
    ssim: Mapping[str, float]

    @property
    def per_face(self) -> list[float]:
        """Mean PSNR of each face over all noises."""
        return [fmean(values) for values in zip(*self.psnr.values(), strict=True)]

    @property
    def mean(self) -> float:
        """Mean PSNR over all."""
        return fmean(self.per_face)


def pick_faces(faces: FaceSet) -> list[tuple[Image, int]]:
    """Return the faces that are scored, each with its noise's seed: its row, as in the benchmark."""
    picked = np.random.default_rng(0).permutation(len(faces))[:FACES]
    return [(from_uint8(faces.images[i]), int(faces.rows[i])) for i in sorted(picked)]


def score(method: Denoiser | None, faces: Sequence[tuple[Image, int]]) -> Iterator[Score | None]:
    """Score a method, picture by picture.

    Args:
        method: The method; None for the noisy pictures themselves.
        faces: See :func:`pick_faces`.

    Yields:
        None after each picture, and the score at the end.
    """
    psnr: dict[str, tuple[float, ...]] = {}
    ssim: dict[str, float] = {}
    for name, noise in CONDITIONS.items():
        scored = []
        for face, seed in faces:
            noisy = corrupt(face, noise, seed)
            if method is None:
                scored.append(score_noisy(noisy))
            else:
                scored.append(denoise(noisy.noisy, method, sigma=noisy.sigma, clean=face))
            yield None
        psnr[name] = tuple(min(result.psnr or 0.0, PERFECT_PSNR) for result in scored)
        ssim[name] = fmean(result.ssim or 0.0 for result in scored)
    yield Score(psnr, ssim)
