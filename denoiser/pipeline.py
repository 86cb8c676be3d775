"""Corrupt, denoise, compare, sweep: pure functions that return frozen results."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np

from denoiser.denoisers.base import Denoiser, SigmaUsed
from denoiser.denoisers.callables import DenoiserLike, resolve
from denoiser.denoisers.own_model import OwnModel
from denoiser.denoisers.registry import DEFAULT_DENOISERS
from denoiser.denoisers.tiling import denoise_tiled
from denoiser.images import Image, Photo, check_image
from denoiser.images.values import to_unit
from denoiser.metrics import psnr, score_pixels, sharpness, ssim
from denoiser.noise import GaussianNoise, NoiseModel, create_noise

FACE_SIZES = (48, 96, 128)
"""The sizes that a face can be compared at, in pixels; the first is FER2013's."""

_MOST_IN_ONE_PIECE = 512 * 512  # pixels


@dataclass(frozen=True)
class Experiment:
    """What to corrupt, how, and which denoisers to run.

    Attributes:
        noise: One noise, or a :class:`~denoiser.noise.NoiseChain`.
        seed: Seed of the noise, a whole number from 0.
        clip: Clip the noisy picture to [0, 1].
        round_8bit: Round the noisy picture to 8 bits.
        methods: Ids of the denoisers.
        sample: Id of the sample face; None leaves the face as it is.
        hyperparameters: The methods' own that are not at their defaults, by id and name.
        face_size: Height and width of the face in pixels, one of :data:`FACE_SIZES`.
        colour: Whether the face is in colour.
        own: The model that :data:`~denoiser.denoisers.own_model.OWN_MODEL` stands for among the methods.
    """

    noise: NoiseModel = field(default_factory=GaussianNoise)
    seed: int = 0
    clip: bool = True
    round_8bit: bool = False
    methods: tuple[str, ...] = DEFAULT_DENOISERS
    sample: str | None = None
    hyperparameters: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)
    face_size: int = FACE_SIZES[0]
    colour: bool = False
    own: OwnModel | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Corruption:
    """A clean picture and its noisy twin.

    Attributes:
        clean: (H, W) or (H, W, 3) in [0, 1].
        noisy: Same shape; within [0, 1] unless clipping was off.
        noise: The noise that was applied.
        seed: Its seed.
        sigma: Standard deviation of the noise where one describes it, else None.
    """

    clean: Image
    noisy: Image
    noise: NoiseModel
    seed: int
    sigma: float | None


@dataclass(frozen=True)
class DenoiseResult:
    """What one denoiser made of one noisy picture.

    Attributes:
        id: The denoiser's id; ``"noisy"`` for the untouched noisy picture.
        image: The denoised picture, in [0, 1].
        psnr: In dB against the clean picture; None when there is none.
        ssim: Likewise; NaN below 11 pixels a side, where SSIM is not defined.
        milliseconds: Wall-clock time of the call.
        sigma: The strength it worked with, and whether that was known or estimated.
    """

    id: str
    image: Image
    psnr: float | None
    ssim: float | None
    milliseconds: float
    sigma: SigmaUsed


@dataclass(frozen=True)
class DenoisedPhoto:
    """What one denoiser made of a whole photograph.

    Attributes:
        id: The denoiser's id.
        photo: The denoised photo: as many bits, the same ICC profile and EXIF data.
        psnr: See :class:`DenoiseResult`.
        ssim: Likewise.
        milliseconds: Likewise.
        sigma: Likewise.
    """

    id: str
    photo: Photo
    psnr: float | None
    ssim: float | None
    milliseconds: float
    sigma: SigmaUsed


@dataclass(frozen=True)
class Comparison(Mapping[str, DenoiseResult]):
    """Several denoisers on one noisy picture; ``comparison["median"].psnr``.

    Attributes:
        corruption: What they were given.
        noisy: The noisy picture, scored like a method that does nothing.
        results: By denoiser id, in the order asked for.
    """

    corruption: Corruption
    noisy: DenoiseResult
    results: Mapping[str, DenoiseResult]

    def __getitem__(self, denoiser_id: str) -> DenoiseResult:
        return self.results[denoiser_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    @property
    def nothing_to_remove(self) -> bool:
        """Whether the noisy picture is the clean one, so that a method can only destroy."""
        return self.noisy.psnr == math.inf

    def gain(self, denoiser_id: str) -> float | None:
        """PSNR in dB above the noisy picture's: below 0 is worse than doing nothing.

        0 for ``"noisy"``, the noisy picture itself.
        None where there is nothing to remove: infinity is nothing to be measured by.
        """
        return psnr_gain(self._psnr(denoiser_id), self._psnr("noisy"))

    def _psnr(self, result_id: str) -> float:
        psnr = (self.noisy if result_id == "noisy" else self.results[result_id]).psnr
        if psnr is None:
            raise ValueError("without a clean picture there is no PSNR, and no gain")
        return psnr


TIE = 0.05
"""PSNR in dB, up to which a gain or loss counts as none: it is less than the pages show."""

SSIM_TIE = 0.0005
"""The same of SSIM."""


def psnr_gain(psnr: float, noisy: float) -> float | None:
    """Return what was gained over the noisy picture, in dB; None where that is the clean one."""
    return None if noisy == math.inf else psnr - noisy


def root_mean_square(psnr: float) -> float:
    """Return how far a picture of this PSNR is from the clean one, as a share of white."""
    return 10 ** (-psnr / 20)


@dataclass(frozen=True)
class SweepPoint:
    """One comparison of a sweep.

    Attributes:
        value: The noise parameter's value, or whatever else the sweep goes along.
        seed: The seed of the noise.
        psnr: In dB, by denoiser id; ``"noisy"`` is the noisy picture.
        ssim: Likewise.
        sharpness: Likewise, 1 for the clean picture's; NaN where that is even.
        comparison: All of it, with the pictures; None where only the numbers were kept.
    """

    value: float
    seed: int
    psnr: Mapping[str, float]
    ssim: Mapping[str, float]
    sharpness: Mapping[str, float]
    comparison: Comparison | None = field(default=None, repr=False, compare=False)

    def gain(self, denoiser_id: str) -> float | None:
        """Return a method's PSNR in dB above the noisy picture's; None where that is the clean one."""
        return psnr_gain(self.psnr[denoiser_id], self.psnr["noisy"])

    @classmethod
    def of(cls, value: float, comparison: Comparison) -> "SweepPoint":
        """Return the point at ``value`` where this comparison was made."""
        scored = {"noisy": comparison.noisy, **comparison.results}
        return cls(
            value,
            comparison.corruption.seed,
            {name: float(result.psnr or 0.0) for name, result in scored.items()},
            {name: float(result.ssim or 0.0) for name, result in scored.items()},
            {
                name: sharpness(result.image, comparison.corruption.clean, check_range=False)
                for name, result in scored.items()
            },
            comparison,
        )


def corrupt(
    clean: np.ndarray,
    noise: NoiseModel,
    seed: int = 0,
    *,
    clip: bool = True,
    round_8bit: bool = False,
) -> Corruption:
    """Apply noise to a clean picture.

    Args:
        clean: (H, W) or (H, W, 3), floating point in [0, 1].
        noise: What to apply.
        seed: A whole number from 0; the same seed gives the same noise.
        clip: Clip to [0, 1].
        round_8bit: Round to multiples of 1/255.

    Raises:
        TypeError, ValueError: See :class:`~denoiser.noise.NoiseModel`.
    """
    clean = check_image(clean, "clean")
    noisy = noise(clean, seed, clip=clip, round_8bit=round_8bit)
    return Corruption(clean, noisy, noise, seed, noise.known_sigma(clean))


@overload
def denoise(
    noisy: np.ndarray,
    denoiser: DenoiserLike,
    *,
    sigma: float | None = None,
    clean: Image | None = None,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> DenoiseResult: ...


@overload
def denoise(
    noisy: Photo,
    denoiser: DenoiserLike,
    *,
    sigma: float | None = None,
    clean: Photo | None = None,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> DenoisedPhoto: ...


def denoise(
    noisy: np.ndarray | Photo,
    denoiser: DenoiserLike,
    *,
    sigma: float | None = None,
    clean: Image | Photo | None = None,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> DenoiseResult | DenoisedPhoto:
    """Run one denoiser, time it and, where a clean picture is known, score it.

    A :class:`Photo`, and a picture of more than 512x512 pixels, is denoised in tiles, without seams and
    in little memory: see :func:`~denoiser.denoisers.tiling.denoise_tiled`.

    Args:
        noisy: (H, W) or (H, W, 3), floating point; or a photo.
        denoiser: An id, a denoiser or a function, see :func:`~denoiser.denoisers.callables.wrap`.
        sigma: Standard deviation of the noise in [0, 1] if it is known.
        clean: The clean picture if it is known, of the same kind.
        threads: How many tiles are computed at the same time.
        progress: Is called with the share that is done, 1 at the end; of a small picture, then only.

    Returns:
        A :class:`DenoiseResult` of a picture, a :class:`DenoisedPhoto` of a photo.

    Raises:
        TypeError, ValueError: A bad picture, sigma or id; or noisy and clean do not have one shape.
        WeightsError: The denoiser's weights are missing or damaged.
    """
    method = resolve(denoiser)
    if isinstance(noisy, Photo):
        reference = clean.pixels if isinstance(clean, Photo) else clean
        if reference is not None and reference.shape != noisy.pixels.shape:
            raise ValueError(
                f"noisy and clean must have one shape, not {noisy.pixels.shape} and {reference.shape}"
            )
        denoised, milliseconds, used = _run(noisy.pixels, method, sigma, threads, progress)
        scores = (None, None) if reference is None else score_pixels(denoised, reference)
        photo = replace(noisy, pixels=denoised)
        return DenoisedPhoto(method.info.id, photo, scores[0], scores[1], milliseconds, used)
    picture = check_image(noisy, "noisy")
    denoised, milliseconds, used = _run(picture, method, sigma, threads, progress)
    known = to_unit(clean.pixels) if isinstance(clean, Photo) else clean
    return _score(method.info.id, denoised, known, milliseconds, used)


def _run(
    pixels: np.ndarray,
    method: Denoiser,
    sigma: float | None,
    threads: int,
    progress: Callable[[float], None] | None,
) -> tuple[np.ndarray, float, SigmaUsed]:
    """Return the denoised picture, the milliseconds that took, and the strength that was used."""
    used = method.resolve_sigma(pixels, sigma)
    is_large = math.prod(pixels.shape[:2]) > _MOST_IN_ONE_PIECE
    start = time.perf_counter()
    # A known or estimated strength is passed on, so that it is not estimated twice.
    if is_large or pixels.dtype != np.float32:
        denoised = denoise_tiled(pixels, method, sigma=used.value, threads=threads, progress=progress)
    else:
        denoised = method(pixels, used.value)
        if progress is not None:
            progress(1.0)
    return denoised, 1000 * (time.perf_counter() - start), used


def compare(
    clean: np.ndarray,
    noise: NoiseModel,
    seed: int = 0,
    denoisers: Sequence[DenoiserLike] = DEFAULT_DENOISERS,
    *,
    clip: bool = True,
    round_8bit: bool = False,
) -> Comparison:
    """Corrupt a clean picture once and give the same noisy one to every denoiser.

    Args:
        clean: (H, W) or (H, W, 3), floating point in [0, 1].
        noise: What to apply.
        seed: A whole number from 0.
        denoisers: Ids, denoisers or functions, see :func:`~denoiser.denoisers.callables.wrap`.
        clip: Clip the noisy picture to [0, 1].
        round_8bit: Round the noisy picture to 8 bits.

    Raises:
        TypeError, ValueError: Bad picture, seed or id; or two denoisers of one id, which the results
            could not tell apart.
    """
    corruption = corrupt(clean, noise, seed, clip=clip, round_8bit=round_8bit)
    methods = [resolve(method) for method in denoisers]
    ids = [method.info.id for method in methods]
    if len(set(ids)) < len(ids):
        raise ValueError(f"each denoiser can be compared once, not {', '.join(ids)}")
    results = [
        denoise(corruption.noisy, method, sigma=corruption.sigma, clean=corruption.clean)
        for method in methods
    ]
    return Comparison(corruption, score_noisy(corruption), {r.id: r for r in results})


def score_noisy(corruption: Corruption) -> DenoiseResult:
    """Score the noisy picture itself: the baseline every method has to beat."""
    return _score("noisy", corruption.noisy, corruption.clean, 0.0, SigmaUsed(None, "unused"))


def sweep(
    clean: np.ndarray,
    noise_id: str,
    parameter: str,
    values: Sequence[float],
    denoisers: Sequence[DenoiserLike],
    seeds: Sequence[int] = (0,),
    **fixed: float,
) -> Iterator[SweepPoint]:
    """Compare over a range of one noise parameter, and over several seeds.

    Points come one by one, so that a caller can draw while it computes, or stop.

    Args:
        clean: (H, W) or (H, W, 3), floating point in [0, 1].
        noise_id: A kind of noise.
        parameter: Which of its parameters to vary.
        values: Its values.
        denoisers: Ids, denoisers or functions, see :func:`~denoiser.denoisers.callables.wrap`.
        seeds: Seeds to repeat each value with.
        **fixed: The kind's other parameters.
    """
    methods = [resolve(method) for method in denoisers]
    for value in values:
        noise = create_noise(noise_id, **fixed, **{parameter: value})
        for seed in seeds:
            yield SweepPoint.of(value, compare(clean, noise, seed, methods))


def _score(
    result_id: str, image: Image, clean: Image | None, milliseconds: float, used: SigmaUsed
) -> DenoiseResult:
    if clean is None:
        return DenoiseResult(result_id, image, None, None, milliseconds, used)
    # Unclipped noise legitimately leaves [0, 1]; denoisers never do.
    check_range = result_id != "noisy"
    return DenoiseResult(
        result_id,
        image,
        psnr(image, clean, check_range=check_range),
        ssim(image, clean, check_range=check_range),
        milliseconds,
        used,
    )
