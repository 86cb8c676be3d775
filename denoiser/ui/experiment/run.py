"""Running the chosen methods on a face: what ran, what could not, and what is still on its way."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from denoiser.denoisers.base import DenoiserInfo, OwnDenoiserError
from denoiser.denoisers.own_model import OWN_MODEL, UNKNOWN
from denoiser.denoisers.registry import Available, describe_denoiser, find_available, list_denoisers
from denoiser.faces.samples import Detail, face_at
from denoiser.images import Image
from denoiser.pipeline import (
    FACE_SIZES,
    Comparison,
    DenoiseResult,
    Experiment,
    corrupt,
    denoise,
    score_noisy,
)
from denoiser.weights.checkpoint import WeightsError


@dataclass(frozen=True, eq=False)
class Face:
    """The clean face of a session. Compared by identity, so that it can be hashed.

    Attributes:
        id: Tells it from every other face.
        caption: Name for people.
        image: (48, 48) float32 in [0, 1].
        detail: What there is of it beyond that, for :meth:`at`; None where there is no more.
        stands_in: Whether it is shown because the server does not know which face the page had.
    """

    id: str
    caption: str
    image: Image
    stands_in: bool = False
    detail: Detail | None = None

    @property
    def has_colour(self) -> bool:
        """Whether it can be had in colour."""
        return self.detail is not None and self.detail.ndim == 3

    def at(self, size: int, colour: bool) -> Image:
        """Return it at a size, in gray or in colour; see :func:`~denoiser.faces.samples.face_at`."""
        return face_at(self.image, self.detail, size, colour)

    def fit(self, experiment: Experiment) -> Experiment:
        """Return the experiment at a size, and in gray or colour, that this face can be had in."""
        size = experiment.face_size if self.detail is not None else FACE_SIZES[0]
        return in_form(experiment, size, experiment.colour and self.has_colour)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Face":
        # Nobody changes it, so all sessions that begin with it can have the same one.
        return self


@dataclass(frozen=True)
class Outcome:
    """A comparison, and why some methods are not in it.

    Attributes:
        comparison: The methods that ran.
        available: Which could, and a sentence for each that could not.
    """

    comparison: Comparison
    available: Available


def in_form(experiment: Experiment, face_size: int, colour: bool) -> Experiment:
    """Return an experiment at another size, and in gray or colour.

    In gray it is without the networks for colour.
    """
    offered = [*list_denoisers(colour), OWN_MODEL]
    methods = tuple(method_id for method_id in experiment.methods if method_id in offered)
    return replace(experiment, face_size=face_size, colour=colour, methods=methods)


def describe_form(experiment: Experiment) -> str:
    """Say at which size the face is, and whether in colour; nothing where it is as FER2013's are."""
    if experiment.face_size == FACE_SIZES[0] and not experiment.colour:
        return ""
    size = f"{experiment.face_size}x{experiment.face_size}"
    return f"{size} in {'colour' if experiment.colour else 'gray'}"


def name_face(face: Face, experiment: Experiment) -> str:
    """Name a face for people, with the form that it is shown in."""
    return ", ".join(filter(None, [face.caption, describe_form(experiment)]))


def describe_methods(colour: bool = False) -> dict[str, DenoiserInfo]:
    """Describe every denoiser, without loading weights.

    Args:
        colour: Whether to describe those that are for pictures in colour, too.
    """
    return {method_id: _describe(method_id) for method_id in list_denoisers(colour)}


def with_own(methods: Mapping[str, DenoiserInfo], experiment: Experiment) -> dict[str, DenoiserInfo]:
    """Add the session's own model to descriptions of methods, whether it has one or not."""
    return {**methods, OWN_MODEL: UNKNOWN if experiment.own is None else experiment.own.info}


def without_own(experiment: Experiment) -> Experiment:
    """Return an experiment without the session's own model, for what has no use for it."""
    methods = tuple(method_id for method_id in experiment.methods if method_id != OWN_MODEL)
    return replace(experiment, methods=methods, own=None)


def run_methods(face: Face, experiment: Experiment, method_ids: Iterable[str]) -> Outcome:
    """Corrupt the face and run some methods; one that has no weights does not stop the others.

    Nor does one whose weights are still being downloaded, as nothing here waits for the Hub, or one
    that somebody brought along and that fails on this picture: its card says why.
    """
    corruption = corrupt(
        face.at(experiment.face_size, experiment.colour),
        experiment.noise,
        experiment.seed,
        clip=experiment.clip,
        round_8bit=experiment.round_8bit,
    )
    available = find_available(
        method_ids, hyperparameters=experiment.hyperparameters, own=experiment.own
    )
    results: dict[str, DenoiseResult] = {}
    failures: dict[str, str] = {}
    for method_id, method in available.denoisers.items():
        try:
            results[method_id] = denoise(
                corruption.noisy, method, sigma=corruption.sigma, clean=corruption.clean
            )
        except OwnDenoiserError as error:
            failures[method_id] = str(error)
    available = replace(
        available,
        denoisers={name: available.denoisers[name] for name in results},
        failures={**available.failures, **failures},
    )
    return Outcome(Comparison(corruption, score_noisy(corruption), results), available)


def _describe(method_id: str) -> DenoiserInfo:
    try:
        return describe_denoiser(method_id)
    except WeightsError:
        # It is offered all the same, and its card says what is missing.
        return DenoiserInfo(method_id, method_id, "network", False, None, 0, "")


def experiment_key(face: Face, experiment: Experiment) -> str:
    """Name what all methods are given and how they are set; equal for equal results of a method."""
    e = experiment
    form = (e.face_size, e.colour)
    own = None if e.own is None else e.own.key
    inputs = (face.id, form, e.noise, e.seed, e.clip, e.round_8bit, e.hyperparameters, own)
    return hashlib.blake2b(repr(inputs).encode(), digest_size=8).hexdigest()
