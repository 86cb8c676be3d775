"""The contract every denoiser keeps, whether it is a filter or a network."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Literal, Self

import numpy as np
from skimage.restoration import estimate_sigma

from denoiser.denoisers.windows import WholePicture
from denoiser.images import Image, check_image
from denoiser.images.values import to_unit
from denoiser.noise import Parameter
from denoiser.weights.checkpoint import Family
from denoiser.weights.training_noise import TrainingNoise

SigmaSource = Literal["known", "estimated", "unused"]


class OwnDenoiserError(ValueError):
    """A denoiser that somebody brought does not do what one has to; the message is one sentence."""


@dataclass(frozen=True)
class DenoiserInfo:
    """What there is to know about a denoiser without running it.

    Attributes:
        id: Registry id, such as ``"attention-unet.gaussian-low"``.
        label: Name for people, such as ``"Attention U-Net"``.
        family: What kind of method it is.
        uses_sigma: Whether a noise strength is needed (given or estimated).
        trained_on: The noise it was trained on, in words; None for filters, which learn nothing.
        parameters: Learned parameters; 0 for filters.
        reference: The paper, with a DOI or arXiv number.
        trained_noises: The same noise as data, as far as it is known.
        hyperparameters: What can be set, see :meth:`Denoiser.with_hyperparameters`.
        intended_for: Ids of the noises that a filter is meant for; empty if it is for any.
        colour: Whether it sees a colour picture as a whole, where others go channel by channel.
        milliseconds: What one 48x48 face took when it was tried out; None where that was not done, and
            only the committed benchmark knows.
    """

    id: str
    label: str
    family: Family
    uses_sigma: bool
    trained_on: str | None
    parameters: int
    reference: str
    trained_noises: tuple[TrainingNoise, ...] = ()
    hyperparameters: tuple[Parameter, ...] = ()
    intended_for: tuple[str, ...] = ()
    colour: bool = False
    milliseconds: float | None = None


@dataclass(frozen=True)
class SigmaUsed:
    """The noise strength a denoiser worked with, and where it came from.

    Attributes:
        value: Standard deviation on the [0, 1] scale; None when the method takes none.
        source: ``"known"`` (given by the caller), ``"estimated"`` from the picture, or ``"unused"``.
    """

    value: float | None
    source: SigmaSource


def check_sigma(sigma: float | None) -> float | None:
    """Return ``sigma`` as a float after checking that it is None or within [0, 1].

    Raises:
        ValueError: It is no number, NaN, negative or above 1.
    """
    if sigma is None:
        return None
    if not isinstance(sigma, Real) or not 0 <= sigma <= 1:
        raise ValueError(f"sigma is a standard deviation between 0 and 1, not {sigma}")
    return float(sigma)


def estimate_noise(noisy: np.ndarray) -> float:
    """Estimate the standard deviation of Gaussian noise from the noisy picture alone.

    The median absolute deviation of the finest wavelet details, as in scikit-image's
    ``estimate_sigma``; the mean over the channels for colour. A channel smaller than 2x2, or one of a
    single value, has no such details and says nothing; a picture without any counts as free of noise.

    Args:
        noisy: (H, W) or (H, W, 3), floats in [0, 1] or whole numbers.

    Returns:
        Standard deviation on the [0, 1] scale.

    References:
        D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
        Biometrika 81(3), 1994, doi:10.1093/biomet/81.3.425.
    """
    if min(noisy.shape[:2]) < 2:
        return 0.0
    channels = np.moveaxis(noisy, -1, 0) if noisy.ndim == 3 else noisy[None]
    sigmas = [estimate_sigma(to_unit(channel)) for channel in channels if channel.min() < channel.max()]
    known = [sigma for sigma in sigmas if not np.isnan(sigma)]
    return float(np.clip(np.mean(known), 0.0, 1.0)) if known else 0.0


def check_hyperparameters(info: DenoiserInfo, values: Mapping[str, float]) -> dict[str, float]:
    """Return those of the values that are not their hyperparameter's default.

    Raises:
        ValueError: The denoiser has no such hyperparameter, or a value is out of range.
    """
    known = {parameter.name: parameter for parameter in info.hyperparameters}
    for name, value in values.items():
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise ValueError(f"{info.id} has no hyperparameter {name!r}; it has: {allowed}")
        known[name].check(value)
    return {
        name: int(value) if known[name].integer else float(value)
        for name, value in values.items()
        if value != known[name].default
    }


def describe_values(info: DenoiserInfo, values: Mapping[str, float]) -> str:
    """Say how hyperparameters are set, such as ``radius 2 pixels``; nothing of those at defaults."""
    return ", ".join(p.show(values[p.name]) for p in info.hyperparameters if p.name in values)


def describe_method(info: DenoiserInfo, values: Mapping[str, float]) -> str:
    """Name a method and what is set of it, such as ``Median, radius 2 pixels``; at defaults the name."""
    return ", ".join(filter(None, [info.label, describe_values(info, values)]))


class Denoiser(ABC):
    """Something that is called with a noisy picture and returns a cleaner one.

    ``denoiser(noisy, sigma=None) -> denoised``: same shape, float32, in [0, 1], and the same answer
    every time. A subclass sets ``info`` and implements :meth:`_denoise`.
    """

    info: DenoiserInfo
    values: Mapping[str, float] = MappingProxyType({})
    """Of the hyperparameters that are not at their defaults."""

    def __call__(self, noisy: np.ndarray, sigma: float | None = None) -> Image:
        """Denoise one picture.

        Args:
            noisy: (H, W) or (H, W, 3), floating point, [0, 1] (or beyond it if noise was not clipped).
            sigma: True standard deviation of the noise in [0, 1] if it is known. Methods that need a
                strength estimate it from the picture otherwise; the others ignore it.

        Returns:
            The denoised picture: same shape, float32, in [0, 1].

        Raises:
            TypeError: ``noisy`` is not a floating-point array.
            ValueError: ``noisy`` has a wrong shape or is not finite, or ``sigma`` is outside [0, 1].
        """
        noisy = check_image(noisy, "noisy")
        used = self.resolve_sigma(noisy, sigma)
        denoised = self._denoise(noisy, 0.0 if used.value is None else used.value)
        return np.clip(denoised, 0.0, 1.0).astype(np.float32, copy=False)

    def resolve_sigma(self, noisy: np.ndarray, sigma: float | None = None) -> SigmaUsed:
        """Say which strength a call with these arguments works with, and where it comes from."""
        sigma = check_sigma(sigma)
        if not self.info.uses_sigma:
            return SigmaUsed(None, "unused")
        if sigma is not None:
            return SigmaUsed(sigma, "known")
        return SigmaUsed(estimate_noise(noisy), "estimated")

    def denoise_whole(self, whole: WholePicture, sigma: float) -> np.ndarray:
        """Denoise a large picture in windows, to less than 1e-4 from what a call makes of it.

        A method of which nothing else is known gets it in one piece.

        Args:
            whole: The picture.
            sigma: Standard deviation of the noise; 0 for methods that take none.
        """
        return whole.apply(lambda image, _: self._denoise(image, sigma), None)

    def with_hyperparameters(self, **values: float) -> Self:
        """Return this denoiser with hyperparameters of its own; those left out take their defaults.

        Args:
            **values: By name, in the units of :attr:`DenoiserInfo.hyperparameters`.

        Raises:
            ValueError: It has no such hyperparameter, or a value is out of range.
        """
        changed = check_hyperparameters(self.info, values)
        return self if changed == self.values else self._with_values(changed)

    def _with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with these values, which are checked; for those that have hyperparameters."""
        return self

    @property
    def has_intermediate(self) -> bool:
        """Whether it denoises by way of an intermediate image."""
        return False

    def intermediate(self, noisy: np.ndarray) -> Image:
        """Return the image that a two-part method makes on its way, after its first part.

        Args:
            noisy: As for a call.

        Returns:
            The intermediate image: same shape, float32, in [0, 1].

        Raises:
            TypeError: ``noisy`` is not a floating-point array.
            ValueError: ``noisy`` has a wrong shape or is not finite, or the method has one part only.
        """
        if not self.has_intermediate:
            raise ValueError(
                f"{self.info.id} makes no intermediate image; only methods of two parts, such as the "
                "dual autoencoders, do"
            )
        intermediate = self._intermediate(check_image(noisy, "noisy"))
        return np.clip(intermediate, 0.0, 1.0).astype(np.float32, copy=False)

    def _intermediate(self, noisy: Image) -> np.ndarray:
        """Make the intermediate image of a checked picture, where there is one. Need not clip."""
        raise NotImplementedError

    @abstractmethod
    def _denoise(self, noisy: Image, sigma: float) -> np.ndarray:
        """Denoise a checked picture; ``sigma`` is 0 for methods that take none. Need not clip."""
