"""Attention U-Net: the app's "U-Net", and the generator of its GAN.

References:
    O. Oktay et al., "Attention U-Net: Learning where to look for the pancreas", MIDL 2018,
    arXiv:1804.03999; O. Ronneberger et al., "U-Net", MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.

Ours: the network predicts the noise and subtracts it, and has no batch norm. What that is worth on a
small budget is in ``train/ablation/studies/unet-form.md``: predicting the noise gains 0.6 to 2.4 dB on
faint noise and costs 0.2 dB at most on stronger Gaussian noise; batch norm beside it costs 0.8 dB on
average.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from denoiser.architectures.attention import AttentionGate
from denoiser.architectures.impulses import with_extremes
from denoiser.architectures.network import (
    Network,
    activation,
    check_channels,
    widened_input,
    widened_output,
)

_FIRST, _LAST = "encoder.0.0.weight", ("output.weight", "output.bias")


@dataclass(frozen=True)
class AttentionUNetConfig:
    """Shape of an :class:`AttentionUNet`.

    Attributes:
        widths: Channels of each scale, the bottleneck last.
        residual: Predict the noise and subtract it from the first channel, instead of the picture.
        batch_norm: Batch norm between the two convolutions of a stage, as in the reference.
        impulse_map: Show the network which pixels are black or white, too.
        channels: Of the pictures: 1, or 3 for RGB.

    Raises:
        ValueError: ``channels`` is neither.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    residual: bool = True
    batch_norm: bool = False
    impulse_map: bool = False
    channels: int = 1

    def __post_init__(self) -> None:
        check_channels(self.channels)


def _stage(inputs: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        activation(),
        *norm,
        nn.Conv2d(outputs, outputs, 3, padding=1),
        activation(),
    )


class AttentionUNet(Network):
    """U-Net whose skips pass an attention gate at every scale but the finest.

    Sides of the input must be multiples of :attr:`multiple_of`.
    """

    architecture = "attention-unet"
    Config = AttentionUNetConfig

    def __init__(self, config: AttentionUNetConfig):
        super().__init__()
        self.config = config
        widths = config.widths
        self.encoder = nn.ModuleList(
            _stage(before, after, config.batch_norm)
            for before, after in zip(
                (config.channels + 2 * config.impulse_map, *widths), widths, strict=False
            )
        )
        self.pool = nn.MaxPool2d(2)
        # Decoder stages run from coarse to fine; the finest has no gate.
        finer, coarser = widths[-2::-1], widths[:0:-1]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(c, f, 2, stride=2) for c, f in zip(coarser, finer, strict=True)
        )
        self.gates = nn.ModuleList(AttentionGate(f) for f in finer[:-1])
        self.decoder = nn.ModuleList(_stage(2 * f, f, config.batch_norm) for f in finer)
        self.output = nn.Conv2d(widths[0], config.channels, 1)

    @property
    def channels(self) -> int:
        """As its config says."""
        return self.config.channels

    def start_from(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over the weights of a network of this shape, gray for colour too.

        See :meth:`Network.start_from`.
        """
        if _FIRST in state and state[_FIRST].shape[1] < self.encoder[0][0].in_channels:  # type: ignore[index]
            channels = self.config.channels
            outputs = {name: widened_output(state[name], channels) for name in _LAST}
            state = {**state, _FIRST: widened_input(state[_FIRST], channels), **outputs}
        super().start_from(state)

    @property
    def multiple_of(self) -> int:
        """Every scale but the finest halves the picture."""
        return 2 ** (len(self.config.widths) - 1)

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """See :meth:`Network.forward`."""
        return self._run(noisy)[0]

    def attention_maps(self, noisy: torch.Tensor) -> list[torch.Tensor]:
        """Return what each gate lets pass, from coarse to fine.

        Args:
            noisy: As for :meth:`forward`.

        Returns:
            A map (B, 1, h, w) in (0, 1) for each gate, h and w those of its scale; none for a network
            of two scales, which has no gate.
        """
        return self._run(noisy)[1]

    def _run(self, noisy: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the output and the attention maps: one walk through the network gives both."""
        features = with_extremes(noisy, self.channels) if self.config.impulse_map else noisy
        maps = []
        skips = []
        for stage in self.encoder[:-1]:
            features = stage(features)
            skips.append(features)
            features = self.pool(features)
        features = self.encoder[-1](features)
        for scale, (up, stage) in enumerate(zip(self.up, self.decoder, strict=True)):
            features = up(features)
            skip = skips.pop()
            if scale < len(self.gates):
                gate = cast(AttentionGate, self.gates[scale])
                maps.append(gate.attention(skip, features))
                skip = skip * maps[-1]
            features = torch.cat([skip, features], dim=1)
            del skip  # not kept while the stage runs: a whole photograph's features are large
            features = stage(features)
        output = self.output(features).to(noisy)  # in the input's precision, whatever it was trained in
        return (noisy[:, : self.channels] - output if self.config.residual else output), maps
