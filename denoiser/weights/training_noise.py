"""What noise a network was trained on: kinds and ranges as data, and the sentence made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from denoiser.noise import NOISES, NoiseChain, NoiseModel, Parameter, noise_kind

Span = tuple[float, float]
"""Lowest and highest value, both included."""


@dataclass(frozen=True)
class NoiseRange:
    """A kind of noise, with the ranges that its parameters were drawn from.

    Attributes:
        kind: Noise id.
        parameters: Lowest and highest value of every parameter, in its own units.
    """

    kind: str
    parameters: Mapping[str, Span] = field(hash=False)


@dataclass(frozen=True)
class TrainingNoise:
    """One part of what a network was trained on.

    Attributes:
        share: Of the pictures, above 0 and at most 1.
        stages: The noises applied one after the other.
        unclipped: Share of its pictures that were not clipped to [0, 1], from 0 to 1.
    """

    share: float
    stages: tuple[NoiseRange, ...]
    unclipped: float = 0.0


def parse_trained_on(entries: Any) -> tuple[TrainingNoise, ...]:
    """Read what ``config.json`` and ``benchmark.json`` hold.

    Raises:
        ValueError: It is not such a list, or names a noise or a value that there isn't.
    """
    if not isinstance(entries, list | tuple) or not entries:
        raise ValueError("training noise is a list of shares and stages")
    try:
        return tuple(
            TrainingNoise(
                _share(entry["share"]),
                tuple(_range(stage) for stage in entry["stages"]),
                # Models of older versions saw clipped pictures only, and don't say so.
                _share(entry["unclipped"]) if entry.get("unclipped") else 0.0,
            )
            for entry in entries
        )
    except (LookupError, TypeError, AttributeError):
        raise ValueError("training noise is a list of shares and stages") from None


def trained_span(
    noises: Sequence[TrainingNoise], kind: str, parameter: str, *, in_chains: bool = False
) -> Span | None:
    """Return the values of a parameter that a network was trained on; None if on none.

    From the lowest to the highest over all parts with this noise alone, or in chains too.
    """
    spans = [
        stage.parameters[parameter]
        for part in noises
        for stage in part.stages
        if stage.kind == kind and (in_chains or len(part.stages) == 1)
    ]
    return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None


def describe_trained_on(noises: Sequence[TrainingNoise]) -> str:
    """Say it in one line, in the units that the page shows."""
    alone = [
        ", ".join(
            [kind.label, *(_show(p, trained_span(noises, kind.id, p.name)) for p in kind.parameters)]
        )
        for kind in NOISES
        if any(part.stages[0].kind == kind.id for part in noises if len(part.stages) == 1)
    ]
    chains = dict.fromkeys(
        " + ".join(noise_kind(stage.kind).label for stage in part.stages)
        for part in noises
        if len(part.stages) > 1
    )
    said = "; ".join([*alone, *chains])
    whole = said if len(alone) + len(chains) == 1 else f"a mixture: {said}"
    unclipped = sum(part.share * part.unclipped for part in noises)
    return f"{whole}; {100 * unclipped:.0f} % of pictures not clipped" if unclipped else whole


def point(noise: NoiseModel) -> dict[str, Any]:
    """Return a noise with its strength as data, for a file; of a chain, its stages."""
    if isinstance(noise, NoiseChain):
        return {"stages": [point(stage) for stage in noise.stages]}
    return {"kind": noise.id, "parameters": {p.name: getattr(noise, p.name) for p in noise.parameters}}


def _range(stage: Mapping[str, Any]) -> NoiseRange:
    kind, found = noise_kind(stage["kind"]), dict(stage["parameters"])
    if found.keys() != {parameter.name for parameter in kind.parameters}:
        raise ValueError(f"{kind.id} has other parameters")
    return NoiseRange(kind.id, {p.name: _span(p, found[p.name]) for p in kind.parameters})


def _span(parameter: Parameter, ends: Any) -> Span:
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ValueError(f"a range of {parameter.name} is two numbers")
    low, high = ends
    for end in ends:
        if isinstance(end, bool) or not isinstance(end, int | float):
            raise ValueError(f"a range of {parameter.name} is two numbers")
        parameter.check(end)
    if low > high:
        raise ValueError(f"the range of {parameter.name} ends before it starts")
    return float(low), float(high)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError("a share is above 0 and at most 1")
    return float(value)


def _show(parameter: Parameter, span: Span | None) -> str:
    low, high = span or (parameter.default, parameter.default)
    return parameter.show(low) if low == high else parameter.show(low, high)
