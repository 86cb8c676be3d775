"""What the live grid is sent: a comparison as JSON, with everything written out; no Gradio in here.

The browser only paints. Two payloads make one grid: the live one with what answers while a slider
moves, and one that follows, with the rest and those that were still being downloaded. They belong
together when their keys are equal; of two payloads of a kind, the one with the smaller version is
outdated.
"""

import base64
import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from denoiser.denoisers.background import LoadingError
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.network import read_info
from denoiser.denoisers.registry import (
    MODELS,
    comes_from_hub,
    create_denoiser,
    ensure_loaded,
    list_denoisers,
)
from denoiser.images import Image, to_uint8
from denoiser.pipeline import (
    SSIM_TIE,
    TIE,
    Comparison,
    Corruption,
    DenoiseResult,
    corrupt,
    denoise,
    root_mean_square,
    score_noisy,
)
from denoiser.ui.settings import Settings
from denoiser.weights.checkpoint import WeightsError
from denoiser.weights.hub_errors import as_sentence

Payload = dict[str, Any]

LIVE_NETWORKS = 6
"""So many networks answer while a slider moves; more of them would keep every picture waiting.

Six take about 50 ms on one core (``weights/benchmark.json``).
See ``tests/benchmarks/slider_to_pixels.py`` too.
"""

_FINE = 8192
"""Steps per unit in which the unclipped noisy picture travels: int16 then reaches from -4 to 4."""


NOTHING_TO_REMOVE = "nothing to remove"
"""What the noisy picture's card says where it is the clean one."""

WORSE = "worse than doing nothing"
_NO_BETTER = "no better than doing nothing"

_LEAST_SHOWN = 0.05  # of 255; less is 0.0 where it is shown

_FORGOTTEN = (
    "The server no longer has this page's face, as the page was left alone for long or the server was "
    "restarted: this is a sample face."
)


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
        failures: One sentence for each that could not, by id.
        loading: Likewise for each whose weights are on their way.
    """

    comparison: Comparison
    failures: Mapping[str, str]
    loading: Mapping[str, str] = field(default_factory=dict)


def new_version() -> int:
    """Return a number larger than all before, also after a restart of the server."""
    return time.time_ns() // 1000


def describe_methods() -> dict[str, DenoiserInfo]:
    """Describe every denoiser, without loading weights."""
    return {method_id: _describe(method_id) for method_id in list_denoisers()}


def run_methods(face: Face, settings: Settings, method_ids: Iterable[str]) -> Outcome:
    """Corrupt the face and run some methods; one that has no weights does not stop the others.

    Nor does one whose weights are still being downloaded: nothing here waits for the Hub.
    """
    corruption = corrupt(
        face.image,
        settings.noise,
        settings.seed,
        clip=settings.clip,
        round_8bit=settings.round_8bit,
    )
    results: dict[str, DenoiseResult] = {}
    failures: dict[str, str] = {}
    loading: dict[str, str] = {}
    for method_id in method_ids:
        try:
            ensure_loaded(method_id)
            results[method_id] = denoise(
                corruption.noisy, method_id, sigma=corruption.sigma, clean=corruption.clean
            )
        except LoadingError as error:
            loading[method_id] = as_sentence(error)
        except WeightsError as error:
            failures[method_id] = as_sentence(error)
    return Outcome(Comparison(corruption, score_noisy(corruption), results), failures, loading)


def live_methods(chosen: Sequence[str], methods: Mapping[str, DenoiserInfo]) -> list[str]:
    """Return which of the methods chosen answer while a slider moves: fast filters, some networks."""
    fast = [method_id for method_id in chosen if not methods[method_id].slow]
    networks = [method_id for method_id in fast if method_id in MODELS]
    return [method_id for method_id in fast if method_id not in networks[LIVE_NETWORKS:]]


def live_payload(
    face: Face,
    settings: Settings,
    methods: Mapping[str, DenoiserInfo],
    version: int,
) -> Payload:
    """Run what answers at once and write down the whole grid.

    Other methods, and those whose weights are on their way, are announced only.
    """
    live = live_methods(settings.methods, methods)
    outcome = run_methods(face, settings, live)
    corruption = outcome.comparison.corruption
    height, width = corruption.clean.shape
    return {
        "version": version,
        "key": experiment_key(face, settings),
        "noise": settings.shown_noise,
        "noiseText": settings.noise.describe(),
        "sigma": f"{settings.shown_value:g}",
        "seed": settings.seed,
        "caption": face.caption,
        "width": width,
        "height": height,
        "fine": _encode_fine(corruption),
        "cards": [
            {
                "id": "clean",
                "label": "Clean",
                "kind": face.caption,
                "pixels": encode_picture(corruption.clean),
            },
            {"id": "noisy", "label": "Noisy"}
            | _scores(outcome.comparison.noisy)
            | ({"flag": NOTHING_TO_REMOVE} if outcome.comparison.nothing_to_remove else {}),
            *(
                _card(methods[method_id], outcome) if method_id in live else _pending(methods[method_id])
                for method_id in settings.methods
            ),
        ],
    }


def slow_payload(
    face: Face,
    settings: Settings,
    methods: Mapping[str, DenoiserInfo],
    version: int,
) -> Payload:
    """Run the methods that are not live and those from the Hub, and write down their cards.

    The card of a model whose weights are still on their way is pending again.
    """
    live = live_methods(settings.methods, methods)
    shown = [
        methods[method_id]
        for method_id in settings.methods
        if method_id not in live or comes_from_hub(method_id)
    ]
    outcome = run_methods(face, settings, [info.id for info in shown])
    return {
        "version": version,
        "key": experiment_key(face, settings),
        "cards": [_card(info, outcome) for info in shown],
    }


def write_payload(payload: Payload) -> str:
    """Write a payload as text, which ``readPayload`` in ``common.js`` reads.

    A component whose value is an object costs the browser more: Gradio's page makes every leaf of it
    reactive and copies it more than once.
    """
    return json.dumps(payload)


def forgotten_payload(face: Face) -> Payload:
    """Say of a face that stands in for another that it does; nothing of any other face."""
    return {"notice": _FORGOTTEN} if face.stands_in else {}


def error_payload(sentence: str, version: int) -> Payload:
    """Say what is wrong; the grid keeps its pictures."""
    return {"version": version, "error": sentence}


def _describe(method_id: str) -> DenoiserInfo:
    if method_id not in MODELS:
        return create_denoiser(method_id).info
    try:
        return read_info(method_id)
    except WeightsError:
        # It is offered all the same, and its card says what is missing.
        return DenoiserInfo(method_id, method_id, "network", False, None, 0, "")


def experiment_key(face: Face, settings: Settings) -> str:
    """Name what all methods are given; equal for equal noisy pictures."""
    given = (face.id, settings.noise, settings.seed, settings.clip, settings.round_8bit)
    return hashlib.blake2b(repr(given).encode(), digest_size=8).hexdigest()


def _card(info: DenoiserInfo, outcome: Outcome) -> Payload:
    if info.id in outcome.loading:
        return _pending(info) | {"note": outcome.loading[info.id]}
    if info.id in outcome.comparison and comes_from_hub(info.id):
        info = create_denoiser(info.id).info  # now its own config is known
    card = {"id": info.id, "label": info.label, "kind": _kind(info)}
    if info.id in outcome.failures:
        return card | {"error": outcome.failures[info.id]}
    result = outcome.comparison[info.id]
    return (
        card
        | _scores(result)
        | _judgement(outcome.comparison, result)
        | {
            "ms": result.milliseconds,
            "strength": _strength(result),
            "strengthFrom": result.sigma.source,
        }
    )


def _judgement(comparison: Comparison, result: DenoiseResult) -> Payload:
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


def gain_flag(gain: float | None, psnr: float | None) -> str:
    """Say of a gain in dB, None where there was nothing to remove, that it is none or a loss."""
    if gain is None:
        assert psnr is not None
        lost = _lost(psnr)
        return "" if lost == 0 else WORSE if lost >= _LEAST_SHOWN else _NO_BETTER
    return WORSE if gain < -TIE else "" if gain > TIE else _NO_BETTER


def write_loss(psnr: float) -> str:
    """Say what a method destroys where there is nothing to remove: root mean square, of 255."""
    lost = _lost(psnr)
    if lost == 0:
        return "changes nothing"
    return f"destroys {lost:.1f} of 255" if lost >= _LEAST_SHOWN else "destroys < 0.1 of 255"


def _lost(psnr: float) -> float:
    return 255 * root_mean_square(psnr)


def _pending(info: DenoiserInfo) -> Payload:
    return {"id": info.id, "label": info.label, "kind": _kind(info), "pending": True}


def _scores(result: DenoiseResult) -> Payload:
    psnr = math.nan if result.psnr is None else result.psnr
    ssim = math.nan if result.ssim is None else result.ssim
    return {
        "pixels": encode_picture(result.image),
        "psnr": f"{write_number(psnr, 2)} dB",
        "ssim": write_number(ssim, 3),
        # For finding the best; JSON has no infinity.
        "psnrRank": min(psnr, 1e9),
        "ssimRank": -1 if math.isnan(ssim) else ssim,
    }


def _kind(info: DenoiserInfo) -> str:
    family = info.family[:1].upper() + info.family[1:]
    if not info.parameters:
        return family
    if info.parameters < 1_000_000:
        return f"{family}, {info.parameters / 1e3:.0f} k weights"
    return f"{family}, {info.parameters / 1e6:.2f} M weights"


def _strength(result: DenoiseResult) -> str:
    if result.sigma.value is None:
        return ""
    return f"{255 * result.sigma.value:.1f}/255"


def write_number(value: float, digits: int, *, signed: bool = False) -> str:
    """Write a number for people, with a proper minus sign."""
    if math.isnan(value):
        return "not defined"
    if math.isinf(value):
        text = "+∞" if value > 0 and signed else "∞" if value > 0 else "-∞"
    else:
        text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def encode_picture(image: Image) -> str:
    """Write a picture for a script to paint: its 8-bit pixels as text."""
    return encode_pixels(to_uint8(image))


def encode_pixels(pixels: npt.NDArray[np.uint8]) -> str:
    """Write 8-bit pixels, gray (H, W) or coloured (H, W, 3), as text."""
    return base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()


def _encode_fine(corruption: Corruption) -> str:
    """Encode the noisy picture unclipped, as little-endian int16, for the residual."""
    steps = np.clip(np.rint(corruption.noisy * _FINE), -32768, 32767)
    return base64.b64encode(steps.astype("<i2").tobytes()).decode()
