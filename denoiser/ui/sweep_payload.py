"""What the tab "Sweep" computes and what its pictures are sent: plain data, no Gradio in here.

A job is one of three: a sweep, a sweep of the assumed strength, or the same experiment drawn again. Its
points come one by one. The pictures of a sweep are frames, one for each place on the axis, which the
browser has ready before somebody points there; those of a re-draw are one frame, of maps.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from denoiser.background import LoadingError
from denoiser.base import Denoiser, Image, as_sentence
from denoiser.classical import CLASSICAL_DENOISERS
from denoiser.images import to_uint8
from denoiser.pipeline import Comparison, DenoiseResult, SweepPoint, corrupt, score_noisy
from denoiser.redraw import maps, paired_difference, verdict
from denoiser.registry import create_denoiser, ensure_loaded, list_denoisers
from denoiser.results import NOISY, NOISY_LABEL
from denoiser.sweeps import (
    SEED,
    WINDOW,
    WINDOW_MEDIAN,
    WINDOWS,
    Axis,
    assumed_axis,
    gain,
    noise_axes,
    noise_axis,
    sweep_assumed,
    sweep_noises,
    sweep_seeds,
    sweep_windows,
    trained_range,
    vary,
    window_median,
)
from denoiser.ui.payload import Face, Payload, encode_pixels, new_version, write_number
from denoiser.ui.settings import Settings, SettingsError
from denoiser.weights import WeightsError

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

METRICS: Mapping[str, str] = {"psnr": "PSNR", "ssim": "SSIM", "gain": "Gain in dB"}
"""What the chart can show: id and name for people."""

MAP_RANGE = 32
"""Where the colours of the maps end, in 1 of 255."""

_MINUS = "\N{MINUS SIGN}"
_NO_NOISE = (
    "With no noise, the noisy picture is the clean one: its PSNR is infinite, so it has no point, and "
    "no method can gain. A line that leaves the chart at the top leads to the number below its picture."
)
# Blue is too bright, brown too dark: the pair that everybody can tell apart.
_DARK, _NEUTRAL, _BRIGHT = (208, 132, 40), (247, 247, 247), (72, 144, 216)


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
        trained: Which part of the axis each network was trained on.
        flat: Ids of methods that are the same at every place.
        notes: Sentences for people.
    """

    key: str
    choice: Choice
    axis: Axis
    labels: Mapping[str, str]
    total: int
    run: Callable[[], Iterator[SweepPoint]]
    trained: Mapping[str, tuple[float, float]]
    flat: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Shown:
    """What a session's tab shows: a job, and the numbers computed so far.

    Attributes:
        offered: The methods of the tab "Compare" when they were last taken over.
        job: None as long as nothing could be computed.
        points: Without their pictures.
    """

    offered: tuple[str, ...] = ()
    job: Job | None = None
    points: tuple[SweepPoint, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether nothing is left to compute."""
        return self.job is not None and len(self.points) == self.job.total


def axis_choices(settings: Settings) -> list[tuple[str, str]]:
    """Name what a sweep can go along: name and id."""
    named = [(label, axis_id) for axis_id, label in noise_axes(settings.noise).items()]
    return [*named, ("Window of the median (pixels)", WINDOW), ("Seed of the noise", SEED)]


def parse_choice(
    view: Any, methods: Any, axis: Any, places: Any, draws: Any, seeds: Any, settings: Settings
) -> Choice:
    """Turn what the tab's controls hold into a choice. It comes from a browser and may be anything.

    An axis that this noise does not have becomes its first one: the noise may have changed meanwhile.

    Raises:
        SettingsError: Something is not among what is offered.
    """
    known = list_denoisers()
    if not isinstance(methods, list | tuple) or any(method not in known for method in methods):
        raise SettingsError("One of the methods is unknown.")
    for value, offered in ((view, VIEWS), (places, PLACES), (draws, DRAWS), (seeds, SEEDS)):
        if isinstance(value, list | dict) or value not in offered:
            raise SettingsError("One of the choices of this tab is unknown.")
    axes = [axis_id for _, axis_id in axis_choices(settings)]
    return Choice(
        view=view,
        methods=tuple(method for method in known if method in methods),
        axis=axis if axis in axes else axes[0],
        places=int(places),
        draws=int(draws),
        seeds=int(seeds),
    )


def create_job(face: Face, settings: Settings, choice: Choice) -> Job:
    """Prepare what is to be computed; methods that can't run are left out, and a note says so.

    Raises:
        SettingsError: This can't be computed with this noise.
    """
    names = choice.methods
    notes: list[str] = []
    if choice.view == "assumed":
        names = _with_filters(names, notes)
    methods, missing = _load(names)
    labels = {NOISY: NOISY_LABEL} | {method.info.id: method.info.label for method in methods}
    notes += missing
    key = repr((face.id, settings.noise, settings.seed, settings.clip, settings.round_8bit, choice))
    key += repr(list(labels))  # a model that has come since makes another job
    parts = {
        "sweep": _sweep_job,
        "assumed": _assumed_job,
        "redraw": _redraw_job,
    }
    return parts[choice.view](face, settings, choice, methods, labels, key, notes)


def frames(points: Sequence[SweepPoint], job: Job, clean: Image) -> list[Payload]:
    """Write down the pictures of some points, one frame for each place; of several draws, the first."""
    first = {point.value: point for point in reversed(points)}
    return [_frame(first[value], job, clean) for value in dict.fromkeys(p.value for p in points)]


def map_frame(points: Sequence[SweepPoint], job: Job, clean: Image) -> Payload:
    """Write down bias and spread of every method over all draws; there have to be two."""
    cards = []
    for name, label in job.labels.items():
        results = [_result(point.comparison, name) for point in points if point.comparison]
        made = maps([result.image for result in results], clean)
        cards.append(
            {
                "id": name,
                "label": label,
                "pictures": [
                    _picture(f"Bias of {label}", _diverging(made.bias), "Bias"),
                    _picture(f"Spread of {label}", _inferno(made.deviation), "Spread"),
                ],
                "lines": [
                    f"bias {255 * made.total_bias:.1f}",
                    f"spread {255 * made.total_deviation:.1f}",
                ],
            }
        )
    return {"place": 0, "title": f"{len(points)} draws", "cards": cards}


def pictures_payload(made: Sequence[Payload], job: Job, clean: Image) -> Payload:
    """Write down everything that is shown below the chart."""
    height, width = clean.shape
    ramp = np.linspace(-1, 1, 64)[None] * MAP_RANGE / 255
    legend: list[Payload] = []
    if job.choice.view == "redraw":
        legend = [
            {
                "text": "Bias: mean result minus clean, wrong in every draw",
                "low": f"{_MINUS}{MAP_RANGE}",
                "high": f"+{MAP_RANGE}",
                "picture": _picture("", _diverging(ramp)),
            },
            {
                "text": "Spread: standard deviation over the draws, different in every draw",
                "low": "0",
                "high": f"{MAP_RANGE} of 255",
                "picture": _picture("", _inferno((ramp + MAP_RANGE / 255) / 2)),
            },
        ]
    return {
        "version": new_version(),
        "width": width,
        "height": height,
        "axis": job.axis.label,
        "start": job.axis.marks[0][0] if job.axis.marks else job.axis.values[0],
        "frames": list(made),
        "legend": legend,
        "notes": list(job.notes),
    }


def without_pictures(points: Sequence[SweepPoint]) -> tuple[SweepPoint, ...]:
    """Return the numbers alone, which is what a session keeps."""
    return tuple(replace(point, comparison=None) for point in points)


def judge(shown: Shown, first: Any, second: Any, metric: str) -> str:
    """Say whether the gap between two methods is real, as far as the draws so far tell.

    Args:
        shown: What the tab shows.
        first: Id of a method or of the noisy picture; it comes from a browser and may be anything.
        second: Likewise.
        metric: A key of :data:`METRICS`.
    """
    job = shown.job
    if job is None or job.choice.view != "redraw" or len(shown.points) < 2:
        return ""
    if not all(isinstance(name, str) and name in job.labels for name in (first, second)):
        return "Choose two methods to compare."
    if first == second:
        return "Choose two different methods."
    # A gain is a PSNR less the noisy picture's, which is the same for both.
    scores = [
        [(point.ssim if metric == "ssim" else point.psnr)[name] for point in shown.points]
        for name in (first, second)
    ]
    names = [job.labels[name] for name in (first, second)]
    unit, digits = ("", 3) if metric == "ssim" else ("dB", 2)
    try:
        return verdict(paired_difference(*scores), *names, unit=unit, digits=digits)
    except ValueError:
        return "Nothing was damaged: a PSNR is infinite, and there is no gap to measure."


def default_pair(labels: Mapping[str, str]) -> tuple[str, str]:
    """Return which two to compare first: the first two methods, or what there is."""
    names = [*(name for name in labels if name != NOISY), NOISY]
    return names[0], names[1] if len(names) > 1 else names[0]


def _with_filters(names: tuple[str, ...], notes: list[str]) -> tuple[str, ...]:
    """Add the filters that take a strength where none of the methods chosen does."""
    takers = _strength_takers()
    if any(name in takers for name in names):
        return names
    notes.append("None of the methods chosen takes a strength, so the filters that do are drawn too.")
    return (*names, *takers)


def _strength_takers() -> list[str]:
    return [method.info.id for method in CLASSICAL_DENOISERS if method.info.uses_sigma]


def _load(names: Sequence[str]) -> tuple[list[Denoiser], list[str]]:
    """Return the methods that can run, and a sentence for each that can't."""
    methods: list[Denoiser] = []
    sentences: list[str] = []
    for name in names:
        try:
            ensure_loaded(name)
            methods.append(create_denoiser(name))
        except LoadingError as error:
            sentences.append(f"{as_sentence(error)} Press Run once it has come.")
        except WeightsError as error:
            sentences.append(as_sentence(error))
    return methods, sentences


def _sweep_job(
    face: Face,
    settings: Settings,
    choice: Choice,
    methods: list[Denoiser],
    labels: dict[str, str],
    key: str,
    notes: list[str],
) -> Job:
    seeds = [settings.seed + index for index in range(choice.draws)]
    run: Callable[[], Iterator[SweepPoint]]
    options = {"clip": settings.clip, "round_8bit": settings.round_8bit}
    flat: tuple[str, ...] = ()
    trained: dict[str, tuple[float, float]] = {}
    if choice.axis == SEED:
        seeds = [settings.seed + index for index in range(choice.seeds)]
        mark = ((float(settings.seed), f"Compare: {settings.seed}"),)
        axis = Axis(SEED, "Seed of the noise", tuple(map(float, seeds)), mark)
        notes.append("Lines are means over the seeds, bands one standard deviation to either side.")

        def run() -> Iterator[SweepPoint]:
            return sweep_seeds(face.image, settings.noise, seeds, methods, **options)
    elif choice.axis == WINDOW:
        median = window_median(3).info
        # Two of the listed filters are points of the curve.
        methods = [m for m in methods if m.info.id not in ("median", "median-5")]
        flat = tuple(method.info.id for method in methods)
        labels = {NOISY: NOISY_LABEL, WINDOW_MEDIAN: median.label} | {
            method.info.id: method.info.label for method in methods
        }
        windows = tuple(map(float, WINDOWS))
        axis = Axis(WINDOW, "Window of the median (pixels a side)", windows)
        notes.append("Only the median has a window; the flat lines are there to compare with.")

        def run() -> Iterator[SweepPoint]:
            return sweep_windows(face.image, settings.noise, seeds, methods, WINDOWS, **options)
    else:
        axis = noise_axis(face.image, settings.noise, choice.axis, choice.places)
        infos = [method.info for method in methods]
        found = {info.id: trained_range(info, settings.noise, axis.id) for info in infos}
        trained = {name: ends for name, ends in found.items() if ends is not None}
        notes.extend(_training_notes(trained, labels))
        least = vary(settings.noise, axis.id, axis.values[0])
        if math.isinf(score_noisy(corrupt(face.image, least)).psnr or 0.0):
            notes.append(_NO_NOISE)

        def run() -> Iterator[SweepPoint]:
            noises = ((value, vary(settings.noise, axis.id, value)) for value in axis.values)
            return sweep_noises(face.image, noises, seeds, methods, **options)

    if choice.draws > 1 and choice.axis != SEED:
        notes.append(
            f"Curves are means of {choice.draws} draws, bars one standard deviation; pictures are of "
            "the first draw."
        )
    total = len(axis.values) * (1 if choice.axis == SEED else len(seeds))
    return Job(key, choice, axis, labels, total, run, trained, flat, tuple(notes))


def _assumed_job(
    face: Face,
    settings: Settings,
    choice: Choice,
    methods: list[Denoiser],
    labels: dict[str, str],
    key: str,
    notes: list[str],
) -> Job:
    options = {"clip": settings.clip, "round_8bit": settings.round_8bit}
    try:
        axis = assumed_axis(face.image, settings.noise, settings.seed, **options)
    except ValueError as error:
        raise SettingsError(
            "This noise has no standard deviation that a filter could be told. Choose Gaussian, "
            "Poisson or speckle noise above 0 under Compare."
        ) from error
    flat = tuple(method.info.id for method in methods if not method.info.uses_sigma)
    if flat:
        names = ", ".join(labels[name] for name in flat)
        notes.append(f"Flat lines take no strength, whatever is assumed: {names}.")

    def run() -> Iterator[SweepPoint]:
        return sweep_assumed(face.image, settings.noise, settings.seed, methods, axis.values, **options)

    return Job(key, choice, axis, labels, len(axis.values), run, {}, flat, tuple(notes))


def _redraw_job(
    face: Face,
    settings: Settings,
    choice: Choice,
    methods: list[Denoiser],
    labels: dict[str, str],
    key: str,
    notes: list[str],
) -> Job:
    seeds = [settings.seed + index for index in range(choice.seeds)]
    axis = Axis(SEED, "Seed of the noise", tuple(map(float, seeds)))

    def run() -> Iterator[SweepPoint]:
        return sweep_seeds(
            face.image,
            settings.noise,
            seeds,
            methods,
            clip=settings.clip,
            round_8bit=settings.round_8bit,
        )

    notes.append(
        "Thick bars: standard error, how sure the mean is. Thin bars: standard deviation, how far one "
        "draw lies from it. Numbers below the maps are root mean squares over the picture, of 255; what "
        "chance adds to the map of the bias is taken off."
    )
    return Job(key, choice, axis, labels, len(seeds), run, {}, (), tuple(notes))


def _training_notes(trained: Mapping[str, tuple[float, float]], labels: Mapping[str, str]) -> list[str]:
    """Say in words what the bars below the chart show."""
    groups: dict[tuple[float, float], list[str]] = {}
    for name, ends in trained.items():
        groups.setdefault(ends, []).append(labels[name])
    told = [
        f"{', '.join(names)}: {low:g}" if low == high else f"{', '.join(names)}: {low:g} to {high:g}"
        for (low, high), names in groups.items()
    ]
    return [f"Trained on, in units of the axis. {'; '.join(told)}."] if told else []


def _frame(point: SweepPoint, job: Job, clean: Image) -> Payload:
    assert point.comparison is not None
    cards: list[Payload] = [
        {"id": "clean", "label": "Clean", "pictures": [_picture("Clean", to_uint8(clean))], "lines": []}
    ]
    for name, label in job.labels.items():
        result = _result(point.comparison, name)
        psnr, ssim = write_number(point.psnr[name], 2), write_number(point.ssim[name], 3)
        lines = [f"{psnr} dB", f"SSIM {ssim}"]
        above = gain(point, name)
        if name != NOISY:
            lines.append(f"{write_number(above, 2, signed=True)} dB gain")
        if result.sigma.value is not None:
            lines.append(f"told {255 * result.sigma.value:.1f} of 255")
        spoken = ", ".join([label, *lines])
        card: Payload = {"id": name, "label": label, "lines": lines}
        card["pictures"] = [_picture(spoken, to_uint8(result.image))]
        if name != NOISY and above < 0:
            card["flag"] = "worse than doing nothing"
        cards.append(card)
    return {"place": point.value, "title": f"{point.value:g}", "cards": cards}


def _result(comparison: Comparison | None, name: str) -> DenoiseResult:
    assert comparison is not None
    return comparison.noisy if name == NOISY else comparison[name]


def _picture(description: str, pixels: np.ndarray, title: str = "") -> Payload:
    """Encode gray (H, W) or coloured (H, W, 3) uint8 pixels."""
    return {
        "alt": description,
        "title": title,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "pixels": encode_pixels(pixels),
    }


def _diverging(values: np.ndarray) -> np.ndarray:
    """Colour values around zero; (H, W) on the [0, 1] scale to (H, W, 3) uint8."""
    place = np.clip(255 * values / MAP_RANGE, -1, 1)
    ends = zip(_DARK, _NEUTRAL, _BRIGHT, strict=True)
    channels = [np.interp(place, (-1, 0, 1), end) for end in ends]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def _inferno(values: np.ndarray) -> np.ndarray:
    """Colour values from zero; (H, W) on the [0, 1] scale to (H, W, 3) uint8."""
    place = np.rint(255 * np.clip(255 * values / MAP_RANGE, 0, 1)).astype(np.uint8)
    return cv2.applyColorMap(place, cv2.COLORMAP_INFERNO)[..., ::-1]
