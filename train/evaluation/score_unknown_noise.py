"""Measure what is said of a picture without its clean twin, where the clean one is known.

Noise of known kind and strength is added, rounded to 8 bits as in a file, and estimated again: how often
the kind is right, and how far off the strength. PSNR by Stein's method is held against the true one. And
noise that is not like ours, a camera's and what JPEG leaves of noise: what is it called, and what do
denoisers gain on it?
"""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from skimage.data import astronaut, chelsea, coffee
from tqdm import tqdm

from denoiser.analysis.calibration import LEAST_PICTURES, Calibration, parse_calibration
from denoiser.analysis.inspection import measure_whiteness
from denoiser.analysis.results import UNKNOWN_NOISE_NAME
from denoiser.analysis.unknown_noise import (
    CLEAN,
    ROUTER,
    UNKNOWN,
    NoiseEstimate,
    estimate_uncalibrated,
    stein_psnr,
)
from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.fer2013 import read_fer2013
from denoiser.images import Image, from_uint8, to_uint8
from denoiser.metrics import psnr
from denoiser.noise import JpegArtifacts, NoiseChain, NoiseModel, create_noise
from denoiser.weights.checkpoint import WEIGHTS
from denoiser.weights.training_noise import point
from train.colour_faces import read_colour_faces
from train.evaluation.readme import ROOT, update_unknown_noise
from train.evaluation.score import weights_version
from train.files import write_json

PHOTOGRAPHS, COLOUR_FACES, FACES = "photographs", "colour faces", "faces"
_COUNTS = {COLOUR_FACES: 40, FACES: 60}
_COLOUR_SIZE = 96
_PIECE = 256

_STRENGTHS: Mapping[str, tuple[str, float, Sequence[float]]] = {
    "gaussian": ("sigma", 255, (5, 10, 15, 25, 50)),
    "salt-and-pepper": ("amount", 100, (2, 10, 30)),
    "impulse": ("amount", 100, (5, 10, 30)),
    "poisson": ("peak", 1, (10, 30, 100, 300)),
    "speckle": ("sigma", 255, (10, 20, 36, 72)),
    "jpeg": ("quality", 1, (10, 20, 30, 50)),
}
CONDITIONS: Mapping[str, NoiseModel | None] = {
    CLEAN: None,
    **{
        f"{kind}-{shown}": create_noise(kind, **{name: shown / scale})
        for kind, (name, scale, values) in _STRENGTHS.items()
        for shown in values
    },
    "pixel-shuffle-15": create_noise("pixel-shuffle", amount=0.15),
    "pixel-shuffle-50": create_noise("pixel-shuffle", amount=0.5),
    "gaussian-15+salt-and-pepper-10": NoiseChain(
        (create_noise("gaussian", sigma=15 / 255), create_noise("salt-and-pepper", amount=0.1))
    ),
    "poisson-30+impulse-10": NoiseChain(
        (create_noise("poisson", peak=30), create_noise("impulse", amount=0.1))
    ),
}
"""What is added, by its id in the results; what can't be told is to be called unknown."""

_BINS = (0.0, 8 / 255, 20 / 255)  # of estimated sigma, in each of which the error is its own

METHODS = ("residual-unet", "attention-unet", "nl-means", "median")
"""Whose PSNR is estimated, and which are tried on foreign noise."""

_SIGMAS = (10, 25, 50)
_READ_NOISE = 2.0  # electrons
_GAMMA = 2.2
_JPEGS = (90, 75, 50)
CAMERA_PHOTONS = (2000, 500, 100)
"""What a white pixel of the simulated camera counts."""


@dataclass(frozen=True)
class Trial:
    """A picture with known noise, and what was found out about that.

    Attributes:
        picture_set: Which pictures it is of.
        noise: Key of :data:`CONDITIONS`.
        kind: The true one, or :data:`UNKNOWN`.
        sigma: True root mean square of the noise.
        found: The estimate.
    """

    picture_set: str
    noise: str
    kind: str
    sigma: float
    found: NoiseEstimate


def evaluate_unknown_noise(
    data: Path, colour_data: Path, *, limit: int = 0, output: Path | None = None, root: Path = ROOT
) -> dict[str, Any]:
    """Score, then write ``unknown-noise.json`` and the tables in ``docs/unknown-noise.md``.

    Args:
        data: Where FER2013 is; of its validation split.
        colour_data: Folder of colour faces; likewise.
        limit: Only so many pictures of each sort, for a trial: writes nothing.
        output: Folder to write the file into, and nothing else.
        root: The repository, or a folder with that page.

    Returns:
        What the file holds.

    Raises:
        FaceDataError: The pictures can't be read.
    """
    sets = read_sets(data, colour_data)
    if limit:
        sets = {name: pictures[:limit] for name, pictures in sets.items()}
    trials = try_estimator(sets)
    content: dict[str, Any] = {
        "command": "python -m train evaluate-unknown-noise --data PATH --colour-data PATH",
        "pictures": {
            PHOTOGRAPHS: "scikit-image's astronaut, coffee and chelsea: each whole, and cut into "
            f"squares of {_PIECE} pixels",
            COLOUR_FACES: f"the first of the validation split, at {_COLOUR_SIZE}x{_COLOUR_SIZE}",
            FACES: "the first of FER2013's validation split (PublicTest)",
        },
        "seed": "the noise of a picture is seeded by its place in its set; clipped, rounded to 8 bits",
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "denoisers": [{"id": name, "weights": weights_version(name)} for name in METHODS],
        "router": ROUTER,
        "noises": {name: point(noise) for name, noise in CONDITIONS.items() if noise is not None},
        "sets": [describe_set(name, pictures, trials) for name, pictures in sets.items()],
    }
    calibration = parse_calibration(content)
    known = {name: sets[name] for name in (PHOTOGRAPHS, FACES)}
    content["psnr"] = try_stein(known, calibration)
    content["foreign"] = try_foreign([picture for picture in sets[PHOTOGRAPHS] if _is_whole(picture)])
    if not limit:
        write_json((output or WEIGHTS) / UNKNOWN_NOISE_NAME, content)
        if output is None:
            update_unknown_noise(content, root)
    return content


def read_sets(data: Path, colour_data: Path) -> dict[str, list[Image]]:
    """Return clean pictures, the sorts by name."""
    photographs = [from_uint8(photograph()) for photograph in (astronaut, coffee, chelsea)]
    squares = [
        photograph[row : row + _PIECE, column : column + _PIECE]
        for photograph in photographs
        for row in range(0, photograph.shape[0] - _PIECE + 1, _PIECE)
        for column in range(0, photograph.shape[1] - _PIECE + 1, _PIECE)
    ]
    colour = read_colour_faces(colour_data, "validation", _COLOUR_SIZE).images
    faces = read_fer2013(data, "validation").images
    return {
        PHOTOGRAPHS: photographs + squares,
        COLOUR_FACES: list(from_uint8(colour[: _COUNTS[COLOUR_FACES]])),
        FACES: list(from_uint8(faces[: _COUNTS[FACES]])),
    }


def try_estimator(sets: Mapping[str, Sequence[Image]]) -> list[Trial]:
    """Estimate every known noise on every picture."""
    jobs = [
        (name, seed, picture, noise)
        for name, pictures in sets.items()
        for seed, picture in enumerate(pictures)
        for noise in CONDITIONS
    ]
    return [_try(*job) for job in tqdm(jobs, desc="unknown noise", unit="picture")]


def _try(picture_set: str, seed: int, clean: Image, noise_name: str) -> Trial:
    noise = CONDITIONS[noise_name]
    noisy = clean if noise is None else noise(clean, seed, round_8bit=True)
    added = math.sqrt(float(np.mean((noisy.astype(np.float64) - clean) ** 2)))
    known = None if noise is None else noise.known_sigma(clean)
    kind = CLEAN if noise is None else noise.id if noise.id in _STRENGTHS else UNKNOWN
    sigma = added if known is None else known
    return Trial(picture_set, noise_name, kind, sigma, estimate_uncalibrated(noisy))


def describe_set(name: str, pictures: Sequence[Image], trials: Iterable[Trial]) -> dict[str, Any]:
    """Return what ``unknown-noise.json`` says of one sort of pictures."""
    own = [trial for trial in trials if trial.picture_set == name]
    return {
        "name": name,
        "pictures": len(pictures),
        "pixels": int(statistics.median(picture.shape[0] * picture.shape[1] for picture in pictures)),
        "confidence": find_confidence(own),
        "errors": find_errors(own),
        "called": [_describe_calls(noise, own) for noise in CONDITIONS],
    }


def find_confidence(trials: Sequence[Trial]) -> dict[str, float]:
    """Return the share of the pictures called a kind that were it, each true kind counted alike."""
    counts = Counter(trial.kind for trial in trials)
    called: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for trial in trials:
        weight = 1 / counts[trial.kind]
        called[trial.found.kind] += weight  # type: ignore[assignment]
        right[trial.found.kind] += weight * (trial.found.kind == trial.kind)  # type: ignore[assignment]
    return {kind: round(right[kind] / called[kind], 3) for kind in called}


def find_errors(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return, by kind and estimated sigma, between what the true one lay in 95 % of the pictures."""
    errors = []
    for kind in _STRENGTHS:
        rightly = [t for t in trials if t.kind == t.found.kind == kind and t.found.noise is not None]
        for above, below in zip(_BINS, (*_BINS[1:], math.inf), strict=True):
            ratios = [t.sigma / t.found.sigma for t in rightly if above < t.found.sigma <= below]
            if len(ratios) >= LEAST_PICTURES:
                low, high = np.quantile(ratios, [0.025, 0.975])
                errors.append(
                    {
                        "kind": kind,
                        "above": round(above, 5),
                        "low": round(float(low), 3),
                        "high": round(float(high), 3),
                        "pictures": len(ratios),
                    }
                )
    return errors


def _describe_calls(noise: str, trials: Iterable[Trial]) -> dict[str, Any]:
    own = [trial for trial in trials if trial.noise == noise]
    rightly = [t for t in own if t.found.kind == t.kind and t.found.noise is not None]
    ratios = [trial.found.sigma / trial.sigma for trial in rightly]
    entry: dict[str, Any] = {
        "noise": noise,
        "kind": own[0].kind,
        "called": dict(Counter(trial.found.kind for trial in own).most_common()),
    }
    if ratios:
        entry |= {
            "sigma": round(255 * statistics.fmean(trial.sigma for trial in rightly), 2),
            "bias": round(statistics.fmean(ratios) - 1, 4),
            "spread": round(statistics.pstdev(ratios), 4),
        }
    return entry


def try_stein(sets: Mapping[str, Sequence[Image]], calibration: Calibration) -> list[dict[str, Any]]:
    """Estimate PSNR under Gaussian noise, of known and of estimated strength, beside the true one.

    Whole photographs are left out: a square of one says as much.
    """
    entries = []
    jobs = [
        (name, shown, clip, told)
        for name in sets
        for shown in _SIGMAS
        for clip, told in ((False, True), (True, True), (True, False))
    ]
    for name, shown, clip, told in tqdm(jobs, desc="Stein's PSNR", unit="noise"):
        noise = create_noise("gaussian", sigma=shown / 255)
        pictures = [picture for picture in sets[name] if not _is_whole(picture)]
        for method in METHODS:
            found = [
                _try_stein(method, noise, clean, seed, clip, None if told else calibration)
                for seed, clean in enumerate(pictures)
            ]
            entries.append(
                {
                    "set": name,
                    "denoiser": method,
                    "noise": f"gaussian-{shown}",
                    "clipped": clip,
                    "sigma": "known" if told else "estimated",
                    **_summarise(found),
                }
            )
    return entries


def _try_stein(
    method: str,
    noise: NoiseModel,
    clean: Image,
    seed: int,
    clip: bool,
    calibration: Calibration | None,
) -> tuple[float, bool]:
    """Return how far the estimate lies above the true PSNR, and whether its interval holds that."""
    noisy = noise(clean, seed, clip=clip, round_8bit=clip)
    sigma, error = noise.known_sigma(clean) or 0.0, 0.0
    if calibration is not None:
        estimate, pixels = estimate_uncalibrated(noisy).sigma, clean.shape[0] * clean.shape[1]
        low, high = calibration.sigma_range(noise.id, estimate, pixels)
        sigma = calibration.correct(noise.id, estimate, pixels)
        error = NoiseEstimate(noise.id, sigma, None, low=low, high=high).sigma_error
        error = 0.0 if math.isnan(error) else error  # a trial of few pictures has none
    denoiser = create_denoiser(method)
    found = stein_psnr(noisy, denoiser, sigma, sigma_error=error)
    true = psnr(denoiser(noisy, sigma), clean)
    return found.psnr - true, not (true < found.low or true > found.high)


def _summarise(found: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    differences = [difference for difference, _ in found if not math.isnan(difference)]
    return {
        "bias": round(statistics.fmean(differences), 3) if differences else None,
        "spread": round(statistics.pstdev(differences), 3) if differences else None,
        "defined": round(len(differences) / len(found), 3),
        "covered": round(statistics.fmean(covered for _, covered in found), 3),
        "pictures": len(found),
    }


def try_foreign(photographs: Sequence[Image]) -> list[dict[str, Any]]:
    """Say what noise that none here was made for is called, and what denoisers gain on it."""
    white = create_noise("gaussian", sigma=25 / 255)
    damages: dict[str, Callable[[Image, int], tuple[Image, Image]]] = {
        "gaussian-25": lambda clean, seed: (clean, white(clean, seed, round_8bit=True)),
        **{f"gaussian-25+jpeg-{quality}": _compressed(white, quality) for quality in _JPEGS},
        **{f"camera-{photons}": _camera(photons) for photons in CAMERA_PHOTONS},
        f"camera-{CAMERA_PHOTONS[1]}+jpeg-90": _camera(CAMERA_PHOTONS[1], 90),
    }
    return [
        _describe_foreign(name, [damage(clean, seed) for seed, clean in enumerate(photographs)])
        for name, damage in tqdm(damages.items(), desc="foreign noise", unit="noise")
    ]


def _describe_foreign(name: str, pairs: Sequence[tuple[Image, Image]]) -> dict[str, Any]:
    found = [estimate_uncalibrated(noisy) for _, noisy in pairs]
    gains = {
        method: statistics.fmean(
            psnr(create_denoiser(method)(noisy, estimate.sigma), clean) - psnr(noisy, clean)
            for (clean, noisy), estimate in zip(pairs, found, strict=True)
        )
        for method in METHODS
    }
    noises = [noisy.astype(np.float64) - clean for clean, noisy in pairs]
    return {
        "noise": name,
        "called": dict(Counter(estimate.kind for estimate in found).most_common()),
        "sigma": round(255 * statistics.fmean(math.sqrt(np.mean(noise**2)) for noise in noises), 2),
        "found": round(255 * statistics.fmean(estimate.sigma for estimate in found), 2),
        "with_neighbour": round(
            statistics.fmean(
                measure_whiteness(noise[..., 1], clean[..., 1]).with_neighbour
                for noise, (clean, _) in zip(noises, pairs, strict=True)
            ),
            3,
        ),
        "psnr": round(statistics.fmean(psnr(noisy, clean) for clean, noisy in pairs), 2),
        "gains": {method: round(gain, 2) for method, gain in gains.items()},
        "pictures": len(pairs),
    }


def _compressed(noise: NoiseModel, quality: int) -> Callable[[Image, int], tuple[Image, Image]]:
    chain = NoiseChain((noise, JpegArtifacts(quality)))
    return lambda clean, seed: (clean, chain(clean, seed, round_8bit=True))


def _camera(photons: float, quality: int | None = None) -> Callable[[Image, int], tuple[Image, Image]]:
    def photograph(clean: Image, seed: int) -> tuple[Image, Image]:
        noiseless, noisy = take_photograph(clean, photons, seed)
        return noiseless, noisy if quality is None else JpegArtifacts(quality)(noisy)

    return photograph


def take_photograph(scene: Image, photons: float, seed: int) -> tuple[Image, Image]:
    """Photograph a picture with a simulated camera, as it would be without noise, and as it is.

    Light is counted behind a mosaic of colour filters (Bayer's), with the noise of photons and of
    reading them out. The colours between are interpolated, the values brought to the eye's scale.

    Args:
        scene: (H, W, 3) in [0, 1], with gamma, as it looks.
        photons: What a white pixel counts.
        seed: Of the noise.

    Returns:
        Two pictures like it, of 8 bits.
    """
    rng = np.random.default_rng(seed)
    light = scene.astype(np.float64) ** _GAMMA
    counted = rng.poisson(photons * light) + rng.normal(0, _READ_NOISE, light.shape)
    noiseless, noisy = (_develop(values) for values in (light, counted / photons))
    return noiseless, noisy


def _develop(light: np.ndarray) -> Image:
    """Keep one colour at each pixel, interpolate the others, and bring to gamma and 8 bits."""
    mosaic = np.zeros_like(light)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2, channel] = light[row::2, column::2, channel]
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    square = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    channels = [
        cv2.filter2D(mosaic[..., channel], -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        for channel, kernel in enumerate((square, cross, square))
    ]
    return from_uint8(to_uint8(np.clip(np.dstack(channels), 0, 1) ** (1 / _GAMMA)))


def _is_whole(picture: Image) -> bool:
    """Whether it is a whole photograph, and no square of one or face."""
    return max(picture.shape[:2]) > _PIECE
