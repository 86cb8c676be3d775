"""Sweeps along anything: the noise's strength, a method's hyperparameter, seeds, or an assumed strength.

Points come one by one, so that a caller can draw while it computes, or stop. What is asked for here is
in the unit that the page shows, such as a standard deviation of 255, because that is what an axis says.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from denoiser.denoisers.base import Denoiser, DenoiserInfo, estimate_noise
from denoiser.denoisers.registry import describe_denoiser, list_denoisers, list_hyperparameters
from denoiser.images import Image
from denoiser.noise import NoiseChain, NoiseModel, Parameter, noise_stages
from denoiser.pipeline import (
    Comparison,
    SweepPoint,
    compare,
    corrupt,
    denoise,
    score_noisy,
)
from denoiser.weights.training_noise import trained_span

SEED = "seed"
"""The axis of the noise's seed."""

ASSUMED = "assumed"
"""The axis of the assumed strength over the true one."""

FACTORS = tuple(0.25 * step for step in range(1, 13))
"""Assumed over true strength: from a quarter to three times."""

CSV_COLUMNS = ("axis", "value", "seed", "id", "label", "psnr", "ssim", "gain", "sharpness")
"""What :func:`points_csv` holds; psnr and gain in dB."""


@dataclass(frozen=True)
class Axis:
    """What a sweep goes along.

    Attributes:
        id: ``STAGE:PARAMETER`` for a parameter of a noise, ``DENOISER:HYPERPARAMETER`` for a method's,
            else :data:`SEED` or :data:`ASSUMED`.
        label: Name for people, with the unit.
        values: Its places, growing, in the unit shown.
        marks: Lines to draw across it: place and text.
        log: Whether distances are ratios.
        reversed: Whether the noise grows as the value falls, so that the axis has to be turned round
            for the noise to grow to the right.
    """

    id: str
    label: str
    values: tuple[float, ...]
    marks: tuple[tuple[float, str], ...] = ()
    log: bool = False
    reversed: bool = False


def noise_axes(noise: NoiseModel) -> dict[str, str]:
    """Name for people every parameter that a sweep can go along, the first noise's strength first."""
    parts = noise_stages(noise)
    labels = [stage.label for stage in parts]

    def prefix(index: int) -> str:
        if len(parts) == 1:
            return ""
        is_twice = labels.count(labels[index]) > 1
        return f"{labels[index]}, noise {index + 1}: " if is_twice else f"{labels[index]}: "

    return {
        f"{index}:{parameter.name}": prefix(index) + parameter.title
        for index, stage in enumerate(parts)
        for parameter in stage.parameters
    }


def noise_axis(clean: Image, noise: NoiseModel, axis_id: str, count: int) -> Axis:
    """Lay out a sweep along a parameter, over the whole range of its slider.

    The present value is one of the places, so that one point is the experiment itself.

    Args:
        clean: The picture; which way the noise grows is measured on it.
        noise: The experiment's.
        axis_id: A key of :func:`noise_axes`.
        count: How many places, not counting the present value.

    Raises:
        ValueError: The noise has no such parameter.
    """
    stage, parameter = _find(noise, axis_id)
    low, _ = parameter.slider_range
    # Photon counts go over two decades; everything else starts from nothing, or counts.
    log = low > 0 and not parameter.integer
    current = parameter.displayed(getattr(noise_stages(noise)[stage], parameter.name))
    values = _places(parameter, count, current, log)
    scores = [
        score_noisy(corrupt(clean, vary(noise, axis_id, end))).psnr or 0.0
        for end in (values[0], values[-1])
    ]
    return Axis(
        axis_id,
        noise_axes(noise)[axis_id],
        values,
        ((current, f"Compare: {current:g}"),),
        log,
        scores[1] > scores[0],
    )


def vary(noise: NoiseModel, axis_id: str, slider_value: float) -> NoiseModel:
    """Return the noise with one parameter changed.

    Args:
        noise: One noise or a chain.
        axis_id: A key of :func:`noise_axes`.
        slider_value: The value, in the unit shown.

    Raises:
        ValueError: The noise has no such parameter, or the value is out of its range.
    """
    index, parameter = _find(noise, axis_id)
    value = parameter.from_displayed(slider_value)
    stage = replace(noise_stages(noise)[index], **{parameter.name: value})
    if not isinstance(noise, NoiseChain):
        return stage
    return replace(noise, stages=(*noise.stages[:index], stage, *noise.stages[index + 1 :]))


def hyperparameter_axes(denoiser_ids: Iterable[str]) -> dict[str, str]:
    """Name for people every hyperparameter that a sweep can go along."""
    return {
        _axis_id(denoiser_id, parameter): f"{describe_denoiser(denoiser_id).label}: {parameter.title}"
        for denoiser_id, parameter in list_hyperparameters(denoiser_ids)
    }


def find_hyperparameter(axis_id: str) -> tuple[str, Parameter] | None:
    """Return the method and the hyperparameter that an axis goes along; None if it is another axis."""
    for denoiser_id, parameter in list_hyperparameters(list_denoisers()):
        if axis_id == _axis_id(denoiser_id, parameter):
            return denoiser_id, parameter
    return None


def hyperparameter_axis(axis_id: str, count: int, current: float) -> Axis:
    """Lay out a sweep along a hyperparameter, over the whole range of its slider.

    Args:
        axis_id: A key of :func:`hyperparameter_axes`.
        count: How many places at most, not counting the present value.
        current: The present value.

    Raises:
        ValueError: There is no such hyperparameter.
    """
    found = find_hyperparameter(axis_id)
    if found is None:
        raise ValueError(f"no method has a hyperparameter {axis_id!r}")
    parameter = found[1]
    shown = parameter.displayed(current)
    values = _places(parameter, count, shown, log=False)
    marks = ((shown, f"Compare: {shown:g}"),)
    return Axis(axis_id, hyperparameter_axes([found[0]])[axis_id], values, marks)


def sweep_noises(
    clean: Image,
    noises: Iterable[tuple[float, NoiseModel]],
    seeds: Sequence[int],
    denoisers: Sequence[Denoiser],
    *,
    clip: bool = True,
    round_8bit: bool = False,
) -> Iterator[SweepPoint]:
    """Compare under several noises, and each with several seeds.

    Args:
        clean: (H, W) or (H, W, 3) in [0, 1].
        noises: Place on the axis and noise.
        seeds: Seeds to repeat each noise with.
        denoisers: What to compare.
        clip: Clip the noisy pictures to [0, 1].
        round_8bit: Round them to 8 bits.
    """
    for value, noise in noises:
        for seed in seeds:
            comparison = compare(clean, noise, seed, denoisers, clip=clip, round_8bit=round_8bit)
            yield SweepPoint.of(value, comparison)


def sweep_seeds(
    clean: Image,
    noise: NoiseModel,
    seeds: Sequence[int],
    denoisers: Sequence[Denoiser],
    *,
    clip: bool = True,
    round_8bit: bool = False,
) -> Iterator[SweepPoint]:
    """Repeat a comparison with other seeds; a point's value is its seed. Arguments as above."""
    for seed in seeds:
        comparison = compare(clean, noise, seed, denoisers, clip=clip, round_8bit=round_8bit)
        yield SweepPoint.of(seed, comparison)


def sweep_hyperparameter(
    clean: Image,
    noise: NoiseModel,
    seeds: Sequence[int],
    method: Denoiser,
    parameter: Parameter,
    shown: Sequence[float],
    denoisers: Sequence[Denoiser],
    *,
    clip: bool = True,
    round_8bit: bool = False,
) -> Iterator[SweepPoint]:
    """Set a method's hyperparameter to one value after the other; other methods are the same everywhere.

    Args:
        clean: (H, W) or (H, W, 3) in [0, 1].
        noise: The noise.
        seeds: Its seeds.
        method: The method.
        parameter: Its hyperparameter.
        shown: Its values, in the unit shown.
        denoisers: What to compare it with.
        clip: Clip the noisy pictures to [0, 1].
        round_8bit: Round them to 8 bits.
    """
    comparisons: dict[int, Comparison] = {}  # made one by one, as each point comes
    for value in shown:
        own = dict(method.values) | {parameter.name: parameter.from_displayed(value)}
        varied = method.with_hyperparameters(**own)
        for seed in seeds:
            if seed not in comparisons:
                comparisons[seed] = compare(
                    clean, noise, seed, denoisers, clip=clip, round_8bit=round_8bit
                )
            comparison = comparisons[seed]
            corruption = comparison.corruption
            result = denoise(corruption.noisy, varied, sigma=corruption.sigma, clean=corruption.clean)
            results = {method.info.id: result, **comparison.results}
            yield SweepPoint.of(value, Comparison(corruption, comparison.noisy, results))


def sweep_assumed(
    clean: Image,
    noise: NoiseModel,
    seed: int,
    denoisers: Sequence[Denoiser],
    factors: Sequence[float] = FACTORS,
    *,
    clip: bool = True,
    round_8bit: bool = False,
) -> Iterator[SweepPoint]:
    """Tell the denoisers that take a strength a wrong one: ``factor`` times the true one.

    The others don't listen, and are the same at every point.

    Args:
        clean: (H, W) or (H, W, 3) in [0, 1].
        noise: The noise; one with a standard deviation.
        seed: Its seed.
        denoisers: What to compare.
        factors: Assumed over true strength; those that would assume more than 1 are left out.
        clip: Clip the noisy picture to [0, 1].
        round_8bit: Round it to 8 bits.

    Raises:
        ValueError: No standard deviation describes the noise.
    """
    blind = [method for method in denoisers if not method.info.uses_sigma]
    comparison = compare(clean, noise, seed, blind, clip=clip, round_8bit=round_8bit)
    corruption = comparison.corruption
    if corruption.sigma is None:
        raise ValueError("no standard deviation describes this noise")
    for factor in factors:
        if factor * corruption.sigma > 1:
            break
        results = {
            method.info.id: denoise(
                corruption.noisy, method, sigma=factor * corruption.sigma, clean=corruption.clean
            )
            if method.info.uses_sigma
            else comparison[method.info.id]
            for method in denoisers
        }
        yield SweepPoint.of(factor, Comparison(corruption, comparison.noisy, results))


def assumed_axis(clean: Image, noise: NoiseModel, seed: int, *, clip: bool, round_8bit: bool) -> Axis:
    """Lay out :func:`sweep_assumed`, with marks at the true strength and at the estimated one.

    Raises:
        ValueError: No standard deviation above 0 describes the noise.
    """
    corruption = corrupt(clean, noise, seed, clip=clip, round_8bit=round_8bit)
    if not corruption.sigma:
        raise ValueError("no standard deviation above 0 describes this noise")
    estimated = estimate_noise(corruption.noisy) / corruption.sigma
    values = tuple(factor for factor in FACTORS if factor * corruption.sigma <= 1)
    marks = [(1.0, f"true: {255 * corruption.sigma:.1f} of 255"), (estimated, "estimated")]
    inside = tuple(mark for mark in marks if mark[0] <= values[-1])
    return Axis(ASSUMED, "Assumed over true strength", values, inside)


def trained_range(info: DenoiserInfo, noise: NoiseModel, axis_id: str) -> tuple[float, float] | None:
    """Return which part of an axis a network was trained on, in the unit shown; None if unknown.

    That is from the lowest to the highest strength at which it was shown this noise alone.

    Args:
        info: The denoiser.
        noise: The noise that is swept; of a chain, nothing is known.
        axis_id: A key of :func:`noise_axes`.
    """
    if isinstance(noise, NoiseChain) or axis_id not in noise_axes(noise):
        return None
    _, parameter = _find(noise, axis_id)
    span = trained_span(info.trained_noises, noise.id, parameter.name)
    if span is None:
        return None
    low, high = span
    return parameter.displayed(low), parameter.displayed(high)


def points_csv(axis: Axis, points: Iterable[SweepPoint], labels: Mapping[str, str]) -> str:
    """Write a sweep as CSV: a header, then a row for every point and method.

    Numbers have all their digits. Infinity is ``inf``; what is not defined is empty.

    Args:
        axis: What the sweep went along.
        points: Its points.
        labels: Names by id.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for point in points:
        for method_id, psnr in point.psnr.items():
            numbers = (psnr, point.ssim[method_id], point.gain(method_id), point.sharpness[method_id])
            written = ["" if n is None or math.isnan(n) else repr(n) for n in numbers]
            label = labels.get(method_id, method_id)
            place = [axis.label, f"{point.value:g}", point.seed]
            writer.writerow([*place, method_id, label, *written])
    return buffer.getvalue()


def _find(noise: NoiseModel, axis_id: str) -> tuple[int, Parameter]:
    for index, stage in enumerate(noise_stages(noise)):
        for parameter in stage.parameters:
            if axis_id == f"{index}:{parameter.name}":
                return index, parameter
    raise ValueError(f"this noise has no parameter {axis_id!r}")


def _places(parameter: Parameter, count: int, current: float, log: bool) -> tuple[float, ...]:
    """Return places over the range of a slider, on its steps; the present value is one of them."""
    low, high = parameter.slider_range
    spaced = np.geomspace(low, high, count) if log else np.linspace(low, high, count)
    stepped = np.clip(np.rint(spaced / parameter.step) * parameter.step, low, high)
    return tuple(sorted({round(float(value), 6) for value in stepped} | {current}))


def _axis_id(denoiser_id: str, parameter: Parameter) -> str:
    return f"{denoiser_id}:{parameter.name}"
