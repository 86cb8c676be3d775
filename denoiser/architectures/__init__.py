"""The networks, one file each, and the list that names them.

A new architecture is one file (a frozen config dataclass and the module), imported and listed here.
"""

from collections.abc import Mapping
from typing import Any

from denoiser.architectures.attention_unet import AttentionUNet
from denoiser.architectures.autoencoder import Autoencoder
from denoiser.architectures.building import build
from denoiser.architectures.dual_autoencoder import DualAutoencoder
from denoiser.architectures.expert_unet import ExpertUNet
from denoiser.architectures.flow_unet import FlowUNet
from denoiser.architectures.median_unet import MedianUNet
from denoiser.architectures.network import Network
from denoiser.architectures.residual_unet import ResidualUNet

__all__ = [
    "ARCHITECTURES",
    "AttentionUNet",
    "Autoencoder",
    "DualAutoencoder",
    "ExpertUNet",
    "FlowUNet",
    "MedianUNet",
    "Network",
    "ResidualUNet",
    "build_network",
]

ARCHITECTURES: Mapping[str, type[Network]] = {
    network.architecture: network
    for network in (
        AttentionUNet,
        Autoencoder,
        DualAutoencoder,
        ExpertUNet,
        FlowUNet,
        MedianUNet,
        ResidualUNet,
    )
}


def build_network(architecture: str, config: Mapping[str, Any]) -> Network:
    """Build a network with fresh weights.

    Args:
        architecture: A key of :data:`ARCHITECTURES`.
        config: Fields of its config dataclass; what is missing takes the default. Lists, as JSON and
            TOML have them, become tuples.

    Raises:
        TooLargeError: The network would be absurdly large; nothing of it was allocated.
        ValueError: Unknown architecture or field, or a value that no network can be built with.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"Unknown architecture {architecture!r}; choose one of {', '.join(ARCHITECTURES)}"
        )
    network = ARCHITECTURES[architecture]
    return build(network, network.Config, architecture, config)
