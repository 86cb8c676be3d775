"""What noise a method is made for, and whether that is the noise at hand."""

from denoiser.denoisers.base import DenoiserInfo
from denoiser.noise import NoiseModel, noise_kind, noise_stages
from denoiser.weights.training_noise import trained_span

_SLACK = 1.5
"""So many times stronger or weaker than all that a network was trained on is other noise to it."""


def is_made_for(info: DenoiserInfo, noise: NoiseModel) -> bool:
    """Tell whether a method is made for a noise, each stage of a chain by itself.

    A filter is, if the kind is among those it is meant for. A network is, if it was trained on that
    kind, alone or in a chain, at about that strength. Of what says neither, nothing is known: it counts
    as made for all.
    """
    return all(_is_made_for_stage(info, stage) for stage in noise_stages(noise))


def describe_purpose(info: DenoiserInfo) -> str:
    """Say in few words what a method is made for; empty where that is no single sort of noise."""
    if info.intended_for:
        return ", ".join(noise_kind(kind).label for kind in info.intended_for)
    kinds = {tuple(stage.kind for stage in part.stages) for part in info.trained_noises}
    return (info.trained_on or "") if len(kinds) == 1 else ""


def _is_made_for_stage(info: DenoiserInfo, stage: NoiseModel) -> bool:
    if info.intended_for:
        return stage.id in info.intended_for
    if not info.trained_noises:
        return True
    strength = stage.parameters[0].name
    span = trained_span(info.trained_noises, stage.id, strength, in_chains=True)
    if span is None:
        return False
    low, high = span
    return low / _SLACK <= getattr(stage, strength) <= high * _SLACK
