"""The committed results, read: what every denoiser scores, and how every model was trained.

``weights/benchmark.json`` is written by ``python -m train evaluate``, ``weights/realism.json`` by
``python -m train evaluate-realism``, ``weights/ID/history.csv`` by ``python -m train fit``. Nothing is
computed anew here, so every number on the page can be traced to the command that made it.
"""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from denoiser.noise import NOISES, NoiseChain, NoiseModel, create_noise, noise_stages
from denoiser.weights.checkpoint import WEIGHTS, WeightsError, read_config
from denoiser.weights.training_noise import describe_trained_on, parse_trained_on

BENCHMARK_NAME = "benchmark.json"
REALISM_NAME = "realism.json"
SAMPLES_NAME = "samples.json"
UNKNOWN_NOISE_NAME = "unknown-noise.json"
COLOUR_NAME = "colour.json"
HISTORY_NAME = "history.csv"
METRICS_NAME = "metrics.json"
"""One model's scores, in its folder."""

CLEAN = "clean"
"""Stands for the clean picture where methods have their ids."""

NOISY = "noisy"
"""Stands for the noisy picture itself where a denoiser's id is expected."""

NOISY_LABEL = "Noisy picture"
"""Its name for people."""

SUMMARY_NOISES = ("gaussian-low", "gaussian-25", "salt-and-pepper-10", "impulse-30", "poisson-30")
"""The noises of the README's table, by their keys in the results."""

_KINDS: Mapping[str, type[NoiseModel]] = {kind.id: kind for kind in NOISES}
_REALISM = ("frechet_distance", "detectability")
_VALIDATION = "val_psnr"
_LOSS = "_loss"


class ResultsError(Exception):
    """A file of results is missing or damaged; the message is one sentence for a person."""


@dataclass(frozen=True)
class Metric:
    """A number that a denoiser gets.

    Attributes:
        id: Its key in the files.
        label: Name for people, with the unit.
        digits: How many decimals mean something.
    """

    id: str
    label: str
    digits: int

    def format(self, value: float, sign: bool = False) -> str:
        """Write a value, with its sign if it is a difference."""
        return f"{value:{'+' if sign else ''}.{self.digits}f}"


METRICS: Mapping[str, Metric] = {
    metric.id: metric
    for metric in (
        Metric("psnr", "PSNR in dB", 2),
        Metric("ssim", "SSIM", 3),
        Metric("sharpness", "Sharpness (clean: 1)", 3),
        Metric("spectral_distance", "Spectral distance in dB", 2),
        Metric("frechet_distance", "Fréchet distance", 2),
        Metric("detectability", "Detectability (none: 0.5)", 3),
    )
}
"""What is on file for every denoiser under every noise; the last two are in a file of their own."""


@dataclass(frozen=True)
class Method:
    """A denoiser, as the benchmark describes it.

    Attributes:
        id: Registry id; one that ends in ``.NOISE`` was trained for that noise alone.
        label: Name for people.
        family: What kind of method it is.
        parameters: Learned parameters; 0 for filters.
        milliseconds: Median time for one 48x48 face; None where it was not measured.
        trained_on: In words; None for filters, which learn nothing.
        reference: The paper.
    """

    id: str
    label: str
    family: str
    parameters: int
    milliseconds: float | None
    trained_on: str | None
    reference: str

    @property
    def specialty(self) -> str | None:
        """The noise that a specialist was trained for, by its id; None for everything else."""
        return self.id.partition(".")[2] or None


@dataclass(frozen=True)
class Condition:
    """A noise of the benchmark.

    Attributes:
        id: Its key in the results.
        label: Short name for people, such as ``Gaussian 25``.
        description: Kind and strength in words.
        kind: Id of its kind of noise; None for a chain, and for one that this version doesn't know.
        settings: All parameters in the units that the page shows, the strength first.
    """

    id: str
    label: str
    description: str
    kind: str | None
    settings: tuple[float, ...]

    def is_specialty(self, specialty: str | None) -> bool:
        """Whether this is what a specialist was trained for: this very noise, or its kind."""
        return specialty is not None and specialty in (self.id, self.kind)


@dataclass(frozen=True)
class Curve:
    """Noises that differ in strength only.

    Attributes:
        id: Name of its own.
        label: Name for people.
        axis: What the strength is, with its unit.
        conditions: By growing strength.
    """

    id: str
    label: str
    axis: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Benchmark:
    """What ``benchmark.json`` holds, and ``realism.json`` beside it.

    Attributes:
        facts: Where the numbers come from: command, split, seed and the like, by name.
        methods: The denoisers, in the file's order.
        conditions: The noises, sorted by kind, then strength.
        scores: Metrics by denoiser and noise; what could not be measured is left out.
        intervals: Ends of the 95 % intervals of those metrics that come with one, likewise.
        floors: What clean pictures get for these.
        noises: The noises themselves by id, those that this version knows.
        deviations: Standard deviations over the pictures of those metrics that have one, as ``scores``.
        pictures: Of how many pictures a denoiser's scores under a noise are.
    """

    facts: Mapping[str, str]
    methods: tuple[Method, ...]
    conditions: tuple[Condition, ...]
    scores: Mapping[tuple[str, str], Mapping[str, float]]
    intervals: Mapping[tuple[str, str], Mapping[str, tuple[float, float]]]
    floors: Mapping[str, float]
    noises: Mapping[str, NoiseModel]
    deviations: Mapping[tuple[str, str], Mapping[str, float]]
    pictures: Mapping[tuple[str, str], int]

    def value(self, method: str, condition: str, metric: str) -> float | None:
        """Return a score, or None where there is none."""
        return self.scores.get((method, condition), {}).get(metric)

    def interval(self, method: str, condition: str, metric: str) -> tuple[float, float] | None:
        """Return the ends of a score's 95 % interval, or None where it has none."""
        return self.intervals.get((method, condition), {}).get(metric)

    def gain(self, method: str, condition: str, metric: str) -> float | None:
        """Return how much more than the noisy picture a denoiser gets, or None."""
        value, noisy = (self.value(name, condition, metric) for name in (method, NOISY))
        return None if value is None or noisy is None else value - noisy

    def measured(self, metric: str) -> tuple[Condition, ...]:
        """Return the noises under which any denoiser has a score; some take long to measure."""
        pairs = [(m.id, c) for c in self.conditions for m in self.methods]
        return tuple(dict.fromkeys(c for name, c in pairs if self.value(name, c.id, metric) is not None))

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Every family once, in the order of the file."""
        return tuple(dict.fromkeys(method.family for method in self.methods))

    def best_of_families(self, kind: str) -> dict[str, str]:
        """Family -> its method with the highest mean PSNR over the noises of a kind; no specialists."""
        conditions = [condition for condition in self.conditions if condition.kind == kind]

        def mean_psnr(method: Method) -> float:
            found = [self.value(method.id, condition.id, "psnr") for condition in conditions]
            return fmean(-math.inf if value is None else value for value in found)

        general = [method for method in self.methods if method.specialty is None]
        return {m.family: m.id for m in sorted(general, key=mean_psnr)} if conditions else {}

    @cached_property
    def networks(self) -> tuple[Method, ...]:
        """Whatever was trained: the specialists first, then the others."""
        trained = [method for method in self.methods if method.trained_on is not None]
        return tuple(sorted(trained, key=lambda method: method.specialty is None))

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        """Every kind of noise that was measured at two strengths or more."""
        groups: dict[tuple[str, tuple[float, ...]], list[Condition]] = {}
        for condition in self.conditions:
            if condition.kind is not None and condition.settings:
                groups.setdefault((condition.kind, condition.settings[1:]), []).append(condition)
        return tuple(
            _curve(kind, rest, members, [k for k, _ in groups].count(kind) > 1)
            for (kind, rest), members in groups.items()
            if len({member.settings[0] for member in members}) > 1
        )


@dataclass(frozen=True)
class Series:
    """One column of a training history.

    Attributes:
        name: The column.
        label: Name for people.
        steps: When it was written down, in batches seen.
        values: What was.
    """

    name: str
    label: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class History:
    """How a model was trained.

    Attributes:
        model: Its id.
        validation: PSNR on validation noises; the mean over them, ``val_psnr``, first.
        losses: Losses on the training pictures; a GAN has three.
    """

    model: str
    validation: tuple[Series, ...]
    losses: tuple[Series, ...]


_Labelled = TypeVar("_Labelled", Method, Condition)


def read_benchmark(path: Path = WEIGHTS / BENCHMARK_NAME) -> Benchmark:
    """Read the scores of all denoisers.

    Args:
        path: Of ``benchmark.json``; ``realism.json`` need not lie beside it, and what it has of other
            weights than were benchmarked is left out.

    Raises:
        ResultsError: The file is missing, or one is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        noises, denoisers, scores = (content[key] for key in ("noises", "denoisers", "scores"))
        realism = _read_realism(path.with_name(REALISM_NAME), denoisers)
        return Benchmark(
            facts=_facts(content),
            methods=_with_unique_labels(map(_method, denoisers)),
            conditions=_with_unique_labels(_sorted(read_condition(*noise) for noise in noises.items())),
            scores={_pair(s): _metrics(s) | _metrics(realism.get(_pair(s), {})) for s in scores},
            intervals={pair: _intervals(entry) for pair, entry in realism.items()},
            floors=_metrics(realism.get((CLEAN, CLEAN), {})),
            noises={name: read_noise(entry) for name, entry in noises.items() if _is_known(entry)},
            deviations={_pair(s): _deviations(s) for s in scores},
            pictures={_pair(s): int(s["pictures"]) for s in scores if "pictures" in s},
        )
    except OSError as error:
        raise ResultsError(
            f"There are no results to show: {path.name} can't be read; "
            "`python -m train evaluate --data PATH` writes it."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"The results can't be shown: {path.name} is damaged; "
            "`python -m train evaluate --data PATH` writes it anew."
        ) from error


def list_histories(weights: Path = WEIGHTS) -> tuple[str, ...]:
    """Return the ids of all models that have a training history."""
    return tuple(sorted(path.parent.name for path in weights.glob(f"*/{HISTORY_NAME}")))


def read_history(model: str, weights: Path = WEIGHTS) -> History:
    """Read how a model was trained.

    Args:
        model: Its id.
        weights: Folder with one folder for each model.

    Raises:
        ResultsError: There is no such history, or it is damaged.
    """
    if model not in list_histories(weights):
        raise ResultsError(f"There is no training history of {model!r}.")
    try:
        with (weights / model / HISTORY_NAME).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        columns = [name for name in rows[0] if name.startswith(_VALIDATION) or name.endswith(_LOSS)]
        labels = _column_labels(model, weights)
        series = [_series(rows, name, labels) for name in columns]
        series = [s for s in series if s.steps]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, csv.Error) as error:
        raise ResultsError(f"The training history of {model!r} is damaged.") from error
    validation = [s for s in series if s.name.startswith(_VALIDATION)]
    validation.sort(key=lambda s: s.name != _VALIDATION)
    return History(model, tuple(validation), tuple(s for s in series if s.name.endswith(_LOSS)))


def read_noise(entry: Mapping[str, Any]) -> NoiseModel:
    """Make a noise that a file of results holds as kind and parameters, or a chain as such stages.

    Raises:
        ValueError: A kind or parameter is unknown, or out of range.
        LookupError: It has no kind or no parameters.
        TypeError: It is nothing of the sort.
    """
    stages = [create_noise(e["kind"], **e["parameters"]) for e in entry.get("stages", [entry])]
    return stages[0] if len(stages) == 1 else NoiseChain(tuple(stages))


def read_condition(condition_id: str, entry: Mapping[str, Any]) -> Condition:
    """Read a noise that a file of results holds as kind and parameters, or a chain as such stages.

    One of a kind that this version doesn't know has its id for a name, and stands on no curve.

    Raises:
        ValueError: A parameter is unknown or out of range.
        LookupError: It has no kind or no parameters.
        TypeError: It is nothing of the sort.
    """
    if not _is_known(entry):
        return Condition(condition_id, condition_id, condition_id, None, ())
    noise = read_noise(entry)
    label = " + ".join(map(_strength_label, noise_stages(noise)))
    if isinstance(noise, NoiseChain):
        return Condition(condition_id, label, noise.describe(), None, ())
    return Condition(condition_id, label, noise.describe(), noise.id, _settings(noise))


def _is_known(entry: Mapping[str, Any]) -> bool:
    """Tell whether this version has all kinds of noise that a noise on file is made of."""
    return all(str(stage["kind"]) in _KINDS for stage in entry.get("stages", [entry]))


def _settings(noise: NoiseModel) -> tuple[float, ...]:
    return tuple(p.displayed(getattr(noise, p.name)) for p in noise.parameters)


def _strength_label(noise: NoiseModel) -> str:
    name = noise.label.partition(" (")[0]
    if not noise.parameters:
        return name
    unit = " %" if noise.parameters[0].unit.startswith("%") else ""
    return f"{name} {_settings(noise)[0]:.3g}{unit}"


def _facts(content: Mapping[str, Any]) -> dict[str, str]:
    facts = {key: str(value) for key, value in content.items() if isinstance(value, str | int)}
    versions = content.get("versions", {})
    return facts | {"versions": ", ".join(f"{name} {number}" for name, number in versions.items())}


def _method(entry: Mapping[str, Any]) -> Method:
    milliseconds = entry.get("milliseconds")
    trained_on = entry.get("trained_on")
    return Method(
        id=str(entry["id"]),
        label=str(entry["label"]),
        family=str(entry["family"]),
        parameters=int(entry["parameters"]),
        milliseconds=None if milliseconds is None else float(milliseconds),
        trained_on=None if trained_on is None else describe_trained_on(parse_trained_on(trained_on)),
        reference=str(entry["reference"]),
    )


def _pair(entry: Mapping[str, Any]) -> tuple[str, str]:
    return str(entry["denoiser"]), str(entry["noise"])


def _read_realism(
    path: Path, denoisers: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], dict[str, float]]:
    """Read what ``realism.json`` measured of denoisers that have the same weights in the benchmark.

    PSNR and others that it has, too, are of fewer pictures: the benchmark's are shown.

    Raises:
        ResultsError: It is damaged.
    """
    if not path.exists():
        return {}
    weights = {entry["id"]: entry.get("weights") for entry in denoisers}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        same = {e["id"] for e in content["denoisers"] if e["weights"] == weights.get(e["id"])}
        return {
            _pair(entry): {key: float(entry[key]) for key in entry if key.startswith(_REALISM)}
            for entry in content["scores"]
            if entry["denoiser"] in {NOISY, CLEAN, *same}
        }
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"The results can't be shown: {path.name} is damaged; "
            "`python -m train evaluate-realism --data PATH` writes it anew."
        ) from error


def _intervals(entry: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    return {name: (entry[f"{name}_low"], entry[f"{name}_high"]) for name in _REALISM if name in entry}


def _metrics(entry: Mapping[str, Any]) -> dict[str, float]:
    values = {name: entry.get(name) for name in METRICS}
    numbers = {name: float(value) for name, value in values.items() if value is not None}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def _deviations(entry: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(entry[f"{name}_std"]) for name in METRICS if f"{name}_std" in entry}


def _sorted(conditions: Iterable[Condition]) -> list[Condition]:
    order = list(_KINDS)

    def place(condition: Condition) -> tuple[Any, ...]:
        rank = len(order) if condition.kind is None else order.index(condition.kind)
        return rank, condition.settings[1:], condition.settings[:1]

    return sorted(conditions, key=place)


def _with_unique_labels(entries: Iterable[_Labelled]) -> tuple[_Labelled, ...]:
    """Add the id where two have the same label: a chart would take them for one."""
    all_entries = tuple(entries)
    count = Counter(entry.label for entry in all_entries)
    return tuple(
        entry if count[entry.label] == 1 else replace(entry, label=f"{entry.label} ({entry.id})")
        for entry in all_entries
    )


def _curve(kind: str, rest: tuple[float, ...], members: Sequence[Condition], several: bool) -> Curve:
    strength, *others = _KINDS[kind].parameters
    settings = [f"{other.label.lower()} {value:.3g}" for other, value in zip(others, rest, strict=True)]
    label = _KINDS[kind].label
    return Curve(
        id="_".join([kind, *(f"{value:g}" for value in rest)]),
        # The other parameters are only worth a word where they tell two curves apart.
        label=f"{label}, {', '.join(settings)}" if several else label,
        axis=f"{strength.label} ({strength.unit})",
        conditions=tuple(members),
    )


def _column_labels(model: str, weights: Path) -> dict[str, str]:
    """Name the columns of validation PSNR for people, as far as the model's config knows them."""
    try:
        noises = read_config(model, weights).validation.items()
        return {f"{_VALIDATION}_{name}": read_condition(name, noise).label for name, noise in noises}
    except (WeightsError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _series(rows: Sequence[Mapping[str, str]], name: str, labels: Mapping[str, str]) -> Series:
    """Take what is written in a column; a row holds the columns of one moment, others are empty."""
    points = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
    finite = [point for point in points if math.isfinite(point[1])]
    label = labels.get(name, name.removeprefix(f"{_VALIDATION}_"))
    if name == _VALIDATION:
        label = "Mean"
    elif name.endswith(_LOSS):
        label = name.replace("train_", "training_").replace("_", " ").capitalize()
    return Series(name, label, tuple(step for step, _ in finite), tuple(value for _, value in finite))
