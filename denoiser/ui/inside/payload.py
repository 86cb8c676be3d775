"""What the tab "Inside" is sent: pictures as JSON, with everything written out; no Gradio in here.

A payload has a ``version``, ``panels`` (a picture, or a sentence in its place, each) and, where
something is on its way from the Hub, ``pending``. Pixels are RGB: the browser only paints.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from denoiser.analysis.inspection import (
    GRAY,
    AttentionMap,
    Map,
    PatchScores,
    Place,
    Residual,
    Whiteness,
    ask_experts,
    attention_maps,
    create_discriminator,
    denoise_clean,
    draw_samples,
    edge_profile,
    ensure_discriminator,
    find_residual,
    make_pure_noise,
    measure_whiteness,
    score_patches,
    steepest_step,
)
from denoiser.analysis.results import CLEAN, NOISY, NOISY_LABEL
from denoiser.denoisers.background import LoadingError
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.registry import create_denoiser, find_available
from denoiser.images import Image, to_uint8
from denoiser.metrics import psnr, write_number, write_psnr
from denoiser.pipeline import DenoiseResult, Experiment, denoise
from denoiser.ui.common.colours import DIVERGING, colour_table
from denoiser.ui.common.payload import Payload, encode_pixels, new_version
from denoiser.ui.experiment.run import Face, Outcome, run_methods
from denoiser.weights.checkpoint import WeightsError

BIAS_REACH = 32
"""Of 255: where black and white lie in pictures of what a method destroys or makes up."""

RESIDUAL_REACH = 64
"""Likewise in a residual, as in the grid."""

_OVERLAY = 0.6  # share of a map's colour where it lies over the face
_MINUS = "\N{MINUS SIGN}"
_STEPS = np.arange(256, dtype=np.uint8)[None]
# OpenCV's colours are blue first.
_VIRIDIS = cv2.applyColorMap(_STEPS, cv2.COLORMAP_VIRIDIS)[0, :, ::-1].astype(np.uint8)
_GRAYS: npt.NDArray[np.uint8] = np.repeat(_STEPS[0][:, None], 3, axis=1)
_DIVERGING = colour_table(DIVERGING)  # brown is "denoised", blue is "clean"


@dataclass(frozen=True)
class Panel:
    """One picture with its name and numbers, or a sentence in the picture's place.

    Attributes:
        id: Tells it from the others.
        label: Name for people.
        pixels: (H, W, 3) uint8; None for a sentence.
        numbers: Names and values below the picture.
        note: The sentence, or one more line below the picture.
        colours: Colours of the scale, (N, 3) uint8; None for no scale.
        ends: What the scale's ends stand for.
        frames: Ids of panels whose pictures this one shows, one after the other, when it is played.
    """

    id: str
    label: str
    pixels: npt.NDArray[np.uint8] | None = None
    numbers: Sequence[tuple[str, str]] = ()
    note: str = ""
    colours: npt.NDArray[np.uint8] | None = None
    ends: tuple[str, str] = ("", "")
    frames: Sequence[str] = ()

    def to_json(self) -> Payload:
        """Write it down for ``pictures.js``."""
        payload: Payload = {"id": self.id, "label": self.label, "note": self.note}
        if self.pixels is None:
            return payload
        height, width = self.pixels.shape[:2]
        numbers = [list(pair) for pair in self.numbers]
        spoken = ", ".join(f"{name} {value}" for name, value in numbers)
        payload |= {
            "width": width,
            "height": height,
            "pixels": encode_pixels(self.pixels),
            "alt": f"{self.label}: {spoken}" if spoken else self.label,
            "numbers": numbers,
        }
        if self.frames:
            payload["frames"] = list(self.frames)
        if self.colours is not None:
            payload["scale"] = {"pixels": encode_pixels(self.colours), "ends": list(self.ends)}
        return payload


@dataclass(frozen=True)
class Profiles:
    """Gray values along a line.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        values: By method id, after ``CLEAN`` and ``NOISY``; [0, 1].
        labels: Names for people, by the same ids; no two are equal.
        outcome: What they are of.
    """

    start: Place
    end: Place
    values: Mapping[str, Map]
    labels: Mapping[str, str]
    outcome: Outcome = field(repr=False)


def panels_payload(panels: Iterable[Panel], pending: bool = False) -> Payload:
    """Write panels down."""
    entries = [panel.to_json() for panel in panels]
    return {"version": new_version(), "panels": entries, "pending": pending}


def sentence_payload(sentence: str) -> Payload:
    """Say one sentence in place of all panels."""
    return {"version": new_version(), "panels": [], "error": sentence}


def gates_payload(
    face: Face,
    experiment: Experiment,
    method: DenoiserInfo,
    *,
    over_face: bool = True,
    own_range: bool = True,
) -> Payload:
    """Show what a network's attention gates let pass.

    Args:
        face: The clean face.
        experiment: The noise.
        method: The network.
        over_face: Lay the maps over the clean face.
        own_range: Let each map's colours span its own values, instead of 0 to 1.
    """
    outcome = run_methods(face, experiment, [method.id])
    if method.id not in outcome.comparison:
        return panels_payload(
            _missing(outcome, {method.id: method}, [method.id]), outcome.available.pending
        )
    corruption, result = outcome.comparison.corruption, outcome.comparison[method.id]
    maps = attention_maps(create_denoiser(method.id), corruption.noisy)
    base = gray_pixels(corruption.clean) if over_face else None
    gates = [_gate_panel(n, gate, base, own_range) for n, gate in enumerate(maps, 1)]
    return panels_payload(
        [
            Panel("noisy", f"In: {NOISY_LABEL.lower()}", gray_pixels(corruption.noisy)),
            *gates,
            Panel("denoised", "Out: denoised", gray_pixels(result.image), _quality(result)),
        ]
    )


def experts_payload(face: Face, experiment: Experiment, method: DenoiserInfo) -> Payload:
    """Show what every expert of a network makes of the noisy face, and which one the router asks."""
    outcome = run_methods(face, experiment, [method.id])
    if method.id not in outcome.comparison:
        return panels_payload(
            _missing(outcome, {method.id: method}, [method.id]), outcome.available.pending
        )
    clean, noisy = outcome.comparison.corruption.clean, outcome.comparison.corruption.noisy
    views = ask_experts(create_denoiser(method.id), noisy)
    leading = max(views, key=lambda view: view.share)
    return panels_payload(
        [
            _noisy_panel(noisy, clean),
            *(
                Panel(
                    f"expert-{view.name}",
                    view.name.capitalize(),
                    gray_pixels(view.image),
                    [
                        ("Router's share", f"{100 * view.share:.0f} %"),
                        ("PSNR", write_psnr(psnr(view.image, clean))),
                    ],
                    note="This one is asked." if view is leading else "",
                )
                for view in views
            ),
        ]
    )


def intermediate_payload(face: Face, experiment: Experiment, method: DenoiserInfo) -> Payload:
    """Show what a method of two parts makes after its first one."""
    outcome = run_methods(face, experiment, [method.id])
    if method.id not in outcome.comparison:
        return panels_payload(
            _missing(outcome, {method.id: method}, [method.id]), outcome.available.pending
        )
    corruption, result = outcome.comparison.corruption, outcome.comparison[method.id]
    half = create_denoiser(method.id).intermediate(corruption.noisy)
    second = 255 * (result.image.astype(np.float64) - half)
    return panels_payload(
        [
            Panel("clean", "Clean", gray_pixels(corruption.clean)),
            _noisy_panel(corruption.noisy, corruption.clean),
            Panel(
                "intermediate",
                "After the first half",
                gray_pixels(half),
                [("PSNR", write_psnr(psnr(half, corruption.clean)))],
            ),
            Panel("denoised", "Out: denoised", gray_pixels(result.image), _quality(result)),
            _signed_panel("change", "What the second half changed", second, BIAS_REACH),
        ]
    )


def samples_payload(face: Face, experiment: Experiment, method: DenoiserInfo) -> Payload:
    """Show several faces that the noisy one may have been, their mean, and where they differ."""
    outcome = run_methods(face, experiment, [])
    available = find_available([method.id])
    if method.id not in available.denoisers:
        note = available.refusals[method.id]
        return panels_payload([Panel(method.id, method.label, note=note)], available.pending)
    clean, noisy = outcome.comparison.corruption.clean, outcome.comparison.corruption.noisy
    drawing = available.denoisers[method.id]
    samples = draw_samples(drawing, noisy)
    closest = drawing.intermediate(noisy)
    scores = [psnr(picture, clean) for picture in samples.pictures]
    mean_score, closest_score = psnr(samples.mean, clean), psnr(closest, clean)
    single = -10 * np.log10(np.mean([10 ** (-score / 10) for score in scores]))
    spread = 255 * samples.spread
    reach = max(1.0, float(spread.max()))
    steps = np.rint(255 * spread / reach).astype(np.uint8)
    panels = [
        Panel(f"sample-{n}", f"Draw {n}", gray_pixels(picture), [("PSNR", write_psnr(score))])
        for n, (picture, score) in enumerate(zip(samples.pictures, scores, strict=True))
    ]
    return panels_payload(
        [
            Panel("clean", "Clean", gray_pixels(clean)),
            _noisy_panel(noisy, clean),
            Panel(
                "closest", "Start: closest", gray_pixels(closest), [("PSNR", write_psnr(closest_score))]
            ),
            Panel(
                "film",
                f"All {len(panels)} draws",
                panels[0].pixels,
                [
                    ("PSNR of one", write_psnr(single)),
                    ("… below their mean's", f"{write_number(mean_score - single, 1)} dB"),
                ],
                frames=[panel.id for panel in panels],
            ),
            Panel(
                "mean",
                "Mean of the draws",
                gray_pixels(samples.mean),
                [("PSNR", write_psnr(mean_score))],
            ),
            Panel(
                "spread",
                "Here it guesses",
                _VIRIDIS[steps],
                [("Spread, mean", f"{spread.mean():.1f} of 255")],
                colours=_VIRIDIS,
                ends=("0", f"{reach:.0f} of 255"),
            ),
            *panels,
        ]
    )


def patches_payload(
    face: Face, experiment: Experiment, methods: Mapping[str, DenoiserInfo], model_id: str
) -> Payload:
    """Show which patches of every picture a discriminator takes for clean.

    Args:
        face: The clean face.
        experiment: The noise, and which methods to judge.
        methods: What there is to know about all of them.
        model_id: Whose discriminator.
    """
    try:
        ensure_discriminator(model_id)
        judge = create_discriminator(model_id)
    except LoadingError as error:
        return sentence_payload(str(error)) | {"pending": True}
    except WeightsError as error:
        return sentence_payload(str(error))
    outcome = run_methods(face, experiment, experiment.methods)
    clean, noisy = outcome.comparison.corruption.clean, outcome.comparison.corruption.noisy

    def panel(panel_id: str, label: str, picture: Image) -> Panel:
        scores = score_patches(judge, noisy, picture)
        low, high = scores.values.min(), scores.values.max()
        return Panel(
            panel_id,
            label,
            _patch_pixels(scores, picture),
            [("Mean score", f"{scores.mean:.2f}"), ("Patches", f"{low:.2f} to {high:.2f}")],
            colours=_DIVERGING,
            ends=("0 denoised", "1 clean"),
        )

    return panels_payload(
        [
            panel("clean", "Clean", clean),
            panel("noisy", NOISY_LABEL, noisy),
            *_each(experiment, outcome, methods, lambda info, r: panel(info.id, info.label, r.image)),
        ],
        outcome.available.pending,
    )


def residual_payload(
    face: Face, experiment: Experiment, method: DenoiserInfo
) -> tuple[Payload, Residual | None]:
    """Show what a method took away beside the true noise.

    Returns:
        The payload, and both of them for the charts; None where the method can't run.
    """
    outcome = run_methods(face, experiment, [method.id])
    if method.id not in outcome.comparison:
        missing = _missing(outcome, {method.id: method}, [method.id])
        return panels_payload(missing, outcome.available.pending), None
    corruption, result = outcome.comparison.corruption, outcome.comparison[method.id]
    both = find_residual(corruption.clean, corruption.noisy, result.image)

    def panel(panel_id: str, label: str, values: Map) -> Panel:
        numbers = _whiteness_numbers(measure_whiteness(values, corruption.clean))
        return _with_numbers(_signed_panel(panel_id, label, 255 * values, RESIDUAL_REACH), numbers)

    panels = [
        panel("noise", f"True noise: noisy {_MINUS} clean", both.noise),
        panel("residual", f"Residual: noisy {_MINUS} denoised", both.residual),
        Panel("denoised", f"{method.label}: denoised", gray_pixels(result.image), _quality(result)),
    ]
    return panels_payload(panels), both


def find_profiles(
    face: Face, experiment: Experiment, methods: Mapping[str, DenoiserInfo], start: Place, end: Place
) -> Profiles:
    """Read the gray values along a line in the clean, the noisy and every denoised picture."""
    outcome = run_methods(face, experiment, experiment.methods)
    pictures = {CLEAN: outcome.comparison.corruption.clean, NOISY: outcome.comparison.corruption.noisy}
    labels = {CLEAN: "Clean", NOISY: NOISY_LABEL}
    for method_id, result in outcome.comparison.items():
        pictures[method_id] = result.image
        label = methods[method_id].label
        labels[method_id] = f"{label} ({method_id})" if label in labels.values() else label
    values = {name: edge_profile(picture, start, end) for name, picture in pictures.items()}
    return Profiles(start, end, values, labels, outcome)


def line_payload(profiles: Profiles, methods: Mapping[str, DenoiserInfo]) -> Payload:
    """Show the clean face with the line, and how steep each profile's steepest step is."""
    clean = gray_pixels(profiles.outcome.comparison.corruption.clean)
    height, width = clean.shape[:2]
    steps = [
        [profiles.labels[name], f"{255 * steepest_step(values):.0f}"]
        for name, values in profiles.values.items()
    ]
    sentences = profiles.outcome.available.refusals
    return {
        "version": new_version(),
        "width": width,
        "height": height,
        "pixels": encode_pixels(clean),
        "start": list(profiles.start),
        "end": list(profiles.end),
        "numbers": steps,
        "notes": [f"{methods[method_id].label}: {text}" for method_id, text in sentences.items()],
        "pending": profiles.outcome.available.pending,
    }


def bias_payload(
    face: Face,
    experiment: Experiment,
    methods: Mapping[str, DenoiserInfo],
    *,
    show_result: bool = False,
) -> Payload:
    """Show what each method makes of the clean picture.

    Args:
        face: The clean face.
        experiment: The noise, which decides how strongly filters work, and the methods.
        methods: What there is to know about all of them.
        show_result: Show what is left, instead of what is lost.
    """
    outcome = run_methods(face, experiment, experiment.methods)
    corruption = outcome.comparison.corruption

    def panel(info: DenoiserInfo, _: DenoiseResult) -> Panel:
        method = outcome.available.denoisers[info.id]
        result = denoise_clean(method, corruption.clean, corruption.noisy, corruption.sigma)
        lost = 255 * (corruption.clean.astype(np.float64) - result.image)
        numbers = [
            ("PSNR", write_psnr(result.psnr)),
            ("Largest change", f"{np.abs(lost).max():.0f} of 255"),
        ]
        if show_result:
            return Panel(info.id, info.label, gray_pixels(result.image), numbers)
        return _with_numbers(_signed_panel(info.id, info.label, lost, BIAS_REACH), numbers)

    return panels_payload(
        [
            Panel("clean", "In: clean picture", gray_pixels(corruption.clean)),
            *_each(experiment, outcome, methods, panel),
        ],
        outcome.available.pending,
    )


def invention_payload(
    face: Face, experiment: Experiment, methods: Mapping[str, DenoiserInfo], sigma: float, seed: int
) -> Payload:
    """Show what each method sees in a picture of nothing: even gray with Gaussian noise.

    Args:
        face: For its size only.
        experiment: The methods.
        methods: What there is to know about all of them.
        sigma: Standard deviation in [0, 1].
        seed: Of the noise.
    """
    height, width = face.image.shape
    noise = make_pure_noise((height, width), sigma, seed)

    def panel(panel_id: str, label: str, picture: Image) -> Panel:
        off = 255 * (picture.astype(np.float64) - GRAY)
        numbers = [("Standard deviation", f"{off.std():.1f} of 255")]
        signed = _signed_panel(panel_id, label, off, BIAS_REACH)
        return _with_numbers(signed, numbers)

    available = find_available(experiment.methods, hyperparameters=experiment.hyperparameters)
    panels = [panel("noise", "In: gray with noise", noise)]
    for method_id in experiment.methods:
        label = methods[method_id].label
        method = available.denoisers.get(method_id)
        if method is None:
            panels.append(Panel(method_id, label, note=available.refusals[method_id]))
        else:
            panels.append(panel(method_id, label, denoise(noise, method, sigma=sigma).image))
    return panels_payload(panels, available.pending)


# Colours


def gray_pixels(picture: Image) -> npt.NDArray[np.uint8]:
    """Return a gray picture as RGB, (H, W, 3)."""
    return np.repeat(to_uint8(picture)[..., None], 3, axis=2)


def _noisy_panel(noisy: Image, clean: Image) -> Panel:
    score = write_psnr(psnr(noisy, clean, check_range=False))
    return Panel("noisy", "In: noisy picture", gray_pixels(noisy), [("PSNR", score)])


def _gate_panel(
    number: int, gate: AttentionMap, base: npt.NDArray[np.uint8] | None, own_range: bool
) -> Panel:
    low, high = (float(gate.values.min()), float(gate.values.max())) if own_range else (0.0, 1.0)
    steps = np.rint(255 * np.clip((gate.values - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)
    pixels = _VIRIDIS[steps]
    if base is not None:
        pixels = _blend(pixels, base)
    return Panel(
        f"gate-{number}",
        f"Gate {number}",
        pixels,
        [
            ("One value for", f"{gate.side}x{gate.side} pixels"),
            ("Mean", f"{gate.values.mean():.2f}"),
            ("From, to", f"{gate.values.min():.2f}, {gate.values.max():.2f}"),
        ],
        colours=_VIRIDIS,
        ends=(f"{low:.2f}", f"{high:.2f}"),
    )


def _patch_pixels(scores: PatchScores, picture: Image) -> npt.NDArray[np.uint8]:
    """Colour the middle of each patch; the picture's rim, where no patch has its middle, stays gray."""
    pixels = gray_pixels(picture)
    colours = _DIVERGING[np.rint(255 * scores.values).astype(np.uint8)]
    colours = np.repeat(np.repeat(colours, scores.stride, axis=0), scores.stride, axis=1)
    first = round(scores.first_centre - scores.stride / 2 + 0.5)
    inside = pixels[first : first + colours.shape[0], first : first + colours.shape[1]]
    inside[:] = _blend(colours[: inside.shape[0], : inside.shape[1]], inside)
    return pixels


def _blend(colours: npt.NDArray[np.uint8], base: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.rint(_OVERLAY * colours + (1 - _OVERLAY) * base).astype(np.uint8)


def _signed_panel(panel_id: str, label: str, values: Map, reach: int) -> Panel:
    """Show values of 255 that may be negative: mid-gray is 0."""
    steps = np.clip(np.rint(127.5 + 127.5 * values / reach), 0, 255).astype(np.uint8)
    return Panel(panel_id, label, _GRAYS[steps], colours=_GRAYS, ends=(f"{_MINUS}{reach}", f"+{reach}"))


def _with_numbers(panel: Panel, numbers: Sequence[tuple[str, str]]) -> Panel:
    return replace(panel, numbers=numbers)


# Words


def _each(
    experiment: Experiment,
    outcome: Outcome,
    methods: Mapping[str, DenoiserInfo],
    make: Callable[[DenoiserInfo, DenoiseResult], Panel],
) -> list[Panel]:
    """Make a panel of every method chosen that ran, and a sentence of those that could not."""
    panels = []
    for method_id in experiment.methods:
        if method_id in outcome.comparison:
            panels.append(make(methods[method_id], outcome.comparison[method_id]))
        else:
            panels += _missing(outcome, methods, [method_id])
    return panels


def _missing(
    outcome: Outcome, methods: Mapping[str, DenoiserInfo], method_ids: Iterable[str]
) -> list[Panel]:
    return [Panel(m, methods[m].label, note=outcome.available.refusals[m]) for m in method_ids]


def _quality(result: DenoiseResult) -> list[tuple[str, str]]:
    return [("PSNR", write_psnr(result.psnr))]


def _whiteness_numbers(whiteness: Whiteness) -> list[tuple[str, str]]:
    return [
        ("Standard deviation", f"{255 * whiteness.deviation:.1f} of 255"),
        ("Correlation with clean", write_number(whiteness.with_clean, 2, signed=True)),
        ("… with the next pixel", write_number(whiteness.with_neighbour, 2, signed=True)),
        ("Whiteness, 0 to 1", write_number(whiteness.flatness, 2)),
    ]
