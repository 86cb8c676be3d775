"""Running the chosen methods on a face: what ran, what could not, and what is still on its way."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.registry import Available, describe_denoiser, find_available, list_denoisers
from denoiser.images import Image
from denoiser.pipeline import (
    Comparison,
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
        stands_in: Whether it is shown because the server does not know which face the page had.
    """

    id: str
    caption: str
    image: Image
    stands_in: bool = False

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


def describe_methods() -> dict[str, DenoiserInfo]:
    """Describe every denoiser, without loading weights."""
    return {method_id: _describe(method_id) for method_id in list_denoisers()}


def run_methods(face: Face, experiment: Experiment, method_ids: Iterable[str]) -> Outcome:
    """Corrupt the face and run some methods; one that has no weights does not stop the others.

    Nor does one whose weights are still being downloaded: nothing here waits for the Hub.
    """
    corruption = corrupt(
        face.image,
        experiment.noise,
        experiment.seed,
        clip=experiment.clip,
        round_8bit=experiment.round_8bit,
    )
    available = find_available(method_ids, hyperparameters=experiment.hyperparameters)
    results = {
        method_id: denoise(corruption.noisy, method, sigma=corruption.sigma, clean=corruption.clean)
        for method_id, method in available.denoisers.items()
    }
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
    inputs = (face.id, e.noise, e.seed, e.clip, e.round_8bit, e.hyperparameters)
    return hashlib.blake2b(repr(inputs).encode(), digest_size=8).hexdigest()
