"""What the tab "Photo" is asked for, as it comes from a browser: checked. No Gradio in here."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.registry import COLOUR_MODELS
from denoiser.images import Square
from denoiser.noise import NoiseModel
from denoiser.ui.experiment.parsing import (
    UNREADABLE,
    ExperimentError,
    ParameterKey,
    parse_experiment,
)
from denoiser.ui.experiment.run import describe_methods
from denoiser.ui.photo.session import Held

CLEAN, NOISY = "clean", "noisy"
"""What a photo can be."""

SIDES = (128, 192, 256)
"""How large a region can be, in pixels a side."""

MOST_METHODS = 10
"""So many methods are shown at once."""

_DEFAULT_METHODS = (
    *COLOUR_MODELS[:2],
    "residual-unet",
    "attention-unet",
    "nl-means",
    "wavelet",
    "bilateral",
    "median",
)

GONE = "Your photo is no longer on the server, which keeps it for a while only; please give it again."

_NOT_WITHIN = "The region has to lie within the photo."


@dataclass(frozen=True)
class PhotoRequest:
    """What is to be shown of a photo.

    Attributes:
        held: The photo.
        noise: What is added to it; None where it is noisy already.
        seed: Seed of that.
        region: The part that is shown.
        methods: Ids of the methods.
    """

    held: Held
    noise: NoiseModel | None
    seed: int
    region: Square
    methods: tuple[str, ...]


def photo_methods() -> dict[str, DenoiserInfo]:
    """Describe the methods that the tab offers, by id; those for colour first, which are the fastest.

    Flows are left out: they run their network tens of times, which takes hours for a whole photo.
    """
    infos = describe_methods(colour=True).values()
    offered = (info for info in infos if info.family != "flow")
    return {info.id: info for info in sorted(offered, key=lambda info: not info.colour)}


def default_methods() -> list[str]:
    """Return those that are shown first."""
    known = photo_methods()
    return [method_id for method_id in _DEFAULT_METHODS if method_id in known]


def parse_request(
    written: Any, sliders: Sequence[ParameterKey], find: Callable[[Any], Held | None]
) -> PhotoRequest | None:
    """Turn what the page has written into a request; None where nobody has said what the photo is.

    Args:
        written: JSON: the ``photo``'s id, the region's ``top`` and ``left`` in its pixels and its
            ``side``, and the ``settings``: what the photo is, the methods, the noise's kind and seed,
            and its sliders.
        sliders: Which noise and parameter each slider is of.
        find: Returns the session's photo of an id.

    Raises:
        ExperimentError: Something is missing, not on offer or out of range, or the photo is gone.
    """
    try:
        sent = json.loads(written)
        kind_of_photo, methods, noise_id, seed, *numbers = sent["settings"]
        values: Mapping[ParameterKey, Any] = dict(zip(sliders, numbers, strict=True))
    except (TypeError, ValueError, KeyError, RecursionError):
        raise ExperimentError(UNREADABLE) from None
    held = find(sent.get("photo"))
    if held is None:
        raise ExperimentError(GONE)
    if kind_of_photo is None:
        return None
    if kind_of_photo not in (CLEAN, NOISY):
        raise ExperimentError("The photo has to be clean or noisy.")
    experiment = parse_experiment(noise_id, values, seed=seed, methods=methods)
    infos = photo_methods()
    chosen = tuple(method_id for method_id in infos if method_id in experiment.methods)
    if len(chosen) < len(experiment.methods):
        raise ExperimentError("One of the methods takes too long for a photo.")
    if len(chosen) > MOST_METHODS:
        raise ExperimentError(f"Up to {MOST_METHODS} methods are shown at once.")
    return PhotoRequest(
        held=held,
        noise=experiment.noise if kind_of_photo == CLEAN else None,
        seed=experiment.seed,
        region=_parse_region(sent.get("top"), sent.get("left"), sent.get("side"), held),
        methods=chosen if held.in_colour else tuple(m for m in chosen if not infos[m].colour),
    )


def parse_method(request: PhotoRequest, method: Any) -> str | None:
    """Return which of the methods is on the stage: the one that is named, or the first; None of none."""
    if isinstance(method, str) and method in request.methods:
        return method
    return request.methods[0] if request.methods else None


def _parse_region(top: Any, left: Any, side: Any, held: Held) -> Square:
    if type(side) is not int or side not in SIDES:
        raise ExperimentError("The region's size is unknown.")
    height, width = held.size
    side = min(side, height, width)
    are_whole = type(top) is int and type(left) is int  # no bool, which is one too
    if not are_whole or not (0 <= top <= height - side and 0 <= left <= width - side):
        raise ExperimentError(_NOT_WITHIN)
    return Square(top, left, side)
