"""The additive attention gate, shared by the Attention U-Net and the PatchGAN discriminator."""

import torch
from torch import nn

from denoiser.architectures.network import activation


class AttentionGate(nn.Module):
    """Weigh a feature map, pixel by pixel, by how well it fits a gating signal.

    ``x * sigmoid(psi(f(W_x x + W_g g)))`` with 1x1 convolutions and a leaky ReLU f, theirs a plain one.

    References:
        O. Oktay et al., "Attention U-Net: Learning where to look for the pancreas", MIDL 2018,
        arXiv:1804.03999.

    Args:
        channels: Channels of both inputs and of the projections.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.project_features = nn.Conv2d(channels, channels, 1)
        self.project_gate = nn.Conv2d(channels, channels, 1, bias=False)
        self.activation = activation()
        self.score = nn.Conv2d(channels, 1, 1)

    def attention(self, features: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Return the attention map: (B, 1, H, W) in (0, 1) for two (B, C, H, W) inputs."""
        joint = self.activation(self.project_features(features) + self.project_gate(gate))
        return torch.sigmoid(self.score(joint))

    def forward(self, features: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Return the weighed features, (B, C, H, W)."""
        return features * self.attention(features, gate)
