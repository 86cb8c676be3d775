"""The networks, one file each, and the list that names them.

A new architecture is one file (a frozen config dataclass and the module) and one line here.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import torch
from torch import nn

from .attention_unet import AttentionUNet, AttentionUNetConfig
from .autoencoder import Autoencoder, AutoencoderConfig
from .dual_autoencoder import DualAutoencoder, DualAutoencoderConfig
from .expert_unet import ExpertUNet, ExpertUNetConfig
from .median_unet import MedianUNet, MedianUNetConfig
from .network import Network
from .residual_unet import ResidualUNet, ResidualUNetConfig

ModuleT = TypeVar("ModuleT", bound=nn.Module)

ARCHITECTURES: Mapping[str, tuple[Callable[[Any], Network], type]] = {
    "attention-unet": (AttentionUNet, AttentionUNetConfig),
    "autoencoder": (Autoencoder, AutoencoderConfig),
    "dual-autoencoder": (DualAutoencoder, DualAutoencoderConfig),
    "expert-unet": (ExpertUNet, ExpertUNetConfig),
    "median-unet": (MedianUNet, MedianUNetConfig),
    "residual-unet": (ResidualUNet, ResidualUNetConfig),
}


def channels_last(network: ModuleT) -> ModuleT:
    """Lay a network's weights out with the channels last: about 1.8 times as fast on the CPU."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def build_network(architecture: str, config: Mapping[str, Any]) -> Network:
    """Build a network with fresh weights.

    Args:
        architecture: A key of :data:`ARCHITECTURES`.
        config: Fields of its config dataclass; what is missing takes the default. Lists, as JSON and
            TOML have them, become tuples.

    Raises:
        ValueError: Unknown architecture or field, or a value that no network can be built with.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"Unknown architecture {architecture!r}; choose one of {', '.join(ARCHITECTURES)}"
        )
    network, config_class = ARCHITECTURES[architecture]
    unknown = set(config) - {field.name for field in fields(config_class)}
    if unknown:
        raise ValueError(f"{architecture} has no setting {', '.join(sorted(unknown))}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    try:
        settings = config_class(**values)
    except ValueError as error:  # a config's own sentence
        raise ValueError(f"{architecture} can't be built: {error}") from None
    try:
        return network(settings)
    except (ValueError, TypeError, IndexError, RuntimeError):
        raise ValueError(f"{architecture} can't be built with {dict(config)}") from None
