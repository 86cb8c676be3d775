"""From what the controls of the page hold to an experiment, checked; no Gradio in here."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.denoisers.registry import list_denoisers
from denoiser.noise import (
    NoiseChain,
    NoiseModel,
    Parameter,
    create_noise,
    list_noises,
    noise_kind,
)
from denoiser.pipeline import FACE_SIZES, Experiment

MAX_SEED = 2**31 - 1

MAX_STAGES = 4
"""So many noises can be applied one after the other, on the page, in a link and over HTTP."""

UNREADABLE = "The controls can't be read. Please load the page anew."

ParameterKey = tuple[str, str]
"""Id of a noise or a denoiser, and name of one of its parameters or hyperparameters."""


class ExperimentError(ValueError):
    """A control holds something that can't be used; the message is one sentence for a person."""


def parse_experiment(
    first: Any,
    first_values: Mapping[ParameterKey, Any],
    more: Any = "[]",
    *,
    seed: Any,
    form: Any = "[48, false]",
    clip: Any = True,
    round_8bit: Any = False,
    methods: Any = (),
    hyperparameters: Iterable[tuple[str, Parameter, Any]] = (),
) -> Experiment:
    """Turn what the controls hold into an experiment. It comes from a browser and may be anything.

    Args:
        first: Id of the noise.
        first_values: The sliders of all kinds, in the units they show; None where one is emptied.
        more: The noises on top of it, as :func:`write_stages` writes them.
        seed: What the seed's box holds.
        form: The size of the face, and whether it is in colour, as :func:`write_form` writes them.
        clip: Whether to clip.
        round_8bit: Whether to round to 8 bits.
        methods: Ids of the denoisers to show.
        hyperparameters: Ids of denoisers, their hyperparameters, and what the sliders of these show;
            those of other denoisers than are shown don't count.

    Raises:
        ExperimentError: Something is missing or out of range.
    """
    noise = _parse_noise(
        first, {name: shown for (kind, name), shown in first_values.items() if kind == first}
    )
    further = _parse_stages(more)
    if further:
        noise = NoiseChain((noise, *further))
    face_size, colour = _parse_form(form)
    known = [*list_denoisers(colour=True), OWN_MODEL]
    if not isinstance(methods, list | tuple) or any(m not in known for m in methods):
        raise ExperimentError("One of the methods is unknown.")
    chosen = tuple(m for m in known if m in methods)  # not in the order of the clicks
    return Experiment(
        noise=noise,
        seed=parse_seed(seed),
        clip=bool(clip),
        round_8bit=bool(round_8bit),
        methods=chosen,
        hyperparameters=parse_hyperparameters(h for h in hyperparameters if h[0] in chosen),
        face_size=face_size,
        colour=colour,
    )


def write_form(experiment: Experiment) -> str:
    """Write at which size the face is, and whether in colour, as the page's control has it: as JSON."""
    return json.dumps([experiment.face_size, experiment.colour])


def _parse_form(written: Any) -> tuple[int, bool]:
    try:
        size, colour = json.loads(written)
    except (TypeError, ValueError, RecursionError):
        raise ExperimentError(UNREADABLE) from None
    return parse_face_size(size), bool(colour)


def parse_face_size(size: Any) -> int:
    """Check the size of a face.

    Raises:
        ExperimentError: There is none.
    """
    if not _is_number(size, whole=True) or size not in FACE_SIZES:
        raise ExperimentError(f"The face's size has to be one of {', '.join(map(str, FACE_SIZES))}.")
    return int(size)


def parse_hyperparameters(
    values: Iterable[tuple[str, Parameter, Any]],
) -> dict[str, dict[str, float]]:
    """Return those that are not at their defaults, by id and name.

    Args:
        values: Ids of denoisers, their hyperparameters, and what the sliders of these show.

    Raises:
        ExperimentError: One is no number, or out of its slider's range.
    """
    changed: dict[str, dict[str, float]] = {}
    for denoiser_id, parameter, shown in values:
        value = parse_value(parameter, shown)
        if value != parameter.default:
            changed.setdefault(denoiser_id, {})[parameter.name] = value
    return changed


def write_stages(noises: Iterable[NoiseModel]) -> str:
    """Write noises as the page's further rows have them: ids, and what their sliders show, as JSON."""
    return json.dumps(
        [
            [noise.id, {p.name: p.displayed(getattr(noise, p.name)) for p in noise.parameters}]
            for noise in noises
        ]
    )


def _parse_stages(written: Any) -> list[NoiseModel]:
    try:
        rows = json.loads(written)
        if not isinstance(rows, list) or not all(isinstance(values, dict) for _, values in rows):
            raise ValueError("no rows of noises")
    except (TypeError, ValueError, RecursionError):
        raise ExperimentError(UNREADABLE) from None
    if len(rows) >= MAX_STAGES:
        raise ExperimentError(f"There can be {MAX_STAGES} noises at most.")
    return [_parse_noise(noise_id, values) for noise_id, values in rows]


def _parse_noise(noise_id: Any, values: Mapping[str, Any]) -> NoiseModel:
    """Make a noise of its id and what its sliders show."""
    if noise_id not in list_noises():
        raise ExperimentError("This kind of noise is unknown.")
    parameters = noise_kind(noise_id).parameters
    return create_noise(noise_id, **{p.name: parse_value(p, values.get(p.name)) for p in parameters})


def parse_value(parameter: Parameter, slider_value: Any) -> float:
    """Convert what a slider shows, or should show, to its field's value.

    Raises:
        ExperimentError: It is no number, or out of the slider's range.
    """
    low, high = parameter.slider_range
    # NaN fails the comparison too.
    if not _is_number(slider_value, parameter.integer) or not low <= slider_value <= high:
        number = "a whole number" if parameter.integer else "a number"
        raise ExperimentError(f"{parameter.title} has to be {number} from {low:g} to {high:g}.")
    return parameter.from_displayed(slider_value)


def parse_seed(seed: Any) -> int:
    """Check a seed.

    Raises:
        ExperimentError: It is no whole number, or out of range.
    """
    if not _is_number(seed, whole=True) or not 0 <= seed <= MAX_SEED:
        raise ExperimentError(f"The seed has to be a whole number from 0 to {MAX_SEED}.")
    return int(seed)


def _is_number(value: Any, whole: bool) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return not whole or isinstance(value, int) or value.is_integer()
