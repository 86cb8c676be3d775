"""Score how like photographs the results of every denoiser are, and write it down.

Of a split, the first pictures are corrupted and denoised, each with noise seeded by its row in FER2013,
as in :mod:`train.evaluation.score`; the next ones stay clean, so that no face is among both. The clean
faces behind the results, scored as if they were results, show what chance does: the floor.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from denoiser.analysis.emotion.classifier import CLASSIFIER, CLASSIFIER_NAME, create_classifier
from denoiser.analysis.inspection import DRAW
from denoiser.analysis.results import CLEAN, NOISY, REALISM_NAME
from denoiser.architectures.loading import load_network
from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.network import from_config
from denoiser.denoisers.registry import create_denoiser, list_denoisers
from denoiser.faces.fer2013 import FaceDataError, FaceSet, Split, read_fer2013
from denoiser.images import from_uint8
from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS, read_config
from denoiser.weights.training_noise import point
from train.evaluation.committed import read_results
from train.evaluation.readme import ROOT, SHOWN, update_realism
from train.evaluation.realism import detectability, frechet_distance, shown
from train.evaluation.score import (
    CONDITIONS,
    Pictures,
    Task,
    check_known,
    corrupt_all,
    denoise_all,
    file_version,
    finish_scores,
    first_faces,
    kept_scores,
    score_results,
    weights_version,
)
from train.files import write_json


@dataclass(frozen=True)
class Sizes:
    """How many pictures the measures are made of.

    Attributes:
        learned: Results, and as many clean faces, that the judge of detectability learns from.
        judged: Further results and clean faces, that it judges.
        reference: Clean training faces that the Fréchet distance goes to.
    """

    learned: int = 1000
    judged: int = 400
    reference: int = 5000

    @property
    def results(self) -> int:
        """Pictures to denoise; the Fréchet distance is that of all of them."""
        return self.learned + self.judged


@dataclass(frozen=True)
class RealismScore:
    """One denoiser under one noise.

    Attributes:
        denoiser: Id; ``"noisy"`` for the noisy pictures, ``"clean"`` for the clean ones behind them.
        noise: Key of ``CONDITIONS``; ``"clean"`` for clean pictures.
        psnr: Mean of the pictures' PSNRs in dB.
        sharpness: Mean gradient energy relative to the clean pictures'.
        spectral_distance: Distance in dB of the mean power spectrum from the clean pictures'.
        frechet_distance: See :mod:`train.evaluation.realism`.
        frechet_distance_low: Where its 95 % interval starts.
        frechet_distance_high: Where it ends.
        detectability: See :mod:`train.evaluation.realism`.
        detectability_low: Where its 95 % interval starts.
        detectability_high: Where it ends.
        pictures: How many were denoised.
    """

    denoiser: str
    noise: str
    psnr: float
    sharpness: float
    spectral_distance: float
    frechet_distance: float
    frechet_distance_low: float
    frechet_distance_high: float
    detectability: float
    detectability_low: float
    detectability_high: float
    pictures: int


@dataclass(frozen=True)
class RealismTask(Task):
    """One score to be computed; ``limit`` is how many pictures are denoised.

    Attributes:
        split: Of which pictures.
        sizes: How many of them are for what.
        weights: Folder of the models' folders.
    """

    split: Split
    sizes: Sizes
    weights: Path

    def versions(self) -> tuple[str, ...]:
        """Return what else the score depends on."""
        return (
            _version(self.denoiser, self.weights),
            _reader_version(),
            self.split,
            f"{self.sizes.learned}-{self.sizes.reference}",
        )


def evaluate_realism(
    data: Path,
    *,
    split: Split = "test",
    weights: Path = WEIGHTS,
    cache: Path = Path("runs/evaluate-realism"),
    workers: int | None = None,
    only: Sequence[str] | None = None,
    noises: Sequence[str] | None = None,
    output: Path | None = None,
    sizes: Sizes | None = None,
    root: Path = ROOT,
) -> list[RealismScore]:
    """Score, print what was asked for, then write ``realism.json`` and its table in ``docs/results.md``.

    A score that is in the cache for the same weights and pictures is not computed again, so a stopped
    evaluation goes on where it was.

    Args:
        data: Where FER2013 is.
        split: Another than the test split is for choosing between models: nothing is written.
        weights: Folder of the models' folders; likewise for another than the project's own.
        cache: Folder of finished scores.
        workers: Processes; all cores by default.
        only: Ids of denoisers, or of models in ``weights``; the others keep what is in the cache or in
            ``realism.json``, if it is of the weights that they have now.
        noises: Keys of ``CONDITIONS``; the others' scores are kept likewise.
        output: Folder to write ``realism.json`` into, and nothing else.
        sizes: How many pictures are for what.
        root: The repository, or a folder with that page.

    Returns:
        All scores that there are then.

    Raises:
        ConfigError: An unknown denoiser or noise is named, or results on file would be replaced by
            fewer.
        FaceDataError: The pictures can't be read, or are too few.
        WeightsError: A model can't be loaded.
    """
    sizes = sizes or Sizes()
    own = weights.resolve() == WEIGHTS.resolve()
    here = () if own else sorted(path.parent.name for path in weights.glob(f"*/{MODEL_NAME}"))
    ids = [NOISY, *dict.fromkeys((*list_denoisers(), *here))]
    check_known("denoiser", only, ids)
    check_known("noise", noises, list(CONDITIONS))
    _faces(data, split, sizes)  # before processes are started that could only fail
    pairs = [(CLEAN, CLEAN), *((denoiser, noise) for noise in _by_interest() for denoiser in ids)]
    tasks = [RealismTask(*pair, data, sizes.results, split, sizes, weights) for pair in pairs]
    asked = {
        task.pair
        for task in tasks
        if task.denoiser == CLEAN
        or ((only is None or task.denoiser in only) and (noises is None or task.noise in noises))
    }
    target = (output or WEIGHTS) / REALISM_NAME
    pictures = dict.fromkeys([CLEAN, *ids], sizes.results)
    versions = {name: _version(name, weights) for name in ids}
    is_partial = only is not None or noises is not None
    same_reader = read_results(target).get("classifier") == _reader_version()
    writes = own and split == "test"
    scores = finish_scores(
        tasks,
        RealismScore,
        _run,
        lambda score: f"{score.frechet_distance:.3f}, {100 * score.detectability:.0f} %",
        to_compute=asked,
        earlier=kept_scores(target, RealismScore, versions, pictures)
        if writes and is_partial and same_reader
        else {},
        pictures=pictures,
        cache=cache,
        replaces=target if writes else None,
        name="evaluate-realism",
        workers=workers,
    )
    print(realism_lines([score for score in scores if (score.denoiser, score.noise) in asked]))
    if writes:
        content = _content(scores, sizes, versions)
        write_json(target, content)
        if output is None:
            update_realism(content, root)
    return scores


def score_realism(
    denoiser: str,
    denoised: np.ndarray,
    clean: np.ndarray,
    others: np.ndarray,
    reference: np.ndarray,
    noise_name: str,
    learned: int,
) -> RealismScore:
    """Score what a denoiser made of noisy pictures.

    Args:
        denoiser: Its id.
        denoised: (N, H, W).
        clean: What they should be, likewise.
        others: Clean faces of other photographs, likewise.
        reference: (M, features) of clean training faces.
        noise_name: Key of ``CONDITIONS``.
        learned: How many of ``denoised`` and ``others`` detectability learns from.
    """
    plain = score_results(denoiser, denoised, clean, noise_name)
    frechet = frechet_distance(create_classifier().features(shown(denoised)), reference)
    found = detectability(denoised, others, learned)
    return RealismScore(
        denoiser=denoiser,
        noise=noise_name,
        psnr=plain.psnr,
        sharpness=plain.sharpness,
        spectral_distance=plain.spectral_distance,
        frechet_distance=round(frechet.value, 5),
        frechet_distance_low=round(frechet.low, 5),
        frechet_distance_high=round(frechet.high, 5),
        detectability=round(found.value, 5),
        detectability_low=round(found.low, 5),
        detectability_high=round(found.high, 5),
        pictures=len(denoised),
    )


def realism_lines(scores: Sequence[RealismScore]) -> str:
    """Return scores as a table for a terminal."""
    lines = [
        f"{'noise':<32}{'denoiser':<34}{'PSNR':>7}{'sharpness':>11}{'spectral':>10}"
        f"{'Fréchet':>10}{'(95 %)':^20}{'detected':>9}{'(95 %)':^16}"
    ]
    for score in scores:
        frechet = f"{score.frechet_distance_low:.3f} to {score.frechet_distance_high:.3f}"
        found = f"{score.detectability_low:.3f} to {score.detectability_high:.3f}"
        lines.append(
            f"{score.noise:<32}{score.denoiser:<34}{score.psnr:>7.2f}{score.sharpness:>11.3f}"
            f"{score.spectral_distance:>10.2f}{score.frechet_distance:>10.3f}{frechet:^20}"
            f"{score.detectability:>9.3f}{found:^16}"
        )
    return "\n".join(lines)


def _run(task: RealismTask) -> tuple[RealismTask, RealismScore]:
    pictures = _pictures(task.data, task.split, task.sizes, task.noise)
    if task.denoiser in (CLEAN, NOISY):
        results = pictures.noisy
    else:
        results = draw_all(_method(task.denoiser, task.weights), pictures)
    return task, score_realism(
        task.denoiser,
        results,
        pictures.clean,
        _faces(task.data, task.split, task.sizes)[1],
        _reference(task.data, task.sizes.reference),
        task.noise,
        task.sizes.learned,
    )


def draw_all(method: Denoiser, pictures: Pictures) -> np.ndarray:
    """Denoise pictures, (N, H, W); a method that draws draws anew for each.

    The same start for all would leave the same mark in all, by which a judge knows them: the flow's
    results were told from faces every time.
    """
    draw = next((p for p in method.info.hyperparameters if p.name == DRAW), None)
    if draw is None:
        return denoise_all(method, pictures.noisy, pictures.sigmas)
    draws = np.arange(len(pictures.noisy)) % (int(draw.maximum) + 1)
    results = np.empty_like(pictures.noisy)
    for number in np.unique(draws):
        chosen = draws == number
        sigmas = [sigma for sigma, own in zip(pictures.sigmas, chosen, strict=True) if own]
        drawn = method.with_hyperparameters(**{DRAW: int(number)})
        results[chosen] = denoise_all(drawn, pictures.noisy[chosen], sigmas)
    return results


@lru_cache(maxsize=1)
def _faces(data: Path, split: Split, sizes: Sizes) -> tuple[FaceSet, np.ndarray]:
    """Return the faces to corrupt and, (N, H, W), the clean others."""
    faces, count = read_fer2013(data, split), sizes.results
    if len(faces) < 2 * count:
        raise FaceDataError(f"The {split} split has {len(faces)} pictures, and {2 * count} are needed.")
    return first_faces(faces, count), from_uint8(faces.images[count : 2 * count])


@lru_cache(maxsize=1)  # a worker meets the denoisers of one noise one after the other
def _pictures(data: Path, split: Split, sizes: Sizes, noise_name: str) -> Pictures:
    faces, _ = _faces(data, split, sizes)
    if noise_name == CLEAN:
        clean = from_uint8(faces.images)
        return Pictures(clean, clean, [None] * len(clean))
    return corrupt_all(faces, CONDITIONS[noise_name])


@lru_cache(maxsize=1)
def _reference(data: Path, count: int) -> np.ndarray:
    faces = first_faces(read_fer2013(data, "train"), count)
    return create_classifier().features(from_uint8(faces.images))


def _method(denoiser_id: str, weights: Path) -> Denoiser:
    if (weights / denoiser_id / MODEL_NAME).exists():
        return from_config(read_config(denoiser_id, weights), load_network(denoiser_id, weights))
    return create_denoiser(denoiser_id)


def _version(denoiser_id: str, weights: Path) -> str:
    """Tell one version of weights from another: those in a folder, or else the project's."""
    path = weights / denoiser_id / MODEL_NAME
    return file_version(path) if path.exists() else weights_version(denoiser_id)


def _reader_version() -> str:
    return file_version(WEIGHTS / CLASSIFIER / CLASSIFIER_NAME)


def _by_interest() -> list[str]:
    """Return the noises, those of the tables first: whoever stops early has them."""
    return [*SHOWN, *(noise for noise in CONDITIONS if noise not in SHOWN)]


def _content(scores: Sequence[RealismScore], sizes: Sizes, versions: dict[str, str]) -> dict[str, Any]:
    scored = {score.denoiser for score in scores}
    return {
        "command": "python -m train evaluate-realism --data PATH",
        "split": "FER2013 test (PrivateTest)",
        "pictures": sizes.results,
        "learned": sizes.learned,
        "judged": sizes.judged,
        "reference": f"the first {sizes.reference} training pictures",
        "seed": "the noise of a picture is seeded by its row in FER2013",
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "classifier": _reader_version(),
        "noises": {name: point(noise) for name, noise in CONDITIONS.items()},
        "denoisers": [
            {"id": name, "weights": version}
            for name, version in versions.items()
            if name in scored - {NOISY, CLEAN}
        ],
        "scores": [asdict(score) for score in scores],
    }
