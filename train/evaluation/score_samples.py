"""Score the draws of methods that draw: what one costs, and how close the mean of many comes.

By theory a draw from all faces that fit a noisy one has twice the error of their mean, 3.01 dB less, and
the mean of n draws has ``1 + 1/n`` times that error (Blau and Michaeli 2018,
doi:10.1109/CVPR.2018.00652). Where draws differ much, their mean should be wrong as much: the
correlation says whether the method knows where it guesses.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from denoiser.analysis.inspection import SAMPLES, draw_samples, find_capabilities
from denoiser.analysis.results import SAMPLES_NAME
from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.fer2013 import read_fer2013
from denoiser.weights.checkpoint import WEIGHTS
from train.config import ConfigError
from train.evaluation.readme import ROOT, update_samples
from train.evaluation.score import (
    CONDITIONS,
    Pictures,
    Task,
    corrupt_all,
    finish_scores,
    first_faces,
    weights_version,
)
from train.files import write_json

NOISES = ("gaussian-25", "gaussian-50", "salt-and-pepper-30", "poisson-30")
FACES = 100
"""The first test pictures: each is drawn sixteen times."""


@dataclass(frozen=True)
class SampleScore:
    """Draws of one method under one noise.

    PSNR is of the mean squared error over all pictures, which is what the theory is about, so it lies a
    little below the mean of the pictures' PSNRs in the other tables.

    Attributes:
        denoiser: Its id.
        noise: Key of :data:`CONDITIONS`.
        closest: PSNR in dB of the denoised picture that the draws start from.
        one: Of single draws.
        mean: Of the mean of a picture's draws.
        spread: Root of the mean variance of a picture's draws, of 255.
        error: Root of the mean squared error of their mean, of 255.
        correlation: Of the two over the pixels of all pictures, in blocks of 4x4, from -1 to 1.
        draws: How many of each picture.
        pictures: How many pictures.
    """

    denoiser: str
    noise: str
    closest: float
    one: float
    mean: float
    spread: float
    error: float
    correlation: float
    draws: int
    pictures: int


def evaluate_samples(
    data: Path,
    *,
    cache: Path = Path("runs/evaluate-samples"),
    workers: int | None = None,
    limit: int = 0,
    output: Path | None = None,
    root: Path = ROOT,
) -> list[SampleScore]:
    """Score, then write ``weights/samples.json`` and the table in ``docs/results.md``.

    Args:
        data: Where FER2013 is.
        cache: Folder of finished scores.
        workers: Processes; all cores by default.
        limit: Only so many pictures, for a trial: writes nothing.
        output: Folder to write ``samples.json`` into, and nothing else.
        root: The repository, or a folder with that page.

    Raises:
        ConfigError: No method draws.
        FaceDataError: The pictures can't be read.
    """
    ids = find_capabilities().samples
    if not ids:
        raise ConfigError("no method here draws samples")
    count = len(_pictures(data, limit or FACES, NOISES[0]).clean)
    tasks = [Task(name, noise, data, limit or FACES) for noise in NOISES for name in ids]
    scores = finish_scores(
        tasks,
        SampleScore,
        _run,
        lambda score: f"{score.one:.2f}, mean {score.mean:.2f} dB",
        to_compute={task.pair for task in tasks},
        earlier={},
        pictures=dict.fromkeys(ids, count),
        cache=cache,
        replaces=None,
        name="evaluate-samples",
        workers=workers,
    )
    if limit:
        return scores
    content = _content(scores)
    write_json((output or WEIGHTS) / SAMPLES_NAME, content)
    if output is None:
        update_samples(content, root)
    return scores


def score_samples(denoiser: str, noise: str, pictures: Pictures, draws: int = SAMPLES) -> SampleScore:
    """Score the draws of a method.

    Args:
        denoiser: Its id.
        noise: Key of :data:`CONDITIONS`.
        pictures: Clean and noisy ones; sides that are multiples of 4.
        draws: How many of each, from 2.
    """
    method = create_denoiser(denoiser)
    samples = [draw_samples(method, noisy, draws) for noisy in pictures.noisy]
    clean = pictures.clean.astype(np.float64)
    closest = np.stack([method.intermediate(noisy) for noisy in pictures.noisy])
    drawn = np.stack([sample.pictures for sample in samples])  # (N, draws, H, W)
    means = np.stack([sample.mean for sample in samples])
    variance = np.stack([sample.spread for sample in samples]) ** 2
    squared = (means - clean) ** 2
    return SampleScore(
        denoiser=denoiser,
        noise=noise,
        closest=_psnr((closest - clean) ** 2),
        one=_psnr((drawn - clean[:, None]) ** 2),
        mean=_psnr(squared),
        spread=round(255 * float(np.sqrt(variance.mean())), 3),
        error=round(255 * float(np.sqrt(squared.mean())), 3),
        correlation=round(float(np.corrcoef(_blocks(variance), _blocks(squared))[0, 1]), 3),
        draws=draws,
        pictures=len(clean),
    )


def _psnr(squared_errors: np.ndarray) -> float:
    return round(-10 * float(np.log10(squared_errors.mean())), 4)


def _blocks(values: np.ndarray, side: int = 4) -> np.ndarray:
    """Return the roots of the means over blocks: a single pixel's error is mostly chance."""
    count, height, width = values.shape
    blocks = values.reshape(count, height // side, side, width // side, side).mean(axis=(2, 4))
    return np.asarray(np.sqrt(blocks)).ravel()


@lru_cache(maxsize=1)
def _pictures(data: Path, count: int, noise: str) -> Pictures:
    return corrupt_all(first_faces(read_fer2013(data, "test"), count), CONDITIONS[noise])


def _run(task: Task) -> tuple[Task, SampleScore]:
    pictures = _pictures(task.data, task.limit, task.noise)
    return task, score_samples(task.denoiser, task.noise, pictures)


def _content(scores: list[SampleScore]) -> dict[str, Any]:
    return {
        "command": "python -m train evaluate-samples --data PATH",
        "split": "FER2013 test (PrivateTest)",
        "pictures": max(score.pictures for score in scores),
        "seed": "the noise of a picture is seeded by its row in FER2013",
        "metrics": "PSNR in dB of the mean squared error over all pictures",
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "denoisers": [
            {"id": name, "weights": weights_version(name)}
            for name in dict.fromkeys(score.denoiser for score in scores)
        ],
        "scores": [asdict(score) for score in scores],
    }
