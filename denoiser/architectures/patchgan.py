"""The conditional PatchGAN discriminator.

References:
    P. Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017,
    doi:10.1109/CVPR.2017.632. With an attention gate after its first stage (reference A).
"""

from dataclasses import dataclass

import torch
from torch import nn

from .attention import AttentionGate


@dataclass(frozen=True)
class PatchDiscriminatorConfig:
    """Shape of a :class:`PatchDiscriminator`.

    Attributes:
        width: Channels of the first stage; each further one doubles them.
        stages: Strided stages before the last, unstrided one.

    Raises:
        ValueError: One of them is no whole number, or out of range; the message says which.
    """

    width: int = 32
    stages: int = 2

    def __post_init__(self) -> None:
        for name, highest in (("width", 1024), ("stages", 6)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= highest:
                raise ValueError(f"{name} must be a whole number from 1 to {highest}, not {value!r}")


class PatchDiscriminator(nn.Module):
    """Judge each patch of a picture, seen beside the noisy one it came from."""

    def __init__(self, config: PatchDiscriminatorConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.first = nn.Sequential(
            nn.Conv2d(2, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)
        )
        self.attention = AttentionGate(width)
        layers: list[nn.Module] = []
        for index in range(1, config.stages + 1):
            stride = 2 if index < config.stages else 1
            layers += [
                nn.Conv2d(width, 2 * width, 4, stride=stride, padding=1, bias=False),
                nn.InstanceNorm2d(2 * width, affine=True),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            width *= 2
        self.rest = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, padding=1))

    @property
    def stride(self) -> int:
        """How many pixels lie between the centres of two neighbouring patches."""
        return 2**self.config.stages

    @property
    def patch_side(self) -> int:
        """Side in pixels of the patch that one score depends on, borders aside.

        Only roughly so: instance norm lets the rest of the picture in, through its mean and variance.
        """
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
        """Side of the smallest picture that it can judge: one with 2x2 patches before the last layer."""
        return 3 * self.stride

    def forward(self, condition: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """Score patches.

        Args:
            condition: (B, 1, H, W), the noisy picture.
            picture: (B, 1, H, W), the clean or the denoised one.

        Returns:
            Logits, (B, 1, h, w), one per patch: above 0 for "clean", below for "denoised".
        """
        features = self.first(torch.cat([condition, picture], dim=1))
        return self.rest(self.attention(features, features))
