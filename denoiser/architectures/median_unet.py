"""The hybrid that reference A's authors propose: an impulse-aware median first, a network after.

References:
    S. Esakkirajan et al., IEEE SPL 18(5), 2011, doi:10.1109/LSP.2011.2122333 (the median);
    O. Oktay et al., MIDL 2018, arXiv:1804.03999 (the network).

The network sees the noisy picture beside the filtered one: where black and white pixels are no
impulses but part of the face, or were clipped by other noise, it can take back what the median did.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from denoiser.impulses import trimmed_median

from .attention_unet import AttentionUNet, AttentionUNetConfig
from .network import Network

_FIRST = "encoder.0.0.weight"  # of the convolution that sees the picture


@dataclass(frozen=True)
class MedianUNetConfig:
    """Shape of a :class:`MedianUNet`.

    Attributes:
        widths: Channels of each scale of the U-Net, the bottleneck last.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)


class MedianUNet(Network):
    """A trimmed median, then an Attention U-Net on (filtered, noisy) that corrects what is left.

    Sides of the input must be multiples of :attr:`multiple_of`.
    """

    def __init__(self, config: MedianUNetConfig):
        super().__init__()
        self.config = config
        self.unet = AttentionUNet(AttentionUNetConfig(inputs=2, widths=config.widths))

    @property
    def multiple_of(self) -> int:
        """As the U-Net's."""
        return self.unet.multiple_of

    def start_from(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over an Attention U-Net's weights: it sees the filtered picture, and no other at first.

        See :meth:`Network.start_from`.
        """
        if _FIRST not in state:
            raise RuntimeError("these are not the weights of an Attention U-Net")
        first = state[_FIRST]
        self.unet.load_state_dict({**state, _FIRST: torch.cat([first, torch.zeros_like(first)], dim=1)})

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """See :meth:`Network.forward`."""
        filtered = trimmed_median(noisy.detach())
        return self.unet(torch.cat([filtered, noisy], dim=1))
