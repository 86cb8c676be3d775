"""What the controls of the page say, checked; no Gradio in here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..noise import NoiseChain, NoiseModel, Parameter, create_noise, noise_kind

MAX_SEED = 2**31 - 1
NO_NOISE = "none"
"""What the menu of the second noise says for no second noise."""

ParameterKey = tuple[str, str]
"""Id of a noise and name of one of its parameters."""


class SettingsError(ValueError):
    """A control holds something that can't be used; the message is one sentence for a person."""


@dataclass(frozen=True)
class Settings:
    """One position of all controls.

    Attributes:
        noise: What to apply.
        shown_noise: Id of the first noise.
        shown_value: Its first parameter, in the unit the page shows.
        seed: Seed of the noise.
        clip: Clip the noisy picture to [0, 1].
        round_8bit: Round the noisy picture to 8 bits.
        methods: Ids of the denoisers to show.
    """

    noise: NoiseModel
    shown_noise: str
    shown_value: float
    seed: int
    clip: bool
    round_8bit: bool
    methods: tuple[str, ...]


def display_label(parameter: Parameter) -> str:
    """Name a parameter with its unit, such as ``Standard deviation (of 255)``."""
    if parameter.unit == parameter.label.lower():
        return parameter.label
    return f"{parameter.label} ({parameter.unit})"


def display_range(parameter: Parameter) -> tuple[float, float]:
    """Return the ends of a parameter's slider, in the unit it shows."""
    ends = (parameter.minimum * parameter.scale, parameter.slider_maximum * parameter.scale)
    return round(ends[0], 6), round(ends[1], 6)


def display_value(parameter: Parameter, value: float) -> float:
    """Convert a field's value to the unit the page shows."""
    return round(value * parameter.scale, 6)


def parse_settings(
    first: str,
    second: str,
    first_values: Mapping[ParameterKey, float | None],
    second_values: Mapping[ParameterKey, float | None],
    *,
    seed: float | None,
    clip: bool = True,
    round_8bit: bool = False,
    methods: Sequence[str] = (),
) -> Settings:
    """Turn what the controls hold into settings.

    Args:
        first: Id of the noise.
        second: Id of the noise on top of it, or :data:`NO_NOISE`.
        first_values: The first noise's sliders, in the units they show; None where one is emptied.
        second_values: Likewise for the second noise.
        seed: What the seed's box holds.
        clip: Whether to clip.
        round_8bit: Whether to round to 8 bits.
        methods: Ids of the denoisers to show.

    Raises:
        SettingsError: A number is missing or out of range.
    """
    noise = _parse_noise(first, first_values)
    if second != NO_NOISE:
        noise = NoiseChain((noise, _parse_noise(second, second_values)))
    parameter = noise_kind(first).parameters[0]
    return Settings(
        noise=noise,
        shown_noise=first,
        shown_value=float(first_values[first, parameter.name] or 0.0),
        seed=_parse_seed(seed),
        clip=bool(clip),
        round_8bit=bool(round_8bit),
        methods=tuple(methods),
    )


def _parse_noise(noise_id: str, values: Mapping[ParameterKey, float | None]) -> NoiseModel:
    parameters = noise_kind(noise_id).parameters
    return create_noise(
        noise_id, **{p.name: _parse_value(p, values[noise_id, p.name]) for p in parameters}
    )


def _parse_value(parameter: Parameter, shown: float | None) -> float:
    low, high = display_range(parameter)
    whole = shown is None or not parameter.integer or float(shown).is_integer()
    # NaN fails the comparison too.
    if shown is None or not low <= shown <= high or not whole:
        number = "a whole number" if parameter.integer else "a number"
        raise SettingsError(
            f"{display_label(parameter)} has to be {number} from {low:g} to {high:g}."
        )
    if parameter.integer:
        return int(shown)
    # Dividing may end up a rounding error beyond what the noise accepts.
    return min(max(shown / parameter.scale, parameter.minimum), parameter.maximum)


def _parse_seed(seed: float | None) -> int:
    usable = seed is not None and math.isfinite(seed) and float(seed).is_integer()
    if seed is None or not usable or not 0 <= seed <= MAX_SEED:
        raise SettingsError(f"The seed has to be a whole number from 0 to {MAX_SEED}.")
    return int(seed)
