"""The public API over HTTP: named, typed endpoints that work from ``gradio_client`` and curl.

Numbers in the answers are plain floats. What JSON cannot hold is written as text, ``"inf"`` and
``"-inf"``, which Python's ``float()`` reads back; what does not exist is null.
"""

import base64
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from denoiser.denoisers.base import Denoiser, check_hyperparameters
from denoiser.denoisers.registry import (
    DEFAULT_DENOISERS,
    create_denoiser,
    describe_denoiser,
    ensure_loaded,
    find_available,
    list_denoisers,
)
from denoiser.faces.samples import pick_samples, sample_emotions
from denoiser.images import Image, ImageError, load_face, to_png
from denoiser.noise import NOISES, PRESETS, NoiseChain, NoiseModel, Parameter, create_noise
from denoiser.pipeline import FACE_SIZES, Comparison, DenoiseResult, compare
from denoiser.ui.api.accelerator import compare_processors
from denoiser.ui.experiment.costs import plan
from denoiser.ui.experiment.face_source import FaceSource, sample_face
from denoiser.ui.experiment.own_picture import ONE_PICTURE
from denoiser.ui.experiment.parsing import MAX_STAGES
from denoiser.ui.experiment.run import describe_methods
from denoiser.ui.server.uploads import read_upload
from denoiser.weights.checkpoint import WeightsError

CONCURRENCY = 2
"""How many API calls run at once; the others wait in Gradio's queue."""

HUB_SECONDS = 4.0
"""How long a call waits, in all, for models that are being downloaded."""

_BEFORE_SEED = ("sigma", "amount", "salt_ratio", "peak", "radius", "size", "count", "quality")
_LAST = ("level", "grain")
"""Where programs that post a list have the strengths: no place moves. What noises have besides comes
after these."""

P = ParamSpec("P")
R = TypeVar("R")


def register_api(source: FaceSource) -> None:
    """Add the endpoints ``/compare``, ``/intermediate``, ``/milliseconds`` and three that list.

    To be called inside a ``gr.Blocks``.

    Args:
        source: Where the sample faces come from.
    """

    def compare_endpoint(
        request: gr.Request,
        face: dict[str, Any] | None = None,
        sample: str | None = None,
        noise: str = "gaussian",
        seed: int = 0,
        denoisers: list[str] | None = None,
        clip: bool = True,
        round_8bit: bool = False,
        crop_face: bool = True,
        *,
        hyperparameters: dict[str, dict[str, float]] | None = None,
        more_noises: list[dict[str, Any]] | None = None,
        face_size: int = FACE_SIZES[0],
        colour: bool = False,
        **strengths: float | None,
    ) -> dict[str, Any]:
        """Corrupt a face with noise, denoise it with several methods, and score them.

        Give either a picture (`face=handle_file("face.jpg")`) or the id of a sample face. `noise`
        is a kind or a preset; of the strengths, give those that the kind takes: {strengths}.
        `/noises` says what they mean; brightness is on the scale where white is 1. What is left out
        takes the kind's default. `clip` keeps the noisy picture within black and white, `round_8bit`
        rounds it to 256 levels, `crop_face` looks for the largest face in `face`. `hyperparameters`
        sets what methods have of their own, such as `{"nl-means": {"strength": 1.2}}`; `/denoisers`
        lists them. `more_noises` come on top of `noise`, up to three, one after the other, such as
        `[{"noise": "jpeg", "quality": 20}]`. `face_size` is 48, 96 or 128 pixels, and `colour` asks for
        the face in colour; of the sample faces, `astronaut` alone has more than 48x48 gray pixels.

        Answer: `noise`, `seed`, `note` (what happened to the face), `clean` (a PNG as base64),
        `noisy`, and `methods` by id, each with psnr (dB), ssim, gain (dB above the noisy picture; null
        where there is no noise to remove),
        milliseconds, sigma (used by the method, or null), sigma_source (known, estimated, unused)
        and image (a PNG as base64, of `face_size`). Infinity is the text "inf". `failures` says, by id,
        why a method has no result: its weights are missing, damaged, or still being downloaded, or it
        takes too long at this size.
        """
        model = _create_chain(noise, strengths, more_noises)
        methods = _check_denoisers(denoisers)
        own = _check_hyperparameters(hyperparameters, methods)
        _check_switches(clip=clip, round_8bit=round_8bit, crop_face=crop_face, colour=colour)
        size = _check_face_size(face_size)
        image, note = _load(source, request, face, sample, crop_face, size, colour)
        refused = plan(methods, describe_methods(colour=True), image.shape).refused
        methods = [method_id for method_id in methods if method_id not in refused]
        available = find_available(methods, HUB_SECONDS, own)
        usable = list(available.denoisers.values())
        comparison = compare(image, model, _check_seed(seed), usable, clip=clip, round_8bit=round_8bit)
        return {**describe(comparison), "failures": {**available.refusals, **refused}, "note": note}

    def intermediate_endpoint(
        request: gr.Request,
        face: dict[str, Any] | None = None,
        sample: str | None = None,
        noise: str = "gaussian",
        seed: int = 0,
        denoiser: str = "dual-autoencoder",
        clip: bool = True,
        round_8bit: bool = False,
        crop_face: bool = True,
        *,
        more_noises: list[dict[str, Any]] | None = None,
        **strengths: float | None,
    ) -> dict[str, Any]:
        """Show the image between the two halves of a dual autoencoder, and score both halves.

        `denoiser` is a method of two halves, or a flow, whose first half is the picture that its draws
        start from; the rest is as in `/compare`. Strengths by kind:
        {strengths}.

        Answer: as of `/compare`; `methods` holds `intermediate`, what the first half alone makes of
        the noisy face, and the denoiser by its id, what the two make together.
        """
        model = _create_chain(noise, strengths, more_noises)
        whole = _check_denoiser(denoiser)
        _check_switches(clip=clip, round_8bit=round_8bit, crop_face=crop_face)
        image, note = _load(source, request, face, sample, crop_face)
        methods = [FirstHalf(whole), whole]
        comparison = compare(image, model, _check_seed(seed), methods, clip=clip, round_8bit=round_8bit)
        return {**describe(comparison), "note": note}

    def samples_endpoint(emotion: str | None = None, seed: int = 0, count: int = 100) -> dict[str, Any]:
        """List sample faces, picked at random: the same ones for the same arguments.

        Answer: `source`, `total`, `emotions` (what can be asked for), and `samples`, each with id
        (for `/compare`), label and emotion.
        """
        faces = source.offer.faces
        if not _is_whole(count) or not 0 <= count <= len(faces):
            raise ValueError(f"count must be a whole number from 0 to {len(faces)}")
        picked = pick_samples(faces, emotion, _check_seed(seed), count)
        return {
            "source": faces.source,
            "total": len(faces),
            "emotions": sample_emotions(faces),
            "samples": [{"id": s.id, "label": s.label, "emotion": s.emotion} for s in picked],
        }

    add = functools.partial(gr.api, concurrency_limit=CONCURRENCY, concurrency_id="api")
    add(_with_strengths(_with_plain_errors(compare_endpoint)), api_name="compare")
    add(_with_strengths(_with_plain_errors(intermediate_endpoint)), api_name="intermediate")
    # The one that takes seconds: in a queue of its own, so that no other call waits for it.
    gr.api(
        _with_plain_errors(milliseconds_endpoint),
        api_name="milliseconds",
        concurrency_limit=1,
        concurrency_id="milliseconds",
    )
    add(_with_plain_errors(noises_endpoint), api_name="noises")
    add(_with_plain_errors(denoisers_endpoint), api_name="denoisers")
    add(_with_plain_errors(samples_endpoint), api_name="samples")


class FirstHalf(Denoiser):
    """The first half of a method of two, as a denoiser ``intermediate`` of its own.

    Args:
        whole: A denoiser that makes an intermediate image.
    """

    def __init__(self, whole: Denoiser):
        self.info = replace(whole.info, id="intermediate")
        self.whole = whole

    def _denoise(self, noisy: Image, sigma: float) -> Image:
        return self.whole.intermediate(noisy)


def noises_endpoint() -> dict[str, Any]:
    """List the kinds of noise with their parameters and ranges, and the presets.

    Answer: `noises`, each with id, label and parameters (name, minimum, maximum, default, integer,
    meaning), and `presets`, each with id and the noise it stands for.
    """
    return {
        "noises": [
            {"id": kind.id, "label": kind.label, "parameters": [*map(_range, kind.parameters)]}
            for kind in NOISES
        ],
        "presets": [{"id": name, "noise": model.describe()} for name, model in PRESETS.items()],
    }


def denoisers_endpoint() -> dict[str, Any]:
    """List the denoisers.

    Answer: `denoisers`, each with id, label, family, uses_sigma, trained_on, parameters, reference,
    trained_noises (the training noise as kinds and ranges), hyperparameters (as the parameters of
    `/noises`), intended_for (the kinds of noise that a filter is meant for; empty if for any) and
    available (false, with a `message`, where weights are missing or on their way), and
    `default`, the ids that `/compare` takes when none are given.
    """
    listed = [_describe_denoiser(denoiser_id) for denoiser_id in list_denoisers(colour=True)]
    return {"denoisers": listed, "default": list(DEFAULT_DENOISERS)}


def milliseconds_endpoint(denoiser: str = "attention-unet", faces: int = 1) -> dict[str, Any]:
    """Time a network on the CPU, where the page runs it, and on a GPU where there is one.

    `denoiser` is a network, `faces` the number of 48x48 pictures that it gets at once (1 to 64). A
    ZeroGPU Space lends a GPU for this call, which counts towards its visitor's quota.

    Answer: `denoiser`, `faces`, `cpu` and `gpu` (null where there is none), each with device (its
    name), first (ms of the first run, with what has to be prepared for it) and milliseconds (median
    of five more, to and from main memory), and `lending` (ms spent on getting the GPU and giving it
    back, or null).
    """
    _check_denoiser(denoiser)
    measured = compare_processors(denoiser, faces)
    return {
        "denoiser": denoiser,
        "faces": faces,
        "cpu": asdict(measured.cpu),
        "gpu": None if measured.gpu is None else asdict(measured.gpu),
        "lending": measured.lending,
    }


def describe(comparison: Comparison) -> dict[str, Any]:
    """Turn a comparison into what JSON can hold; see the endpoint ``/compare``."""
    corruption = comparison.corruption
    return {
        "noise": corruption.noise.describe(),
        "seed": corruption.seed,
        "clean": _base64_png(corruption.clean),
        "noisy": _describe_result(comparison, comparison.noisy),
        "methods": {
            method_id: _describe_result(comparison, result) for method_id, result in comparison.items()
        },
    }


def _with_plain_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Show the library's own sentences to the caller, and nothing of any other error."""

    @functools.wraps(function)  # Gradio reads names, types and description from the function
    def endpoint(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (ValueError, WeightsError) as error:
            raise gr.Error(str(error), print_exception=False) from None

    return endpoint


def _with_strengths(function: Callable[..., R]) -> Callable[..., R]:
    """Give an endpoint a parameter for each strength that any kind in NOISES has.

    Gradio reads names, types and description from the function, so that a new noise reaches HTTP by
    itself. In its description ``{strengths}`` stands for the kinds and their ranges.

    Args:
        function: Takes the strengths as keywords, and ``seed``, before which the first of them come.
            What it takes by keyword only comes behind all strengths that there have been.
    """
    types: dict[str, type] = {}
    for parameter in (p for kind in NOISES for p in kind.parameters):
        is_whole = parameter.integer and types.get(parameter.name) is not float
        types[parameter.name] = int if is_whole else float

    def optional(names: Iterable[str]) -> list[inspect.Parameter]:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        hints = {name: types.get(name, float) | None for name in names}
        return [inspect.Parameter(n, kind, default=None, annotation=hint) for n, hint in hints.items()]

    own = inspect.signature(function)
    parameters = [p for p in own.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    newer = [p for p in own.parameters.values() if p.kind is p.KEYWORD_ONLY]
    place = list(own.parameters).index("seed")
    parameters[place:place] = optional(_BEFORE_SEED)
    parameters += optional(_LAST)
    parameters += [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in newer]
    parameters += optional(n for n in types if n not in (*_BEFORE_SEED, *_LAST))
    signature = own.replace(parameters=parameters)

    @functools.wraps(function)
    def endpoint(*args: Any, **kwargs: Any) -> R:
        return function(**signature.bind(*args, **kwargs).arguments)

    # Outermost: since Python 3.14, functools.wraps takes annotations from where they were written.
    endpoint.__signature__ = signature  # type: ignore[attr-defined]
    endpoint.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    endpoint.__doc__ = (function.__doc__ or "").replace("{strengths}", _say_strengths())
    return endpoint


def _say_strengths() -> str:
    """Say which strengths each kind takes, and from where to where."""
    return ", ".join(
        f"{kind.id} ({', '.join(f'{p.name} {p.minimum:g} to {p.maximum:g}' for p in kind.parameters)})"
        for kind in NOISES
    )


def _create_chain(noise: object, strengths: dict[str, Any], more: object) -> NoiseModel:
    """Create a noise, or a chain of it and those on top of it."""
    first = _create_noise(noise, **strengths)
    if more is None or more == []:
        return first
    if not isinstance(more, list) or any(not isinstance(s, dict) or "noise" not in s for s in more):
        raise ValueError('more_noises must be a list such as [{"noise": "jpeg", "quality": 20}]')
    known = {"noise", *(parameter.name for kind in NOISES for parameter in kind.parameters)}
    if any(not known.issuperset(stage) for stage in more):
        raise ValueError("more_noises names a strength that no noise has; /noises lists them")
    if len(more) >= MAX_STAGES:
        raise ValueError(f"more_noises must hold {MAX_STAGES - 1} noises at most")
    return NoiseChain((first, *(_create_noise(**stage) for stage in more)))


def _create_noise(noise: object, **strengths: Any) -> NoiseModel:
    """Create a noise from its id and strengths of any type, of which None ones are left out."""
    if not isinstance(noise, str):
        raise ValueError("noise must be the id of a noise, such as gaussian")
    numbers = {name: value for name, value in strengths.items() if value is not None}
    if noise in PRESETS and numbers:
        raise ValueError(f"{noise} is a preset, and a preset takes no strengths")
    for name, value in numbers.items():
        if not _is_number(value):
            raise ValueError(f"{name} must be a number")
    return create_noise(noise, **numbers)


def _check_denoisers(denoisers: object) -> list[str]:
    if denoisers is None:
        return list(DEFAULT_DENOISERS)
    if not isinstance(denoisers, list) or not all(isinstance(name, str) for name in denoisers):
        raise ValueError("denoisers must be a list of ids; /denoisers lists them")
    if not denoisers:
        raise ValueError("denoisers must name at least one denoiser; /denoisers lists them")
    for name in denoisers:
        _check_known(name)
    return list(dict.fromkeys(denoisers))


def _check_known(denoiser_id: str) -> None:
    known = list_denoisers(colour=True)
    if denoiser_id not in known:
        raise ValueError(f"Unknown denoiser {denoiser_id[:40]!r}; choose one of {', '.join(known)}")


def _check_denoiser(denoiser: object) -> Denoiser:
    if not isinstance(denoiser, str):
        raise ValueError("denoiser must be the id of a denoiser; /denoisers lists them")
    _check_known(denoiser)
    ensure_loaded(denoiser, HUB_SECONDS)
    return create_denoiser(denoiser)


def _check_hyperparameters(
    hyperparameters: object, methods: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Check what a caller sets of methods that are asked for."""
    if hyperparameters is None:
        return {}
    if not isinstance(hyperparameters, dict) or not all(
        isinstance(values, dict) and all(_is_number(v) for v in values.values())
        for values in hyperparameters.values()
    ):
        raise ValueError("hyperparameters must be numbers by name, by id; /denoisers lists them")
    for name in hyperparameters:
        if name not in methods:
            raise ValueError(f"hyperparameters are of {str(name)[:40]!r}, which is not in denoisers")
    return {
        name: check_hyperparameters(describe_denoiser(name), values)
        for name, values in hyperparameters.items()
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_switches(**switches: object) -> None:
    for name, switch in switches.items():
        if not isinstance(switch, bool):
            raise ValueError(f"{name} must be true or false")


def _check_seed(seed: int) -> int:
    if not _is_whole(seed) or not 0 <= seed < 2**63:
        raise ValueError("seed must be a whole number from 0 to 2**63 - 1")
    return seed


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_face_size(size: int) -> int:
    if not _is_whole(size) or size not in FACE_SIZES:
        raise ValueError(f"face_size must be one of {', '.join(map(str, FACE_SIZES))}")
    return size


def _load(
    source: FaceSource,
    request: gr.Request,
    face: object,
    sample: object,
    crop_face: bool,
    size: int = FACE_SIZES[0],
    colour: bool = False,
) -> tuple[Image, str]:
    """Return the clean face and a note on how it was made."""
    if (face is None) == (sample is None):
        raise ValueError("Give either face (a picture) or sample (an id that /samples lists)")
    if face is None:
        if not isinstance(sample, str):
            raise ValueError("sample must be the id of a sample face; /samples lists them")
        found = sample_face(source.get(sample))
        if (size != FACE_SIZES[0] and found.detail is None) or (colour and not found.has_colour):
            raise ValueError("This sample is 48x48 and gray: face_size must be 48, and colour false")
        return found.at(size, colour), ""
    if not isinstance(face, dict):
        raise ImageError("face must be an uploaded picture, such as handle_file('face.jpg')")
    data = read_upload(face, request.session_hash)
    with ONE_PICTURE:
        loaded = load_face(data, size, crop_face, gray=not colour)
    return loaded.image, loaded.note


def _describe_result(comparison: Comparison, result: DenoiseResult) -> dict[str, Any]:
    return {
        "psnr": _plain(result.psnr),
        "ssim": _plain(result.ssim),
        "gain": _plain(comparison.gain(result.id)),
        "milliseconds": _plain(result.milliseconds),
        "sigma": _plain(result.sigma.value),
        "sigma_source": result.sigma.source,
        "image": _base64_png(result.image),
    }


def _plain(value: float | None) -> float | str | None:
    """Return a number that JSON can hold; infinity as text, not-a-number as None."""
    if value is None or math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(float(value))


def _base64_png(image: Image) -> str:
    return base64.b64encode(to_png(image)).decode()


def _range(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "minimum": float(parameter.minimum),
        "maximum": float(parameter.maximum),
        "default": float(parameter.default),
        "integer": parameter.integer,
        "meaning": parameter.label,
    }


def _describe_denoiser(denoiser_id: str) -> dict[str, Any]:
    try:
        ensure_loaded(denoiser_id)
        info = create_denoiser(denoiser_id).info
        own = [_range(parameter) for parameter in info.hyperparameters]
        return {**asdict(info), "hyperparameters": own, "available": True}
    except WeightsError as error:
        return {"id": denoiser_id, "available": False, "message": str(error)}
