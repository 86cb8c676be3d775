"""Score a denoiser of one's own on faces with fixed noise, beside the methods that are here.

Noise and seeds are those of the committed benchmark: over the whole test split of FER2013 its figures
are of the same noisy pictures, and stand beside. On other faces the methods are run, as figures of
other faces say nothing here.
"""

import csv
import io
import math
import multiprocessing
import os
import signal
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import torch
from scipy import stats

from denoiser.analysis.repeats import CONFIDENCE, paired_difference
from denoiser.analysis.results import (
    NOISY,
    NOISY_LABEL,
    SUMMARY_NOISES,
    Benchmark,
    read_benchmark,
)
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.callables import DenoiserLike, FunctionDenoiser, OwnDenoiserError, resolve
from denoiser.denoisers.plugins import FileFunction, register_packages
from denoiser.denoisers.registry import DEFAULT_DENOISERS, create_denoiser
from denoiser.faces.fer2013 import FaceSet
from denoiser.faces.samples import BUNDLED
from denoiser.faces.scored import find_test_faces
from denoiser.images import from_uint8
from denoiser.metrics import PERFECT_PSNR
from denoiser.noise import NoiseModel
from denoiser.pipeline import DenoiseResult, compare

RIVALS = (*DEFAULT_DENOISERS, "residual-unet", "nl-means")
"""Whom a denoiser is compared with where there are no committed figures of the same pictures."""

Source: TypeAlias = Literal["measured", "committed"]

_CHUNK = 10  # faces that are scored in one go
_WORTH_PROCESSES = 20.0  # seconds of a function's own time, for which starting processes pays
_SAME_PICTURES = 0.001  # dB, up to which the noisy pictures here have the PSNR of the committed ones


@dataclass(frozen=True)
class ScoreRow:
    """One denoiser under one noise.

    Attributes:
        noise: The noise's key in the committed results, or what it is in words.
        denoiser: The denoiser's id; ``"noisy"`` for the noisy pictures themselves.
        label: Its name for people.
        psnr: Mean of the pictures' PSNRs in dB.
        psnr_low: Lower end of its 95 % confidence interval.
        psnr_high: Upper end.
        ssim: Mean of the pictures' SSIMs.
        ssim_low: Likewise.
        ssim_high: Likewise.
        gain: PSNR in dB above the noisy pictures'.
        lead: How much higher the PSNR of the denoiser that is scored is; None for itself.
        lead_low: Lower end of its 95 % confidence interval.
        lead_high: Upper end.
        milliseconds: Median time for one face, while others were computed beside it; None where it
            was not measured here.
        pictures: How many faces.
        source: ``"measured"`` just now, so that ``lead`` is of pairs, or ``"committed"``: then only
            means and deviations are known, and ``lead`` has the widest interval that these allow.
    """

    noise: str
    denoiser: str
    label: str
    psnr: float
    psnr_low: float
    psnr_high: float
    ssim: float
    ssim_low: float
    ssim_high: float
    gain: float
    lead: float | None
    lead_low: float | None
    lead_high: float | None
    milliseconds: float | None
    pictures: int
    source: Source


@dataclass(frozen=True)
class ScoreTable(Sequence[ScoreRow]):
    """What :func:`score` found out: its rows, one for each denoiser and noise, the best first.

    ``pandas.DataFrame(table.records())`` takes it, and a notebook shows it as a table.

    Attributes:
        denoiser: Id of the denoiser that was scored.
        rows: The scores.
        sentences: For each noise, what the denoiser is better and worse than.
        about: Of which faces and noise all this is, and how sure.
    """

    denoiser: str
    rows: tuple[ScoreRow, ...]
    sentences: tuple[str, ...]
    about: str

    @overload
    def __getitem__(self, index: int) -> ScoreRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ScoreRow, ...]: ...
    def __getitem__(self, index: int | slice) -> ScoreRow | tuple[ScoreRow, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return [asdict(row) for row in self.rows]

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the rows as CSV, and write them to a file if one is named."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [f.name for f in fields(ScoreRow)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.records())
        if path is not None:
            Path(path).write_text(text.getvalue(), encoding="utf-8")
        return text.getvalue()

    def to_markdown(self) -> str:
        """Return a Markdown table of PSNR and SSIM, a row for each denoiser, and the sentences."""
        noises = list(dict.fromkeys(row.noise for row in self.rows))
        lines = [
            f"| denoiser | {' | '.join(noises)} |",
            f"| --- |{' --- |' * len(noises)}",
        ]
        for name, own in _by_denoiser(self.rows):
            cells = [_cell(own[noise]) if noise in own else "" for noise in noises]
            mark = "**" if name == self.denoiser else ""
            label = next(iter(own.values())).label.replace("|", "\\|")
            lines.append(f"| {mark}{label}{mark} | {' | '.join(cells)} |")
        return "\n\n".join(["\n".join(lines), *self.sentences, self.about]) + "\n"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


@dataclass(frozen=True)
class _Chunk:
    """Some faces under one noise.

    Attributes:
        noise: What to corrupt them with.
        faces: (N, H, W) uint8.
        seeds: Of the noise, one a face.
    """

    noise: NoiseModel
    faces: np.ndarray
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class _Sample:
    """One denoiser on some faces under one noise.

    Attributes:
        psnr: (N,) in dB, of a perfect picture :data:`~denoiser.metrics.PERFECT_PSNR`.
        ssim: (N,).
        milliseconds: (N,).
    """

    psnr: np.ndarray
    ssim: np.ndarray
    milliseconds: np.ndarray

    @classmethod
    def join(cls, parts: Sequence["_Sample"]) -> "_Sample":
        """Put those of different faces behind each other."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


_Samples = Mapping[str, _Sample]  # by denoiser id


@dataclass(frozen=True)
class _Mean:
    """A mean over pictures, and what is known of how sure it is.

    Attributes:
        value: The mean.
        error: Its standard error.
        count: How many pictures.
    """

    value: float
    error: float
    count: int

    @classmethod
    def of(cls, numbers: np.ndarray) -> "_Mean":
        """Return the mean of an array, (N,)."""
        return cls(float(numbers.mean()), float(stats.sem(numbers)), len(numbers))

    def interval(self, other_error: float = 0.0) -> tuple[float, float, float]:
        """Return the mean and the ends of its confidence interval.

        Args:
            other_error: Standard error of another mean that was taken off, on the same pictures. The
                error of a difference is at most the sum of both, however the two go together.
        """
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.count - 1)) * (self.error + other_error)
        return self.value, self.value - half, self.value + half


def score(
    denoiser: DenoiserLike | FileFunction,
    noises: str | NoiseModel | Sequence[str | NoiseModel] = SUMMARY_NOISES,
    *,
    faces: str | Path | FaceSet | None = None,
    first: int | None = None,
    rivals: Sequence[str] | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> ScoreTable:
    """Score a denoiser on faces with fixed noise, beside the methods that are here.

    A function is run by several threads at the same time, and must not keep anything from one call to
    the next. A :class:`~denoiser.denoisers.plugins.FileFunction` that takes long is run by processes
    instead, which is faster for plain Python loops; a script that asks for it has to be guarded by
    ``if __name__ == "__main__"``, as the processes import it.

    Args:
        denoiser: A function, see :func:`~denoiser.denoisers.callables.wrap`, a denoiser or an id.
        noises: Keys of the committed results, such as ``"gaussian-25"``, or noises; one or several.
        faces: What to score on, see :func:`~denoiser.faces.scored.find_test_faces`; FER2013's test split
            where it is at hand, else the faces that ship with scikit-image.
        first: How many of the faces, from the first, at least 2; all by default.
        rivals: Ids of methods to run on the same noisy pictures. By default the committed figures of
            all methods stand beside, if they are of these pictures; else :data:`RIVALS` are run.
        seed: Is added to the seed of every face's noise; other noise than with 0 is not the committed.
        workers: How many faces are denoised at the same time; as many as there are cores by default.
        progress: Is called with the share that is done, 1 at the end.

    Raises:
        ValueError: An id, noise or number is unknown or out of range, or the function is no denoiser
            (:class:`~denoiser.denoisers.callables.OwnDenoiserError`).
        FaceDataError: The faces can't be read.
        ResultsError: The committed results can't be read.
        WeightsError: The weights of a rival are missing or damaged.
    """
    method = resolve(denoiser.load() if isinstance(denoiser, FileFunction) else denoiser)
    benchmark = read_benchmark()
    named_noises = [noises] if isinstance(noises, str | NoiseModel) else noises
    conditions = dict(_condition(noise, benchmark) for noise in named_noises)
    if not conditions:
        raise ValueError("there is no noise to score under")
    chosen = _first(faces if isinstance(faces, FaceSet) else find_test_faces(faces), first)
    has_figures = rivals is None and seed == 0 and _has_figures(benchmark, chosen, conditions)
    named = () if has_figures else RIVALS if rivals is None else tuple(dict.fromkeys(rivals))
    others = [create_denoiser(name) for name in named if name != method.info.id]

    chunks = list(_chunks(conditions.values(), chosen, seed))
    seconds = len(chosen) * len(conditions) * (method.info.milliseconds or 0.0) / 1000
    file = denoiser if isinstance(denoiser, FileFunction) and seconds > _WORTH_PROCESSES else None
    measured = _run(chunks, method, others, file, workers or os.cpu_count() or 1, progress)
    samples = {
        key: _join(found for chunk, found in zip(chunks, measured, strict=True) if chunk.noise is noise)
        for key, noise in conditions.items()
    }
    is_committed = has_figures and _are_same(benchmark, samples)

    labels = {NOISY: NOISY_LABEL} | {m.info.id: m.info.label for m in (*others, method)}
    rows: list[ScoreRow] = []
    sentences = []
    for key, found in samples.items():
        under = _measured_rows(key, method.info.id, found, labels)
        if is_committed:
            under += _committed_rows(key, method.info.id, found, benchmark)
        under.sort(key=lambda row: -row.psnr)
        rows += under
        sentences.append(_sentence(method, under))
    beside = _COMMITTED if is_committed else _OTHER_COPY if has_figures else _PAIRS
    about = _about(chosen, seed, beside)
    return ScoreTable(method.info.id, tuple(rows), tuple(sentences), about)


def _condition(noise: str | NoiseModel, benchmark: Benchmark) -> tuple[str, NoiseModel]:
    if isinstance(noise, NoiseModel):
        return noise.describe(), noise
    if noise not in benchmark.noises:
        raise ValueError(f"Unknown noise {noise!r}; choose of {', '.join(benchmark.noises)}")
    return noise, benchmark.noises[noise]


def _first(faces: FaceSet, first: int | None) -> FaceSet:
    count = len(faces) if first is None else min(first, len(faces))
    if count < 2:
        raise ValueError("a score takes at least 2 faces, or there would be no telling how sure it is")
    return replace(
        faces, images=faces.images[:count], rows=faces.rows[:count], emotions=faces.emotions[:count]
    )


def _has_figures(benchmark: Benchmark, faces: FaceSet, noises: Iterable[str]) -> bool:
    """Tell whether there are committed figures of so many test pictures under these noises."""
    return faces.split == "test" and all(
        benchmark.pictures.get((NOISY, noise)) == len(faces) for noise in noises
    )


def _are_same(benchmark: Benchmark, samples: Mapping[str, _Samples]) -> bool:
    """Tell whether the noisy pictures have the committed PSNR: copies of FER2013 may differ."""
    return all(
        abs(found[NOISY].psnr.mean() - benchmark.scores[NOISY, noise]["psnr"]) <= _SAME_PICTURES
        for noise, found in samples.items()
    )


def _chunks(noises: Iterable[NoiseModel], faces: FaceSet, seed: int) -> Iterator[_Chunk]:
    for noise in noises:
        for start in range(0, len(faces), _CHUNK):
            some = slice(start, start + _CHUNK)
            yield _Chunk(noise, faces.images[some], tuple(int(r) + seed for r in faces.rows[some]))


def _run(
    chunks: Sequence[_Chunk],
    method: Denoiser,
    others: Sequence[Denoiser],
    file: FileFunction | None,
    workers: int,
    progress: Callable[[float], None] | None,
) -> list[_Samples]:
    """Run the methods on all chunks: in processes that load the function's file, or in threads."""
    before = torch.get_num_threads()
    pool: Executor
    run: Callable[[_Chunk], _Samples]
    if file is None or workers == 1:
        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        run = partial(_score_chunk, (method, *others))
    else:
        # Spawned, not forked: a forked copy of PyTorch's threads can hang.
        context = multiprocessing.get_context("spawn")
        ids = [other.info.id for other in others]
        pool = ProcessPoolExecutor(
            workers, context, initializer=_prepare, initargs=(file, method.info, ids)
        )
        run = _score_chunk_here
    try:
        futures = [pool.submit(run, chunk) for chunk in chunks]
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            if progress is not None:
                progress(done / len(futures))
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise OwnDenoiserError(
            f"A process that ran {method.info.label} ended before it was done: it crashed, or there was "
            "not enough memory."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # new threads of others get as many as they did before


_PREPARED: tuple[Denoiser, ...] = ()
"""What a process of its own runs."""


def _prepare(file: FileFunction, info: DenoiserInfo, others: Sequence[str]) -> None:
    """Load everything, in a process of its own."""
    global _PREPARED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the process that started this one
    torch.set_num_threads(1)
    register_packages()  # a rival may be one of theirs
    _PREPARED = (FunctionDenoiser(info, file.load()), *map(create_denoiser, others))


def _score_chunk_here(chunk: _Chunk) -> _Samples:
    return _score_chunk(_PREPARED, chunk)


def _score_chunk(methods: Sequence[Denoiser], chunk: _Chunk) -> _Samples:
    """Corrupt faces, run the methods on them, and score these and the noisy pictures."""
    results: list[Mapping[str, DenoiseResult]] = []
    for face, seed in zip(from_uint8(chunk.faces), chunk.seeds, strict=True):
        try:
            comparison = compare(face, chunk.noise, seed, methods)
        except OwnDenoiserError as error:
            where = f"{chunk.noise.describe()}, seed {seed}"
            raise OwnDenoiserError(f"{str(error).rstrip('.')} (under {where}).") from error
        results.append({NOISY: comparison.noisy, **comparison})
    return {
        name: _Sample(
            psnr=np.array([min(found[name].psnr or 0.0, PERFECT_PSNR) for found in results]),
            ssim=np.array([found[name].ssim for found in results], float),
            milliseconds=np.array([found[name].milliseconds for found in results]),
        )
        for name in results[0]
    }


def _join(parts: Iterable[_Samples]) -> _Samples:
    samples = list(parts)
    return {name: _Sample.join([part[name] for part in samples]) for name in samples[0]}


def _measured_rows(noise: str, own: str, samples: _Samples, labels: Mapping[str, str]) -> list[ScoreRow]:
    noisy = float(samples[NOISY].psnr.mean())
    return [
        _row(
            (noise, name, labels[name]),
            _Mean.of(sample.psnr),
            _Mean.of(sample.ssim),
            noisy,
            None if name == own else _paired(samples[own].psnr, sample.psnr),
            None if name == NOISY else float(np.median(sample.milliseconds)),
            "measured",
        )
        for name, sample in samples.items()
    ]


def _committed_rows(noise: str, own: str, samples: _Samples, benchmark: Benchmark) -> list[ScoreRow]:
    """Return the rows of all methods that have committed figures of as many pictures."""
    mine = _Mean.of(samples[own].psnr)
    rows = []
    for method in benchmark.methods:
        pair = method.id, noise
        if method.id == own or benchmark.pictures.get(pair) != mine.count:
            continue
        psnr, ssim = (
            _Mean(
                benchmark.scores[pair][name],
                benchmark.deviations[pair][name] / math.sqrt(mine.count - 1),
                mine.count,
            )
            for name in ("psnr", "ssim")
        )
        lead = replace(mine, value=mine.value - psnr.value).interval(psnr.error)
        noisy = float(samples[NOISY].psnr.mean())
        rows.append(_row((noise, method.id, method.label), psnr, ssim, noisy, lead, None, "committed"))
    return rows


def _paired(own: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    difference = paired_difference(own.tolist(), other.tolist())
    return difference.mean, difference.low, difference.high


def _row(
    names: tuple[str, str, str],
    psnr: _Mean,
    ssim: _Mean,
    noisy: float,
    lead: tuple[float, float, float] | None,
    milliseconds: float | None,
    source: Source,
) -> ScoreRow:
    noise, denoiser, label = names
    gap, gap_low, gap_high = lead or (None, None, None)
    return ScoreRow(
        noise=noise,
        denoiser=denoiser,
        label=label,
        psnr=psnr.value,
        psnr_low=psnr.interval()[1],
        psnr_high=psnr.interval()[2],
        ssim=ssim.value,
        ssim_low=ssim.interval()[1],
        ssim_high=ssim.interval()[2],
        gain=psnr.value - noisy,
        lead=gap,
        lead_low=gap_low,
        lead_high=gap_high,
        milliseconds=milliseconds,
        pictures=psnr.count,
        source=source,
    )


def _sentence(method: Denoiser, rows: Sequence[ScoreRow]) -> str:
    """Say what the denoiser is better and worse than under one noise."""
    (noisy,) = (row for row in rows if row.denoiser == NOISY)
    others = [row for row in rows if row.denoiser not in (NOISY, method.info.id)]
    better = [row for row in others if _is_ahead(row) > 0]
    worse = [row for row in others if _is_ahead(row) < 0]
    level = [row.label for row in others if _is_ahead(row) == 0]
    doing_nothing = {
        1: f"gains {_gap(noisy)} over doing nothing",
        -1: f"is worse than doing nothing, by {_gap(noisy)}",
        0: "can't be told from doing nothing",
    }[_is_ahead(noisy)]
    clauses = [f"{noisy.noise}: {method.info.label} {doing_nothing}"]
    if better:
        closest = better[0]  # the best of those that it is better than
        clauses.append(f"better than {_count(better, others)}: {closest.label} by {_gap(closest)}")
    if level:
        clauses.append(f"not to be told from {', '.join(level)}")
    if worse:
        closest = worse[-1]
        clauses.append(f"worse than {_count(worse, others)}: {closest.label} by {_gap(closest)}")
    return "; ".join(clauses) + "."


def _count(some: Sequence[ScoreRow], others: Sequence[ScoreRow]) -> str:
    return f"{len(some)} of {len(others)} methods, the closest"


def _is_ahead(row: ScoreRow) -> int:
    """Tell whether the denoiser that is scored is ahead of a row's (1), behind (-1), or neither (0)."""
    assert row.lead_low is not None
    assert row.lead_high is not None
    return 1 if row.lead_low > 0 else -1 if row.lead_high < 0 else 0


def _gap(row: ScoreRow) -> str:
    """Write how far a row is off, without its sign."""
    numbers = (abs(number or 0.0) for number in (row.lead, row.lead_low, row.lead_high))
    gap, *ends = (f"{number:.2f}" for number in numbers)
    return f"{gap} dB ({' to '.join(sorted(ends, key=float))})"


_COMMITTED = (
    "The other methods' figures are the committed ones, of the same noisy pictures; of them only means "
    "and deviations are known, so the intervals of the gaps are the widest that these allow."
)
_PAIRS = "All methods were given the same noisy pictures, and gaps are means over pairs."
_OTHER_COPY = (
    "The committed figures are of another copy of FER2013, whose pictures differ, so none stand beside; "
    "rivals that are named are run on these."
)


def _about(faces: FaceSet, seed: int, beside: str) -> str:
    """Say of which faces and noise a table is, what stands beside, and how sure all that is."""
    seeded = "by its row" if seed == 0 else f"by its row and {seed}"
    sentences = [f"{faces.source}: {len(faces):,} faces, the noise of each seeded {seeded}."]
    if faces.split == BUNDLED:
        sentences.append(
            "Most are enlarged crops of 25x25 pixels, smoother than FER2013's faces, whose figures "
            "can't be compared with these."
        )
    sure = "Every interval is of 95 % by itself: of twenty equal methods one looks different."
    return " ".join([*sentences, beside, sure])


def _by_denoiser(rows: Iterable[ScoreRow]) -> list[tuple[str, dict[str, ScoreRow]]]:
    """Sort rows by denoiser, then noise; the best on average first."""
    found: dict[str, dict[str, ScoreRow]] = {}
    for row in rows:
        found.setdefault(row.denoiser, {})[row.noise] = row
    return sorted(found.items(), key=lambda item: -statistics.fmean(r.psnr for r in item[1].values()))


def _cell(row: ScoreRow) -> str:
    return f"{row.psnr:.2f} ± {row.psnr_high - row.psnr:.2f} / {row.ssim:.3f}"
