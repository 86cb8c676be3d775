"""How far :func:`~denoiser.analysis.unknown_noise.estimate_noise_of` may be trusted, as was measured.

``weights/unknown-noise.json`` is written by ``python -m train evaluate-unknown-noise``: noise of known
kind and strength was added to pictures of several sizes, and estimated again.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from denoiser.analysis.results import UNKNOWN_NOISE_NAME, ResultsError
from denoiser.weights.checkpoint import WEIGHTS

LEAST_PICTURES = 5
"""Of how many pictures it can be said how far estimates are off."""


@dataclass(frozen=True)
class SigmaError:
    """How the true sigma lay to an estimated one, for a kind of noise that was rightly told.

    Attributes:
        kind: Id of the kind.
        above: Holds for estimates above this.
        low: 95 % of the true ones were at least this many times the estimate.
        high: And at most this many times.
    """

    kind: str
    above: float
    low: float
    high: float


@dataclass(frozen=True)
class PictureSet:
    """What was measured on pictures of one sort.

    Attributes:
        pixels: How many a picture has, typically.
        confidence: Of the pictures called a kind, the share that was it, where each kind of noise is as
            frequent as any other.
        errors: By kind, and by growing ``above``.
        means: By kind, the mean estimates and the true sigmas that they stood for, both growing.
    """

    pixels: int
    confidence: Mapping[str, float]
    errors: tuple[SigmaError, ...]
    means: Mapping[str, tuple[tuple[float, float], ...]]


@dataclass(frozen=True)
class Calibration:
    """What was measured, on pictures of all sorts; empty where nothing was."""

    sets: tuple[PictureSet, ...] = ()

    def confidence(self, kind: str, pixels: int) -> float:
        """Return how often pictures called a kind were it, of about this size; NaN if none was."""
        found = self._nearest(pixels)
        return math.nan if found is None else found.confidence.get(kind, math.nan)

    def sigma_range(self, kind: str, sigma: float, pixels: int) -> tuple[float, float]:
        """Return where the true sigma may lie (95 %) for an estimated one; NaN where none was tried."""
        found = self._nearest(pixels)
        errors = () if found is None else found.errors
        fitting = [error for error in errors if error.kind == kind and sigma > error.above]
        if not fitting:
            return math.nan, math.nan
        return sigma * fitting[-1].low, sigma * fitting[-1].high

    def correct(self, kind: str, sigma: float, pixels: int) -> float:
        """Take off an estimated sigma what estimates of that kind and strength are off on average.

        That is a share of it, interpolated between the strengths that were tried.
        """
        found = self._nearest(pixels)
        means = () if found is None else found.means.get(kind, ())
        if not means:
            return sigma
        estimated, true = np.array(means).T
        return sigma * float(np.interp(sigma, estimated, true / estimated))

    def _nearest(self, pixels: int) -> PictureSet | None:
        return min(self.sets, key=lambda found: abs(math.log(found.pixels / pixels)), default=None)


def parse_calibration(content: Mapping[str, Any]) -> Calibration:
    """Take what ``unknown-noise.json`` holds; raises what wrong content raises."""
    return Calibration(
        tuple(
            PictureSet(
                int(entry["pixels"]),
                {str(kind): float(share) for kind, share in entry["confidence"].items()},
                tuple(
                    SigmaError(str(e["kind"]), float(e["above"]), float(e["low"]), float(e["high"]))
                    for e in entry["errors"]
                ),
                _read_means(entry["called"]),
            )
            for entry in content["sets"]
        )
    )


def _read_means(calls: Sequence[Mapping[str, Any]]) -> dict[str, tuple[tuple[float, float], ...]]:
    means: dict[str, list[tuple[float, float]]] = {}
    for call in calls:
        if call["called"].get(call["kind"], 0) >= LEAST_PICTURES and "bias" in call:
            true = float(call["sigma"]) / 255
            means.setdefault(str(call["kind"]), []).append((true * (1 + float(call["bias"])), true))
    return {kind: tuple(sorted(pairs)) for kind, pairs in means.items()}


@lru_cache(maxsize=1)
def read_calibration(path: Path = WEIGHTS / UNKNOWN_NOISE_NAME) -> Calibration:
    """Read the calibration; an empty one where there is no file.

    Raises:
        ResultsError: It is damaged.
    """
    try:
        return parse_calibration(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Calibration()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"The estimator's errors can't be read: {path.name} is damaged; "
            "`python -m train evaluate-unknown-noise` writes it anew."
        ) from error
