"""Score how well the emotion classifier reads noisy and denoised test faces, and write it down.

The noise of a picture is seeded by its row in FER2013, as in :mod:`train.evaluation.score`. Counted are
the test pictures with a FER+ majority (see :mod:`train.emotion.data`).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from denoiser.analysis.emotion.classifier import (
    CLASSIFIER,
    CLASSIFIER_NAME,
    EmotionClassifier,
    load_classifier,
)
from denoiser.analysis.results import METRICS_NAME, NOISY
from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.registry import create_denoiser, list_denoisers
from denoiser.images import from_uint8
from denoiser.weights.checkpoint import WEIGHTS
from denoiser.weights.training_noise import point
from train.emotion.data import NO_LABEL, LabelledFaces, majority_labels, read_labelled
from train.emotion.fit import clean_facts
from train.evaluation.committed import read_results
from train.evaluation.readme import ROOT, SHOWN, update_emotion
from train.evaluation.score import (
    CONDITIONS,
    Pictures,
    Task,
    check_known,
    corrupt_all,
    count_pictures,
    denoise_all,
    file_version,
    finish_scores,
    kept_scores,
    limit_of,
    weights_version,
)
from train.files import write_json


@dataclass(frozen=True)
class EmotionScore:
    """The classifier on one denoiser's pictures under one noise.

    Attributes:
        denoiser: Id, ``"noisy"`` for the noisy pictures themselves.
        noise: Key of ``CONDITIONS``.
        accuracy: Share of pictures in which it reads their FER+ majority.
        agreement: Share in which it reads the same as in the clean picture.
        pictures: How many pictures.
    """

    denoiser: str
    noise: str
    accuracy: float
    agreement: float
    pictures: int


@dataclass(frozen=True)
class EmotionTask(Task):
    """One score to be computed with the classifier in a folder."""

    classifier: Path

    def versions(self) -> tuple[str, ...]:
        """Return the versions of all weights that the score depends on."""
        return *super().versions(), file_version(self.classifier / CLASSIFIER_NAME)


def evaluate_emotion(
    data: Path,
    *,
    cache: Path = Path("runs/evaluate-emotion"),
    workers: int | None = None,
    limit: int = 0,
    only: Sequence[str] | None = None,
    weights: Path = WEIGHTS,
    output: Path | None = None,
    root: Path = ROOT,
) -> dict[str, Any]:
    """Score, then write the classifier's ``metrics.json`` and the table in ``docs/results.md``.

    A score that is in the cache for the same weights and pictures is not computed again, so a stopped
    evaluation goes on where it was.

    Args:
        data: Where FER2013 is, with FER+ votes.
        cache: Folder of finished scores.
        workers: Processes; all cores by default.
        limit: Only the first pictures, for a trial: prints the scores and writes nothing.
        only: Denoiser ids; the others keep what is in the cache or in ``metrics.json``, if it is of the
            weights that they and the classifier have now.
        weights: Folder of the classifier's folder; the denoisers' is always the project's own.
        output: Folder to write ``metrics.json`` into, and nothing else.
        root: The repository, or a folder with that page.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        ConfigError: ``only`` names an unknown denoiser, or results on file would be replaced by fewer.
        FaceDataError: The pictures or their votes can't be read.
        WeightsError: There is no classifier.
    """
    ids = [NOISY, *list_denoisers()]
    check_known("denoiser", only, ids)
    folder = weights / CLASSIFIER
    classifier = load_classifier(folder)
    tasks = [
        EmotionTask(denoiser, noise, data, limit_of(denoiser, limit), folder)
        for noise in SHOWN
        for denoiser in ids
    ]
    pictures = count_pictures(ids, len(_faces(data, limit)))
    target = (output or folder) / METRICS_NAME
    versions = {denoiser: weights_version(denoiser) for denoiser in ids}
    reader = file_version(folder / CLASSIFIER_NAME)
    earlier = {}
    if only and read_results(target).get("classifier") == reader:
        earlier = kept_scores(target, EmotionScore, versions, pictures)
    scores = finish_scores(
        tasks,
        EmotionScore,
        _run,
        lambda result: f"{100 * result.accuracy:.1f} %",
        to_compute={task.pair for task in tasks if only is None or task.denoiser in only},
        earlier=earlier,
        pictures=pictures,
        cache=cache,
        replaces=None if limit else target,
        name="evaluate-emotion",
        workers=workers,
    )
    scored = [name for name in ids if any(score.denoiser == name for score in scores)]
    metrics = clean_facts(classifier, read_labelled(data, "test")) | {
        "command": "python -m train emotion --data PATH, then evaluate-emotion --data PATH",
        "seed": "the noise of a picture is seeded by its row in FER2013",
        "noises": {name: point(CONDITIONS[name]) for name in SHOWN},
        "classifier": reader,
        "denoisers": [
            {"id": name, "label": create_denoiser(name).info.label, "weights": versions[name]}
            for name in scored
            if name != NOISY
        ],
        "scores": [asdict(score) for score in scores],
    }
    fewer = min(score.pictures for score in scores)
    if fewer < max(score.pictures for score in scores):  # they may be easier to read
        metrics["first"] = {"pictures": fewer, "clean_accuracy": _read_clean(data, fewer, folder)}
    if limit:
        print(json.dumps(metrics["scores"], indent=1))
        return metrics
    write_json(target, metrics)
    if output:
        return metrics
    update_emotion(metrics, root)
    return metrics


def score_emotions(
    classifier: EmotionClassifier,
    method: Denoiser | None,
    pictures: Pictures,
    labels: np.ndarray,
    clean: np.ndarray,
    noise_name: str,
) -> EmotionScore:
    """Score a denoiser, or the noisy pictures for None, under one noise.

    Args:
        classifier: Who reads.
        method: What made the pictures to read.
        pictures: The noisy ones.
        labels: (N,) what is to be read, indices into ``CLASSES``.
        clean: (N,) what is read in the clean pictures, likewise.
        noise_name: Key of ``CONDITIONS``.
    """
    images = pictures.noisy
    if method is not None:
        images = denoise_all(method, images, pictures.sigmas)
    read = classifier.probabilities(images).argmax(axis=1)
    return EmotionScore(
        denoiser=NOISY if method is None else method.info.id,
        noise=noise_name,
        accuracy=round(float((read == labels).mean()), 5),
        agreement=round(float((read == clean).mean()), 5),
        pictures=len(labels),
    )


@lru_cache(maxsize=2)
def _faces(data: Path, limit: int) -> LabelledFaces:
    test = read_labelled(data, "test")
    labelled = test.select(majority_labels(test.votes) != NO_LABEL)
    return labelled.select(np.arange(len(labelled)) < limit) if limit else labelled


@lru_cache(maxsize=2)  # a worker meets the denoisers of one noise one after the other
def _pictures(data: Path, limit: int, noise_name: str) -> Pictures:
    return corrupt_all(_faces(data, limit).faces, CONDITIONS[noise_name])


@lru_cache(maxsize=1)
def _classifier(folder: Path) -> EmotionClassifier:
    return load_classifier(folder)


@lru_cache(maxsize=2)
def _clean_reading(data: Path, limit: int, folder: Path) -> np.ndarray:
    clean = from_uint8(_faces(data, limit).faces.images)
    return _classifier(folder).probabilities(clean).argmax(axis=1)


def _read_clean(data: Path, count: int, folder: Path) -> float:
    """Return the share of the first clean pictures that the classifier reads as the majority does."""
    labels, read = majority_labels(_faces(data, count).votes), _clean_reading(data, count, folder)
    counted = labels != NO_LABEL
    return round(float(np.mean(read[counted] == labels[counted])), 5)


def _run(task: EmotionTask) -> tuple[EmotionTask, EmotionScore]:
    method = None if task.denoiser == NOISY else create_denoiser(task.denoiser)
    pictures = _pictures(task.data, task.limit, task.noise)
    labels = majority_labels(_faces(task.data, task.limit).votes)
    clean = _clean_reading(task.data, task.limit, task.classifier)
    classifier = _classifier(task.classifier)
    return task, score_emotions(classifier, method, pictures, labels, clean, task.noise)
