"""Single and dual autoencoders, with ordinary or depthwise-separable convolutions.

References:
    E. Solovyeva and A. Abdullah, "Dual autoencoder network with separable convolutional layers for
    denoising and deblurring images", J. Imaging 8(9):250, 2022, doi:10.3390/jimaging8090250.

Reference D: an autoencoder whose code has a quarter of the picture's sides and 25 channels; two of them
in series, the second with half the sides and 50 channels; and a pair whose second encoder also receives
the first one's features, resized and added. Nothing but that code connects encoder and decoder.

Ours: convolutions keep the size (theirs shrink it, 100 to 98), so that any picture fits; decoders are
sized to the published parameter counts (within 5 % in all six models); and while training, some pictures
leave after the first half, because otherwise nothing makes the intermediate image look like a picture.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from denoiser.architectures.network import Network, rectified


@dataclass(frozen=True)
class DualAutoencoderConfig:
    """Shape of a :class:`DualAutoencoder`.

    Attributes:
        halves: 1 for a single autoencoder, 2 for a dual one.
        skips: Add the first encoder's features to the second's; needs two halves.
        separable: Depthwise-separable convolutions in the encoders. Their first layers stay ordinary
            (one channel has nothing to separate), and so do the decoders: only then do the published
            parameter counts come out.
        early_share: Share of a training batch whose output is the intermediate image, so that any loss
            teaches the first half to denoise; 0 as published. Without effect on what a trained network
            does.
        first_encoder: Channels of the first half's encoder by scale, fine to coarse, its code last.
        first_decoder: Channels of its decoder by scale, coarse to fine.
        second_encoder: As ``first_encoder``, for the second half; not used with one half.
        second_decoder: As ``first_decoder``, for the second half; not used with one half.

    Raises:
        ValueError: There is no such network; the message says why.
    """

    halves: int = 2
    skips: bool = False
    separable: bool = False
    early_share: float = 0.25
    first_encoder: tuple[int, ...] = (32, 48, 25)
    first_decoder: tuple[int, ...] = (20, 16, 16)
    second_encoder: tuple[int, ...] = (32, 50)
    second_decoder: tuple[int, ...] = (50, 24)

    def __post_init__(self) -> None:
        if self.halves not in (1, 2):
            raise ValueError(f"halves must be 1 or 2, not {self.halves!r}")
        if self.skips and self.halves == 1:
            raise ValueError("skips lead from the first half to the second, and there is only one")
        if not 0 <= self.early_share < 1:
            raise ValueError(f"early_share must be from 0 to less than 1, not {self.early_share!r}")
        for name in ("first_encoder", "first_decoder", "second_encoder", "second_decoder"):
            widths = getattr(self, name)
            if not isinstance(widths, tuple) or not widths or not all(map(_is_width, widths)):
                raise ValueError(f"{name} must be whole numbers from 1, not {widths!r}")
        for half in ("first", "second"):
            if len(getattr(self, f"{half}_encoder")) != len(getattr(self, f"{half}_decoder")):
                raise ValueError(f"{half}_encoder and {half}_decoder must have equally many scales")


def _is_width(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _convolution(inputs: int, outputs: int, separable: bool) -> nn.Module:
    """A 3x3 convolution that keeps the size; separable: one filter per channel, then a 1x1 mixture."""
    if not separable:
        return nn.Conv2d(inputs, outputs, 3, padding=1)
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1),
    )


class _Encoder(nn.Module):
    """A convolution at each scale, with 2x2 max pooling between them."""

    def __init__(self, widths: tuple[int, ...], separable: bool):
        super().__init__()
        self.stages = nn.ModuleList(
            _convolution(before, after, separable and before > 1)
            for before, after in zip((1, *widths), widths, strict=False)
        )

    def forward(
        self, picture: torch.Tensor, extras: tuple[tuple[torch.Tensor, ...], ...] = ()
    ) -> list[torch.Tensor]:
        """Return the features of every scale, fine to coarse; the last are the code.

        Args:
            picture: (B, 1, H, W).
            extras: For each scale the features to add to its own, resized to them.
        """
        outputs: list[torch.Tensor] = []
        for scale, stage in enumerate(self.stages):
            features = functional.max_pool2d(outputs[-1], 2) if outputs else picture
            features = rectified(stage(features))
            for extra in extras[scale] if extras else ():
                features = features + _resize(extra, features.shape[-2:])
            outputs.append(features)
        return outputs


class _Decoder(nn.Module):
    """A convolution at each scale, with 2x2 transposed convolutions between them, and a sigmoid."""

    def __init__(self, code: int, widths: tuple[int, ...]):
        super().__init__()
        self.first = _convolution(code, widths[0], separable=False)
        pairs = list(pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(c, f, 2, stride=2) for c, f in pairs)
        self.stages = nn.ModuleList(_convolution(f, f, separable=False) for _, f in pairs)
        self.output = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Return a picture, (B, 1, H, W) in (0, 1)."""
        features = rectified(self.first(code))
        for up, stage in zip(self.up, self.stages, strict=True):
            features = rectified(stage(up(features)))
        return torch.sigmoid(self.output(features))


class DualAutoencoder(Network):
    """One autoencoder, or two in series, with a sigmoid at the end of each.

    Sides of the input must be multiples of :attr:`multiple_of`. The output lies within (0, 1).
    """

    architecture = "dual-autoencoder"
    Config = DualAutoencoderConfig

    def __init__(self, config: DualAutoencoderConfig):
        super().__init__()
        self.config = config
        first, second = config.first_encoder, config.second_encoder
        self.first_encoder = _Encoder(first, config.separable)
        self.first_decoder = _Decoder(first[-1], config.first_decoder)
        if config.halves == 2:
            self.second_encoder = _Encoder(second, config.separable)
            self.second_decoder = _Decoder(second[-1], config.second_decoder)
        if config.skips:
            self.skips = nn.ModuleList(
                nn.Conv2d(width, second[self._skip_scale(scale)], 1) for scale, width in enumerate(first)
            )
        self._initialise()

    @property
    def multiple_of(self) -> int:
        """Every scale but the finest halves the picture."""
        encoders = [self.config.first_encoder, self.config.second_encoder][: self.config.halves]
        return 2 ** (max(map(len, encoders)) - 1)

    @property
    def has_intermediate(self) -> bool:
        """True with two halves."""
        return self.config.halves == 2

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """See :meth:`Network.forward`."""
        encoded = self.first_encoder(noisy)
        intermediate = self.first_decoder(encoded[-1])
        if not self.has_intermediate:
            return intermediate
        # Batches are shuffled, so the first pictures of one are as good as any.
        early = int(self.config.early_share * len(noisy)) if self.training else 0
        extras = self._extras([features[early:] for features in encoded]) if self.config.skips else ()
        denoised = self.second_decoder(self.second_encoder(intermediate[early:], extras)[-1])
        return torch.cat([intermediate[:early], denoised]) if early else denoised

    def intermediate(self, noisy: torch.Tensor) -> torch.Tensor:
        """See :meth:`Network.intermediate`."""
        if not self.has_intermediate:
            return super().intermediate(noisy)
        return self.first_decoder(self.first_encoder(noisy)[-1])

    def _skip_scale(self, scale: int) -> int:
        """Where features of a scale of the first encoder go: the second's own, or its coarsest."""
        return min(scale, len(self.config.second_encoder) - 1)

    def _extras(self, encoded: list[torch.Tensor]) -> tuple[tuple[torch.Tensor, ...], ...]:
        projected = [skip(features) for skip, features in zip(self.skips, encoded, strict=True)]
        return tuple(
            tuple(features for i, features in enumerate(projected) if self._skip_scale(i) == scale)
            for scale in range(len(self.config.second_encoder))
        )

    def _initialise(self) -> None:
        """Keep the size of the features from layer to layer (He et al. 2015, arXiv:1502.01852).

        With PyTorch's own weights they shrink by two thirds in every layer, and without a way round
        the code the network starts, and for long stays, an even gray.
        """
        if self.first_decoder.output.weight.is_meta:
            return  # nothing to fill yet; drawing it all the same makes PyTorch import for seconds
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                transposed = isinstance(module, nn.ConvTranspose2d)
                # Of a 2x2 transposed convolution of stride 2, each output sees one tap per channel.
                taps = 1 if transposed else math.prod(module.kernel_size)
                gain = 1.0 if transposed or module.groups > 1 else 2.0  # no ReLU follows, or one does
                std = math.sqrt(gain / (taps * module.in_channels // module.groups))
                nn.init.normal_(module.weight, std=std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for decoder in (module for module in self.modules() if isinstance(module, _Decoder)):
            # Near gray at first: a sigmoid far from its middle hardly learns.
            nn.init.normal_(decoder.output.weight, std=0.1 / math.sqrt(9 * decoder.output.in_channels))


def _resize(features: torch.Tensor, size: torch.Size) -> torch.Tensor:
    if features.shape[-2:] == size:
        return features
    return functional.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)
