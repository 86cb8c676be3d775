"""Score denoisers on the colour faces' test split with fixed noise, and write down the results.

Photographs that are large enough are brought to one size. The noise of one is seeded by its place in the
file; filters that take a strength are told the true one, as in :mod:`train.evaluation.score`.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from denoiser.analysis.results import COLOUR_NAME, METRICS_NAME, NOISY
from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.registry import COLOUR_MODELS, create_denoiser, list_denoisers
from denoiser.metrics import colour_error_map, psnr, ssim
from denoiser.noise import NoiseChain, NoiseModel, create_noise
from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS
from denoiser.weights.training_noise import point
from train.colour_faces import read_colour_faces
from train.evaluation.readme import ROOT, update_colour
from train.evaluation.score import CONDITIONS as GRAY_CONDITIONS
from train.evaluation.score import (
    Pictures,
    Task,
    check_known,
    corrupt_all,
    finish_scores,
    first_faces,
    kept_scores,
    weights_version,
)
from train.files import WEIGHTS_HASH, file_hash, write_json
from train.publish.cards import write_card

SIZE = 96
"""Height and width of the pictures, in pixels."""

PICTURES = 130
"""How many are scored, the first ones that are large enough: a quarter of an hour of two cores."""

LARGEST = 128
"""How wide photographs have to be that are shown at several sizes, in pixels."""

DISCOLOURED = 10.0
"""CIEDE2000 above which a pixel counts as discoloured: nobody overlooks it."""

_GAUSSIAN_15 = create_noise("gaussian", sigma=15 / 255)
_AS_GRAY = (
    "gaussian-25",
    "gaussian-50",
    "poisson-30",
    "salt-and-pepper-10",
    "impulse-30",
    "pixel-shuffle-15",
    "pixel-shuffle-50",
)


def _four_damages(square: int) -> NoiseChain:
    """Reference C's damages, one after the other; the square covers the same part of a face."""
    return NoiseChain(
        (
            create_noise("desaturation", amount=0.7),
            _GAUSSIAN_15,
            create_noise("impulse", amount=0.1),
            create_noise("occlusion", size=square, count=1),
        )
    )


CONDITIONS: Mapping[str, NoiseModel] = {
    "gaussian-15": _GAUSSIAN_15,
    **{name: GRAY_CONDITIONS[name] for name in _AS_GRAY},
    "four-damages-48": _four_damages(8),
    "four-damages-96": _four_damages(16),
    "four-damages-128": _four_damages(21),
}
"""What the pictures are damaged by, by the id that it has in the results."""

_SIZES: Mapping[str, int] = {
    "four-damages-48": 48,
    "four-damages-96": 96,
    "four-damages-128": LARGEST,
}
"""Height and width of the pictures, the same photographs at each, where it is not :data:`SIZE`."""

METHODS: tuple[str, ...] = (
    "attention-unet",
    "patchgan",
    "autoencoder",
    "residual-unet",
    *COLOUR_MODELS,
    "median",
    "trimmed-median",
    "bilateral",
    "nl-means",
    "total-variation",
    "wavelet",
)
"""What is scored; all but the networks for colour go channel by channel."""


@dataclass(frozen=True)
class ColourScore:
    """One denoiser under one noise, over the first pictures of the split.

    Attributes:
        denoiser: Id, ``"noisy"`` for the noisy pictures themselves.
        noise: Key of :data:`CONDITIONS`.
        psnr: Mean of the pictures' PSNRs in dB, each over all three channels.
        psnr_std: Their standard deviation.
        ssim: Mean of the pictures' SSIMs.
        ssim_std: Their standard deviation.
        colour_error: Mean CIEDE2000.
        discoloured: Share of pixels whose CIEDE2000 is above :data:`DISCOLOURED`.
        pictures: How many pictures.
    """

    denoiser: str
    noise: str
    psnr: float
    psnr_std: float
    ssim: float
    ssim_std: float
    colour_error: float
    discoloured: float
    pictures: int


def evaluate_colour(
    data: Path,
    *,
    cache: Path = Path("runs/evaluate-colour"),
    workers: int | None = None,
    limit: int = 0,
    only: Sequence[str] | None = None,
    noises: Sequence[str] | None = None,
    output: Path | None = None,
    root: Path = ROOT,
) -> dict[str, Any]:
    """Score, then write ``colour.json`` and its tables in ``docs/results.md``.

    Args:
        data: Folder of colour faces, see :mod:`train.colour_faces`.
        cache: Folder of finished scores: what is there for the same weights is not computed again.
        workers: Processes; all cores by default.
        limit: Only the first pictures, for a trial: writes nothing.
        only: Of :data:`METHODS`; the others keep what is in the cache or in ``colour.json``, if it is
            of the weights that they have now.
        noises: Keys of :data:`CONDITIONS`; the others' scores are kept likewise.
        output: Folder to write ``colour.json`` into, and nothing else.
        root: The repository, or a folder with that page.

    Returns:
        What ``colour.json`` holds.

    Raises:
        ConfigError: An unknown denoiser or noise is named, or results on file would be replaced by
            fewer.
        FaceDataError: The pictures can't be read.
    """
    known = list_denoisers(colour=True)
    ids = [NOISY, *(name for name in METHODS if name in known)]
    check_known("denoiser", only, ids)
    check_known("noise", noises, list(CONDITIONS))
    count = len(_pictures(data, limit, next(iter(CONDITIONS))).clean)
    target = (output or WEIGHTS) / COLOUR_NAME
    tasks = [Task(denoiser, noise, data, limit) for noise in CONDITIONS for denoiser in ids]
    versions = {name: weights_version(name) for name in ids}
    pictures = dict.fromkeys(ids, count)
    scores = finish_scores(
        tasks,
        ColourScore,
        _run,
        lambda score: f"{score.psnr:.2f} dB",
        to_compute={
            task.pair
            for task in tasks
            if (only is None or task.denoiser in only) and (noises is None or task.noise in noises)
        },
        earlier=kept_scores(target, ColourScore, versions, pictures) if only or noises else {},
        pictures=pictures,
        cache=cache,
        replaces=None if limit else target,
        name="evaluate-colour",
        workers=workers,
    )
    scored = {score.denoiser for score in scores} - {NOISY}
    content = {
        "command": "python -m train evaluate-colour --data PATH",
        "split": f"colour faces, test, {SIZE}x{SIZE}",
        "pictures": count,
        "seed": "the noise of a picture is seeded by its place in the file",
        "metrics": "mean over pictures; PSNR in dB over all channels; SSIM; CIEDE2000",
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "noises": {name: point(noise) for name, noise in CONDITIONS.items()},
        "denoisers": [{"id": name, "weights": versions[name]} for name in ids if name in scored],
        "scores": [asdict(score) for score in scores],
    }
    if not limit:
        write_json(target, content)
        if output is None:
            for model_id in COLOUR_MODELS:
                _write_metrics(model_id, content)
            update_colour(content, root)
    return content


def _write_metrics(model_id: str, content: Mapping[str, Any]) -> None:
    """Write a model's own scores beside its weights, and its card."""
    own = [score for score in content["scores"] if score["denoiser"] in (model_id, NOISY)]
    if all(score["denoiser"] == NOISY for score in own):
        return
    kept = ("command", "split", "pictures", "seed", "metrics")
    weights = {WEIGHTS_HASH: file_hash(WEIGHTS / model_id / MODEL_NAME)}
    write_json(
        WEIGHTS / model_id / METRICS_NAME,
        {key: content[key] for key in kept} | weights | {"scores": own},
    )
    write_card(model_id)


def score_colour(method: Denoiser | None, pictures: Pictures, noise_name: str) -> ColourScore:
    """Score a denoiser, or the noisy pictures for None, on pictures (N, H, W, 3)."""
    denoised = [
        noisy if method is None else method(noisy, sigma)
        for noisy, sigma in zip(pictures.noisy, pictures.sigmas, strict=True)
    ]
    pairs = list(zip(denoised, pictures.clean, strict=True))
    psnrs = [min(psnr(*pair), 100.0) for pair in pairs]  # a perfect picture's is infinite
    ssims = [ssim(*pair) for pair in pairs]
    errors = [colour_error_map(*pair) for pair in pairs]
    return ColourScore(
        denoiser=NOISY if method is None else method.info.id,
        noise=noise_name,
        psnr=round(statistics.fmean(psnrs), 4),
        psnr_std=round(statistics.pstdev(psnrs), 4),
        ssim=round(statistics.fmean(ssims), 5),
        ssim_std=round(statistics.pstdev(ssims), 5),
        colour_error=round(statistics.fmean(float(error.mean()) for error in errors), 4),
        discoloured=round(statistics.fmean(float((error > DISCOLOURED).mean()) for error in errors), 5),
        pictures=len(pairs),
    )


@lru_cache(maxsize=1)  # a worker meets the denoisers of one noise one after the other
def _pictures(data: Path, limit: int, noise_name: str) -> Pictures:
    size = _SIZES.get(noise_name, SIZE)
    faces = read_colour_faces(data, "test", size, least=LARGEST if noise_name in _SIZES else 0)
    return corrupt_all(first_faces(faces, limit or PICTURES), CONDITIONS[noise_name])


def _run(task: Task) -> tuple[Task, ColourScore]:
    method = None if task.denoiser == NOISY else create_denoiser(task.denoiser)
    return task, score_colour(method, _pictures(task.data, task.limit, task.noise), task.noise)
