"""Our strongest network: a U-Net of bias-free residual blocks, and a gate for what is beyond saving.

References:
    K. Zhang et al., "Plug-and-play image restoration with deep denoiser prior" (DRUNet), TPAMI 2021,
    doi:10.1109/TPAMI.2021.3088914: residual blocks, strided down- and up-sampling, no biases;
    S. Mohan et al., "Robust and interpretable blind image denoising via bias-free convolutional
    neural networks", ICLR 2020, arXiv:1906.05478: why no biases: what it learns at one strength of
    noise carries over to others; L. Chen et al., "Simple baselines for image restoration" (NAFNet),
    ECCV 2022, arXiv:2204.04676: skips by addition, most blocks at the coarse scales.

Ours: the network is told which pixels are black or white, for that tells an impulse; and beside the
noise it returns a gate, which drops a pixel rather than have its whole value subtracted.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from denoiser.architectures.impulses import with_extremes
from denoiser.architectures.network import (
    Network,
    activation,
    check_channels,
    widened_input,
    widened_output,
)

_FIRST = "input.weight"  # of the convolution that sees the picture
_LAST = "output.weight"
EXPERTS = "experts."
"""What the names of the weights of a mixture's experts begin with."""

_BLOCK, _LAST_OF_BLOCK = ".body.", ".body.2.weight"  # in names of a block's weights
_OPEN = 3.0  # the gate's start: sigmoid(3) is 0.95


@dataclass(frozen=True)
class ResidualUNetConfig:
    """Shape of a :class:`ResidualUNet`.

    Attributes:
        widths: Channels of each scale, the coarsest last.
        encoder_blocks: Residual blocks of each scale on the way down, the coarsest included.
        decoder_blocks: Residual blocks of each scale but the coarsest on the way up, finest first.
        inputs: Pictures it is given; the last is the noisy one, which is the one to correct.
        impulse_map: Whether the network is told which pixels of the noisy picture are black or white.
        channels: Of each picture: 1, or 3 for RGB.

    Raises:
        ValueError: ``channels`` is neither.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)
    encoder_blocks: tuple[int, ...] = (1, 1, 1, 2)
    decoder_blocks: tuple[int, ...] = (2, 1, 1)
    inputs: int = 1
    impulse_map: bool = False
    channels: int = 1

    def __post_init__(self) -> None:
        check_channels(self.channels)


class ResidualBlock(nn.Module):
    """``x + conv(f(conv(x)))`` with a leaky ReLU f, without biases."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, channels), activation(), _convolution(channels, channels)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape, (B, C, H, W)."""
        return self.body(features).add_(features)  # in place: a whole photograph's features are large


class ResidualUNet(Network):
    """Residual blocks at every scale, skips by addition; returns ``keep * noisy - noise``.

    ``keep``, in (0, 1) for every pixel, starts near 1: a network that predicts the noise, which is what
    faint noise wants. Where it falls to 0 the network paints the pixel anew, which is what an impulse
    wants. Sides of the input must be multiples of :attr:`multiple_of`.

    Raises:
        ValueError: The numbers of blocks don't fit the number of scales.
    """

    architecture = "residual-unet"
    Config = ResidualUNetConfig

    def __init__(self, config: ResidualUNetConfig):
        super().__init__()
        self.config = config
        widths = config.widths
        check_blocks(widths, config.encoder_blocks, config.decoder_blocks)
        # With biases: where there is no map, the level itself has to tell an impulse.
        channels = config.inputs * config.channels + 2 * config.impulse_map
        self.input = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            _blocks(w, n) for w, n in zip(widths, config.encoder_blocks, strict=True)
        )
        self.down, self.up = down_and_up(widths)
        self.decoder = nn.ModuleList(
            _blocks(w, n) for w, n in zip(widths[:-1], config.decoder_blocks, strict=True)
        )
        self.output = _convolution(widths[0], config.channels + 1)
        with torch.no_grad():
            self.input.bias.zero_()  # type: ignore[union-attr]
            self.output.weight[-1] *= 0.1

    @property
    def channels(self) -> int:
        """As its config says."""
        return self.config.channels

    @property
    def multiple_of(self) -> int:
        """Every scale but the finest halves the picture."""
        return 2 ** len(self.down)

    def start_from(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over a residual U-Net's weights, with other blocks, for fewer pictures, or gray ones.

        What this one sees more comes first, and counts for nothing at first. A block that the other has
        not changes nothing at first; one that only the other has is left out. Of a mixture of experts it
        takes the first. See :meth:`Network.start_from`.
        """
        if _FIRST not in state:
            state = first_expert(state)
        if _FIRST not in state:
            raise RuntimeError("these are not the weights of a residual U-Net")
        if len(state[_LAST]) < self.output.out_channels:
            state = {
                **state,
                _FIRST: widened_input(state[_FIRST], self.channels),
                _LAST: widened_output(state[_LAST], self.channels),
            }
        first = state[_FIRST]
        more = self.input.in_channels - first.shape[1]
        unseen = first.new_zeros(len(first), max(more, 0), *first.shape[2:])
        own = self.state_dict()
        kept = {name: value for name, value in state.items() if name in own or _BLOCK not in name}
        added = {
            name: torch.zeros_like(value) if name.endswith(_LAST_OF_BLOCK) else value
            for name, value in own.items()
            if name not in state and _BLOCK in name
        }
        self.load_state_dict({**added, **kept, _FIRST: torch.cat([unseen, first], dim=1)})

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """See :meth:`Network.forward`."""
        planes = with_extremes(noisy, self.channels) if self.config.impulse_map else noisy
        features = pass_scales(self, self.input(planes), lambda stage, features: stage(features))
        # In the input's precision: trained in bfloat16, ``keep`` would be a coarse share of a pixel.
        noise, drop = self.output(features).to(noisy).split([self.channels, 1], dim=1)
        keep = torch.sigmoid(_OPEN - drop)
        return keep * noisy[:, -self.channels :] - noise


def first_expert(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of a mixture's first expert, under the names that it has alone."""
    name = next((name.split(".")[1] for name in state if name.startswith(EXPERTS)), None)
    return {} if name is None else part_of(state, f"{EXPERTS}{name}.")


def part_of(state: Mapping[str, torch.Tensor], start: str) -> dict[str, torch.Tensor]:
    """Return the weights whose names begin so, under what follows."""
    return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}


def check_blocks(
    widths: Sequence[int], encoder_blocks: Sequence[int], decoder_blocks: Sequence[int]
) -> None:
    """Raise ValueError where the numbers of blocks don't fit the number of scales."""
    if (len(encoder_blocks), len(decoder_blocks)) != (len(widths), len(widths) - 1):
        raise ValueError("encoder_blocks needs a number for every scale, decoder_blocks one fewer")


def down_and_up(widths: Sequence[int]) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Return the steps from each scale to the next coarser one, and those back, both finest first."""
    pairs = list(itertools.pairwise(widths))
    down = (nn.Conv2d(fine, coarse, 2, stride=2, bias=False) for fine, coarse in pairs)
    up = (nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False) for fine, coarse in pairs)
    return nn.ModuleList(down), nn.ModuleList(up)


def pass_scales(
    unet: nn.Module, features: torch.Tensor, run: Callable[[nn.Module, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Take features down through all scales and up again, adding those of the way down.

    Args:
        unet: Has the stages ``encoder`` and ``decoder`` and the steps ``down`` and ``up``, finest first.
        features: (B, C, H, W) of the finest scale.
        run: Runs a stage on features.

    Returns:
        Same shape.
    """
    encoder, decoder, downs, ups = (
        cast(nn.ModuleList, getattr(unet, name)) for name in ("encoder", "decoder", "down", "up")
    )
    skips = []
    for stage, down in zip(encoder, downs, strict=False):
        features = run(stage, features)
        skips.append(features)
        features = down(features)
    features = run(encoder[-1], features)
    for skip, up, stage in zip(skips[::-1], ups[::-1], decoder[::-1], strict=True):
        features = run(stage, up(features).add_(skip))
    return features


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))
