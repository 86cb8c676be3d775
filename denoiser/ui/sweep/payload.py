"""What the tab "Sweep" shows of a job: plain data, no Gradio in here.

The pictures of a sweep are frames, one for each place on the axis, which the browser has ready before
the pointer is there; those of a re-draw are one frame, of maps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from denoiser.analysis.gain_labels import NOTHING_TO_REMOVE, gain_flag, write_loss
from denoiser.analysis.repeats import maps, paired_difference, verdict
from denoiser.analysis.results import NOISY
from denoiser.images import Image, to_uint8
from denoiser.metrics import write_number
from denoiser.pipeline import Comparison, DenoiseResult, SweepPoint
from denoiser.ui.common.colours import LIGHT_DIVERGING, rgb
from denoiser.ui.common.payload import Payload, encode_pixels, new_version
from denoiser.ui.sweep.job import Job

METRICS: Mapping[str, str] = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "gain": "Gain in dB",
    "sharpness": "Sharpness",
    "path": "Sharpness against PSNR",
}
"""What the chart can show: id and name for people."""

MAP_RANGE = 32
"""Where the colours of the maps end, in 1 of 255."""

_MINUS = "\N{MINUS SIGN}"
_DARK, _NEUTRAL, _BRIGHT = map(rgb, LIGHT_DIVERGING[::2])  # brown is too dark, blue too bright


@dataclass(frozen=True, eq=False)
class Shown:
    """What a session's tab shows: a job, and the numbers computed so far.

    Attributes:
        offered: The methods of the tab "Compare" when they were last taken over.
        job: None as long as nothing could be computed.
        points: Without their pictures.
    """

    offered: tuple[str, ...] = ()
    job: Job | None = None
    points: tuple[SweepPoint, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether nothing is left to compute."""
        return self.job is not None and len(self.points) == self.job.total


def frames(points: Sequence[SweepPoint], job: Job, clean: Image) -> list[Payload]:
    """Write down the pictures of some points, one frame for each place; of several draws, the first."""
    first = {point.value: point for point in reversed(points)}
    return [_frame(first[value], job, clean) for value in dict.fromkeys(p.value for p in points)]


def map_frame(points: Sequence[SweepPoint], job: Job, clean: Image) -> Payload:
    """Write down bias and spread of every method over all draws; there have to be two."""
    cards = []
    for name, label in job.labels.items():
        results = [_result(point.comparison, name) for point in points if point.comparison]
        errors = maps([result.image for result in results], clean)
        cards.append(
            {
                "id": name,
                "label": label,
                "pictures": [
                    _picture(f"Bias of {label}", _diverging(errors.bias), "Bias"),
                    _picture(f"Spread of {label}", _inferno(errors.deviation), "Spread"),
                ],
                "lines": [
                    f"bias {255 * errors.total_bias:.1f}",
                    f"spread {255 * errors.total_deviation:.1f}",
                ],
            }
        )
    return {"place": 0, "title": f"{len(points)} draws", "cards": cards}


def pictures_payload(all_frames: Sequence[Payload], job: Job, clean: Image) -> Payload:
    """Write down everything that is shown below the chart."""
    height, width = clean.shape
    ramp = np.linspace(-1, 1, 64)[None] * MAP_RANGE / 255
    legend: list[Payload] = []
    if job.choice.view == "redraw":
        legend = [
            {
                "text": "Bias: mean result minus clean, wrong in every draw",
                "low": f"{_MINUS}{MAP_RANGE}",
                "high": f"+{MAP_RANGE}",
                "picture": _picture("", _diverging(ramp)),
            },
            {
                "text": "Spread: standard deviation over the draws, different in every draw",
                "low": "0",
                "high": f"{MAP_RANGE} of 255",
                "picture": _picture("", _inferno((ramp + MAP_RANGE / 255) / 2)),
            },
        ]
    return {
        "version": new_version(),
        "width": width,
        "height": height,
        "axis": job.axis.label,
        "start": job.axis.marks[0][0] if job.axis.marks else job.axis.values[0],
        "frames": list(all_frames),
        "legend": legend,
        "notes": list(job.notes),
    }


def without_pictures(points: Sequence[SweepPoint]) -> tuple[SweepPoint, ...]:
    """Return the numbers alone, which is what a session keeps."""
    return tuple(replace(point, comparison=None) for point in points)


def judge(shown: Shown, first: Any, second: Any, metric: str) -> str:
    """Say whether the gap between two methods is real, as far as the draws so far tell.

    Args:
        shown: What the tab shows.
        first: Id of a method or of the noisy picture; it comes from a browser and may be anything.
        second: Likewise.
        metric: A key of :data:`METRICS`.
    """
    job = shown.job
    if job is None or job.choice.view != "redraw" or len(shown.points) < 2:
        return ""
    if not all(isinstance(name, str) and name in job.labels for name in (first, second)):
        return "Choose two methods to compare."
    if first == second:
        return "Choose two different methods."
    # A gain is a PSNR less the noisy picture's, which is the same for both.
    quantity = "psnr" if metric in ("gain", "path") else metric
    scores = [[getattr(point, quantity)[name] for point in shown.points] for name in (first, second)]
    names = [job.labels[name] for name in (first, second)]
    unit, digits = ("dB", 2) if quantity == "psnr" else ("", 3)
    try:
        return verdict(paired_difference(*scores), *names, unit=unit, digits=digits)
    except ValueError:
        return "Nothing was damaged, or the face is even: there is no gap to measure."


def default_pair(labels: Mapping[str, str]) -> tuple[str, str]:
    """Return which two to compare first: the first two methods, or what there is."""
    names = [*(name for name in labels if name != NOISY), NOISY]
    return names[0], names[1] if len(names) > 1 else names[0]


def _frame(point: SweepPoint, job: Job, clean: Image) -> Payload:
    assert point.comparison is not None
    cards: list[Payload] = [
        {"id": "clean", "label": "Clean", "pictures": [_picture("Clean", to_uint8(clean))], "lines": []}
    ]
    for name, label in job.labels.items():
        result = _result(point.comparison, name)
        psnr, ssim = write_number(point.psnr[name], 2), write_number(point.ssim[name], 3)
        lines = [f"{psnr} dB", f"SSIM {ssim}", f"sharpness {write_number(point.sharpness[name], 2)}"]
        above = point.gain(name)
        if name != NOISY:
            loss = write_loss(point.psnr[name])
            lines.append(loss if above is None else f"{write_number(above, 2, signed=True)} dB gain")
        if result.sigma.value is not None:
            lines.append(f"told {255 * result.sigma.value:.1f} of 255")
        spoken = ", ".join([label, *lines])
        card: Payload = {"id": name, "label": label, "lines": lines}
        card["pictures"] = [_picture(spoken, to_uint8(result.image))]
        if name == NOISY:
            flag = NOTHING_TO_REMOVE if above is None else ""
        else:
            flag = gain_flag(above, point.psnr[name])
        if flag:
            card["flag"] = flag
        cards.append(card)
    return {"place": point.value, "title": f"{point.value:g}", "cards": cards}


def _result(comparison: Comparison | None, name: str) -> DenoiseResult:
    assert comparison is not None
    return comparison.noisy if name == NOISY else comparison[name]


def _picture(description: str, pixels: np.ndarray, title: str = "") -> Payload:
    """Encode gray (H, W) or coloured (H, W, 3) uint8 pixels."""
    return {
        "alt": description,
        "title": title,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "pixels": encode_pixels(pixels),
    }


def _diverging(values: np.ndarray) -> np.ndarray:
    """Colour values around zero; (H, W) on the [0, 1] scale to (H, W, 3) uint8."""
    place = np.clip(255 * values / MAP_RANGE, -1, 1)
    ends = zip(_DARK, _NEUTRAL, _BRIGHT, strict=True)
    channels = [np.interp(place, (-1, 0, 1), end) for end in ends]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def _inferno(values: np.ndarray) -> np.ndarray:
    """Colour values from zero; (H, W) on the [0, 1] scale to (H, W, 3) uint8."""
    place = np.rint(255 * np.clip(255 * values / MAP_RANGE, 0, 1)).astype(np.uint8)
    return cv2.applyColorMap(place, cv2.COLORMAP_INFERNO)[..., ::-1]
