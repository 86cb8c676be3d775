"""What the live grid is sent: a comparison as JSON, with everything written out; no Gradio in here."""

import base64
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from denoiser.analysis.gain_labels import NOTHING_TO_REMOVE, gain_flag, write_loss
from denoiser.denoisers.base import DenoiserInfo, describe_values
from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.denoisers.purpose import describe_purpose, is_made_for
from denoiser.denoisers.registry import comes_from_hub, create_denoiser
from denoiser.metrics import sharpness, write_number
from denoiser.noise import NoiseModel, noise_stages
from denoiser.pipeline import (
    SSIM_TIE,
    TIE,
    Comparison,
    Corruption,
    DenoiseResult,
    Experiment,
)
from denoiser.ui.common.payload import Payload, encode_picture
from denoiser.ui.experiment.controls import preset_of
from denoiser.ui.experiment.costs import Plan, plan_methods
from denoiser.ui.experiment.face_form import describe_offer
from denoiser.ui.experiment.run import (
    Face,
    Outcome,
    experiment_key,
    name_face,
    run_methods,
    with_own,
    without_own,
)

_FINE = 8192
"""Steps per unit in which the unclipped noisy picture travels: int16 then reaches from -4 to 4."""

_NO_COLOUR = "{} changes nothing here: this face is gray, and has no colour to lose."

_FORGOTTEN = (
    "The server no longer has this page's face, as the page was left alone for long or the server was "
    "restarted: this is a sample face."
)


def live_payload(
    face: Face,
    experiment: Experiment,
    methods: Mapping[str, DenoiserInfo],
    version: int,
) -> Payload:
    """Run what answers at once and write down the whole grid.

    Other methods, and those whose weights are on their way, are announced only.
    """
    methods = with_own(methods, experiment)
    planned = plan_methods(face, experiment, methods)
    outcome = run_methods(face, experiment, planned.live)
    corruption = outcome.comparison.corruption
    height, width = corruption.clean.shape[:2]
    caption = name_face(face, experiment)
    stages = noise_stages(experiment.noise)
    first = stages[0]
    strength = first.parameters[0]
    idle = next((stage.label for stage in stages if stage.needs_colour), None)
    notice = {} if idle is None or corruption.clean.ndim == 3 else {"notice": _NO_COLOUR.format(idle)}
    return notice | {
        "version": version,
        "key": experiment_key(face, experiment),
        "noise": first.id,
        "noiseText": experiment.noise.describe(),
        "sigma": f"{strength.displayed(getattr(first, strength.name)):g}",
        "seed": experiment.seed,
        "preset": preset_of(experiment),
        "caption": caption,
        "width": width,
        "height": height,
        "form": describe_offer(face, experiment),
        "fine": _encode_fine(corruption),
        "cards": [
            {
                "id": "clean",
                "label": "Clean",
                "kind": caption,
                "pixels": encode_picture(corruption.clean),
            },
            {"id": "noisy", "label": "Noisy"}
            | _scores(outcome.comparison.noisy, corruption)
            | ({"flag": NOTHING_TO_REMOVE} if outcome.comparison.nothing_to_remove else {}),
            *(
                _announce(methods[method_id], outcome, experiment.noise, planned)
                for method_id in experiment.methods
            ),
        ],
    }


def slow_payload(
    face: Face,
    experiment: Experiment,
    methods: Mapping[str, DenoiserInfo],
    version: int,
) -> Payload:
    """Run the methods that are not live and those from the Hub, and write down their cards.

    The card of a model whose weights are still on their way is pending again. The session's own model is
    for :func:`own_payload`.
    """
    key = experiment_key(face, experiment)
    experiment = without_own(experiment)
    planned = plan_methods(face, experiment, methods)
    infos = [
        methods[method_id]
        for method_id in experiment.methods
        if method_id in planned.later or (method_id in planned.live and comes_from_hub(method_id))
    ]
    outcome = run_methods(face, experiment, [info.id for info in infos])
    return {
        "version": version,
        "key": key,
        "cards": [_card(info, outcome, experiment.noise) for info in infos],
    }


def own_payload(face: Face, experiment: Experiment, version: int) -> Payload:
    """Run the session's own model, which is among the methods, and write down its card."""
    methods = with_own({}, experiment)
    key = experiment_key(face, experiment)
    experiment = replace(experiment, methods=(OWN_MODEL,))
    planned = plan_methods(face, experiment, methods)
    outcome = run_methods(face, experiment, planned.later)
    cards = [_card(methods[name], outcome, experiment.noise) for name in planned.later]
    return {"version": version, "key": key, "cards": cards}


def forgotten_payload(face: Face) -> Payload:
    """Say of a face that stands in for another that it does; nothing of any other face."""
    return {"notice": _FORGOTTEN} if face.stands_in else {}


def _announce(info: DenoiserInfo, outcome: Outcome, noise: NoiseModel, planned: Plan) -> Payload:
    if info.id in planned.live:
        return _card(info, outcome, noise)
    if info.id in planned.refused:
        return {
            "id": info.id,
            "label": info.label,
            "kind": _kind(info),
            "error": planned.refused[info.id],
        }
    return _pending(info)


def _card(info: DenoiserInfo, outcome: Outcome, noise: NoiseModel) -> Payload:
    if info.id in outcome.available.loading:
        return _pending(info) | {"note": outcome.available.loading[info.id]}
    if info.id in outcome.comparison and comes_from_hub(info.id):
        info = create_denoiser(info.id).info  # now its own config is known
    card = {"id": info.id, "label": info.label, "kind": _kind(info)}
    if info.id in outcome.available.denoisers:
        own = describe_values(info, outcome.available.denoisers[info.id].values)
        card["kind"] += f" · {own}" if own else ""
    if info.id in outcome.available.failures:
        return card | {"error": outcome.available.failures[info.id]}
    result = outcome.comparison[info.id]
    return (
        card
        | _scores(result, outcome.comparison.corruption)
        | _gain_texts(outcome.comparison, result)
        | {
            "purpose": _purpose(info, noise),
            "ms": result.milliseconds,
            "strength": _strength(result),
            "strengthFrom": result.sigma.source,
        }
    )


def _gain_texts(comparison: Comparison, result: DenoiseResult) -> Payload:
    """Say what a method gains over the noisy picture, and whether it can be called best by a score.

    Where there is nothing to remove, say what it destroys; nothing is best then.
    """
    gain = comparison.gain(result.id)
    if gain is None:
        assert result.psnr is not None
        harm = {"gain": write_loss(result.psnr), "over": "", "beats": {"psnr": False, "ssim": False}}
        return harm | {"flag": gain_flag(None, result.psnr)}
    known = result.ssim is not None and comparison.noisy.ssim is not None
    above = (result.ssim or 0.0) - (comparison.noisy.ssim or 0.0) if known else math.nan
    return {
        "gain": "±0.0 dB" if abs(gain) <= TIE else f"{write_number(gain, 1, signed=True)} dB",
        "over": "over noisy",
        "flag": gain_flag(gain, result.psnr),
        "beats": {"psnr": gain > TIE, "ssim": above > SSIM_TIE},
    }


def _pending(info: DenoiserInfo) -> Payload:
    return {"id": info.id, "label": info.label, "kind": _kind(info), "pending": True}


def _scores(result: DenoiseResult, corruption: Corruption) -> Payload:
    psnr = math.nan if result.psnr is None else result.psnr
    ssim = math.nan if result.ssim is None else result.ssim
    return {
        "pixels": encode_picture(result.image),
        "psnr": f"{write_number(psnr, 2)} dB",
        "ssim": write_number(ssim, 3),
        "sharpness": write_number(sharpness(result.image, corruption.clean, check_range=False), 2),
        # For finding the best; JSON has no infinity.
        "psnrRank": min(psnr, 1e9),
        "ssimRank": -1 if math.isnan(ssim) else ssim,
    }


def _kind(info: DenoiserInfo) -> str:
    family = "Brought along" if info.family == "own" else info.family[:1].upper() + info.family[1:]
    if not info.parameters:
        return family
    if info.parameters < 1_000_000:
        return f"{family}, {info.parameters / 1e3:.0f} k weights"
    return f"{family}, {info.parameters / 1e6:.2f} M weights"


def _purpose(info: DenoiserInfo, noise: NoiseModel) -> str:
    if is_made_for(info, noise):
        return ""
    purpose = describe_purpose(info)
    return f"made for other noise{f': {purpose}' if purpose else ''}"


def _strength(result: DenoiseResult) -> str:
    if result.sigma.value is None:
        return ""
    return f"{255 * result.sigma.value:.1f}/255"


def _encode_fine(corruption: Corruption) -> str:
    """Encode the noisy picture unclipped, as little-endian int16, for the residual."""
    steps = np.clip(np.rint(corruption.noisy * _FINE), -32768, 32767)
    return base64.b64encode(steps.astype("<i2").tobytes()).decode()
