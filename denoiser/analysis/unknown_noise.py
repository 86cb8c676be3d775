"""A noisy picture without its clean twin: what noise is it, how strong, how close does a method come?

The kind is told by the router of the residual U-Net, which knows kinds, on pieces of the picture, and by
how the noise grows with brightness; the strength by an estimator of that kind. How often and by how much
that is wrong was measured on known noise, see :mod:`denoiser.analysis.calibration`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_ndtr, ndtr

from denoiser.analysis.calibration import read_calibration
from denoiser.architectures import ExpertUNet
from denoiser.denoisers.base import Denoiser, check_sigma, estimate_noise
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import create_denoiser
from denoiser.images import Image, check_image
from denoiser.noise import (
    GaussianNoise,
    ImpulseNoise,
    JpegArtifacts,
    NoiseModel,
    PoissonNoise,
    SaltAndPepperNoise,
    SpeckleNoise,
)

ROUTER = "residual-unet"
"""The model whose router tells kinds apart."""

CLEAN, UNKNOWN = "clean", "unknown"
"""No noise that could be told from detail; and noise, of none of the :data:`KINDS`."""

KINDS = tuple(
    kind.id
    for kind in (
        GaussianNoise,
        SaltAndPepperNoise,
        ImpulseNoise,
        PoissonNoise,
        SpeckleNoise,
        JpegArtifacts,
    )
)
"""What can be told."""

_Values = npt.NDArray[np.float64]
_Planes = list[Image]
_Fit = tuple[float, float]

_SIGNAL = (PoissonNoise.id, SpeckleNoise.id)  # depend on brightness
_OF_EXPERTS: Mapping[str, str] = {
    "faint": GaussianNoise.id,
    "medium": GaussianNoise.id,
    "strong": GaussianNoise.id,
    "extreme": GaussianNoise.id,
    "salt-and-pepper": SaltAndPepperNoise.id,
    "impulse": ImpulseNoise.id,
    "signal-dependent": PoissonNoise.id,
    "restoration": JpegArtifacts.id,
    "occlusion": CLEAN,  # no photograph is told from one with covered squares
}
_FAINTEST = 3.5 / 255  # what is fainter looks like fine detail, and the other way round
_SIDE, _SPREAD = 256, 3  # pieces of a picture: pixels a side, at most so many along each side

_LEVELS, _LEVEL_VALUES = 12, 500  # of brightness, each of so many values at least
_FLAT = 0.4  # share of a level's places, those with the least slope, that show the noise
_DEVIATION = 0.6745  # median of the absolute values of a standard normal number
_ENOUGH_LEVELS = 8  # to see for oneself how noise grows with brightness
_ALIGNED, _SHIFTED = 1.5, 3.5  # deviations, by which blocks stand out that begin at 0, or elsewhere
_SOME_IMPULSES = 0.005  # share of black pixels, and of white ones, that is no accident
_LONELY = 0.2  # by which an impulse differs from all of its neighbours but one

_STEP = 0.05  # of the second pass, in standard deviations: less drowns in float32 and in networks' kinks
_BLOCK = 8  # pixels, a side: beyond that, errors hardly know of each other
_REACH = 2  # pixels, to those that say how bright a clipped one was
_ALIKE = 0.4  # standard deviations, by which such a neighbour's denoised value may differ
_Z = 1.96  # the normal distribution's, for 95 %


@dataclass(frozen=True)
class NoiseEstimate:
    """What noise a picture seems to have.

    Attributes:
        kind: Id of its kind, one of :data:`KINDS`; or :data:`CLEAN` or :data:`UNKNOWN`.
        sigma: Root mean square of the noise, on the [0, 1] scale; of JPEG and of what is unknown that of
            the fine grain.
        noise: Noise of that kind and strength; None where the strength is not estimated.
        confidence: Share of the calibration's pictures called this that were it, where each kind is as
            frequent as any other; from 0 to 1, NaN where it has none.
        low: In 95 % of the calibration's pictures that were rightly called this, ``sigma`` was at least
            this; NaN where it has none.
        high: And at most this.
    """

    kind: str
    sigma: float
    noise: NoiseModel | None
    confidence: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def sigma_error(self) -> float:
        """Standard error of ``sigma``, as :func:`stein_psnr` takes it; NaN where it is not known."""
        return (self.high - self.low) / (2 * _Z)


@dataclass(frozen=True)
class PsnrEstimate:
    """PSNR of a denoised picture, estimated without the clean one.

    Attributes:
        psnr: In dB; NaN where the estimated error is not above 0: too small to be told from none.
        standard_error: Of it, in dB; NaN likewise.
        low: Lower end of the 95 % interval; NaN where the picture has less noise than ``sigma`` says.
        high: Its upper end; infinity where the error may be none.
        clipped: Share of the values that are cut off at black or white, of whose noise a part is lost.
    """

    psnr: float
    standard_error: float
    low: float
    high: float
    clipped: float


def estimate_noise_of(noisy: Image) -> NoiseEstimate:
    """Estimate kind and strength of a picture's noise from the picture alone.

    Pixel by pixel, as a sensor or a bad line makes it: noise that was resized or compressed afterwards
    is another, and blur, covered squares and shuffled pixels are not looked for. Of a large picture,
    pieces are looked at.

    Args:
        noisy: (H, W) or (H, W, 3).

    Raises:
        TypeError: It is not a floating-point array.
        ValueError: It has a wrong shape or is not finite.
        WeightsError: The weights of :data:`ROUTER` can't be had.
        ResultsError: The calibration is damaged.
    """
    found = estimate_uncalibrated(noisy)
    calibration, pixels = read_calibration(), noisy.shape[0] * noisy.shape[1]
    sigma = calibration.correct(found.kind, found.sigma, pixels)
    low, high = calibration.sigma_range(found.kind, found.sigma, pixels)
    return NoiseEstimate(
        found.kind,
        sigma,
        _scale(found.noise, sigma / found.sigma if found.sigma else 1.0),
        calibration.confidence(found.kind, pixels),
        low,
        high,
    )


def estimate_uncalibrated(noisy: Image) -> NoiseEstimate:
    """Do as :func:`estimate_noise_of`, and say nothing of the error: for the calibration itself."""
    noisy = np.clip(check_image(noisy, "noisy"), 0.0, 1.0)
    pieces = _pieces(noisy)
    planes = [plane for piece in pieces for plane in _planes(piece)]
    levels = _noise_levels(planes)
    fits = {} if levels is None else _fit_levels(*levels)
    grain = min(
        float(np.mean([estimate_noise(piece) for piece in pieces])),
        math.sqrt(fits[GaussianNoise.id][1]) if fits else math.inf,
    )
    kind = _tell_kind(_votes(pieces), fits, len(levels[0]) if levels else 0, grain, planes)
    noise, sigma = _tell_strength(kind, fits, planes)
    return NoiseEstimate(kind, grain if sigma is None else sigma, noise)


def stein_psnr(
    noisy: Image, denoiser: Denoiser, sigma: float, seed: int = 0, *, sigma_error: float = 0.0
) -> PsnrEstimate:
    """Estimate a method's PSNR on a picture with Gaussian noise by Monte-Carlo SURE: one more pass.

    What a method takes away, ``noisy - denoised``, is its error and the noise, as far as the two don't
    go together; how much they do is seen from what becomes of a small random change of the picture. For
    values that are cut off at black or white, what is expected beyond is put in, from similar pixels
    around.

    Only for additive white Gaussian noise. An error of one percent in ``sigma`` shifts the estimate by
    ``2 sigma**2 / 100``, which is much where the method is good: tell how well it is known.

    Args:
        noisy: (H, W) or (H, W, 3), clipped to [0, 1] or not clipped at all.
        denoiser: Takes this sigma, if it takes any.
        sigma: Standard deviation of the noise, above 0, on the [0, 1] scale.
        seed: Of the random change.
        sigma_error: Standard error of ``sigma``; 0 where it is known.

    Raises:
        TypeError: ``noisy`` is not a floating-point array.
        ValueError: ``noisy`` has a wrong shape or is not finite, or a strength is out of range.

    References:
        C. M. Stein, "Estimation of the mean of a multivariate normal distribution", Annals of Statistics
        9(6), 1981, doi:10.1214/aos/1176345632; S. Ramani, T. Blu and M. Unser, "Monte-Carlo SURE", IEEE
        TIP 17(9), 2008, doi:10.1109/TIP.2008.2001404; A. Foi, "Clipped noisy images: heteroskedastic
        modeling and practical denoising", Signal Processing 89(12), 2009,
        doi:10.1016/j.sigpro.2009.04.035.
    """
    noisy = check_image(noisy, "noisy")
    sigma, sigma_error = check_sigma(sigma) or 0.0, check_sigma(sigma_error) or 0.0
    if sigma == 0:
        raise ValueError("sigma must be above 0: without noise there is nothing to estimate")
    black, white = _clipped_values(noisy)
    step = np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), noisy.shape)
    step[black | white] = 0  # what is cut off stays so when the noise changes a little
    size = np.float32(_STEP * sigma)
    denoised = denoiser(noisy, sigma).astype(np.float64)
    passed = step * (denoiser(noisy + size * step, sigma) - denoised) / size  # of the noise
    taken = (noisy - denoised) ** 2
    if black.any() or white.any():
        brightness = _brightness(noisy, denoised, sigma)
        taken[black] = _beyond(brightness, denoised, sigma)[black]
        taken[white] = _beyond(1 - brightness, 1 - denoised, sigma)[white]
    errors = taken - sigma**2 + 2 * sigma**2 * passed
    chance = sigma**2 * math.sqrt(2 / noisy.size)  # of the noise's own mean square, at least
    by_sigma = 4 * sigma * passed.mean() - 2 * sigma  # how the estimate moves with it
    return _as_psnr(
        float(errors.mean()),
        math.hypot(max(_standard_error(errors), chance), sigma_error * by_sigma),
        float((black | white).mean()),
    )


def _as_psnr(error: float, uncertainty: float, clipped: float) -> PsnrEstimate:
    """Return a mean squared error and its standard error in dB."""
    high, low = error - _Z * uncertainty, error + _Z * uncertainty
    return PsnrEstimate(
        psnr=-10 * math.log10(error) if error > 0 else math.nan,
        standard_error=10 / math.log(10) * uncertainty / error if error > 0 else math.nan,
        low=-10 * math.log10(low) if low > 0 else math.nan,
        high=-10 * math.log10(high) if high > 0 else math.inf,
        clipped=clipped,
    )


def _standard_error(values: _Values) -> float:
    """Return that of the mean, from the means of blocks of pixels."""
    pixels = values.mean(axis=2) if values.ndim == 3 else values
    rows, columns = (np.arange(0, side, _BLOCK) for side in pixels.shape)
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=0), columns, axis=1)
    heights, widths = np.diff(rows, append=pixels.shape[0]), np.diff(columns, append=pixels.shape[1])
    if sums.size == 1:
        return math.inf
    spread = (sums - np.outer(heights, widths) * pixels.mean()).std(ddof=1)
    return float(spread) * math.sqrt(sums.size) / pixels.size


def _clipped_values(noisy: Image) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Say which values are cut off at black, and which at white: none if others lie beyond."""
    return (noisy == 0) & (noisy.min() >= 0), (noisy == 1) & (noisy.max() <= 1)


def _brightness(noisy: Image, guide: _Values, sigma: float) -> _Values:
    """Return how bright the pixels around are without the noise, of those that look alike in a guide."""
    border = [(_REACH, _REACH)] * 2 + [(0, 0)] * (noisy.ndim - 2)
    pixels = np.pad(noisy.astype(np.float64), border, mode="symmetric")
    guides = np.pad(guide, border, mode="symmetric")
    height, width = noisy.shape[:2]
    total, weights = np.zeros_like(guide), np.full_like(guide, 1e-12)
    for down in range(2 * _REACH + 1):
        for right in range(2 * _REACH + 1):
            if down == right == _REACH:
                continue  # a pixel's own noise would be taken for its brightness
            window = np.s_[down : down + height, right : right + width]
            weight = np.exp(-(((guides[window] - guide) / (_ALIKE * sigma)) ** 2) / 2)
            total += weight * pixels[window]
            weights += weight
    levels = np.linspace(0, 1, 513)
    return np.interp(total / weights, _clipped_mean(levels, sigma), levels)


def _clipped_mean(level: _Values, sigma: float) -> _Values:
    """Return the mean of what is left of a level with noise after clipping to [0, 1]."""
    below, above = (_positive_part(values, sigma) for values in (-level, level - 1))
    return level + below - above


def _positive_part(mean: _Values, sigma: float) -> _Values:
    scaled = mean / sigma
    return mean * ndtr(scaled) + sigma * np.exp(-(scaled**2) / 2) / math.sqrt(2 * math.pi)


def _beyond(level: _Values, denoised: _Values, sigma: float) -> _Values:
    """Return the mean square of ``z - denoised`` for a level with noise ``z`` that fell below 0."""
    scaled = level / sigma
    ratio = np.exp(-(scaled**2) / 2 - log_ndtr(-scaled)) / math.sqrt(2 * math.pi)
    mean = level - sigma * ratio
    variance = np.maximum(sigma**2 * (1 + scaled * ratio - ratio**2), 0)
    return variance + (mean - denoised) ** 2


def _pieces(noisy: Image) -> list[Image]:
    """Return pieces from all over a picture, from rows and columns that JPEG's blocks begin at."""
    rows, columns = (
        [
            int(start) // 8 * 8
            for start in np.linspace(0, max(side - _SIDE, 0), min(math.ceil(side / _SIDE), _SPREAD))
        ]
        for side in noisy.shape[:2]
    )
    return [noisy[y : y + _SIDE, x : x + _SIDE] for y in rows for x in columns]


def _planes(piece: Image) -> _Planes:
    return [piece] if piece.ndim == 2 else list(np.moveaxis(piece, 2, 0))


def _votes(pieces: list[Image]) -> dict[str, float]:
    """Return how much the router takes pieces for each kind of noise, from 0 to 1."""
    method = cast(NetworkDenoiser, create_denoiser(ROUTER))
    network = cast(ExpertUNet, method.network)
    shares: list[torch.Tensor] = []

    def keep_shares(batch: torch.Tensor) -> torch.Tensor:
        shares.append(torch.softmax(network.score_experts(batch), dim=1))
        return batch

    for piece in pieces:
        method.run_padded(keep_shares, piece)
    votes = dict.fromkeys([*_OF_EXPERTS.values(), UNKNOWN], 0.0)
    for name, share in zip(network.config.experts, torch.cat(shares).mean(dim=0).tolist(), strict=True):
        votes[_OF_EXPERTS.get(name, UNKNOWN)] += share
    return votes


def _tell_kind(
    votes: Mapping[str, float], fits: Mapping[str, _Fit], levels: int, grain: float, planes: _Planes
) -> str:
    """Decide on a kind; ``fits`` and the number of ``levels`` are of :func:`_fit_levels`."""
    kind = max(votes, key=lambda name: votes[name])
    if kind == UNKNOWN and _is_clean_below_impulses(planes):
        return SaltAndPepperNoise.id
    if kind in (JpegArtifacts.id, CLEAN):  # the router met no blocks but those that begin at 0
        if _has_blocks(planes):
            return JpegArtifacts.id
        return CLEAN if grain < _FAINTEST else UNKNOWN
    if kind == SaltAndPepperNoise.id:
        return kind if max(_extremes(planes)) > 0 else CLEAN
    if kind not in (GaussianNoise.id, *_SIGNAL):
        return kind
    if grain < _FAINTEST:
        return CLEAN
    known = _SIGNAL if kind in _SIGNAL else (GaussianNoise.id,)
    among = tuple(fits) if levels >= _ENOUGH_LEVELS else known
    return min(among, key=lambda name: fits[name][0]) if fits else kind


def _tell_strength(
    kind: str, fits: Mapping[str, _Fit], planes: _Planes
) -> tuple[NoiseModel | None, float | None]:
    """Return noise of a kind as strong as it seems here, and its root mean square; None if unknown."""
    values = np.concatenate([plane.ravel() for plane in planes]).astype(np.float64)
    if kind == SaltAndPepperNoise.id:
        pepper, salt = _extremes(planes)
        left = values[(values > 0) & (values < 1)]
        square = pepper * float(np.mean(left**2)) + salt * float(np.mean((1 - left) ** 2))
        amount = min(pepper + salt, 1.0)
        return SaltAndPepperNoise(amount, salt / (pepper + salt)), math.sqrt(square)
    if kind == ImpulseNoise.id:
        amount = _impulses(planes)
        square = amount * (1 / 12 + float(np.mean((values - 0.5) ** 2)))
        return ImpulseNoise(amount), math.sqrt(square)
    if kind not in fits:
        return None, None
    variance = fits[kind][1]
    if kind == PoissonNoise.id:
        return (
            PoissonNoise(float(np.clip(1 / variance, 1, 100_000))),
            math.sqrt(variance * float(values.mean())),
        )
    sigma = min(math.sqrt(variance), 1.0)
    if kind == SpeckleNoise.id:
        return SpeckleNoise(sigma), sigma * math.sqrt(float(np.mean(values**2)))
    return GaussianNoise(sigma), sigma


def _scale(noise: NoiseModel | None, factor: float) -> NoiseModel | None:
    """Make noise stronger by a factor, where its strength was found by its standard deviation."""
    if isinstance(noise, GaussianNoise | SpeckleNoise):
        return replace(noise, sigma=min(float(noise.sigma) * factor, 1.0))
    if isinstance(noise, PoissonNoise):
        return replace(noise, peak=float(np.clip(float(noise.peak) / factor**2, 1, 100_000)))
    return noise


def _noise_levels(planes: _Planes) -> tuple[_Values, _Values] | None:
    """Return some levels of brightness, and the standard deviation of the noise there.

    Noise is what differs along both diagonals of 2x2 pixels, where the picture has the least slope. Both
    are corrected for what clipping to [0, 1] took away. None where there is too little picture.
    """
    found = [_grain(plane.astype(np.float64)) for plane in planes if min(plane.shape) >= 4]
    if not found:
        return None
    level, slope, grain = (np.concatenate(parts) for parts in zip(*found, strict=True))
    typical = float(np.median(np.abs(grain))) / _DEVIATION
    off_middle = np.abs(level - 0.5)
    inside = off_middle <= max(0.5 - typical, float(np.quantile(off_middle, 0.3)))
    level, slope, grain = level[inside], slope[inside], grain[inside]
    means, deviations = [], []
    count = int(np.clip(len(level) // _LEVEL_VALUES, 1, _LEVELS))
    for places in np.array_split(np.argsort(level, kind="stable"), count):
        flat = places[slope[places] <= np.quantile(slope[places], _FLAT)]
        means.append(level[flat].mean())
        deviations.append(np.median(np.abs(grain[flat])) / _DEVIATION)
    return _undo_clipping(np.array(means), np.array(deviations))


def _grain(plane: _Values) -> tuple[_Values, _Values, _Values]:
    """Return brightness, slope and grain around each corner of four pixels; grain knows of no slope."""
    a, b, c, d = plane[:-1, :-1], plane[:-1, 1:], plane[1:, :-1], plane[1:, 1:]
    level = np.asarray(cv2.blur((a + b + c + d) / 4, (5, 5), borderType=cv2.BORDER_REFLECT), np.float64)
    slope = np.hypot(*(cv2.Sobel(level, cv2.CV_64F, *way, ksize=5) for way in ((1, 0), (0, 1))))
    return level.ravel(), slope.ravel(), ((a - b - c + d) / 2).ravel()


def _fit_levels(level: _Values, deviation: _Values) -> dict[str, _Fit]:
    """Fit noise that is the same at all levels, that of photons, and speckle.

    References:
        A. Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image
        raw-data", IEEE TIP 17(10), 2008, doi:10.1109/TIP.2008.2001399: the variance as a function of
        brightness.

    Returns:
        By kind: how far the levels' variances lie from the fit, in natural logarithms; and the variance
        at white.
    """
    variance = np.log(np.maximum(deviation, 0.3 / 255) ** 2)
    fits = {}
    for power, kind in enumerate((GaussianNoise, PoissonNoise, SpeckleNoise)):
        at_white = variance - power * np.log(np.maximum(level, 0.01))
        middle = np.median(at_white)
        fits[kind.id] = float(np.abs(at_white - middle).mean()), float(np.exp(middle))
    return fits


def _undo_clipping(mean: _Values, deviation: _Values) -> tuple[_Values, _Values]:
    """Return mean and standard deviation before clipping, from those after it."""
    level, sigma = mean.copy(), deviation.copy()
    normal = np.linspace(-4, 4, 161)
    weights = np.exp(-(normal**2) / 2)
    weights /= weights.sum()
    for _ in range(8):
        values = np.clip(level[:, None] + sigma[:, None] * normal, 0, 1)
        after = values @ weights
        left = np.sqrt(((values - after[:, None]) ** 2) @ weights)
        sigma = np.minimum(sigma * deviation / np.maximum(left, 1e-9), 1.5 * deviation)
        level = np.clip(level + mean - after, 0, 1)
    return level, sigma


def _extremes(planes: _Planes) -> tuple[float, float]:
    """Return the shares of black pixels in places that are not dark, and of white ones in the others."""
    black = white = bright = dark = 0
    for plane in planes:
        good = ((plane > 0) & (plane < 1)).astype(np.float32)
        around, share = cv2.blur(plane * good, (7, 7)), cv2.blur(good, (7, 7))
        around = np.where(share > 0, around / np.maximum(share, 1e-6), plane)
        black += int(np.sum((plane <= 0) & (around > 0.4)))
        bright += int(np.sum(around > 0.4))
        white += int(np.sum((plane >= 1) & (around < 0.6)))
        dark += int(np.sum(around < 0.6))
    return black / max(bright, 1), white / max(dark, 1)


def _is_clean_below_impulses(planes: _Planes) -> bool:
    """Say whether there are black and white pixels, and no other noise once they are filled in."""
    if min(_extremes(planes)) < _SOME_IMPULSES:
        return False
    fill = create_denoiser("trimmed-median")
    return float(np.mean([estimate_noise(fill(plane)) for plane in planes])) < _FAINTEST


def _impulses(planes: _Planes) -> float:
    """Return the share of impulses, from that of pixels unlike all of their neighbours but one.

    References:
        R. Garnett et al., "A universal noise removal algorithm with an impulse detector", IEEE TIP
        14(11), 2005, doi:10.1109/TIP.2005.857261: to tell impulses by their nearest neighbours' values.
    """
    lonely = total = 0
    for plane in planes:
        around = np.pad(plane, 1, mode="symmetric")
        height, width = plane.shape
        differences = [
            np.abs(around[y : y + height, x : x + width] - plane)
            for y in range(3)
            for x in range(3)
            if (y, x) != (1, 1)
        ]
        lonely += int(np.sum(np.partition(differences, 1, axis=0)[1] > _LONELY))
        total += plane.size
    # Measured: of a share s of impulses, s (0.59 - 0.48 s) stand out like this.
    share = lonely / total
    return (0.59 - math.sqrt(max(0.59**2 - 4 * 0.48 * share, 0.0))) / (2 * 0.48)


def _has_blocks(planes: _Planes) -> bool:
    """Say whether neighbours differ more where JPEG's blocks of 8x8 meet, wherever these begin."""
    return all(_stands_out(planes, axis) for axis in (0, 1))


def _stands_out(planes: _Planes, axis: int) -> bool:
    jumps: list[list[float]] = [[] for _ in range(8)]
    for plane in planes:
        steps = np.abs(np.diff(plane, axis=axis))
        steps = steps if axis == 0 else steps.T
        beyond = np.clip(steps[1:-1] - (steps[:-2] + steps[2:]) / 2, -0.1, 0.1).mean(axis=1)
        for row, value in enumerate(beyond, start=1):
            jumps[row % 8].append(float(value))
    means = np.array([np.mean(values) if values else math.nan for values in jumps])
    place = 7 if means[7] == means.max() else int(np.argmax(means))
    others = np.delete(means, [(place + step) % 8 for step in (-1, 0, 1)])
    distance = (means[place] - others.mean()) / max(float(others.std(ddof=1)), 1e-5)
    return bool(distance > (_ALIGNED if place == 7 else _SHIFTED))
