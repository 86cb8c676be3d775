"""Compare variants of one config on a small, fixed budget: ``python -m train sweep FILE --data PATH``.

A sweep file names a base config, a budget, how many pictures to score on, and variants, each with the
keys of the base config that it changes. Each variant is trained by :func:`train.fit.fit` and scored as
in :mod:`train.evaluation.score`: fixed noise, seeded by each picture's row. One chooses by
the validation split; where the file says so, each variant is scored on the test split too, to report it.
"""

import csv
import hashlib
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from denoiser.analysis.results import HISTORY_NAME
from denoiser.architectures.loading import load_network
from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.network import NetworkDenoiser, from_config
from denoiser.faces.fer2013 import FACE_SIZE, FaceSet, Split, read_fer2013
from denoiser.noise import NoiseModel
from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS, read_config
from denoiser.weights.files import write_together
from train.ablation.faces import draw_faces
from train.colour_faces import is_colour_faces, read_colour_faces
from train.config import (
    ConfigError,
    Count,
    TrainConfig,
    build_checked,
    changed,
    check_keys,
    noise_name,
    parse_config,
    read_toml,
    read_values,
    sees_colour,
    validation_noise,
)
from train.data import PREPARED, prepare_faces, split_name
from train.evaluation.score import corrupt_all, first_faces, score
from train.evaluation.score_colour import DISCOLOURED, score_colour
from train.files import write_whole
from train.fit import fit
from train.modules.supervised import Engine

_KEYS = {
    *("base", "epochs", "limit", "pictures", "test_pictures"),
    *("size", "note", "variant", "published", "published_note"),
}
_NOT_A_VARIANTS = ("id", "epochs", "mixture", "noise", "validation")

T = TypeVar("T")
Scores = Mapping[str, Mapping[str, float]]
"""Noise -> figures."""


@dataclass(frozen=True)
class Variant:
    """One of the models compared.

    Attributes:
        name: Name for people.
        changes: What it changes in the base config; tables (settings, adversarial) key by key.
        config: The whole training run.
    """

    name: str
    changes: Mapping[str, Any]
    config: TrainConfig


@dataclass(frozen=True)
class Published:
    """Somebody's published figures, shown beside the variant of the same name, or in a row of their own.

    Attributes:
        name: Name of a variant, or of what none here does.
        psnr: Noise -> PSNR in dB.
    """

    name: str
    psnr: Mapping[str, float]


@dataclass(frozen=True)
class Sweep:
    """What a sweep file says.

    Attributes:
        name: The file's name without its ending.
        variants: At least one; no two the same.
        epochs: Budget of each.
        limit: Training pictures of each.
        pictures: How many validation pictures to score on, the first ones; the best variant is the one
            that is best on them.
        test_pictures: How many test pictures to report on, the first ones; 0 for no test figures.
        size: Height and width of the pictures, in pixels; another than FER2013's is for colour faces.
        note: What the sweep is about.
        published: Figures of others.
        published_note: Why those differ.
    """

    name: str
    variants: tuple[Variant, ...]
    epochs: Count
    limit: Count
    pictures: Count
    test_pictures: int = 0
    size: Count = FACE_SIZE
    note: str = ""
    published: tuple[Published, ...] = ()
    published_note: str = ""

    @property
    def base(self) -> TrainConfig:
        """Any variant's config, for what is the same in all: its id and the noises scored on."""
        return self.variants[0].config

    @property
    def noises(self) -> dict[str, NoiseModel]:
        """The noises scored on, by name."""
        return {noise_name(noise): validation_noise(noise) for noise in self.base.validation}

    @property
    def scored(self) -> dict[Split, int]:
        """How many pictures to score on, by split."""
        test: dict[Split, int] = {"test": self.test_pictures} if self.test_pictures else {}
        return {"validation": self.pictures, **test}


@dataclass(frozen=True)
class Task:
    """One variant to train and score, by a process that reads what it needs.

    Attributes:
        sweep: Whose it is.
        index: Which of its variants.
        data: Where FER2013 is.
        prepared: The pictures to train on, which all variants share.
        folder: Where the variant is trained, and its result kept.
        weights: Folder of the models that variants start from.
        options: Of :func:`train.fit.fit`, the same for all.
    """

    sweep: Sweep
    index: int
    data: Path
    prepared: Path
    folder: Path
    weights: Path
    options: Mapping[str, Any]


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep file and the config it starts from.

    Raises:
        ConfigError: One of them can't be read, or says what it should not.
    """
    path = Path(path)
    values = read_toml(path)
    try:
        check_keys(_KEYS, values)
        base = read_values(path.parent / values["base"])
        tables = values.get("variant", ())
        variants = tuple(_variant(table, base, values["epochs"]) for table in tables)
        own_values = {k: v for k, v in values.items() if k not in ("base", "variant", "published")}
        published = tuple(build_checked(Published, table) for table in values.get("published", ()))
        sweep = build_checked(
            Sweep, {**own_values, "name": path.stem, "variants": variants, "published": published}
        )
        _check(sweep)
    except KeyError as error:
        raise ConfigError(f"{path}: there is no {error.args[0]}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return sweep


def run_sweep(
    file: str | Path,
    data: Path,
    *,
    cache: Path = Path("runs/sweeps"),
    weights: Path = WEIGHTS,
    output: Path | None = None,
    workers: int = 1,
    limit: int = 0,
    engine: Engine = "plain",
    accelerator: str = "auto",
    precision: str = "32-true",
) -> dict[str, Any]:
    """Train and score every variant, then write the results beside the sweep file: JSON, page, pictures.

    A finished variant is kept in the cache under its whole config and budget and not trained again; a
    stopped one goes on from its last epoch. To train all anew, delete the sweep's folder in the cache.

    Args:
        file: The sweep file.
        data: Where FER2013 is.
        cache: Folder of finished and unfinished variants.
        weights: Folder of the models that variants start from.
        output: Folder to write the results into, if not beside the sweep file.
        workers: Variants to train at once, each on its share of the cores, all on the same GPU.
        limit: Train for one epoch on only so many pictures and score on only so many, for a trial:
            prints the results and writes nothing beside the sweep file.
        engine: See :class:`~train.modules.supervised.SupervisedModule`.
        accelerator: As Lightning's ``Trainer`` takes it.
        precision: Likewise.

    Returns:
        What the JSON file holds.
    """
    file = Path(file)
    sweep = read_sweep(file)
    if limit:
        sweep = _trial(sweep, limit)
    faces = _scored_faces(sweep, data)
    for split, count in sweep.scored.items():
        if len(faces[split]) < count and not limit:
            raise ConfigError(
                f"{file} scores on {count} {split} pictures, and this copy of them has "
                f"{len(faces[split])}: what it finds doesn't compare with what is on file"
            )
    options = {
        "engine": engine,
        "accelerator": accelerator,
        "precision": precision,
        "devices": 1,
        "enable_model_summary": False,
        "enable_progress_bar": workers == 1,
    }
    folders = [cache / sweep.name / _key(sweep, variant, weights) for variant in sweep.variants]
    prepared = cache / sweep.name / f"faces{PREPARED}"
    tasks = [
        Task(sweep, index, data, prepared, folder, weights, options)
        for index, folder in enumerate(folders)
        if not _finished(folder).exists()
    ]
    if tasks:
        # Once: finding the near copies takes a while.
        prepare_faces(data, prepared, sweep.size, colour=sees_colour(sweep.base))
    noisy = _run_all(tasks, workers, lambda: _score_all(None, sweep, faces))
    results = [json.loads(_finished(folder).read_text(encoding="utf-8")) for folder in folders]
    report = _report(sweep, results, noisy, faces)
    text = markdown(report)
    print(text)
    if output or not limit:
        target = (output or file.parent) / file.name
        write_whole(target.with_suffix(".json"), json.dumps(report, indent=1) + "\n")
        write_whole(target.with_suffix(".md"), text)
        methods = {
            variant.name: _trained(folder / "weights", sweep.base.id)
            for variant, folder in zip(sweep.variants, folders, strict=True)
        }
        faces_file = target.with_suffix(".png")
        write_together(
            faces_file.parent,
            {faces_file.name: draw_faces(methods, sweep.noises, sees_colour(sweep.base), sweep.size)},
        )

        from train.ablation.plot import svg  # here: where there is no Matplotlib, the rest is written

        write_whole(target.with_suffix(".svg"), svg(report))
    return report


def markdown(report: Mapping[str, Any]) -> str:
    """Return a sweep's results as a page with one table; what is best on validation is bold.

    With test figures the table has those of every noise, and of validation the mean: the choice.
    """
    noises = list(report["noises"])
    published = {row["name"]: row["psnr"] for row in report["published"]}
    test = report.get("test")
    means = {v["name"]: _mean_psnr(v["scores"]) for v in report["variants"]}
    headers = ["variant", "changed", "parameters", "seconds"]
    headers += ["validation: mean PSNR", *(f"test: {noise}" for noise in noises)] if test else noises
    headers += ["test: mean PSNR" if test else "mean PSNR"]
    headers += [f"published: {noise}" for noise in noises] if published else []

    def cells(scores: Scores, test_scores: Scores | None, best: bool = False) -> list[str]:
        def mean(of: Scores) -> str:
            return f"**{_mean_psnr(of):.2f}**" if best else f"{_mean_psnr(of):.2f}"

        if test_scores is None:
            return [*_cells(scores), mean(scores)]
        return [mean(scores), *_cells(test_scores), mean(test_scores)]

    rows = [["noisy", "", "", "", *cells(report["noisy"], test and test["noisy"])]]
    for variant in report["variants"]:
        seconds = "-" if variant["seconds"] is None else f"{variant['seconds']:.0f}"
        changed = ", ".join(f"`{text}`" for text in _changes(variant["changes"]))
        best = means[variant["name"]] == max(means.values())
        rows.append(
            [
                *(variant["name"], changed, f"{variant['parameters']:,}", seconds),
                *cells(variant["scores"], variant.get("test_scores"), best),
            ]
        )
    ours = len(rows[0])
    rows += [[name, *["-"] * (ours - 1)] for name in published if name not in means]
    if published:
        for row in rows:
            figures = published.get(row[0], {})
            row += [f"{figures[noise]:.2f}" if noise in figures else "-" for noise in noises]
    scored = f"the first {report['pictures']:,} pictures of {report['split']}"
    if test:
        scored += f", and the first {test['pictures']:,} of {test['split']}"
    discoloured = any("discoloured" in figures for figures in report["noisy"].values())
    in_colour = f" / pixels discoloured by a CIEDE2000 above {DISCOLOURED:g}" if discoloured else ""
    choice = " The variant that is best on validation, by which one chooses, is bold." if test else ""
    paragraphs = [
        f"# Sweep: {report['sweep']}",
        report["note"],
        f"Each variant of `{report['base']}` had at most {report['epochs']} epochs of "
        f"{report['limit']:,} training pictures. PSNR in dB / SSIM{in_colour}, means over {scored}; "
        f"{report['seed']}.{choice} Made by `{report['command']}`.",
        "\n".join(f"| {' | '.join(row)} |" for row in [headers, ["---"] * len(headers), *rows]),
        f"![PSNR of every variant{' on the test split' if test else ''}]({report['sweep']}.svg)",
        f"![Bundled faces, denoised by every variant]({report['sweep']}.png)",
        report["published_note"],
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _variant(table: Mapping[str, Any], base: Mapping[str, Any], epochs: int) -> Variant:
    name = table["name"]
    changes = {k: v for k, v in table.items() if k != "name"}
    fixed = [key for key in _NOT_A_VARIANTS if key in changes]
    if fixed:
        raise ConfigError(f"variant {name!r} changes {', '.join(fixed)}, which must be the same in all")
    config = parse_config({**changed(base, changes), "epochs": epochs}, f"variant {name!r}")
    return Variant(name, changes, config)


def _check(sweep: Sweep) -> None:
    if not sweep.variants:
        raise ConfigError("it names no [[variant]]")
    for index, variant in enumerate(sweep.variants):
        for other in sweep.variants[:index]:
            if variant.name == other.name or variant.config == other.config:
                raise ConfigError(f"the variants {other.name!r} and {variant.name!r} are the same")
    noises = set(sweep.noises)
    for row in sweep.published:
        unknown = set(row.psnr) - noises
        if unknown:
            raise ConfigError(
                f"published {row.name!r}: {', '.join(sorted(unknown))} is none of the noises scored on, "
                f"{', '.join(sorted(noises))}"
            )


def _trial(sweep: Sweep, limit: int) -> Sweep:
    variants = tuple(
        replace(
            variant,
            config=replace(
                variant.config,
                epochs=1,
                batch_size=min(limit, variant.config.batch_size),
                validation_pictures=limit,
                validations_per_epoch=1,
            ),
        )
        for variant in sweep.variants
    )
    return replace(
        sweep,
        variants=variants,
        epochs=1,
        limit=limit,
        pictures=limit,
        test_pictures=min(limit, sweep.test_pictures),
    )


def _key(sweep: Sweep, variant: Variant, weights: Path) -> str:
    """Name what a result depends on: the whole config, the budget, what is scored, the other models."""

    def version(other: str) -> str:
        file = weights / other / MODEL_NAME
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""

    parts = {
        "config": asdict(variant.config),
        "limit": sweep.limit,
        "scored": sweep.scored,
        "size": sweep.size,
        "start": version(variant.config.start_from),
        "teacher": version(variant.config.teacher),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _finished(folder: Path) -> Path:
    return folder / "result.json"


def _run_all(tasks: Sequence[Task], workers: int, meanwhile: Callable[[], T]) -> T:
    """Train and score variants; return what is computed beside them, while other processes do it."""
    if workers == 1 or not tasks:
        for task in tasks:
            print(_train_and_score(task))
        return meanwhile()
    threads = max(1, (os.cpu_count() or 1) // workers)
    # Spawned, not forked: a forked copy of PyTorch's threads can hang.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(tasks)), torch.set_num_threads, (threads,)) as pool:
        lines = pool.imap_unordered(_train_and_score, tasks)
        result = meanwhile()
        for line in lines:
            print(line, flush=True)
    return result


def _train_and_score(task: Task) -> str:
    """Train one variant, score it, put the result into the cache, and say so in one line."""
    sweep, variant = task.sweep, task.sweep.variants[task.index]
    config = variant.config
    resumed = (task.folder / config.id / "last.ckpt").exists()
    start = time.perf_counter()
    trained = fit(
        config,
        task.prepared,
        runs=task.folder,
        weights=task.folder / "weights",
        start_weights=task.weights,
        resume=resumed,
        limit=sweep.limit,
        **task.options,
    )
    seconds = time.perf_counter() - start
    assert trained is not None  # only processes other than the first get none, and there is one
    method = _trained(trained.parent, config.id)
    method.network.to(_scoring_device(task.options["accelerator"]))
    scores = _score_all(method, sweep, _scored_faces(sweep, task.data))
    result = {
        "parameters": method.info.parameters,
        "epochs": _epochs(trained / HISTORY_NAME),
        "seconds": None if resumed else round(seconds, 1),  # the first part's time is not known
        "machine": _machine(task.options["accelerator"]),
        "scores": scores,
    }
    write_whole(_finished(task.folder), json.dumps(result, indent=1) + "\n")
    return f"{sweep.name}, {variant.name}: {_mean_psnr(scores['validation']):.2f} dB"


def _trained(weights: Path, model_id: str) -> NetworkDenoiser:
    return from_config(read_config(model_id, weights), load_network(model_id, weights))


def _scoring_device(accelerator: str) -> torch.device:
    """Where to run trained networks: the largest would take minutes on the CPU."""
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")


def _machine(accelerator: str) -> str:
    cores = f"{platform.machine()}, {os.cpu_count()} cores"
    if _scoring_device(accelerator).type == "cpu":
        return cores
    return f"{cores}, {torch.cuda.get_device_name()}"


def _epochs(history: Path) -> int:
    with history.open(newline="", encoding="utf-8") as file:
        return 1 + max(int(row["epoch"]) for row in csv.DictReader(file) if row["epoch"])


def _scored_faces(sweep: Sweep, data: Path) -> dict[Split, FaceSet]:
    def read(split: Split) -> FaceSet:
        if is_colour_faces(data):
            return read_colour_faces(data, split, sweep.size, gray=not sees_colour(sweep.base))
        return read_fer2013(data, split)

    return {split: first_faces(read(split), count) for split, count in sweep.scored.items()}


def _score_all(
    method: Denoiser | None, sweep: Sweep, faces: Mapping[Split, FaceSet]
) -> dict[Split, Scores]:
    """Score a denoiser, or the noisy pictures for None, on every split under every noise."""
    keys: tuple[str, ...] = ("psnr", "psnr_std", "ssim", "ssim_std", "pictures")
    if sees_colour(sweep.base):
        score_one: Callable[..., Any] = score_colour
        keys = (*keys, "discoloured")
    else:
        score_one = score

    def figures(pictures: FaceSet, noise: NoiseModel) -> dict[str, float]:
        result = score_one(method, corrupt_all(pictures, noise), "")
        return {key: getattr(result, key) for key in keys}

    return {
        split: {name: figures(pictures, noise) for name, noise in sweep.noises.items()}
        for split, pictures in faces.items()
    }


def _report(
    sweep: Sweep,
    results: Sequence[Mapping[str, Any]],
    noisy: Mapping[Split, Scores],
    faces: Mapping[Split, FaceSet],
) -> dict[str, Any]:
    split, pictures = split_name(faces["validation"]), len(faces["validation"])
    report: dict[str, Any] = {
        "sweep": sweep.name,
        "note": sweep.note,
        "command": f"python -m train sweep train/ablation/studies/{sweep.name}.toml --data PATH",
        "base": sweep.base.id,
        "epochs": sweep.epochs,
        "limit": sweep.limit,
        "split": split,
        "pictures": pictures,
        "seed": "the noise of a picture is seeded by its row"
        + (" in FER2013" if split.startswith("FER2013") else ""),
        "metrics": "mean over pictures; PSNR in dB, data range 1; SSIM as Wang et al. 2004",
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "machine": ", ".join(sorted({result["machine"] for result in results})),
        "noises": {name: noise.describe() for name, noise in sweep.noises.items()},
        "noisy": noisy["validation"],
        "variants": [
            {
                "name": variant.name,
                "changes": variant.changes,
                "parameters": result["parameters"],
                "epochs": result["epochs"],
                "training_pictures": sweep.limit,
                "seed": variant.config.seed,
                "split": split,
                "pictures": pictures,
                "seconds": result["seconds"],
                "scores": result["scores"]["validation"],
            }
            for variant, result in zip(sweep.variants, results, strict=True)
        ],
        "published": [asdict(row) for row in sweep.published],
        "published_note": sweep.published_note,
    }
    if "test" in faces:
        test = faces["test"]
        report["test"] = {"split": split_name(test), "pictures": len(test), "noisy": noisy["test"]}
        for variant, result in zip(report["variants"], results, strict=True):
            variant["test_scores"] = result["scores"]["test"]
    return report


def _mean_psnr(scores: Scores) -> float:
    return statistics.fmean(figures["psnr"] for figures in scores.values())


def _cells(scores: Scores) -> list[str]:
    def cell(figures: Mapping[str, float]) -> str:
        colour = f" / {figures['discoloured']:.1%}" if "discoloured" in figures else ""
        return f"{figures['psnr']:.2f} / {figures['ssim']:.3f}{colour}"

    return [cell(figures) for figures in scores.values()]


def _changes(changes: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return changes as ``settings.kernel = 5``, one text each."""
    texts = []
    for key, value in changes.items():
        if isinstance(value, Mapping):
            texts += _changes(value, f"{prefix}{key}.")
        else:
            texts.append(f"{prefix}{key} = {json.dumps(value)}")
    return texts
