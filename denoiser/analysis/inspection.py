"""A look inside: what networks attend to, what methods take away, blur, destroy and make up.

Pure functions on gray pictures: float32 (H, W) in [0, 1], H and W from 1 up unless said otherwise.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import correlate
from skimage.measure import profile_line

from denoiser.architectures import AttentionUNet, ExpertUNet, Network
from denoiser.architectures.loading import build_empty, load_discriminator, load_discriminator_from_hub
from denoiser.architectures.patchgan import PatchDiscriminator
from denoiser.denoisers.background import BackgroundLoader
from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import (
    MODELS,
    create_denoiser,
    list_denoisers,
    list_hyperparameters,
    model_of,
)
from denoiser.images import Image
from denoiser.metrics import QUANTISATION_POWER, radial_power_spectrum
from denoiser.noise import GaussianNoise
from denoiser.pipeline import DenoiseResult, denoise
from denoiser.weights.checkpoint import WeightsError, hub_source, read_config

GRAY = 0.5
"""The even gray that pure noise is added to."""

SAMPLES = 16
"""How many faces are drawn, so that their mean comes near the mean of all."""

DRAW = "draw"
"""Hyperparameter of a denoiser that draws: which draw."""

LAGS = 8
"""How many pixels the autocorrelation looks away, in each direction."""

Map = npt.NDArray[np.float64]
Place = tuple[float, float]
"""Row and column in pixels; (0, 0) is the centre of the first pixel."""


@dataclass(frozen=True)
class Capabilities:
    """Ids of the denoisers that have something to look at, in the order of the registry.

    Attributes:
        attention: Networks with attention gates.
        intermediate_image: Methods that make an intermediate image.
        experts: Networks of several experts.
        discriminator: Models that were trained against a discriminator.
        samples: Methods that draw one of many faces.
    """

    attention: tuple[str, ...]
    intermediate_image: tuple[str, ...]
    experts: tuple[str, ...]
    discriminator: tuple[str, ...]
    samples: tuple[str, ...]


@dataclass(frozen=True)
class AttentionMap:
    """What one attention gate lets pass.

    Attributes:
        side: How many pixels of the picture one value of the gate covers, a side.
        values: (H, W) in (0, 1), each value repeated over the pixels it covers: 1 passes, 0 blocks.
    """

    side: int
    values: Map


@dataclass(frozen=True)
class ExpertView:
    """What one expert of a network makes of a picture, and whether it is asked.

    Attributes:
        name: What it is for.
        share: Probability that it is the one for this picture, by the router; the highest one is asked.
        image: What it makes of the picture: (H, W) float32 in [0, 1].
    """

    name: str
    share: float
    image: Image


@dataclass(frozen=True)
class PatchScores:
    """A discriminator's opinion of one picture.

    Attributes:
        values: (h, w), for each patch how clean it looks, from 0 to 1. Scores compare pictures made of
            one noisy one: the discriminator learned which of two is the clean one.
        first_centre: Row and column in pixels of the first patch's centre.
        stride: Pixels from one patch's centre to the next.
        patch_side: Side of a patch in pixels.
    """

    values: Map
    first_centre: float
    stride: int
    patch_side: int

    @property
    def mean(self) -> float:
        """Mean over the patches."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Whiteness:
    """How much something looks like white noise. NaN where it is not defined: nothing varies.

    Attributes:
        deviation: Standard deviation, on the [0, 1] scale.
        with_clean: Correlation with the clean picture, -1 to 1: 0 for noise that does not depend on it.
        with_neighbour: Correlation of a pixel with the next one, the mean of down and right: 0 if white.
        flatness: Geometric by arithmetic mean of the radial power spectrum, 0 to 1: 1 if all scales
            have the same power, as white noise has.
    """

    deviation: float
    with_clean: float
    with_neighbour: float
    flatness: float


@dataclass(frozen=True)
class Samples:
    """Faces that a noisy one may have been, all drawn from one noisy picture.

    Attributes:
        pictures: (N, H, W) float32 in [0, 1].
        mean: Their mean, (H, W).
        spread: Their standard deviation at each pixel, (H, W) float64: where it is large, the method
            guesses.
    """

    pictures: np.ndarray
    mean: Image
    spread: Map


@dataclass(frozen=True)
class Residual:
    """The method noise of a denoiser: what it took away, beside what it should have taken away.

    Attributes:
        residual: ``noisy - denoised``, (H, W) float64.
        noise: ``noisy - clean``.
    """

    residual: Map
    noise: Map


# Which methods have what


def find_capabilities() -> Capabilities:
    """Say which denoisers have what to look at; loads no weights."""
    networks = {denoiser_id: _network_of(denoiser_id) for denoiser_id in list_denoisers()}
    return Capabilities(
        attention=tuple(name for name, network in networks.items() if _has_attention(network)),
        intermediate_image=tuple(
            name for name, network in networks.items() if _makes_intermediate(name, network)
        ),
        experts=tuple(name for name, network in networks.items() if _has_experts(network)),
        discriminator=tuple(model_id for model_id in MODELS if _is_gan(model_id)),
        samples=tuple(name for name, p in list_hyperparameters(list_denoisers()) if p.name == DRAW),
    )


def _network_of(denoiser_id: str) -> Network | None:
    """Return a denoiser's network, of a shipped model one without its weights; None if it has none."""
    if denoiser_id in MODELS:
        try:
            return build_empty(denoiser_id)
        except WeightsError:
            return None
    if model_of(denoiser_id) is not None:  # runs another's network several times
        return None
    method = create_denoiser(denoiser_id)
    return method.network if isinstance(method, NetworkDenoiser) else None


def _has_attention(network: Network | None) -> bool:
    return isinstance(network, AttentionUNet) and len(network.gates) > 0


def _has_experts(network: Network | None) -> bool:
    return isinstance(network, ExpertUNet) and len(network.experts) > 1


def _makes_intermediate(denoiser_id: str, network: Network | None) -> bool:
    if network is not None:
        return network.has_intermediate
    is_filter = denoiser_id not in MODELS and model_of(denoiser_id) is None
    return is_filter and create_denoiser(denoiser_id).has_intermediate


def _is_gan(model_id: str) -> bool:
    try:
        return read_config(model_id).family == "GAN"
    except WeightsError:
        return False


# Attention


def attention_maps(method: Denoiser, noisy: Image) -> tuple[AttentionMap, ...]:
    """Return what every attention gate of a network lets pass, from the coarsest to the finest.

    Args:
        method: An Attention U-Net as a denoiser.
        noisy: (H, W).

    Raises:
        ValueError: The method has no attention gates, or the picture is not gray.
    """
    if not isinstance(method, NetworkDenoiser) or not _has_attention(method.network):
        raise ValueError(f"{method.info.id} has no attention gates; the Attention U-Nets have")
    network = cast(AttentionUNet, method.network)
    _check_gray(noisy)
    maps: list[AttentionMap] = []

    def keep(batch: torch.Tensor) -> torch.Tensor:
        for gate in network.attention_maps(batch):
            values = gate[0, 0].numpy().astype(np.float64)
            side = batch.shape[2] // values.shape[0]
            whole = np.repeat(np.repeat(values, side, axis=0), side, axis=1)
            maps.append(AttentionMap(side, whole[: noisy.shape[0], : noisy.shape[1]]))
        return batch

    method.run_padded(keep, noisy)
    return tuple(maps)


# Experts


def ask_experts(method: Denoiser, noisy: Image) -> tuple[ExpertView, ...]:
    """Have every expert of a network denoise a picture, also those that the router would not ask.

    Args:
        method: A network of several experts as a denoiser.
        noisy: (H, W).

    Raises:
        ValueError: The method has no experts, or the picture is not gray.
    """
    if not isinstance(method, NetworkDenoiser) or not _has_experts(method.network):
        raise ValueError(f"{method.info.id} has no experts; the residual U-Net has")
    network = cast(ExpertUNet, method.network)
    _check_gray(noisy)
    shares: list[float] = []

    def keep_shares(batch: torch.Tensor) -> torch.Tensor:
        shares.extend(torch.softmax(network.score_experts(batch)[0], dim=0).tolist())
        return batch

    def denoise_with(place: int) -> Image:
        choice = torch.tensor([place])
        denoised = method.run_padded(lambda batch: network.denoise_with(batch, choice), noisy)
        return np.clip(denoised, 0.0, 1.0)

    method.run_padded(keep_shares, noisy)
    names = network.config.experts
    return tuple(ExpertView(name, shares[n], denoise_with(n)) for n, name in enumerate(names))


# The discriminator


@cache
def create_discriminator(model_id: str) -> PatchDiscriminator:
    """Return the discriminator that a model was trained against. It is loaded once, and shared.

    Raises:
        WeightsError: There is none, or it can't be had.
    """
    source = hub_source(model_id)
    return load_discriminator(model_id) if source is None else load_discriminator_from_hub(source)


def ensure_discriminator(model_id: str, wait: float = 0.0) -> None:
    """Return once :func:`create_discriminator` won't wait for the Hub, or raise.

    Args:
        model_id: A model.
        wait: How many seconds to wait for it.

    Raises:
        LoadingError: It is on its way.
        WeightsError: It can't be had.
    """
    if hub_source(model_id) is not None:
        _BACKGROUND.ensure(model_id, wait)


def score_patches(discriminator: PatchDiscriminator, noisy: Image, picture: Image) -> PatchScores:
    """Ask a discriminator which patches of a picture look clean.

    It sees both pictures clipped to [0, 1], as in its training.

    Args:
        discriminator: In eval mode.
        noisy: (H, W), the noisy picture that it sees beside the other.
        picture: (H, W), the clean or a denoised one.

    Raises:
        ValueError: The pictures are not gray, differ in size, or are smaller than
            :attr:`PatchDiscriminator.smallest_side`.
    """
    _check_gray(noisy)
    smallest = discriminator.smallest_side
    if noisy.shape != picture.shape or min(noisy.shape) < smallest:
        raise ValueError(
            f"noisy and picture must have one shape of at least {smallest}x{smallest}, not "
            f"{noisy.shape} and {picture.shape}"
        )
    with torch.inference_mode():
        clipped = (np.clip(image, 0.0, 1.0).astype(np.float32) for image in (noisy, picture))
        pair = (torch.from_numpy(image)[None, None] for image in clipped)
        scores = torch.sigmoid(discriminator(*pair))[0, 0].numpy().astype(np.float64)
    return PatchScores(
        scores, discriminator.first_centre, discriminator.stride, discriminator.patch_side
    )


# The residual


def draw_samples(method: Denoiser, noisy: Image, count: int = SAMPLES) -> Samples:
    """Draw faces that the noisy one may have been.

    Args:
        method: A denoiser that draws, see :attr:`Capabilities.samples`. Its other hyperparameters are at
            their defaults: more steps would take as many times as long, for each draw.
        noisy: (H, W).
        count: How many, from 2.

    Raises:
        ValueError: It doesn't draw, or there are not so many draws.
    """
    _check_gray(noisy)
    draws = [method.with_hyperparameters(**{DRAW: draw})(noisy) for draw in range(count)]
    pictures = np.stack(draws)
    return Samples(pictures, pictures.mean(axis=0), pictures.std(axis=0, ddof=1, dtype=np.float64))


def find_residual(clean: Image, noisy: Image, denoised: Image) -> Residual:
    """Return what a method took away, and what it should have.

    References:
        A. Buades, B. Coll and J.-M. Morel, "A review of image denoising algorithms, with a new one",
        Multiscale Modeling & Simulation 4(2), 2005, doi:10.1137/040616024.

    Raises:
        ValueError: The pictures are not gray or differ in size.
    """
    _check_gray(clean)
    if not clean.shape == noisy.shape == denoised.shape:
        raise ValueError("clean, noisy and denoised must have one shape")
    exact = noisy.astype(np.float64)
    return Residual(exact - denoised, exact - clean)


def measure_whiteness(residual: Map, clean: Image) -> Whiteness:
    """Measure how much a residual, or a noise, looks like white noise.

    Args:
        residual: (H, W).
        clean: (H, W), the clean picture it may depend on.
    """
    down = _correlation(residual[:-1], residual[1:])
    right = _correlation(residual[:, :-1], residual[:, 1:])
    power = radial_power_spectrum(residual)
    varies = power.size > 0 and float(residual.std()) > 1e-7
    # A power of 0 would make the geometric mean 0, however white the rest is.
    power = np.maximum(power, 1e-6 * QUANTISATION_POWER)
    flatness = float(np.exp(np.mean(np.log(power))) / np.mean(power)) if varies else math.nan
    return Whiteness(
        deviation=float(residual.std()),
        with_clean=_correlation(residual, clean.astype(np.float64)),
        with_neighbour=(down + right) / 2,
        flatness=flatness,
    )


def autocorrelation(residual: Map, lags: int = LAGS) -> Map:
    """Return how alike a residual is to itself moved by some pixels.

    The mean is removed, and products are summed over the pixels that overlap and divided by the sum
    at lag 0: the far lags of a small picture are therefore a little too close to 0.

    Args:
        residual: (H, W).
        lags: Largest move in pixels.

    Returns:
        (2 * lags + 1, 2 * lags + 1), the middle is 1 for no move; 0 elsewhere for white noise, within
        about ``1 / sqrt(H * W)``. Moves further than the picture is large have 0, and everything is
        NaN where nothing varies.
    """
    centred = np.asarray(residual, np.float64) - residual.mean()
    total = float(np.sum(centred**2))
    if total < 1e-14 * residual.size:
        return np.full((2 * lags + 1, 2 * lags + 1), math.nan)
    padded = np.pad(correlate(centred, centred, mode="full", method="fft") / total, lags)
    row, column = (lags + side - 1 for side in residual.shape)  # of lag 0
    return padded[row - lags : row + lags + 1, column - lags : column + lags + 1]


def _correlation(first: Map, second: Map) -> float:
    """Pearson's correlation; NaN where one of them does not vary."""
    if first.size == 0 or min(float(first.std()), float(second.std())) < 1e-7:
        return math.nan
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


# Edges


def edge_profile(picture: Image, start: Place, end: Place) -> Map:
    """Return the gray values along a line, a pixel apart, interpolated linearly between pixels.

    Args:
        picture: (H, W).
        start: Where it begins, within the picture.
        end: Where it ends; the same place gives one value.

    Raises:
        ValueError: The picture is not gray, or an end lies outside.
    """
    _check_gray(picture)
    height, width = picture.shape
    for row, column in (start, end):
        if not (0 <= row <= height - 1 and 0 <= column <= width - 1):
            raise ValueError(f"({row}, {column}) is outside a picture of {height}x{width}")
    return profile_line(picture.astype(np.float64), start, end, order=1, mode="nearest")


def steepest_step(profile: Map) -> float:
    """Return the largest change from one value of a profile to the next; 0 for a single value."""
    return float(np.abs(np.diff(profile)).max(initial=0.0))


# Bias and invention


def denoise_clean(
    method: str | Denoiser, clean: Image, noisy: Image, sigma: float | None
) -> DenoiseResult:
    """Give a method the clean picture: what is then different was destroyed, not noise.

    It works as strongly as it does on the noisy picture: the same known or estimated sigma.

    Args:
        method: An id or a denoiser.
        clean: (H, W).
        noisy: (H, W), from which sigma is estimated where it is not known.
        sigma: Standard deviation of the noise in [0, 1] if it is known.
    """
    denoiser = create_denoiser(method) if isinstance(method, str) else method
    return denoise(clean, denoiser, sigma=denoiser.resolve_sigma(noisy, sigma).value, clean=clean)


def make_pure_noise(shape: tuple[int, int], sigma: float, seed: int) -> Image:
    """Return an even gray with Gaussian noise, clipped to [0, 1]: a picture of nothing.

    Args:
        shape: (H, W).
        sigma: Standard deviation in [0, 1].
        seed: A whole number from 0.
    """
    return GaussianNoise(sigma)(np.full(shape, GRAY, np.float32), seed)


def _check_gray(picture: np.ndarray) -> None:
    if picture.ndim != 2:
        raise ValueError(f"the picture must be gray, (H, W), not {picture.shape}")


_BACKGROUND = BackgroundLoader(create_discriminator)
