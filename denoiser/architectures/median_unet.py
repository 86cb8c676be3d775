"""The hybrid that reference A's authors propose: an impulse-aware median first, a network after.

References:
    S. Esakkirajan et al., IEEE SPL 18(5), 2011, doi:10.1109/LSP.2011.2122333 (the median);
    K. Zhang et al., TPAMI 2021, doi:10.1109/TPAMI.2021.3088914 (the network).

The network sees the filtered picture beside the noisy one, which it corrects: it starts as good as the
network whose weights it takes over, and learns where the median knows better.
"""

import math
from dataclasses import dataclass

import torch

from denoiser.architectures.expert_unet import ExpertUNet, ExpertUNetConfig
from denoiser.architectures.impulses import WINDOWS, trimmed_median


@dataclass(frozen=True)
class MedianUNetConfig(ExpertUNetConfig):
    """Shape of a :class:`MedianUNet`: that of its network, see :class:`ExpertUNetConfig`."""

    inputs: int = 2


class MedianUNet(ExpertUNet):
    """A trimmed median, then residual U-Nets on (filtered, noisy) that correct the noisy picture.

    Sides of the input must be multiples of :attr:`~denoiser.architectures.network.Network.multiple_of`.
    """

    architecture = "median-unet"
    Config = MedianUNetConfig

    def reach(self, **values: float) -> int:
        """Return the experts', and the median's. See :meth:`Network.reach`."""
        unit = self.multiple_of
        return super().reach(**values) + math.ceil(WINDOWS[-1] // 2 / unit) * unit

    def expert_input(self, noisy: torch.Tensor) -> torch.Tensor:
        """Return the filtered and the noisy pictures, (B, 2, H, W)."""
        return torch.cat([trimmed_median(noisy.detach()), noisy], dim=1)
