"""What all denoising networks have in common."""

from abc import ABC, abstractmethod

import torch
from torch import nn


class Network(nn.Module, ABC):
    """A network that denoises a batch of one-channel pictures."""

    @property
    @abstractmethod
    def multiple_of(self) -> int:
        """What height and width of the input have to be multiples of."""

    @abstractmethod
    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """Denoise a batch.

        Args:
            noisy: (B, 1, H, W) in [0, 1], H and W multiples of :attr:`multiple_of`.

        Returns:
            (B, 1, H, W), not clipped.
        """
