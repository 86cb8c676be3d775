"""Convolutional autoencoder with symmetric skips: the app's "autoencoder".

Reference C: after X.-J. Mao et al., "Image restoration using very deep convolutional encoder-decoder
networks with symmetric skip connections", NeurIPS 2016, arXiv:1603.09056. No pooling; the last skips are
the noisy picture itself: the last block sees it, and, as in the paper, what it returns is added to it.
"""

from dataclasses import dataclass

import torch
from torch import nn

from denoiser.architectures.network import Network, activation, check_channels


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of an :class:`Autoencoder`.

    Attributes:
        widths: Channels after each encoder block, each of which halves height and width.
        dropout: Share of channels dropped after each encoder block while training.
        skips: Whether decoder blocks see the matching encoder output.
        kernel: Side of the convolutions, 3 or 5.
        dilation: Pixels from one tap to the next in the first convolution of every encoder block but the
            finest: it sees further at no cost.
        channels: Of the pictures: 1, or 3 for RGB.

    Raises:
        ValueError: ``kernel`` or ``channels`` is neither, or ``dilation`` is below 1.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    dropout: float = 0.0
    skips: bool = True
    kernel: int = 3
    dilation: int = 1
    channels: int = 1

    def __post_init__(self) -> None:
        if self.kernel not in (3, 5):
            raise ValueError(f"kernel must be 3 or 5, not {self.kernel!r}")
        if self.dilation < 1:
            raise ValueError(f"dilation must be 1 or more, not {self.dilation!r}")
        check_channels(self.channels)


class Autoencoder(Network):
    """Strided encoder, transposed decoder, skips by concatenation.

    Sides of the input must be multiples of :attr:`multiple_of`.
    """

    architecture = "autoencoder"
    Config = AutoencoderConfig

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        widths, kernel, padding = config.widths, config.kernel, config.kernel // 2
        dilations = [1] + [config.dilation] * (len(widths) - 1)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, kernel, padding=dilation * padding, dilation=dilation),
                activation(),
                nn.Conv2d(after, after, kernel, stride=2, padding=padding),
                activation(),
                nn.Dropout2d(config.dropout),
            )
            for before, after, dilation in zip(
                (config.channels, *widths), widths, dilations, strict=False
            )
        )
        coarser, finer = widths[::-1], (*widths[-2::-1], widths[0])
        skipped = (*widths[-2::-1], config.channels) if config.skips else (0,) * len(widths)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(c, f, 2, stride=2) for c, f in zip(coarser, finer, strict=True)
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(f + s, f, kernel, padding=padding),
                activation(),
                nn.Conv2d(f, f, kernel, padding=padding),
                activation(),
            )
            for f, s in zip(finer, skipped, strict=True)
        )
        self.output = nn.Conv2d(widths[0], config.channels, 1)

    @property
    def channels(self) -> int:
        """As its config says."""
        return self.config.channels

    @property
    def multiple_of(self) -> int:
        """Every encoder block halves the picture."""
        return 2 ** len(self.config.widths)

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """See :meth:`Network.forward`."""
        outputs = [noisy]
        for block in self.encoder:
            outputs.append(block(outputs[-1]))
        features = outputs.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            features = up(features)
            if self.config.skips:
                features = torch.cat([features, outputs.pop()], dim=1)
            features = block(features)
        denoised = self.output(features).to(
            noisy
        )  # in the input's precision, whatever it was trained in
        return noisy + denoised if self.config.skips else denoised
