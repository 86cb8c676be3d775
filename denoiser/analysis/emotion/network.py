"""A small residual network that reads the expression of a face; it denoises nothing.

Not in ``ARCHITECTURES``, which lists denoisers: it gets a face and returns eight numbers.

References:
    K. He et al., "Deep residual learning for image recognition", CVPR 2016, doi:10.1109/CVPR.2016.90:
    residual blocks, global average pooling; T. He et al., "Bag of tricks for image classification with
    convolutional neural networks", CVPR 2019, doi:10.1109/CVPR.2019.00065: averaging in front of the
    shortcut where a block halves its input (their ResNet-D).
"""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

_FLAT = 1e-3  # below this standard deviation a picture counts as flat, and is not stretched


@dataclass(frozen=True)
class EmotionNetConfig:
    """Shape of an :class:`EmotionNet`.

    Attributes:
        stem: Channels of the first convolution, at full size.
        widths: Channels of each residual block; every block halves height and width.
        dropout: Share of the pooled features that training leaves out at random.
        classes: Length of the output.

    Raises:
        ValueError: A value no network can be built with.
    """

    stem: int = 16
    widths: tuple[int, ...] = (32, 64, 128, 256)
    dropout: float = 0.3
    classes: int = 8

    def __post_init__(self) -> None:
        sizes = (self.stem, self.classes, *self.widths)
        if not self.widths or not all(isinstance(n, int) and 1 <= n <= 4096 for n in sizes):
            raise ValueError("stem, classes and widths must be whole numbers from 1 to 4096")
        if len(self.widths) > 8:
            raise ValueError("widths may have 8 entries")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be from 0 up and below 1")


class HalvingBlock(nn.Module):
    """``relu(bn(conv(relu(bn(conv(x))))) + bn(conv1x1(mean2x2(x))))``, at half the height and width."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Halve (B, C, H, W), odd sides rounded up."""
        return torch.relu(self.body(features) + self.shortcut(features))


class EmotionNet(nn.Module):
    """One convolution, halving residual blocks, the mean over the picture, one linear layer.

    Every picture is brought to mean 0 and standard deviation 1 first: how bright the photograph is and
    how much contrast it has says nothing about the expression.
    """

    def __init__(self, config: EmotionNetConfig):
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            nn.Conv2d(1, config.stem, 3, padding=1, bias=False), nn.BatchNorm2d(config.stem), nn.ReLU()
        )
        sizes = itertools.pairwise((config.stem, *config.widths))
        self.blocks = nn.Sequential(*(HalvingBlock(inputs, outputs) for inputs, outputs in sizes))
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.widths[-1], config.classes)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Score the classes.

        Args:
            faces: (B, 1, H, W) in [0, 1].

        Returns:
            (B, classes) logits; their softmax is the probabilities.
        """
        return self.output(self.dropout(self.features(faces)))

    def features(self, faces: torch.Tensor) -> torch.Tensor:
        """Return what the classes are scored by: the last block's channels, averaged over the picture.

        Args:
            faces: (B, 1, H, W) in [0, 1].

        Returns:
            (B, features).
        """
        mean = faces.mean(dim=(1, 2, 3), keepdim=True)
        spread = faces.std(dim=(1, 2, 3), keepdim=True, correction=0).clamp(min=_FLAT)
        return F.adaptive_avg_pool2d(self.blocks(self.stem((faces - mean) / spread)), 1).flatten(1)
