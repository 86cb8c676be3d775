"""What can be said of a photo that is noisy already: its noise, and PSNR without the clean one."""

import math

from denoiser.analysis.results import ResultsError
from denoiser.analysis.unknown_noise import (
    CLEAN,
    ROUTER,
    UNKNOWN,
    NoiseEstimate,
    stein_psnr,
)
from denoiser.denoisers.base import Denoiser, estimate_noise
from denoiser.denoisers.registry import find_available
from denoiser.images import Image
from denoiser.images.values import to_unit
from denoiser.noise import GaussianNoise, noise_kind
from denoiser.ui.common.payload import Payload
from denoiser.ui.photo.session import Held, samples_of
from denoiser.weights.checkpoint import WeightsError

_LOSSY = (
    "The file was compressed with losses, as a JPEG is, which makes noise softer than it was, and not "
    "like any that this page knows: take the strength as a lower limit. No PSNR is estimated."
)
_ONLY_OURS = "It is told by noise as this page makes it; a camera's own processing makes another of it."
_STEIN = (
    "The PSNR below is Stein's estimate for this region, with where it lies in 95 of 100 cases: it "
    "holds for Gaussian noise of this strength only."
)
_NO_STEIN = "Stein's estimate of PSNR is left out: it is for Gaussian noise only."


def noise_of(held: Held) -> NoiseEstimate:
    """Return what noise a photo seems to have; of no kind, where what tells kinds can't be had."""
    if not find_available([ROUTER]).refusals:
        try:
            return held.noise
        except (WeightsError, ResultsError):
            pass
    return NoiseEstimate(UNKNOWN, estimate_noise(to_unit(samples_of(held.photo.pixels))), None)


def describe_noise(held: Held) -> str:
    """Say what noise a photo seems to have, how sure that is, and what can be told of PSNR."""
    found = noise_of(held)
    strength = f"{255 * found.sigma:.1f} of 255"
    if found.kind == CLEAN:
        return f"Hardly any noise is found: what there is of fine grain has a strength of {strength}."
    if found.kind == UNKNOWN:
        says = f"The noise is of no kind that can be told; its fine grain has a strength of {strength}."
        return f"{says} {_LOSSY if held.is_lossy else _NO_STEIN}"
    name = noise_kind(found.kind).label if found.noise is None else found.noise.describe()
    parts = [f"It looks like this noise: {name}"]
    if found.kind != GaussianNoise.id:
        parts.append(f", with a strength of {strength}")
    if math.isfinite(found.low) and math.isfinite(found.high):
        parts.append(f" ({255 * found.low:.1f} to {255 * found.high:.1f} in 95 of 100 test pictures)")
    if math.isfinite(found.confidence):
        parts.append(f"; of test pictures called this, {100 * found.confidence:.0f} % were it")
    if held.is_lossy:
        return f"{''.join(parts)}. {_LOSSY}"
    stein = _STEIN if found.kind == GaussianNoise.id else _NO_STEIN
    return f"{''.join(parts)}. {_ONLY_OURS} {stein}"


def estimate_psnr(noisy: Image, denoiser: Denoiser, held: Held) -> Payload:
    """Write down a method's PSNR as Stein's method estimates it; nothing where the noise is another.

    Args:
        noisy: The region.
        denoiser: The method.
        held: The photo.
    """
    found = noise_of(held)
    if held.is_lossy or found.kind != GaussianNoise.id or found.sigma == 0:
        return {}
    error = found.sigma_error if math.isfinite(found.sigma_error) else 0.0
    psnr = stein_psnr(noisy, denoiser, found.sigma, sigma_error=error)
    if not math.isfinite(psnr.low):
        return {"stein": "PSNR can't be told"}
    if not math.isfinite(psnr.psnr):
        return {"stein": f"above {psnr.low:.1f} dB"}
    high = f"to {psnr.high:.1f}" if math.isfinite(psnr.high) else "or more"
    return {"stein": f"about {psnr.psnr:.1f} dB", "steinRange": f"{psnr.low:.1f} {high} dB"}
