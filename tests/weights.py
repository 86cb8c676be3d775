"""Writing the folders that the library loads, of networks that no training has made."""

from pathlib import Path

from torch import nn

from denoiser.analysis.emotion.classifier import emotion_files
from denoiser.analysis.emotion.network import EmotionNet
from denoiser.architectures.loading import discriminator_files
from denoiser.architectures.patchgan import PatchDiscriminator
from denoiser.weights.checkpoint import ModelConfig, model_files
from denoiser.weights.files import write_together


def save_model(network: nn.Module, config: ModelConfig, folder: Path) -> Path:
    """Write a model's folder, weights and config, into ``folder``; return it."""
    target = folder / config.id
    write_together(target, model_files(network, config))
    return target


def save_discriminator(network: PatchDiscriminator | None, folder: Path) -> None:
    """Write a discriminator into its model's folder, or, for None, take an earlier one away."""
    write_together(folder, discriminator_files(network))


def save_emotion_net(network: EmotionNet, folder: Path) -> None:
    """Write the emotion classifier's folder: weights and config."""
    write_together(folder, emotion_files(network))
