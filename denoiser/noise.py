"""Noise: ten kinds, chains of them, and the presets.

One definition serves the page and training. A kind is written once, for a batch of tensors on any
device; the app's single picture is a batch of one. A strength is a number, or a (B, 1, 1, 1) tensor
with one number for each picture of the batch, which is how training draws a different strength for
each.
"""

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import ClassVar

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from denoiser.images import LUMA, Image, check_image

Strength = float | torch.Tensor
"""One number for all pictures, or a (B, 1, 1, 1) tensor with one for each."""


@dataclass(frozen=True)
class Parameter:
    """A noise's parameter or a denoiser's hyperparameter: what it accepts, how the app offers it.

    Attributes:
        name: The dataclass field, or the keyword.
        label: Name for people.
        minimum: Smallest accepted value.
        maximum: Largest accepted value.
        default: Where the slider starts.
        slider_maximum: Where the slider ends; beyond it the picture is no longer recognisable.
        step: Distance of two slider positions, in displayed units.
        unit: The displayed unit; empty for a bare number.
        scale: Displayed value = ``scale`` times the field's value.
        integer: Whether only whole numbers make sense.
    """

    name: str
    label: str
    minimum: float
    maximum: float
    default: float
    slider_maximum: float
    step: float
    unit: str
    scale: float = 1.0
    integer: bool = False

    def check(self, value: Strength) -> None:
        """Raise ValueError, saying what is allowed, unless ``value`` fits.

        A tensor on another device than the CPU passes: to look into it would be to wait for the device.
        """
        if isinstance(value, torch.Tensor) and value.device.type != "cpu":
            return
        is_number = isinstance(value, Real | torch.Tensor)
        values = torch.as_tensor(value if is_number else math.nan, dtype=torch.float64)
        inside = bool(((values >= self.minimum) & (values <= self.maximum)).all())
        whole = not self.integer or bool((values == values.round()).all())
        if not (inside and whole):
            number = "a whole number" if self.integer else "a number"
            raise ValueError(
                f"{self.name} must be {number} from {self.minimum:g} to {self.maximum:g}, not {value}"
            )

    @property
    def title(self) -> str:
        """Its label with the displayed unit, such as ``Standard deviation (of 255)``."""
        is_bare = self.unit in ("", self.label.lower())
        return self.label if is_bare else f"{self.label} ({self.unit})"

    def displayed(self, value: float) -> float:
        """Convert a field's value to the displayed unit."""
        return round(float(value) * self.scale, 6)

    def from_displayed(self, shown: float) -> float:
        """Convert a value in the displayed unit, within the range, to the field's."""
        # Dividing may end up a rounding error beyond what is accepted.
        value = min(max(shown / self.scale, self.minimum), self.maximum)
        return int(value) if self.integer else float(value)

    @property
    def slider_range(self) -> tuple[float, float]:
        """The ends of its slider, in the displayed unit."""
        return self.displayed(self.minimum), self.displayed(self.slider_maximum)

    def show(self, *values: float) -> str:
        """Write a value, or the two ends of a range, in the unit that the page shows."""
        numbers = " to ".join(f"{float(value) * self.scale:.4g}" for value in values)
        space = " " if self.unit[:1] not in "%" else ""
        return f"{self.name.replace('_', ' ')} {numbers}{space}{self.unit}".rstrip()


def _sigma(default: float, slider_maximum: float, label: str = "Standard deviation") -> Parameter:
    return Parameter("sigma", label, 0, 1, default, slider_maximum, 1, "of 255", scale=255)


def _amount(default: float, slider_maximum: float) -> Parameter:
    return Parameter(
        "amount", "Share of pixels", 0, 1, default, slider_maximum, 1, "% of pixels", scale=100
    )


@dataclass(frozen=True)
class NoiseModel(ABC):
    """A kind of noise with its strength; call it with a picture and a seed.

    The same seed gives the same noise on every machine. Neither the picture nor any global random
    state is touched.
    """

    id: ClassVar[str]
    label: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    needs_colour: ClassVar[bool] = False
    """Whether it leaves a gray picture as it is."""

    def __post_init__(self) -> None:
        for parameter in self.parameters:
            parameter.check(getattr(self, parameter.name))

    def __call__(
        self,
        image: np.ndarray,
        seed: int | torch.Generator = 0,
        *,
        clip: bool = True,
        round_8bit: bool = False,
    ) -> Image:
        """Corrupt one picture.

        Args:
            image: (H, W) or (H, W, 3), floating point in [0, 1].
            seed: A whole number from 0 to 2**63 - 1, or a CPU generator to draw from.
            clip: Clip the result to [0, 1], as an 8-bit picture would be.
            round_8bit: Round the result to multiples of 1/255, as storing it in 8 bits would.

        Returns:
            The noisy picture: same shape, float32; within [0, 1] unless ``clip`` is off.

        Raises:
            TypeError: ``image`` is not a floating-point array.
            ValueError: ``image`` has a wrong shape or is not finite, or the seed is out of range.
        """
        image = check_image(image)
        # (H, W) or (H, W, C) -> (1, C, H, W)
        pixels = image[..., None] if image.ndim == 2 else image
        clean = torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())
        noisy = self.apply(clean, _generator(seed))
        if clip:
            noisy = noisy.clamp(0, 1)
        if round_8bit:
            noisy = (noisy * 255).round() / 255
        return noisy[0].permute(1, 2, 0).numpy().reshape(image.shape).astype(np.float32)

    @abstractmethod
    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Corrupt a batch, without clipping.

        Args:
            clean: (B, C, H, W), float32 in [0, 1], on any device. It is left alone.
            generator: Random source on the same device.

        Returns:
            (B, C, H, W), same dtype and device; may leave [0, 1].
        """

    def known_sigma(self, clean: Image) -> float | None:
        """Standard deviation of the noise on this picture, before clipping.

        The root mean square over pixels where it depends on brightness; None where the noise is not
        an additive, zero-mean one, so that no standard deviation describes it.
        """
        return None

    def describe(self) -> str:
        """Say kind and strength in one line, such as ``Gaussian, sigma 25 of 255``."""
        return ", ".join([self.label, *(p.show(getattr(self, p.name)) for p in self.parameters)])


@dataclass(frozen=True)
class GaussianNoise(NoiseModel):
    """Additive white Gaussian noise: ``x + sigma * n``, n standard normal. Mean 0, variance sigma^2."""

    sigma: Strength = 25 / 255

    id: ClassVar[str] = "gaussian"
    label: ClassVar[str] = "Gaussian"
    parameters: ClassVar[tuple[Parameter, ...]] = (_sigma(25 / 255, 100 / 255),)

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`."""
        return clean + self.sigma * _normal(clean.shape, generator)

    def known_sigma(self, clean: Image) -> float | None:
        """``sigma``, whatever the picture."""
        return float(self.sigma)


@dataclass(frozen=True)
class SaltAndPepperNoise(NoiseModel):
    """White and black pixels: with probability ``amount`` a pixel becomes 1 (salt) or 0 (pepper).

    A share ``salt_ratio`` of the damaged pixels is salt. In colour the whole pixel is replaced.
    """

    amount: Strength = 0.1
    salt_ratio: Strength = 0.5

    id: ClassVar[str] = "salt-and-pepper"
    label: ClassVar[str] = "Salt and pepper"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        _amount(0.1, 0.6),
        Parameter("salt_ratio", "Share of salt", 0, 1, 0.5, 1, 5, "% white", scale=100),
    )

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`."""
        damaged = _uniform(_one_channel(clean), generator) < self.amount
        salt = (_uniform(_one_channel(clean), generator) < self.salt_ratio).to(clean.dtype)
        return torch.where(damaged, salt, clean)


@dataclass(frozen=True)
class ImpulseNoise(NoiseModel):
    """Random-valued impulses: with probability ``amount`` a pixel becomes uniform on [0, 1]."""

    amount: Strength = 0.2

    id: ClassVar[str] = "impulse"
    label: ClassVar[str] = "Random-valued impulses"
    parameters: ClassVar[tuple[Parameter, ...]] = (_amount(0.2, 0.6),)

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`."""
        damaged = _uniform(_one_channel(clean), generator) < self.amount
        return torch.where(damaged, _uniform(clean.shape, generator), clean)


@dataclass(frozen=True)
class PoissonNoise(NoiseModel):
    """Photon counting: ``Poisson(peak * x) / peak``. Mean x, variance x / peak.

    ``peak`` is the expected number of photons at white; fewer photons, more noise.
    """

    peak: Strength = 30.0

    id: ClassVar[str] = "poisson"
    label: ClassVar[str] = "Poisson (photon count)"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("peak", "Photons at white", 1, 100_000, 30, 255, 1, "photons"),
    )

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`; negative light counts as none."""
        return torch.poisson(clean.clamp(min=0) * self.peak, generator=generator) / self.peak

    def known_sigma(self, clean: Image) -> float | None:
        """Root mean square over the picture: sqrt(mean(x) / peak)."""
        return math.sqrt(float(clean.mean()) / float(self.peak))


@dataclass(frozen=True)
class SpeckleNoise(NoiseModel):
    """Multiplicative Gaussian noise: ``x + x * sigma * n``. Mean x, variance (x * sigma)^2."""

    sigma: Strength = 36 / 255

    id: ClassVar[str] = "speckle"
    label: ClassVar[str] = "Speckle"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        _sigma(36 / 255, 128 / 255, "Standard deviation at white"),
    )

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`."""
        return clean + clean * self.sigma * _normal(clean.shape, generator)

    def known_sigma(self, clean: Image) -> float | None:
        """Root mean square over the picture: sigma * sqrt(mean(x^2))."""
        return float(self.sigma) * math.sqrt(float((clean**2).mean()))


@dataclass(frozen=True)
class PixelShuffleNoise(NoiseModel):
    """Local shuffling: each pixel, with probability ``amount``, swaps places with a random neighbour.

    The neighbour is drawn from the (2 * radius + 1)^2 window around the pixel, which may be the pixel
    itself. All brightness values stay in the picture. Pixels are visited in classes that lie a whole
    window apart, so that the swaps of one class cannot meet and run at once.
    """

    amount: Strength = 0.3
    radius: int = 2

    id: ClassVar[str] = "pixel-shuffle"
    label: ClassVar[str] = "Shuffled pixels"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        _amount(0.3, 1.0),
        Parameter("radius", "Reach", 1, 4, 2, 4, 1, "pixels", integer=True),
    )

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`."""
        batch, channels, height, width = clean.shape
        rows = torch.arange(height, device=clean.device).view(-1, 1)
        columns = torch.arange(width, device=clean.device).view(1, -1)
        shape = (batch, 1, height, width)
        reach = int(self.radius)

        def step() -> torch.Tensor:
            drawn = _uniform(shape, generator) * (2 * reach + 1)
            return drawn.long().clamp(max=2 * reach) - reach

        target_rows = (rows + step()).clamp(0, height - 1)
        target_columns = (columns + step()).clamp(0, width - 1)
        swap = _uniform(shape, generator) < self.amount
        here = (rows * width + columns).expand(shape)
        there = torch.where(swap, target_rows * width + target_columns, here).flatten(1)  # (B, H*W)

        window = 2 * reach + 1
        # Which class each pixel is of is known without asking the device that the picture is on.
        index = torch.arange(height * width)
        classes = (index // width % window) * window + index % width % window
        visits = classes.argsort(stable=True).to(clean.device)  # (H*W,) pixels, class by class
        order = here.flatten(1).clone()  # order[b, i]: which pixel now stands at place i
        for pixels in visits.split(classes.bincount(minlength=window * window).tolist()):
            places = pixels.expand(batch, -1)
            targets = there.gather(1, places)
            at_place, at_target = order.gather(1, places), order.gather(1, targets)
            order.scatter_(1, targets, at_place).scatter_(1, places, at_target)
        shuffled = clean.flatten(2).gather(2, order.unsqueeze(1).expand(-1, channels, -1))
        return shuffled.view_as(clean)


@dataclass(frozen=True)
class OcclusionNoise(NoiseModel):
    """Squares at random places: ``count`` of them, with sides of ``size`` pixels.

    They are black, or of a gray ``level``; with ``grain`` each pixel is ``level + grain * n``, n
    standard normal, clipped to [0, 1].
    """

    size: int = 8
    count: int = 1
    level: Strength = 0.0
    grain: Strength = 0.0

    id: ClassVar[str] = "occlusion"
    label: ClassVar[str] = "Occlusion"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("size", "Side of a square", 0, 512, 8, 24, 1, "pixels", integer=True),
        Parameter("count", "Squares", 0, 64, 1, 8, 1, "squares", integer=True),
        Parameter("level", "Gray level", 0, 1, 0, 1, 5, "% of white", scale=100),
        Parameter("grain", "Grain", 0, 1, 0, 100 / 255, 1, "of 255", scale=255),
    )

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`; a square larger than the picture covers all of it."""
        batch, _, height, width = clean.shape
        rows = torch.arange(height, device=clean.device).view(1, 1, -1, 1)
        columns = torch.arange(width, device=clean.device).view(1, 1, 1, -1)
        covered = torch.zeros((batch, 1, height, width), dtype=torch.bool, device=clean.device)
        for _ in range(int(self.count)):
            top, left = (
                (_uniform((batch, 1, 1, 1), generator) * max(1, side - int(self.size) + 1)).floor()
                for side in (height, width)
            )
            covered |= (
                (rows >= top)
                & (rows < top + self.size)
                & (columns >= left)
                & (columns < left + self.size)
            )
        fill = torch.as_tensor(self.level, dtype=clean.dtype, device=clean.device)
        if isinstance(self.grain, torch.Tensor) or self.grain > 0:
            fill = (fill + self.grain * _normal(clean.shape, generator)).clamp(0, 1)
        return torch.where(covered, fill, clean)


@dataclass(frozen=True)
class GaussianBlur(NoiseModel):
    """Blur by a Gaussian of standard deviation ``sigma`` pixels; the border is repeated outwards."""

    sigma: Strength = 1.0

    id: ClassVar[str] = "blur"
    label: ClassVar[str] = "Blur"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("sigma", "Width of the blur", 0, 10, 1, 4, 0.1, "pixels"),
    )

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`; nothing random in it."""
        batch, channels, height, width = clean.shape
        sigma = torch.as_tensor(self.sigma, dtype=clean.dtype, device=clean.device)
        sigma = sigma.reshape(-1, 1).expand(batch, 1).clamp(min=1e-3)  # no division by zero
        radius = math.ceil(4 * float(sigma.max()))  # beyond 4 sigma less than 1e-4 is left
        offset = torch.arange(-radius, radius + 1, device=clean.device, dtype=clean.dtype)
        kernel = torch.softmax(-(offset**2) / (2 * sigma**2), dim=1)  # (B, 2 radius + 1), sum 1
        kernel = kernel.repeat_interleave(channels, 0)[:, None]  # (B * C, 1, 2 radius + 1)
        blurred = clean.reshape(1, batch * channels, height, width)
        padded = F.pad(blurred, (radius, radius, radius, radius), mode="replicate")
        blurred = F.conv2d(padded, kernel[..., None], groups=batch * channels)
        blurred = F.conv2d(blurred, kernel[..., None, :], groups=batch * channels)
        return blurred.view_as(clean)


@dataclass(frozen=True)
class JpegArtifacts(NoiseModel):
    """JPEG compression and decompression with Pillow at ``quality`` 1 to 100."""

    quality: Strength = 20

    id: ClassVar[str] = "jpeg"
    label: ClassVar[str] = "JPEG compression"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("quality", "Quality", 1, 100, 20, 100, 1, "of 100", integer=True),
    )

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`; nothing random in it. A JPEG holds 8 bits, so it clips."""
        qualities = torch.as_tensor(self.quality).reshape(-1).expand(len(clean)).tolist()
        pictures = (clean.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        decoded = [_through_jpeg(*pair) for pair in zip(pictures, qualities, strict=True)]
        stacked = torch.from_numpy(np.stack(decoded)).to(clean.device)
        return (stacked.to(clean.dtype) / 255).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Desaturation(NoiseModel):
    """Colour taken away: ``x + amount * (luma(x) - x)``, the same luma in all three channels.

    0 leaves the picture as it is, 1 makes it gray. The luma is ITU-R 601's, as wherever pictures are
    made gray here (:mod:`denoiser.images`). A gray picture has no colour to lose.
    """

    amount: Strength = 0.5

    id: ClassVar[str] = "desaturation"
    label: ClassVar[str] = "Desaturation"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("amount", "Colour taken away", 0, 1, 0.5, 1, 5, "%", scale=100),
    )
    needs_colour: ClassVar[bool] = True

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`; nothing random in it."""
        if clean.shape[1] == 1:
            return clean.clone()
        luma = sum(w * channel for w, channel in zip(LUMA, clean.split(1, dim=1), strict=True))
        return torch.lerp(clean, luma.expand_as(clean), self.amount)  # exact at both ends


@dataclass(frozen=True)
class NoiseChain(NoiseModel):
    """Several noises, one after the other, from one random source; clipped once, at the end."""

    stages: tuple[NoiseModel, ...] = ()

    id: ClassVar[str] = "chain"
    label: ClassVar[str] = "Chain"

    def apply(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :meth:`NoiseModel.apply`."""
        noisy = clean
        for stage in self.stages:
            noisy = stage.apply(noisy, generator)
        return noisy

    def known_sigma(self, clean: Image) -> float | None:
        """Variances add up, where every stage has one."""
        sigmas = [stage.known_sigma(clean) for stage in self.stages]
        known = [sigma for sigma in sigmas if sigma is not None]
        return math.hypot(*known) if known and len(known) == len(sigmas) else None

    def describe(self) -> str:
        """Say every stage in one line."""
        return " + ".join(stage.describe() for stage in self.stages)


def noise_stages(noise: NoiseModel) -> tuple[NoiseModel, ...]:
    """Return the noises that are applied one after the other: those of a chain, or the noise itself."""
    return noise.stages if isinstance(noise, NoiseChain) else (noise,)


NOISES: tuple[type[NoiseModel], ...] = (
    GaussianNoise,
    SaltAndPepperNoise,
    ImpulseNoise,
    PoissonNoise,
    SpeckleNoise,
    PixelShuffleNoise,
    OcclusionNoise,
    GaussianBlur,
    JpegArtifacts,
    Desaturation,
)
"""Every kind, in the order in which the app offers it. A new kind is one class and one line here."""

PRESETS: Mapping[str, NoiseModel] = {
    "gaussian-low": GaussianNoise(sigma=0.02),
    "gaussian-high": GaussianNoise(sigma=0.06),
    "salt-and-pepper-10": SaltAndPepperNoise(amount=0.10),
}
"""The three tasks of the reference, by id; the specialists are trained on them."""


def random_source(device: torch.device, seed: int) -> torch.Generator:
    """Return a random source for pictures on a device, on that device or, failing that, on the CPU.

    What is to be corrupted goes to the source's device first. Apple's GPUs (MPS) have neither double
    precision, in which normal numbers are drawn, nor Poisson numbers.
    """
    drawing = device if device.type == "cuda" else torch.device("cpu")
    return torch.Generator(device=drawing).manual_seed(seed)


def list_noises() -> list[str]:
    """Return the ids of all kinds of noise."""
    return [kind.id for kind in NOISES]


def noise_kind(noise_id: str) -> type[NoiseModel]:
    """Return the class of a kind of noise.

    Raises:
        ValueError: There is no such kind.
    """
    for kind in NOISES:
        if kind.id == noise_id:
            return kind
    raise ValueError(f"Unknown noise {noise_id!r}; choose one of {', '.join(list_noises())}")


def create_noise(noise_id: str, **parameters: float) -> NoiseModel:
    """Create a noise by the id of its kind or of a preset.

    >>> create_noise("gaussian", sigma=25 / 255).id
    'gaussian'

    Args:
        noise_id: One of :func:`list_noises`, or a preset, which takes no parameters.
        **parameters: The kind's strengths, in the physical units its class documents.

    Raises:
        ValueError: Unknown id or parameter, or a value out of range; the message says what is allowed.
    """
    if noise_id in PRESETS and not parameters:
        return PRESETS[noise_id]
    kind = noise_kind(noise_id)
    allowed = [field.name for field in fields(kind)]
    for name in parameters:
        if name not in allowed:
            raise ValueError(
                f"{noise_id} has no parameter {name!r}; it takes {', '.join(allowed) or 'none'}"
            )
    return kind(**parameters)


def _generator(seed: int | torch.Generator) -> torch.Generator:
    if isinstance(seed, torch.Generator):
        return seed
    # NumPy's numbers are numbers too.
    if isinstance(seed, bool) or not isinstance(seed, Real) or not 0 <= seed < 2**63 or seed % 1:
        raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1, not {seed}")
    return torch.Generator().manual_seed(int(seed))


def _normal(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    # Drawn in double precision: PyTorch's float32 path differs between processors with and without
    # AVX2 in the last bits, and the same seed has to give the same noise on every machine.
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
    return drawn.to(torch.float32)


def _uniform(shape: torch.Size | tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def _one_channel(batch: torch.Tensor) -> tuple[int, ...]:
    """Shape for one draw per pixel, shared by its channels."""
    return (batch.shape[0], 1, *batch.shape[2:])


def _through_jpeg(pixels: np.ndarray, quality: float) -> np.ndarray:
    """Compress and decompress one (H, W, C) uint8 picture."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(
        buffer, "jpeg", quality=int(quality)
    )
    return np.asarray(PIL.Image.open(buffer)).reshape(pixels.shape)
