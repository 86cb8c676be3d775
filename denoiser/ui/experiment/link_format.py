"""A link that holds a whole experiment, readable and made to be edited; no Gradio in here.

``?face=lfw-7&noise=gaussian&sigma=25&seed=3&methods=attention-unet,median&weights=v1&show=error``

Numbers are in the units of the page's sliders. A second noise is ``second=jpeg&second-quality=20``, and
there may be a third and a fourth; a method's own settings are ``nl-means:strength=1.2``. A face that has
more than 48x48 gray pixels is asked for with ``face-size=128`` and ``colour=yes``.
``clip=no`` and ``round=yes`` are written where they apply. ``show`` is the view of the grid, ``tab`` the
open tab, and ``lesson`` the lesson that is open there or, with ``tab=compare``, whose task stands above
the comparison; none of them changes a number, and the page's script adds them. ``embed=true`` leaves the
stage, or the lesson, alone on the page, for a frame in another site's.

What a link promises:

- What :func:`write_link` writes names all that the app's defaults decide today, so a link made now means
  the same when they change. What it leaves out belongs to the format and stays: no second noise,
  clipped, not rounded, a face of 48x48 in gray. (A link typed by a person may leave out anything; the
  app's defaults fill in.)
- The same clean and noisy pixels on every machine: ids of sample faces are stable, numbers survive the
  way into the link and back exactly, and the noise's seed gives the same noise everywhere.
- The same denoised pictures and scores for the same ``weights``, up to the last bits in which processors
  differ: at most one grey level of a network's pixel, which is less than the scores' last digit shows.
  Where the weights are others, the page says so.
- An uploaded face is in no link. ``face=own`` says that there was one.

A link comes from a stranger. What is unknown or out of range becomes a sentence of our own, which
repeats nothing of the text, and the rest is used.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import numpy as np

from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.denoisers.registry import (
    DEFAULT_DENOISERS,
    list_denoisers,
    list_hyperparameters,
)
from denoiser.lessons import LESSONS
from denoiser.noise import (
    NOISES,
    GaussianNoise,
    NoiseChain,
    NoiseModel,
    Parameter,
    create_noise,
    list_noises,
    noise_kind,
    noise_stages,
)
from denoiser.pipeline import FACE_SIZES, Experiment
from denoiser.ui.experiment.parsing import (
    ExperimentError,
    parse_face_size,
    parse_hyperparameters,
    parse_seed,
    parse_value,
)
from denoiser.ui.server.security import EMBED_PARAMETER, is_embedded
from denoiser.weights.hub import WEIGHTS_VERSION

VIEWS = ("picture", "error", "residual")
"""What the grid can show."""

OWN_FACE = "own"

COMPARE_TAB, LESSONS_TAB = "compare", "lessons"
"""Ids of the tabs that a lesson has to do with, and that can be embedded; the first one opens first."""

CLASS_PARAMETER = "class"
"""The key under which an address names a class of the blind test."""

_STAGES = {"noise": "", "second": "second-", "third": "third-", "fourth": "fourth-"}
"""The key of each noise, and what comes before the names of its strengths."""

_KEYS = (
    "face",
    "face-size",
    "colour",
    *_STAGES,
    "seed",
    "clip",
    "round",
    "methods",
    "weights",
    "show",
    "tab",
    "lesson",
    EMBED_PARAMETER,
)
_NO_METHODS = "none"
_LONGEST = 4000  # characters; the longest that the app writes has about 1,000
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_SWITCHES = {"yes": True, "no": False, "1": True, "0": False}


@dataclass(frozen=True)
class Link:
    """What a link asks for, checked.

    Attributes:
        experiment: The face, the noise and the methods; the sample's id is unchecked.
        view: One of :data:`VIEWS`.
        tab: Id of the tab to open, unchecked; None for the first.
        lesson: Id of the lesson that is open in its tab, or whose task stands above the comparison.
        own_face: Whether it was made with an uploaded face.
        problems: What of it can't be used: parts of a sentence.
    """

    experiment: Experiment
    view: str = VIEWS[0]
    tab: str | None = None
    lesson: str | None = None
    own_face: bool = False
    problems: tuple[str, ...] = ()


def write_link(experiment: Experiment) -> str:
    """Write an experiment as a query, without the question mark; no sample means an uploaded face.

    A model of the session's own is in no link.
    """
    methods = [method_id for method_id in experiment.methods if method_id != OWN_MODEL]
    stages = noise_stages(experiment.noise)
    fields = {"face": experiment.sample or OWN_FACE}
    if experiment.face_size != FACE_SIZES[0]:
        fields["face-size"] = str(experiment.face_size)
    if experiment.colour:
        fields["colour"] = "yes"
    for (key, prefix), stage in zip(_STAGES.items(), stages, strict=False):
        fields[key] = stage.id
        for parameter in stage.parameters:
            fields[prefix + _key(parameter)] = _write_number(parameter, getattr(stage, parameter.name))
    fields["seed"] = str(experiment.seed)
    if not experiment.clip:
        fields["clip"] = "no"
    if experiment.round_8bit:
        fields["round"] = "yes"
    fields["methods"] = ",".join(methods) or _NO_METHODS
    for method_id in methods:
        own = experiment.hyperparameters.get(method_id, {})
        for _, parameter in list_hyperparameters([method_id]):
            value = own.get(parameter.name, parameter.default)
            fields[hyperparameter_key(method_id, parameter)] = _write_number(parameter, value)
    fields["weights"] = WEIGHTS_VERSION
    return urlencode(fields, safe=",:")


def names_class(query: str) -> bool:
    """Tell whether an address invites to a class of the blind test."""
    return CLASS_PARAMETER in dict(parse_qsl(query.removeprefix("?")[:_LONGEST]))


def read_link(query: str) -> Link | None:
    """Read a query; None where it holds nothing that belongs to a link.

    It comes from a browser and may be any text. Keys that no link has are left alone: hosts and
    messengers add their own.
    """
    query = query.removeprefix("?")
    if len(query) > _LONGEST:
        return Link(Experiment(), problems=("it is too long to be one of ours",))
    fields: dict[str, str] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        fields.setdefault(key, text)
    if fields.keys().isdisjoint(link_keys()):
        return None

    problems: list[str] = []
    first, *others = (_read_noise(fields, key, problems) for key in _STAGES)
    stages = (first or GaussianNoise(), *(stage for stage in others if stage is not None))
    face = fields.get("face")
    methods = _read_methods(fields, problems)
    experiment = Experiment(
        noise=NoiseChain(stages) if len(stages) > 1 else stages[0],
        seed=_read_seed(fields, problems),
        clip=_read_switch(fields, "clip", True, problems),
        round_8bit=_read_switch(fields, "round", False, problems),
        methods=methods,
        sample=None if face == OWN_FACE else face,
        hyperparameters=_read_hyperparameters(fields, methods, problems),
        face_size=_read_face_size(fields, problems),
        colour=_read_switch(fields, "colour", False, problems),
    )
    view = fields.get("show", VIEWS[0])
    if view not in VIEWS:
        problems.append("what its pictures show is unknown")
    if fields.get("weights", WEIGHTS_VERSION) != WEIGHTS_VERSION:
        problems.append("it was made with other weights, so the networks' pictures and numbers differ")
    tab, lesson = _read_place(fields, is_embedded(query), problems)
    return Link(
        experiment,
        view if view in VIEWS else VIEWS[0],
        tab,
        lesson,
        face == OWN_FACE,
        tuple(problems),
    )


def link_keys() -> list[str]:
    """Return every key that a link can have."""
    strengths = dict.fromkeys(_key(parameter) for kind in NOISES for parameter in kind.parameters)
    own = [
        hyperparameter_key(method_id, parameter)
        for method_id, parameter in list_hyperparameters(list_denoisers(colour=True))
    ]
    return [*_KEYS, *(prefix + key for prefix in _STAGES.values() for key in strengths), *own]


def hyperparameter_key(method_id: str, parameter: Parameter) -> str:
    """Return the key of a method's own setting."""
    return f"{method_id}:{_key(parameter)}"


def describe_problems(problems: Sequence[str]) -> str:
    """Say in one sentence what of a link can't be used; nothing for no problems."""
    if not problems:
        return ""
    return f"The link is shown as far as it can be: {'; '.join(problems)}."


def _key(parameter: Parameter) -> str:
    return parameter.name.replace("_", "-")


def _write_number(parameter: Parameter, value: float) -> str:
    """Write a strength in the unit the page shows, with as few digits as give it back exactly."""
    for digits in range(6, 18):
        text = np.format_float_positional(
            float(value) * parameter.scale, digits, fractional=False, trim="-"
        )
        if parse_value(parameter, float(text)) == value:
            return text
    return repr(parameter.displayed(value))


def _read_noise(fields: Mapping[str, str], key: str, problems: list[str]) -> NoiseModel | None:
    """Read one noise; None where it is unknown, and where none is named on top of the first."""
    prefix = _STAGES[key]
    noise_id = fields.get(key, "" if prefix else GaussianNoise.id)
    if not noise_id or noise_id not in list_noises():
        if key in fields:
            problems.append(f"its {key} noise is unknown" if prefix else "its noise is unknown")
        return None
    values = {}
    for parameter in noise_kind(noise_id).parameters:
        text = fields.get(prefix + _key(parameter))
        if text is None:
            continue
        try:
            values[parameter.name] = parse_value(parameter, _read_number(text))
        except ExperimentError as error:
            problems.append(_part(error))
    return create_noise(noise_id, **values)


def _read_face_size(fields: Mapping[str, str], problems: list[str]) -> int:
    try:
        return parse_face_size(_read_number(fields.get("face-size", str(FACE_SIZES[0]))))
    except ExperimentError as error:
        problems.append(_part(error))
        return FACE_SIZES[0]


def _read_seed(fields: Mapping[str, str], problems: list[str]) -> int:
    try:
        return parse_seed(_read_number(fields.get("seed", "0")))
    except ExperimentError as error:
        problems.append(_part(error))
        return 0


def _read_number(text: str) -> float:
    """Read a number; NaN, which no range has, for what is none."""
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def _read_switch(fields: Mapping[str, str], key: str, default: bool, problems: list[str]) -> bool:
    if key not in fields:
        return default
    if fields[key] not in _SWITCHES:
        problems.append(f"{key} has to be yes or no")
    return _SWITCHES.get(fields[key], default)


def _read_place(
    fields: Mapping[str, str], embedded: bool, problems: list[str]
) -> tuple[str | None, str | None]:
    """Read the tab and the lesson: a lesson without a tab is open in its own."""
    lesson = fields.get("lesson")
    if lesson is not None and lesson not in [known.id for known in LESSONS]:
        problems.append("its lesson is unknown")
        lesson = None
    tab = fields.get("tab", None if lesson is None else LESSONS_TAB)
    if fields.get(EMBED_PARAMETER, "true") not in ("true", "false"):
        problems.append(f"{EMBED_PARAMETER} has to be true or false")
    if tab in (None, COMPARE_TAB, LESSONS_TAB):
        return tab, lesson
    if embedded:
        problems.append("only the stage and the lessons can be embedded")
        return None, None
    return tab, None


def _read_methods(fields: Mapping[str, str], problems: list[str]) -> tuple[str, ...]:
    if "methods" not in fields:
        return DEFAULT_DENOISERS
    names = [name for name in fields["methods"].split(",") if name not in ("", _NO_METHODS)]
    methods = tuple(dict.fromkeys(name for name in names if name in list_denoisers(colour=True)))
    unknown = len(set(names).difference(methods))
    if unknown:
        problems.append("one of its methods is unknown" if unknown == 1 else "some methods are unknown")
    return methods


def _read_hyperparameters(
    fields: Mapping[str, str], methods: Sequence[str], problems: list[str]
) -> dict[str, dict[str, float]]:
    changed: dict[str, dict[str, float]] = {}
    for method_id, parameter in list_hyperparameters(methods):
        text = fields.get(hyperparameter_key(method_id, parameter))
        if text is None:
            continue
        try:
            read = parse_hyperparameters([(method_id, parameter, _read_number(text))])
        except ExperimentError as error:
            problems.append(_part(error))
        else:
            changed.setdefault(method_id, {}).update(read.get(method_id, {}))
    return {method_id: values for method_id, values in changed.items() if values}


def _part(error: ExperimentError) -> str:
    """Turn a sentence into a part of one."""
    sentence = str(error).rstrip(".")
    return sentence[:1].lower() + sentence[1:]
