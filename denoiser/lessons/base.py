"""What a lesson is, what its demonstration returns, and what several lessons share.

A demonstration is a pure function: it gets the clean face and returns pictures, tables and a chart as
plain data. The page paints them; nothing here knows of Gradio or plotly.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from denoiser.analysis.results import METRICS, Benchmark
from denoiser.denoisers.registry import create_denoiser, ensure_loaded, list_denoisers
from denoiser.images import Image
from denoiser.metrics import psnr, ssim, write_number
from denoiser.pipeline import Corruption, Experiment, denoise
from denoiser.weights.checkpoint import WeightsError

UNMEASURED = "no score yet"
"""Stands for a score that is not in the benchmark."""


@dataclass(frozen=True)
class Picture:
    """One picture of a demonstration.

    Attributes:
        label: Name for people.
        image: (H, W) float32; shown clipped to [0, 1].
        psnr: In dB against the clean face; None where there is nothing to compare.
        ssim: Likewise; NaN where SSIM is not defined.
        note: One more line, such as another score.
    """

    label: str
    image: Image
    psnr: float | None = None
    ssim: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Pictures that belong side by side.

    Attributes:
        title: What they have in common.
        pictures: In the order in which they are shown.
        has_best: Whether the one of highest PSNR is marked.
    """

    title: str
    pictures: tuple[Picture, ...]
    has_best: bool = True


@dataclass(frozen=True)
class Table:
    """Numbers of a demonstration, written out.

    Attributes:
        caption: What it shows.
        columns: Headings; the first column names the rows.
        rows: As many texts in each as there are columns.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row needs as many cells as there are columns")


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        label: Its name in the legend.
        x: Horizontal places.
        y: As many vertical ones.
        dots: Mark the single points.
        line: Join them.
        method: Id of the denoiser that it is of, or ``NOISY``; None where it is of neither.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    dots: bool = False
    line: bool = True
    method: str | None = None

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError("a line needs as many x as y")


@dataclass(frozen=True)
class Mark:
    """A vertical line in a chart.

    Attributes:
        x: Where.
        label: What is there, in a word or two.
    """

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Lines over one axis.

    Attributes:
        title: What it shows.
        x_label: What the horizontal axis is, with its unit.
        y_label: Likewise the vertical one.
        lines: What to draw.
        marks: Places on the horizontal axis.
        log_x: Whether the horizontal axis is logarithmic.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = ()
    log_x: bool = False


@dataclass(frozen=True)
class Demonstration:
    """What a lesson computed from a face.

    Attributes:
        groups: Pictures.
        tables: Numbers.
        chart: Curves; None where the lesson has none.
        remarks: What is to be seen on this face, or why something is missing; a sentence each.
    """

    groups: tuple[Group, ...] = ()
    tables: tuple[Table, ...] = ()
    chart: Chart | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Slider:
    """What a person may turn in a demonstration.

    Attributes:
        label: What it is, with its unit.
        minimum: Its lower end.
        maximum: Its upper end.
        default: Where it starts.
        step: Distance of two positions.
    """

    label: str
    minimum: float
    maximum: float
    default: float
    step: float

    def read(self, value: object) -> float:
        """Return a position; whatever is no number within the ends counts as the default."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self.default
        return float(value) if self.minimum <= value <= self.maximum else self.default


@dataclass(frozen=True)
class Source:
    """Where a claim is from.

    Attributes:
        text: Authors, year and title or journal.
        url: Where to read it.
    """

    text: str
    url: str

    @classmethod
    def doi(cls, text: str, doi: str) -> "Source":
        """Name a paper by its DOI."""
        return cls(f"{text}, doi:{doi}", f"https://doi.org/{doi}")

    @classmethod
    def arxiv(cls, text: str, number: str) -> "Source":
        """Name a paper by its arXiv number."""
        return cls(f"{text}, arXiv:{number}", f"https://arxiv.org/abs/{number}")


@dataclass(frozen=True)
class Results:
    """Our own benchmark, as the texts quote it.

    Attributes:
        benchmark: The committed results; None where they can't be read.
    """

    benchmark: Benchmark | None

    def value(self, method: str, condition: str, metric: str = "psnr") -> float | None:
        """Return a score, or None where there is none."""
        return None if self.benchmark is None else self.benchmark.value(method, condition, metric)

    def score(self, method: str, condition: str, metric: str = "psnr") -> str:
        """Write a score with its unit, such as ``26.72 dB``, or say that there is none yet.

        Args:
            method: Id of a denoiser, or ``"noisy"``.
            condition: Id of one of the benchmark's noises.
            metric: One of :data:`~denoiser.analysis.results.METRICS`.
        """
        value = self.value(method, condition, metric)
        return UNMEASURED if value is None else f"{METRICS[metric].format(value)}{_unit(metric)}"

    def difference(self, first: str, second: str, condition: str, metric: str = "psnr") -> str:
        """Write by how much a score is above another one, with its sign and unit."""
        values = self.value(first, condition, metric), self.value(second, condition, metric)
        if values[0] is None or values[1] is None:
            return UNMEASURED
        digits = METRICS[metric].digits
        return write_number(values[0] - values[1], digits, signed=True) + _unit(metric)

    def parameters(self, method: str) -> str:
        """Write how many parameters a denoiser has learned."""
        methods = () if self.benchmark is None else self.benchmark.methods
        counts = [m.parameters for m in methods if m.id == method]
        return f"{counts[0]:,}" if counts else "not counted yet"


Demonstrate = Callable[[Image, float, Results], Demonstration]
"""Gets the clean face (H, W), the slider's position (0 without one) and the benchmark."""


@dataclass(frozen=True)
class Lesson:
    """A guided experiment: predict, look, explain.

    Attributes:
        id: Stays the same for ever.
        title: A few words.
        minutes: How long it takes.
        question: What is asked, before anything is seen.
        options: The answers to choose from.
        answer: Which of them is right, counted from 0.
        experiment: What "Open under Compare" sets.
        look: What to look at there and in the demonstration.
        demonstrate: Computes the demonstration.
        explain: Writes the explanation in Markdown, with numbers of the benchmark.
        sources: Where it is from.
        slider: What can be turned in the demonstration, if anything.
    """

    id: str
    title: str
    minutes: int
    question: str
    options: tuple[str, ...]
    answer: int
    experiment: Experiment
    look: str
    demonstrate: Demonstrate = field(repr=False)
    explain: Callable[[Results], str] = field(repr=False)
    sources: tuple[Source, ...]
    slider: Slider | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.answer < len(self.options):
            raise ValueError(f"lesson {self.id!r} has no option {self.answer}")


def score_picture(label: str, image: np.ndarray, clean: Image, note: str = "") -> Picture:
    """Score a picture against the clean face, unclipped noise included."""
    image = np.asarray(image, np.float32)
    return Picture(
        label,
        image,
        psnr(image, clean, check_range=False),
        ssim(image, clean, check_range=False),
        note,
    )


def run_methods(corruption: Corruption, method_ids: Iterable[str]) -> tuple[list[Picture], list[str]]:
    """Denoise with every method that can run.

    Returns:
        The noisy picture and the denoised ones, scored; and a sentence for each that could not run.
    """
    pictures = [score_picture("Noisy", corruption.noisy, corruption.clean)]
    missing = []
    for method_id in method_ids:
        try:
            check_available(method_id)
            result = denoise(corruption.noisy, method_id, sigma=corruption.sigma)
        except WeightsError as error:
            missing.append(str(error))
        else:
            label = create_denoiser(method_id).info.label
            pictures.append(score_picture(label, result.image, corruption.clean))
    return pictures, list(dict.fromkeys(missing))


def check_available(method_id: str) -> None:
    """Return if a denoiser can run at once.

    Raises:
        WeightsError: It can't; the message is a sentence for a person.
    """
    if method_id not in list_denoisers():
        raise WeightsError(f"{method_id} has not been trained yet.")
    ensure_loaded(method_id)


def best_picture(pictures: Iterable[Picture]) -> Picture:
    """Return the picture of highest PSNR."""
    return max(pictures, key=lambda picture: -math.inf if picture.psnr is None else picture.psnr)


def _unit(metric: str) -> str:
    return " dB" if metric in ("psnr", "spectral_distance") else ""
