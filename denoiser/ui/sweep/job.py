"""What the tab "Sweep" computes: a sweep, one of the assumed strength, or an experiment drawn again.

A job is prepared here, and its points come one by one. No Gradio in here.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from denoiser.analysis.results import NOISY, NOISY_LABEL
from denoiser.analysis.sweeps import (
    SEED,
    Axis,
    assumed_axis,
    find_hyperparameter,
    hyperparameter_axes,
    hyperparameter_axis,
    noise_axes,
    noise_axis,
    sweep_assumed,
    sweep_hyperparameter,
    sweep_noises,
    sweep_seeds,
    trained_range,
    vary,
)
from denoiser.denoisers.base import Denoiser, describe_method
from denoiser.denoisers.filters import CLASSICAL_DENOISERS
from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.denoisers.registry import find_available, list_denoisers
from denoiser.pipeline import Experiment, SweepPoint, corrupt, score_noisy
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.experiment.run import Face, describe_methods, experiment_key, with_own

VIEWS: Mapping[str, str] = {
    "sweep": "Sweep",
    "assumed": "Assumed strength",
    "redraw": "Re-draw",
}
"""What the tab can show: id and name for people."""

PLACES = (9, 17, 33)
"""How many places a sweep can have."""

DRAWS = (1, 4, 8)
"""How many seeds each place of a sweep can have."""

SEEDS = (8, 16, 32, 64)
"""How many seeds the axis of seeds and the re-draw can have."""

_NO_NOISE = (
    "With no noise there is nothing to remove: the noisy picture is the clean one and has no point, and "
    "what a method does to it is harm."
)


@dataclass(frozen=True)
class Choice:
    """What the tab's own controls say.

    Attributes:
        view: A key of :data:`VIEWS`.
        methods: Ids of the denoisers.
        axis: Id of what a sweep goes along.
        places: How many places it has.
        draws: How many seeds each of them has.
        seeds: How many seeds the axis of seeds, or the re-draw, has.
    """

    view: str
    methods: tuple[str, ...]
    axis: str
    places: int
    draws: int
    seeds: int


@dataclass(frozen=True)
class Job:
    """What is to be computed, and how it is shown.

    Attributes:
        key: Equal for equal jobs.
        choice: What was asked for.
        axis: What the chart goes along; of a re-draw, the seeds.
        labels: Names by id of all that is drawn, the noisy picture first.
        total: How many points there will be.
        run: Computes them.
        notes: Sentences for people.
        trained: Which part of the axis each network was trained on.
        flat: Ids of methods that are the same at every place.
    """

    key: str
    choice: Choice
    axis: Axis
    labels: Mapping[str, str]
    total: int
    run: Callable[[], Iterator[SweepPoint]]
    notes: tuple[str, ...]
    trained: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    flat: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Request:
    """What a job is made of.

    Attributes:
        face: The face.
        experiment: The experiment under "Compare".
        choice: What was asked for.
        methods: Those that can run.
    """

    face: Face
    experiment: Experiment
    choice: Choice
    methods: tuple[Denoiser, ...]

    @property
    def labels(self) -> dict[str, str]:
        """Names by id of all that is drawn, the noisy picture first."""
        return {NOISY: NOISY_LABEL} | {
            method.info.id: describe_method(method.info, method.values) for method in self.methods
        }

    @property
    def key(self) -> str:
        """Equal for equal jobs; a model that has come since makes another one."""
        inputs_key = experiment_key(self.face, self.experiment)
        return repr((inputs_key, self.choice, list(self.labels)))

    @property
    def options(self) -> dict[str, bool]:
        """How the noisy picture is finished."""
        return {"clip": self.experiment.clip, "round_8bit": self.experiment.round_8bit}

    def seeds(self, count: int) -> list[int]:
        """Return so many seeds, from that of the experiment."""
        return [self.experiment.seed + index for index in range(count)]


def axis_choices(experiment: Experiment) -> list[tuple[str, str]]:
    """Name what a sweep can go along: name and id."""
    axes = noise_axes(experiment.noise) | {SEED: "Seed of the noise"}
    axes |= hyperparameter_axes(list_denoisers())
    return [(label, axis_id) for axis_id, label in axes.items()]


def parse_choice(
    view: Any, methods: Any, axis: Any, places: Any, draws: Any, seeds: Any, experiment: Experiment
) -> Choice:
    """Turn what the tab's controls hold into a choice. It comes from a browser and may be anything.

    An axis that this noise does not have becomes its first one: the noise may have changed meanwhile.

    Raises:
        ExperimentError: Something is not among what is offered.
    """
    known = [*list_denoisers(), OWN_MODEL]
    if not isinstance(methods, list | tuple) or any(method not in known for method in methods):
        raise ExperimentError("One of the methods is unknown.")
    for value, offered in ((view, VIEWS), (places, PLACES), (draws, DRAWS), (seeds, SEEDS)):
        if isinstance(value, list | dict) or value not in offered:
            raise ExperimentError("One of the choices of this tab is unknown.")
    axes = [axis_id for _, axis_id in axis_choices(experiment)]
    return Choice(
        view=view,
        methods=tuple(method for method in known if method in methods),
        axis=axis if axis in axes else axes[0],
        places=int(places),
        draws=int(draws),
        seeds=int(seeds),
    )


def create_job(face: Face, experiment: Experiment, choice: Choice) -> Job:
    """Prepare what is to be computed; methods that can't run are left out, and a note says so.

    Raises:
        ExperimentError: This can't be computed with this noise.
    """
    names = choice.methods
    notes: list[str] = []
    found = find_hyperparameter(choice.axis) if choice.view == "sweep" else None
    if choice.view == "assumed":
        names = _with_filters(names, experiment, notes)
    if found is not None:
        names = tuple(dict.fromkeys((*names, found[0])))
    methods, missing = _load(names, experiment)
    notes += missing
    kinds = {
        "assumed": _assumed_job,
        "redraw": _redraw_job,
        "sweep": {SEED: _seed_job}.get(choice.axis, _noise_job),
    }
    if found is not None:
        if found[0] not in (method.info.id for method in methods):
            raise ExperimentError(" ".join(missing))
        kinds["sweep"] = _hyperparameter_job
    return kinds[choice.view](_Request(face, experiment, choice, tuple(methods)), notes)


def _with_filters(names: tuple[str, ...], experiment: Experiment, notes: list[str]) -> tuple[str, ...]:
    """Add the filters that take a strength where none of the methods chosen does."""
    known = with_own(describe_methods(), experiment)
    if any(known[name].uses_sigma for name in names):
        return names
    notes.append("None of the methods chosen takes a strength, so the filters that do are drawn too.")
    return (*names, *(method.info.id for method in CLASSICAL_DENOISERS if method.info.uses_sigma))


def _load(names: Sequence[str], experiment: Experiment) -> tuple[list[Denoiser], list[str]]:
    """Return the methods that can run, and a sentence for each that can't."""
    available = find_available(names, hyperparameters=experiment.hyperparameters, own=experiment.own)
    later = [f"{sentence} Press Run once it has come." for sentence in available.loading.values()]
    return list(available.denoisers.values()), [*available.failures.values(), *later]


def _noise_job(request: _Request, notes: list[str]) -> Job:
    face, noise, choice = request.face, request.experiment.noise, request.choice
    axis = noise_axis(face.image, noise, choice.axis, choice.places)
    infos = [method.info for method in request.methods]
    ranges = {info.id: trained_range(info, noise, axis.id) for info in infos}
    trained = {name: ends for name, ends in ranges.items() if ends is not None}
    notes.extend(_training_notes(trained, request.labels))
    least = vary(noise, axis.id, axis.values[0])
    if math.isinf(score_noisy(corrupt(face.image, least)).psnr or 0.0):
        notes.append(_NO_NOISE)
    _note_draws(choice, notes)
    seeds = request.seeds(choice.draws)

    def run() -> Iterator[SweepPoint]:
        noises = ((value, vary(noise, axis.id, value)) for value in axis.values)
        return sweep_noises(face.image, noises, seeds, request.methods, **request.options)

    total = len(axis.values) * len(seeds)
    return Job(request.key, choice, axis, request.labels, total, run, tuple(notes), trained)


def _hyperparameter_job(request: _Request, notes: list[str]) -> Job:
    experiment, choice = request.experiment, request.choice
    found = find_hyperparameter(choice.axis)
    assert found is not None
    method_id, parameter = found
    method = next(m for m in request.methods if m.info.id == method_id)
    others = [m for m in request.methods if m.info.id != method_id]
    # The setting that the chart goes along is on its axis.
    fixed = {name: value for name, value in method.values.items() if name != parameter.name}
    labels = {NOISY: NOISY_LABEL, method_id: describe_method(method.info, fixed)}
    labels |= {m.info.id: describe_method(m.info, m.values) for m in others}
    current = method.values.get(parameter.name, parameter.default)
    axis = hyperparameter_axis(choice.axis, choice.places, current)
    notes.append(f"Only {method.info.label} changes; the flat lines are there to compare with.")
    _note_draws(choice, notes)
    seeds = request.seeds(choice.draws)

    def run() -> Iterator[SweepPoint]:
        return sweep_hyperparameter(
            request.face.image,
            experiment.noise,
            seeds,
            method,
            parameter,
            axis.values,
            others,
            **request.options,
        )

    total = len(axis.values) * len(seeds)
    flat = tuple(m.info.id for m in others)
    return Job(request.key, choice, axis, labels, total, run, tuple(notes), flat=flat)


def _seed_job(request: _Request, notes: list[str]) -> Job:
    own = request.experiment.seed
    notes.append("Lines are means over the seeds, bands one standard deviation to either side.")
    return _drawn_job(request, notes, marks=((float(own), f"Compare: {own}"),))


def _redraw_job(request: _Request, notes: list[str]) -> Job:
    notes.append(
        "Thick bars: standard error, how sure the mean is. Thin bars: standard deviation, how far one "
        "draw lies from it. Numbers below the maps are root mean squares over the picture, of 255; what "
        "chance adds to the map of the bias is taken off."
    )
    return _drawn_job(request, notes)


def _drawn_job(request: _Request, notes: list[str], marks: tuple[tuple[float, str], ...] = ()) -> Job:
    """Draw the same experiment with one seed after the other."""
    seeds = request.seeds(request.choice.seeds)
    axis = Axis(SEED, "Seed of the noise", tuple(map(float, seeds)), marks)

    def run() -> Iterator[SweepPoint]:
        return sweep_seeds(
            request.face.image, request.experiment.noise, seeds, request.methods, **request.options
        )

    return Job(request.key, request.choice, axis, request.labels, len(seeds), run, tuple(notes))


def _assumed_job(request: _Request, notes: list[str]) -> Job:
    image, experiment, labels = request.face.image, request.experiment, request.labels
    try:
        axis = assumed_axis(image, experiment.noise, experiment.seed, **request.options)
    except ValueError as error:
        raise ExperimentError(
            "This noise has no standard deviation that a filter could be told. Choose Gaussian, "
            "Poisson or speckle noise above 0 under Compare."
        ) from error
    flat = tuple(method.info.id for method in request.methods if not method.info.uses_sigma)
    if flat:
        names = ", ".join(labels[name] for name in flat)
        notes.append(f"Flat lines take no strength, whatever is assumed: {names}.")

    def run() -> Iterator[SweepPoint]:
        return sweep_assumed(
            image, experiment.noise, experiment.seed, request.methods, axis.values, **request.options
        )

    total = len(axis.values)
    return Job(request.key, request.choice, axis, labels, total, run, tuple(notes), flat=flat)


def _note_draws(choice: Choice, notes: list[str]) -> None:
    if choice.draws > 1:
        notes.append(
            f"Curves are means of {choice.draws} draws, bars one standard deviation; pictures are of "
            "the first draw."
        )


def _training_notes(trained: Mapping[str, tuple[float, float]], labels: Mapping[str, str]) -> list[str]:
    """Say in words what the bars below the chart show."""
    groups: dict[tuple[float, float], list[str]] = {}
    for name, ends in trained.items():
        groups.setdefault(ends, []).append(labels[name])
    parts = [
        f"{', '.join(names)}: {low:g}" if low == high else f"{', '.join(names)}: {low:g} to {high:g}"
        for (low, high), names in groups.items()
    ]
    return [f"Trained on, in units of the axis. {'; '.join(parts)}."] if parts else []
