"""A conditional flow: faces that the noisy picture may have been, one for each draw of its start.

References:
    Y. Lipman et al., "Flow matching for generative modeling", ICLR 2023, arXiv:2210.02747: what is
    learned, and why it gives samples; G. Ohayon, M. Elad and T. Michaeli, "Posterior-mean rectified
    flow", ICLR 2025, arXiv:2410.00418: start from the posterior mean; E. Perez et al., "FiLM: Visual
    reasoning with a general conditioning layer", AAAI 2018, arXiv:1709.07871: how the network is told
    the time.

Ours: the flow moves the *remainder*, what a trained denoiser leaves, from white noise to where clean
pictures are; and it sees the noisy picture beside the denoised one. So it draws from the posterior,
where the published flow, which sees the denoised picture only, draws near one best answer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from denoiser.architectures.attention_unet import AttentionUNet, AttentionUNetConfig
from denoiser.architectures.impulses import with_extremes
from denoiser.architectures.network import Network, WindowFunction, activation
from denoiser.architectures.residual_unet import check_blocks, down_and_up, pass_scales
from denoiser.noise import Parameter

REACH = 160
"""How far a pixel counts for another one, measured: every step looks 96 pixels around itself, but at 160
what changes there changes nothing by 1e-5 any more, after four steps or sixteen."""

_FREQUENCIES = 8
_EMBEDDING = 64
_PLANES = 5  # the remainder, the denoised picture, the noisy one, its black and its white pixels
_MEAN = "mean."  # what names of the denoiser's weights begin with


@dataclass(frozen=True)
class FlowUNetConfig:
    """Shape of a :class:`FlowUNet`.

    Attributes:
        widths: Channels of each scale of the flow's network, the coarsest last.
        encoder_blocks: Residual blocks of each scale on the way down, the coarsest included.
        decoder_blocks: Residual blocks of each scale but the coarsest on the way up, finest first.
        mean_widths: ``widths`` of the attention U-Net that it starts from, which has an impulse map.
        start_sigma: Standard deviation of the noise at the flow's start, on the [0, 1] scale.

    Raises:
        ValueError: The start is out of range.
    """

    widths: tuple[int, ...] = (32, 64, 96, 128)
    encoder_blocks: tuple[int, ...] = (1, 1, 2, 2)
    decoder_blocks: tuple[int, ...] = (2, 2, 2)
    mean_widths: tuple[int, ...] = (24, 48, 96, 128)
    start_sigma: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.start_sigma <= 1:
            raise ValueError("start_sigma lies above 0 and up to 1")


class FlowUNet(Network):
    """An attention U-Net's picture, and a flow from there to a clean one.

    The remainder ``z = picture - mean`` starts as white noise, and follows ``dz/dt = velocity(z, t)``
    from t = 0 to 1. Sides of the input must be multiples of :attr:`multiple_of`.

    Raises:
        ValueError: The numbers of blocks don't fit the number of scales.
    """

    architecture = "flow-unet"
    Config = FlowUNetConfig
    hyperparameters = (
        Parameter("steps", "Steps", 1, 16, 4, 16, 1, "", integer=True),
        Parameter("draw", "Which draw", 0, 63, 0, 63, 1, "", integer=True),
        Parameter("realism", "From closest to most real", 0, 1, 1, 1, 5, "%", scale=100),
    )

    def __init__(self, config: FlowUNetConfig):
        super().__init__()
        self.config = config
        self.mean = AttentionUNet(AttentionUNetConfig(widths=config.mean_widths, impulse_map=True))
        self.velocity = VelocityUNet(config)

    @property
    def multiple_of(self) -> int:
        """What both networks need."""
        return math.lcm(self.mean.multiple_of, 2 ** (len(self.config.widths) - 1))

    def start_from(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over an attention U-Net's weights as what the flow starts from, or another flow's."""
        if any(name.startswith(_MEAN) for name in state):
            self.load_state_dict(state)
        else:
            self.mean.load_state_dict(state)

    @property
    def has_intermediate(self) -> bool:
        """The flow starts from a denoised picture."""
        return True

    def intermediate(self, noisy: torch.Tensor) -> torch.Tensor:
        """Return what the attention U-Net makes of a batch, from where the flow starts."""
        return self.mean(noisy)

    def forward(
        self, noisy: torch.Tensor, *, steps: int = 4, draw: int = 0, realism: float = 1.0
    ) -> torch.Tensor:
        """Draw one face for each picture.

        Args:
            noisy: (B, 1, H, W).
            steps: See :meth:`sample`.
            draw: Which of the faces that the noisy one may have been, see :meth:`start`.
            realism: Where on the line between the closest picture (0) and the face drawn (1). No
                picture that looks as real is closer (Freirich et al. 2021, arXiv:2107.02555).
        """
        if realism == 0:
            return self.mean(noisy)
        start = self.start(noisy.shape, draw).to(noisy)
        return self.sample(noisy, start, steps, realism)

    def start(self, shape: Sequence[int], seed: int) -> torch.Tensor:
        """Draw where the flow of each picture of a batch starts: white noise, float32 on the CPU.

        Args:
            shape: Of the batch, (B, 1, H, W). Every picture gets the same noise.
            seed: Tells the draws from each other.
        """
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn((1, *shape[1:]), generator=generator)
        return (self.config.start_sigma * noise).expand(shape)

    def reach(self, **values: float) -> int:
        """See :meth:`Network.reach`."""
        return REACH

    def for_windows(
        self,
        statistics: torch.Tensor,
        shape: tuple[int, int],
        **values: float,
    ) -> WindowFunction:
        """Every window starts with its part of the whole draw. See :meth:`Network.for_windows`."""
        steps, draw, realism = (values.get(p.name, p.default) for p in self.hyperparameters)
        start = self.start((1, 1, *shape), int(draw))

        def run(noisy: torch.Tensor, index: int, rows: slice, columns: slice) -> torch.Tensor:
            if realism == 0:
                return self.mean(noisy)
            return self.sample(noisy, start[:, :, rows, columns].to(noisy), int(steps), realism)

        return run

    def sample(
        self, noisy: torch.Tensor, start: torch.Tensor, steps: int, realism: float = 1.0
    ) -> torch.Tensor:
        """Follow the flow by the midpoint rule.

        For equally many runs of the network it loses less of the fine detail than Euler's method, whose
        steps each go towards a mean.

        Args:
            noisy: (B, 1, H, W) in [0, 1].
            start: Where the remainder starts, same shape.
            steps: Of equal length; each runs the flow's network twice.
            realism: See :meth:`forward`.

        Returns:
            (B, 1, H, W), not clipped.
        """
        mean = self.mean(noisy)
        half = 0.5 / steps

        def velocity(remainder: torch.Tensor, time: float) -> torch.Tensor:
            times = noisy.new_full(noisy.shape[:1], time)  # an export takes len() for a constant
            return self.velocity(self.planes(noisy, mean, remainder), times)

        remainder = start
        for step in range(steps):
            time = step / steps
            middle = remainder + half * velocity(remainder, time)
            remainder = remainder + 2 * half * velocity(middle, time + half)
        return mean + realism * remainder

    def planes(self, noisy: torch.Tensor, mean: torch.Tensor, remainder: torch.Tensor) -> torch.Tensor:
        """Return what the flow's network sees, (B, 5, H, W), of pictures (B, 1, H, W) each."""
        return torch.cat([remainder / self.config.start_sigma, mean, with_extremes(noisy)], dim=1)


class VelocityUNet(nn.Module):
    """A residual U-Net that is told the time: where the remainder is to move.

    The answer starts as that for remainders as large as the start, ``(2t - 1) / (1 - 2t + 2t^2) z``.
    What the network adds is a gain for each pixel's remainder and an offset.
    """

    def __init__(self, config: FlowUNetConfig):
        super().__init__()
        widths = config.widths
        check_blocks(widths, config.encoder_blocks, config.decoder_blocks)
        self.scale = config.start_sigma
        self.time = nn.Sequential(nn.Linear(2 * _FREQUENCIES, _EMBEDDING), activation())
        self.input = nn.Conv2d(_PLANES, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            nn.ModuleList(_TimedBlock(width) for _ in range(blocks))
            for width, blocks in zip(widths, config.encoder_blocks, strict=True)
        )
        self.down, self.up = down_and_up(widths)
        self.decoder = nn.ModuleList(
            nn.ModuleList(_TimedBlock(width) for _ in range(blocks))
            for width, blocks in zip(widths[:-1], config.decoder_blocks, strict=True)
        )
        self.output = nn.Conv2d(widths[0], 2, 3, padding=1, bias=False)
        with torch.no_grad():
            self.output.weight *= 0.1

    def forward(self, planes: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Return the remainders' velocities.

        Args:
            planes: See :meth:`FlowUNet.planes`.
            time: (B,) from 0 to 1.

        Returns:
            (B, 1, H, W).
        """
        embedding = self.time(_fourier_features(time))
        features = self.input(planes.contiguous(memory_format=torch.channels_last))
        features = pass_scales(self, features, lambda stage, inner: _run(stage, inner, embedding))
        gain, offset = self.output(features).to(planes).chunk(2, dim=1)
        t = time[:, None, None, None]
        usual = (2 * t - 1) / (1 - 2 * t + 2 * t * t)
        return self.scale * ((usual + gain) * planes[:, :1] + offset)


class _TimedBlock(nn.Module):
    """A residual block whose inner features are scaled and shifted as the time says."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.last = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.film = nn.Linear(_EMBEDDING, 2 * channels)
        self.activation = activation()

    def forward(self, features: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = torch.addcmul(shift, self.first(features), 1 + scale)
        return features + self.last(self.activation(hidden))


def _run(blocks: nn.Module, features: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
    for block in blocks:  # type: ignore[attr-defined]
        features = block(features, embedding)
    return features


def _fourier_features(time: torch.Tensor) -> torch.Tensor:
    """Return cosines and sines of the time, (B, 16), at 1 to 8 half periods."""
    phases = torch.pi * time[:, None] * torch.arange(1, _FREQUENCIES + 1, device=time.device)
    return torch.cat([phases.cos(), phases.sin()], dim=1)
