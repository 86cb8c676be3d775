"""What all denoising networks have in common."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import nn

from denoiser.architectures.building import build
from denoiser.noise import Parameter
from denoiser.weights.checkpoint import WeightsError, find_pretrained

SLOPE = 0.1

WindowFunction = Callable[[torch.Tensor, int, slice, slice], torch.Tensor]
"""See :meth:`Network.for_windows`."""


def activation() -> nn.Module:
    """Return the networks' nonlinearity: a leaky ReLU, without a side on which a unit stops learning.

    With a plain ReLU, Muon's high learning rates drove up to half of a U-Net's units below zero for
    every picture, where they have no gradient and stay.

    References:
        A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier nonlinearities improve neural network acoustic
        models", ICML Workshop on Deep Learning for Audio, Speech and Language Processing 2013.
    """
    return nn.LeakyReLU(SLOPE, inplace=True)


def rectified(features: torch.Tensor) -> torch.Tensor:
    """Return features after the networks' nonlinearity: see :func:`activation`."""
    return nn.functional.leaky_relu(features, SLOPE)


def check_channels(channels: int) -> None:
    """Raise ValueError unless pictures may have so many channels."""
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 for gray or 3 for RGB, not {channels!r}")


def widened_input(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Let a gray network's first convolution, (O, I, h, w), look at the mean of a picture's channels.

    The picture is the first of its inputs.
    """
    picture = weight[:, :1].expand(-1, channels, -1, -1) / channels
    return torch.cat([picture, weight[:, 1:]], dim=1)


def widened_output(values: torch.Tensor, channels: int) -> torch.Tensor:
    """Let what returned a gray picture, weights or biases (O, ...), return it in each of the channels.

    The picture is the first of its outputs.
    """
    return torch.cat([values[:1].expand(channels, *values.shape[1:]), values[1:]])


class Network(nn.Module, ABC):
    """A network that denoises a batch of pictures, all gray or all in colour.

    A subclass names itself in ``architecture``, and in ``Config`` the dataclass it is built from.
    """

    architecture: ClassVar[str]
    Config: ClassVar[type]
    hyperparameters: ClassVar[tuple[Parameter, ...]] = ()
    """What :meth:`forward` takes besides the pictures, by name."""

    @property
    @abstractmethod
    def multiple_of(self) -> int:
        """What height and width of the input have to be multiples of."""

    @property
    def channels(self) -> int:
        """How many channels its pictures have: 1, or 3 for a network that sees RGB as a whole."""
        return 1

    @classmethod
    def from_pretrained(cls, name: str | Path, revision: str | None = None) -> Self:
        """Load a trained network, in float32 and ready to run.

        Args:
            name: A repository on the Hugging Face Hub, such as ``"NAME/fer2013-patchgan"``, or a
                folder with ``config.json`` and ``model.safetensors``.
            revision: Commit, tag or branch on the Hub; None takes the version this code was made
                for, :data:`~denoiser.weights.hub.WEIGHTS_VERSION`.

        Raises:
            WeightsError: It can't be had, is damaged, or holds another kind of network.
        """
        checkpoint = find_pretrained(name, revision)
        config = checkpoint.config
        if config.architecture != cls.architecture:
            raise WeightsError(
                f"The model {config.id!r} is of the architecture {config.architecture!r}, not "
                f"{cls.architecture!r}."
            )
        return checkpoint.load(lambda: build(cls, cls.Config, cls.architecture, config.settings))

    def start_from(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over another network's weights to train on from there.

        Args:
            state: The other's state dict.

        Raises:
            RuntimeError: It doesn't fit.
        """
        self.load_state_dict(state)

    @abstractmethod
    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """Denoise a batch.

        Args:
            noisy: (B, :attr:`channels`, H, W) in [0, 1], H and W multiples of :attr:`multiple_of`.

        Returns:
            Same shape, not clipped.
        """

    def reach(self, **values: float) -> int:
        """Say how many pixels away one may be that counts for another one.

        A multiple of :attr:`multiple_of`. What :meth:`statistics` takes from all of it is left out.

        Args:
            **values: Of :attr:`hyperparameters`.
        """
        return self._reach

    @cached_property
    def _reach(self) -> int:
        """Found out by what is not a number: whatever is computed of it is none either."""
        unit = self.multiple_of
        device = next(self.parameters()).device
        away = 8
        while True:
            side = (2 * away + 1) * unit
            probe = torch.full((1, self.channels, side, side), 0.5, device=device)
            middle = slice(away * unit, (away + 1) * unit)
            probe[:, :, middle, middle] = torch.nan
            with torch.inference_mode():
                touched = self(probe.contiguous(memory_format=torch.channels_last)).isnan()[0, 0]
            rows = touched.any(dim=1).nonzero()
            if rows.min() > 0 and rows.max() < side - 1:
                farthest = max(middle.start - int(rows.min()), int(rows.max()) + 1 - middle.stop)
                return math.ceil(farthest / unit) * unit
            away *= 2

    @property
    def needs_statistics(self) -> bool:
        """Whether pixels depend on all of a picture, by :meth:`statistics`, not only on what is near."""
        return False

    def statistics(self, noisy: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
        """Return what :meth:`forward` takes from whole pictures, as means over a part of them.

        Args:
            noisy: (B, C, H, W), which goes on for :attr:`multiple_of` pixels around the part, where the
                pictures do.
            rows: Of the part; multiples of :attr:`multiple_of`.
            columns: Likewise.

        Returns:
            (B, N); none, N = 0, unless :attr:`needs_statistics`.
        """
        return noisy.new_zeros(len(noisy), 0)

    def for_windows(
        self, statistics: torch.Tensor, shape: tuple[int, int], **values: float
    ) -> WindowFunction:
        """Return what denoises windows of a picture as :meth:`forward` does all of it.

        Args:
            statistics: Of each of the pictures (C of them, where the network sees one channel at a
                time): the means of :meth:`statistics` over all, (B, N).
            shape: Height and width of the pictures, multiples of :attr:`multiple_of`.
            **values: Of :attr:`hyperparameters`.

        Returns:
            ``function(noisy, index, rows, columns)``, for a window (1, C, h, w) of the picture of this
            index, which lies there in it.
        """
        return lambda noisy, index, rows, columns: self(noisy, **values)

    @property
    def has_intermediate(self) -> bool:
        """Whether it denoises by way of an intermediate image."""
        return False

    def intermediate(self, noisy: torch.Tensor) -> torch.Tensor:
        """Return the intermediate image that the network makes on its way.

        Args:
            noisy: As for :meth:`forward`.

        Returns:
            Same shape, not clipped.

        Raises:
            ValueError: It makes none: :attr:`has_intermediate` is false.
        """
        raise ValueError(f"{type(self).__name__} makes no intermediate image")
