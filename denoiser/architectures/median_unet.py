"""The hybrid that reference A's authors propose: an impulse-aware median first, a network after.

References:
    S. Esakkirajan et al., IEEE SPL 18(5), 2011, doi:10.1109/LSP.2011.2122333 (the median);
    K. Zhang et al., TPAMI 2021, doi:10.1109/TPAMI.2021.3088914 (the network).

The network sees the filtered picture beside the noisy one, which it corrects: it starts as good as the
residual U-Net whose weights it takes over, and learns where the median knows better.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch

from denoiser.impulses import trimmed_median

from .network import Network
from .residual_unet import ResidualUNet, ResidualUNetConfig

_FIRST = "input.weight"  # of the convolution that sees the picture


@dataclass(frozen=True)
class MedianUNetConfig:
    """Shape of a :class:`MedianUNet`: that of its network, see :class:`ResidualUNetConfig`."""

    widths: tuple[int, ...] = ResidualUNetConfig.widths
    encoder_blocks: tuple[int, ...] = ResidualUNetConfig.encoder_blocks
    decoder_blocks: tuple[int, ...] = ResidualUNetConfig.decoder_blocks
    impulse_map: bool = ResidualUNetConfig.impulse_map


class MedianUNet(Network):
    """A trimmed median, then a residual U-Net on (filtered, noisy) that corrects the noisy picture.

    Sides of the input must be multiples of :attr:`multiple_of`.
    """

    def __init__(self, config: MedianUNetConfig):
        super().__init__()
        self.config = config
        self.unet = ResidualUNet(ResidualUNetConfig(**asdict(config), inputs=2))

    @property
    def multiple_of(self) -> int:
        """As the U-Net's."""
        return self.unet.multiple_of

    def start_from(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over a residual U-Net's weights: it sees the noisy picture, and no other at first.

        See :meth:`Network.start_from`.
        """
        if _FIRST not in state:
            raise RuntimeError("these are not the weights of a residual U-Net")
        first = state[_FIRST]
        blind = torch.zeros_like(first[:, :1])  # to the filtered picture, which comes first
        self.unet.load_state_dict({**state, _FIRST: torch.cat([blind, first], dim=1)})

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """See :meth:`Network.forward`."""
        filtered = trimmed_median(noisy.detach())
        return self.unet(torch.cat([filtered, noisy], dim=1))
