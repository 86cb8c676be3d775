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
    """

    width: int = 32
    stages: int = 2


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
