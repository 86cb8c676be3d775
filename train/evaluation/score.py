"""Score every denoiser on FER2013's test split with fixed noise, and write down the results.

The noise of a test picture is seeded by its row in FER2013, so any figure can be checked with the
public API: ``noise(face, seed=row)``. Filters that take a strength are told the true one where a
standard deviation describes the noise, as in the app.
"""

import json
import math
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from denoiser.analysis.results import BENCHMARK_NAME, METRICS_NAME, NOISY
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import (
    MODELS,
    create_denoiser,
    describe_denoiser,
    list_denoisers,
    model_of,
)
from denoiser.faces.fer2013 import FaceSet, read_fer2013
from denoiser.images import from_uint8
from denoiser.metrics import PERFECT_PSNR, psnr, sharpness, spectral_distance, ssim
from denoiser.noise import PRESETS, NoiseChain, NoiseModel, create_noise
from denoiser.pipeline import denoise
from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS
from denoiser.weights.training_noise import point
from train.config import ConfigError
from train.evaluation.committed import Pair, check_replaceable, read_results
from train.evaluation.readme import update_pages
from train.files import WEIGHTS_HASH, file_hash, write_json
from train.publish.cards import write_card

AnyTask = TypeVar("AnyTask", bound="Task")
AnyScore = TypeVar("AnyScore")

_BATCH = 64
_TIMED_FACES = 10
_TIMED_ROUNDS = 5


def _chain(*stages: NoiseModel) -> NoiseChain:
    return NoiseChain(stages)


CONDITIONS: dict[str, NoiseModel] = {
    **PRESETS,
    "gaussian-25": create_noise("gaussian", sigma=25 / 255),
    "gaussian-50": create_noise("gaussian", sigma=50 / 255),
    "gaussian-75": create_noise("gaussian", sigma=75 / 255),
    "salt-and-pepper-30": create_noise("salt-and-pepper", amount=0.3),
    "salt-and-pepper-40": create_noise("salt-and-pepper", amount=0.4),
    "salt-and-pepper-60": create_noise("salt-and-pepper", amount=0.6),
    "impulse-10": create_noise("impulse", amount=0.1),
    "impulse-30": create_noise("impulse", amount=0.3),
    "poisson-10": create_noise("poisson", peak=10),
    "poisson-30": create_noise("poisson", peak=30),
    "speckle-36": create_noise("speckle", sigma=0.141),
    "pixel-shuffle-15": create_noise("pixel-shuffle", amount=0.15),
    "pixel-shuffle-50": create_noise("pixel-shuffle", amount=0.5),
    "occlusion-8": create_noise("occlusion", size=8, count=1),
    "occlusion-8-gray": create_noise("occlusion", size=8, count=1, level=0.5),
    "occlusion-8-grain": create_noise("occlusion", size=8, count=1, level=0.5, grain=50 / 255),
    "blur-1": create_noise("blur", sigma=1.0),
    "blur-1+gaussian-2": _chain(
        create_noise("blur", sigma=1.0), create_noise("gaussian", sigma=2 / 255)
    ),
    "jpeg-10": create_noise("jpeg", quality=10),
    "jpeg-20": create_noise("jpeg", quality=20),
    "jpeg-30": create_noise("jpeg", quality=30),
    "gaussian-15+salt-and-pepper-10": _chain(
        create_noise("gaussian", sigma=15 / 255), create_noise("salt-and-pepper", amount=0.1)
    ),
    "poisson-30+impulse-10": _chain(
        create_noise("poisson", peak=30), create_noise("impulse", amount=0.1)
    ),
    "gaussian-15+jpeg-30": _chain(
        create_noise("gaussian", sigma=15 / 255), create_noise("jpeg", quality=30)
    ),
}
"""The presets, a grid of strengths, and chains of two, by the id they have in the results."""


FLOW_PICTURES = 1000
"""On how many test pictures flows are scored: they run a network many times for each."""


@dataclass(frozen=True)
class Score:
    """One denoiser under one noise, over the whole split, or its first pictures.

    Attributes:
        denoiser: Id, ``"noisy"`` for the noisy pictures themselves.
        noise: Key of :data:`CONDITIONS`.
        psnr: Mean of the pictures' PSNRs in dB.
        psnr_std: Their standard deviation.
        ssim: Mean of the pictures' SSIMs.
        ssim_std: Their standard deviation.
        sharpness: Mean gradient energy relative to the clean pictures'; 1 is as sharp as they are.
        spectral_distance: Distance in dB of the mean power spectrum from the clean pictures'.
        pictures: How many pictures.
    """

    denoiser: str
    noise: str
    psnr: float
    psnr_std: float
    ssim: float
    ssim_std: float
    sharpness: float
    spectral_distance: float
    pictures: int


@dataclass(frozen=True)
class Pictures:
    """A split under one noise.

    Attributes:
        clean: (N, H, W) in [0, 1].
        noisy: (N, H, W) in [0, 1].
        sigmas: True strength for each picture, where a standard deviation describes the noise.
    """

    clean: np.ndarray
    noisy: np.ndarray
    sigmas: list[float | None]


@dataclass(frozen=True)
class Task:
    """One score to be computed, by a process of its own that reads what it needs."""

    denoiser: str
    noise: str
    data: Path
    limit: int

    @property
    def pair(self) -> Pair:
        """Of what it is the score."""
        return self.denoiser, self.noise

    def versions(self) -> tuple[str, ...]:
        """Return the versions of all weights that the score depends on."""
        return (weights_version(self.denoiser),)

    def cached(self, cache: Path) -> Path:
        """Where the score is kept: another file for other weights or another number of pictures."""
        return cache / "__".join((self.noise, self.denoiser, *self.versions(), f"{self.limit}.json"))


def evaluate(
    data: Path,
    *,
    cache: Path = Path("runs/evaluate"),
    workers: int | None = None,
    limit: int = 0,
    only: Sequence[str] | None = None,
    noises: Sequence[str] | None = None,
    output: Path | None = None,
) -> dict[str, Any]:
    """Score, then write ``benchmark.json``, each ``metrics.json`` and model card, and the tables.

    A score that is in the cache for the same weights and pictures is not computed again, so a
    stopped evaluation goes on where it was.

    Args:
        data: Where FER2013 is.
        cache: Folder of finished scores.
        workers: Processes; all cores by default.
        limit: Only the first pictures, for a trial: prints the scores and writes nothing.
        only: Denoiser ids; the others keep what is in the cache or in ``benchmark.json``, if it is of
            the weights that they have now.
        noises: Keys of :data:`CONDITIONS`; the others' scores are kept likewise.
        output: Folder to write ``benchmark.json`` into, and nothing else: the committed results, the
            cards and the tables of README and ``docs/results.md`` stay as they are.

    Returns:
        What ``benchmark.json`` holds.

    Raises:
        ConfigError: An unknown denoiser or noise is named, or results on file would be replaced by
            fewer.
        FaceDataError: The pictures can't be read.
    """
    ids = [NOISY, *list_denoisers()]
    check_known("denoiser", only, ids)
    check_known("noise", noises, list(CONDITIONS))
    target = (output or WEIGHTS) / BENCHMARK_NAME
    pictures = count_pictures(ids, len(_faces(data, limit)))
    tasks = [
        Task(denoiser, noise, data, limit_of(denoiser, limit))
        for noise in CONDITIONS
        for denoiser in ids
    ]
    versions = {denoiser: weights_version(denoiser) for denoiser in ids}
    earlier = kept_scores(target, Score, versions, pictures) if only or noises else {}

    def is_asked_for(task: Task) -> bool:
        if (only is None or task.denoiser in only) and (noises is None or task.noise in noises):
            return True
        # What a denoiser gained can only be told beside the noisy pictures: of a new noise, too.
        return task.denoiser == NOISY and (NOISY, task.noise) not in earlier

    scores = finish_scores(
        tasks,
        Score,
        _run,
        lambda result: f"{result.psnr:.2f} dB",
        to_compute={task.pair for task in tasks if is_asked_for(task)},
        earlier=earlier,
        pictures=pictures,
        cache=cache,
        replaces=None if limit else target,
        name="evaluate",
        workers=workers,
    )
    scored = {score.denoiser for score in scores} - {NOISY}
    benchmark = {
        "command": "python -m train evaluate --data PATH",
        "split": "FER2013 test (PrivateTest)",
        "pictures": max((score.pictures for score in scores), default=0),
        "seed": "the noise of a picture is seeded by its row in FER2013",
        "metrics": "mean over pictures; PSNR in dB, data range 1; SSIM as Wang et al. 2004",
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores; one thread for the milliseconds",
        "noises": {name: point(noise) for name, noise in CONDITIONS.items()},
        "denoisers": [
            described | {"weights": versions[described["id"]]}
            for described in _describe([name for name in ids if name in scored], data)
        ],
        "scores": [asdict(score) for score in scores],
    }
    if limit:
        print(json.dumps(benchmark["scores"], indent=1))
        return benchmark
    write_json(target, benchmark)
    if output:
        return benchmark
    for model_id in MODELS:
        own = [asdict(s) for s in scores if s.denoiser in (model_id, NOISY)]
        if any(score["denoiser"] == model_id for score in own):
            write_json(
                WEIGHTS / model_id / METRICS_NAME,
                {key: benchmark[key] for key in ("command", "split", "pictures", "seed", "metrics")}
                | {"pictures": pictures[model_id]}
                | {WEIGHTS_HASH: file_hash(WEIGHTS / model_id / MODEL_NAME), "scores": own},
            )
            write_card(model_id)
    update_pages(benchmark)
    return benchmark


def limit_of(denoiser_id: str, limit: int) -> int:
    """Return how many of the first pictures a denoiser is scored on, 0 for all: a flow on fewer."""
    is_flow = denoiser_id != NOISY and describe_denoiser(denoiser_id).family == "flow"
    return min(limit or FLOW_PICTURES, FLOW_PICTURES) if is_flow else limit


def count_pictures(denoiser_ids: Iterable[str], available: int) -> dict[str, int]:
    """Return of how many pictures each denoiser's scores are."""
    return {name: min(limit_of(name, 0) or available, available) for name in denoiser_ids}


def score(method: Denoiser | None, pictures: Pictures, noise_name: str) -> Score:
    """Score a denoiser, or the noisy pictures for None, under one noise."""
    denoised = pictures.noisy if method is None else denoise_all(method, pictures.noisy, pictures.sigmas)
    name = NOISY if method is None else method.info.id
    return score_results(name, denoised, pictures.clean, noise_name)


def score_results(denoiser: str, denoised: np.ndarray, clean: np.ndarray, noise_name: str) -> Score:
    """Score what a denoiser made of noisy pictures, (N, H, W) or (N, H, W, 3) as the clean ones are.

    Spectra are of gray pictures: of those in colour, of the mean of their channels.
    """
    gray = [part.mean(axis=3) if part.ndim == 4 else part for part in (denoised, clean)]
    pairs = list(zip(denoised, clean, strict=True))
    psnrs = [min(psnr(a, b), PERFECT_PSNR) for a, b in pairs]
    ssims = [ssim(a, b) for a, b in pairs]
    # A flat picture has no gradient to compare with: its sharpness is NaN and left out.
    sharp = [s for s in (sharpness(a, b) for a, b in pairs) if math.isfinite(s)]
    return Score(
        denoiser=denoiser,
        noise=noise_name,
        psnr=round(statistics.fmean(psnrs), 4),
        psnr_std=round(statistics.pstdev(psnrs), 4),
        ssim=round(statistics.fmean(ssims), 5),
        ssim_std=round(statistics.pstdev(ssims), 5),
        sharpness=round(statistics.fmean(sharp), 4),
        spectral_distance=round(spectral_distance(*gray), 4),
        pictures=len(clean),
    )


def denoise_all(method: Denoiser, noisy: np.ndarray, sigmas: Iterable[float | None]) -> np.ndarray:
    """Denoise equally large pictures, (N, H, W) or (N, H, W, 3); networks take gray ones in batches."""
    if (
        isinstance(method, NetworkDenoiser)
        and noisy.ndim == 3
        and all(side % method.network.multiple_of == 0 for side in noisy.shape[1:])
    ):
        batches = [
            method.run(noisy[start : start + _BATCH, None])[:, 0]
            for start in range(0, len(noisy), _BATCH)
        ]
        return np.clip(np.concatenate(batches), 0.0, 1.0)
    return np.stack([method(picture, s) for picture, s in zip(noisy, sigmas, strict=True)])


def corrupt_all(faces: FaceSet, noise: NoiseModel) -> Pictures:
    """Corrupt every face, with its row as the seed."""
    clean = from_uint8(faces.images)
    noisy = [noise(face, int(row)) for face, row in zip(clean, faces.rows, strict=True)]
    return Pictures(clean, np.stack(noisy), [noise.known_sigma(face) for face in clean])


def first_faces(faces: FaceSet, count: int) -> FaceSet:
    """Return the first faces of a set, all of them where there are no more."""
    return replace(
        faces, images=faces.images[:count], rows=faces.rows[:count], emotions=faces.emotions[:count]
    )


@lru_cache(maxsize=2)
def _faces(data: Path, limit: int) -> FaceSet:
    faces = read_fer2013(data, "test")
    return first_faces(faces, limit or len(faces))


@lru_cache(
    maxsize=2
)  # of all pictures and the first ones: a worker meets the denoisers of one noise one after the other
def _pictures(data: Path, limit: int, noise_name: str) -> Pictures:
    return corrupt_all(_faces(data, limit), CONDITIONS[noise_name])


def _run(task: Task) -> tuple[Task, Score]:
    method = None if task.denoiser == NOISY else create_denoiser(task.denoiser)
    return task, score(method, _pictures(task.data, task.limit, task.noise), task.noise)


def finish_scores(
    tasks: Sequence[AnyTask],
    kind: Callable[..., AnyScore],
    run: Callable[[AnyTask], tuple[AnyTask, AnyScore]],
    say: Callable[[AnyScore], str],
    *,
    to_compute: Set[Pair],
    earlier: Mapping[Pair, AnyScore],
    pictures: Mapping[str, int],
    cache: Path,
    replaces: Path | None,
    name: str,
    workers: int | None,
) -> list[AnyScore]:
    """Compute the scores that are asked for and not in the cache yet; return all that there are then.

    Args:
        tasks: All scores that can be computed, in the order to return them in.
        kind: Makes a score of its fields.
        run: As for :func:`score_all`.
        say: Says what a score is, for the progress bar.
        to_compute: Which to compute.
        earlier: What an earlier evaluation wrote; the cache's come first.
        pictures: Of how many pictures each denoiser's scores have to be; copies of FER2013 differ in how
            many they have.
        cache: Folder of finished scores.
        replaces: The file of results that will be written, if one will.
        name: As for :func:`score_all`.
        workers: Likewise.

    Raises:
        ConfigError: Results on file would be replaced by fewer; nothing was computed.
    """

    def read(task: AnyTask) -> AnyScore | None:
        path = task.cached(cache)
        fields = json.loads(path.read_text()) if path.exists() else {}
        return kind(**fields) if fields.get("pictures") == pictures[task.denoiser] else None

    def keep(task: AnyTask, result: AnyScore) -> str:
        write_json(task.cached(cache), asdict(result))  # type: ignore[call-overload]
        return f"{task.denoiser} {task.noise} {say(result)}"

    cached = {task.pair for task in tasks if read(task) is not None}
    if replaces is not None:
        possible = {task.pair for task in tasks}
        check_replaceable(
            replaces, max(pictures.values()), cached | to_compute | earlier.keys(), possible
        )
    missing = [task for task in tasks if task.pair in to_compute - cached]
    score_all(missing, run, keep, name=name, workers=workers)
    finished = [read(task) or earlier.get(task.pair) for task in tasks]
    return [score for score in finished if score is not None]


def score_all(
    tasks: Sequence[AnyTask],
    run: Callable[[AnyTask], tuple[AnyTask, AnyScore]],
    keep: Callable[[AnyTask, AnyScore], str],
    *,
    name: str,
    workers: int | None,
) -> None:
    """Compute scores, each in one of several processes, with one thread each.

    Args:
        tasks: What to compute.
        run: Computes one, and returns it with its result; a function of a module.
        keep: Writes a result down as soon as it is there, and says what it is, for the progress bar.
        name: The progress bar's.
        workers: Processes; all cores by default.
    """
    if not tasks:
        return
    # Spawned, not forked: a forked copy of PyTorch's threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = context.Pool(workers or os.cpu_count(), torch.set_num_threads, (1,))
    with pool, tqdm(total=len(tasks), desc=name, unit="score") as progress:
        for task, result in pool.imap_unordered(run, tasks):
            progress.set_postfix_str(keep(task, result))
            progress.update()


def check_known(kind: str, named: Sequence[str] | None, ids: Sequence[str]) -> None:
    """Raise ConfigError, naming them, where there are no denoisers or noises of these ids."""
    unknown = sorted(set(named or ()) - set(ids))
    if unknown:
        raise ConfigError(f"Unknown {kind} {', '.join(unknown)}; choose of {', '.join(ids)}")


def file_version(path: Path) -> str:
    """Tell one version of a weight file from another; a denoiser without one is a filter."""
    return file_hash(path)[:12] if path.exists() else "filter"


def weights_version(denoiser_id: str) -> str:
    """Tell one version of a denoiser's weights from another."""
    return file_version(WEIGHTS / (model_of(denoiser_id) or denoiser_id) / MODEL_NAME)


def kept_scores(
    path: Path,
    kind: Callable[..., AnyScore],
    versions: Mapping[str, str],
    pictures: Mapping[str, int],
) -> dict[Pair, AnyScore]:
    """Read what an earlier evaluation wrote of denoisers whose weights are still the same.

    Args:
        path: ``benchmark.json`` or what else has ``denoisers`` and ``scores``; it need not exist.
        kind: Makes a score of its fields.
        versions: Of each denoiser's weights, as they are now.
        pictures: Of how many pictures each denoiser's scores have to be.

    Returns:
        Scores by denoiser and noise.
    """
    content = read_results(path)
    then = {method["id"]: method.get("weights") for method in content.get("denoisers", ())}
    then[NOISY] = versions.get(NOISY)  # it is no denoiser, and has no weights to change
    return {
        (score["denoiser"], score["noise"]): kind(**score)
        for score in content.get("scores", ())
        if then.get(score["denoiser"]) == versions.get(score["denoiser"])
        and score["pictures"] == pictures.get(score["denoiser"])
    }


def _describe(denoiser_ids: Sequence[str], data: Path) -> list[dict[str, Any]]:
    """Return what denoisers are, and their milliseconds for one 48x48 face on one thread.

    All are timed in turn, several times over, and the least of the medians counts: what else a machine
    does lasts for seconds, and would be taken for one method's slowness.
    """
    methods = [create_denoiser(denoiser_id) for denoiser_id in denoiser_ids]
    noisy = _pictures(data, _TIMED_FACES, "gaussian-25").noisy
    torch.set_num_threads(1)
    for method in methods:
        method(noisy[0])  # the first call allocates
    rounds = [[_median_milliseconds(method, noisy) for method in methods] for _ in range(_TIMED_ROUNDS)]
    return [
        describe_info(method.info) | {"milliseconds": round(min(medians), 3)}
        for method, medians in zip(methods, zip(*rounds, strict=True), strict=True)
    ]


def _median_milliseconds(method: Denoiser, noisy: np.ndarray) -> float:
    times = []
    for picture in noisy:
        start = time.perf_counter()
        denoise(picture, method, sigma=25 / 255)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def describe_info(info: DenoiserInfo) -> dict[str, Any]:
    """Return what ``benchmark.json`` says of a denoiser; its training noise as data."""
    described = asdict(info)
    del described["hyperparameters"]
    return described | {"trained_on": described.pop("trained_noises") or None}
