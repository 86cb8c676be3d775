"""The conditional PatchGAN discriminator.

References:
    P. Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017,
    doi:10.1109/CVPR.2017.632. With an attention gate after its first stage (reference A); with residual
    blocks and without any normalisation, as in N. Huang et al., "The GAN is dead; long live the GAN! A
    modern GAN baseline", NeurIPS 2024, arXiv:2501.05441: gradient penalties want scores that depend on
    one picture, and on one patch of it.
"""

from dataclasses import dataclass

import torch
from torch import nn

from denoiser.architectures.attention import AttentionGate
from denoiser.architectures.network import check_channels

_SLOPE = 0.2


@dataclass(frozen=True)
class PatchDiscriminatorConfig:
    """Shape of a :class:`PatchDiscriminator`.

    Attributes:
        width: Channels of the first stage; each further one doubles them.
        stages: How often the picture's sides are halved.
        blocks: Residual blocks after each halving.
        channels: Of each picture: 1, or 3 for RGB.

    Raises:
        ValueError: One of them is no whole number, or out of range; the message says which.
    """

    width: int = 64
    stages: int = 2
    blocks: int = 1
    channels: int = 1

    def __post_init__(self) -> None:
        for name, highest in (("width", 1024), ("stages", 6), ("blocks", 6)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= highest:
                raise ValueError(f"{name} must be a whole number from 1 to {highest}, not {value!r}")
        check_channels(self.channels)


class _Block(nn.Module):
    """A residual block that is nearly the identity at first, which makes up for the missing norm."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, width, 3, padding=1)
        self.activation = nn.LeakyReLU(_SLOPE)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        hidden = self.activation(self.first(self.activation(features)))
        return features + self.last(hidden)


class PatchDiscriminator(nn.Module):
    """Judge each patch of a picture, seen beside the noisy one it came from."""

    def __init__(self, config: PatchDiscriminatorConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.first = nn.Sequential(
            nn.Conv2d(2 * config.channels, width, 4, stride=2, padding=1),
            *(_Block(width) for _ in range(config.blocks)),
        )
        self.attention = AttentionGate(width)
        layers: list[nn.Module] = []
        for _ in range(1, config.stages):
            layers += [
                nn.LeakyReLU(_SLOPE),
                nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
                *(_Block(2 * width) for _ in range(config.blocks)),
            ]
            width *= 2
        self.rest = nn.Sequential(*layers, nn.LeakyReLU(_SLOPE), nn.Conv2d(width, 1, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, _SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, _Block):
                nn.init.normal_(module.last.weight, std=1e-3)

    @property
    def stride(self) -> int:
        """How many pixels lie between the centres of two neighbouring patches."""
        return 2**self.config.stages

    @property
    def patch_side(self) -> int:
        """Side in pixels of the patch that one score depends on, borders aside."""
        side, step = 1, 1
        for convolution in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            side += (convolution.kernel_size[0] - 1) * step
            step *= convolution.stride[0]
        return side

    @property
    def first_centre(self) -> float:
        """Row and column, in pixels, where the centre of the first patch lies."""
        before, step = 0, 1
        for convolution in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            before += int(convolution.padding[0]) * step
            step *= convolution.stride[0]
        return (self.patch_side - 1) / 2 - before

    @property
    def smallest_side(self) -> int:
        """Side of the smallest picture that it can judge: one with a single patch."""
        return self.stride

    def forward(self, condition: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """Score patches.

        Args:
            condition: (B, C, H, W), the noisy picture.
            picture: (B, C, H, W), the clean or the denoised one.

        Returns:
            (B, 1, h, w), one score per patch: the higher, the more it looks clean. Scores compare two
            pictures of one noisy one; half-way between clean and denoised ones lies about 0.
        """
        pair = 2 * torch.cat([condition, picture], dim=1) - 1
        features = self.first(pair.contiguous(memory_format=torch.channels_last))
        return self.rest(self.attention(features, features))
