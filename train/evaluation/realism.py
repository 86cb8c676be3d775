"""How like photographs a denoiser's results are, as a set: no result is held against its own original.

The *Fréchet distance* compares what the emotion network sees in results with what it sees in clean
faces: means and covariances of its features. *Detectability* is how often a fresh small network, which
has learned from other pictures, tells results from clean faces. Both see pictures rounded to 8 bits, as
they are shown and stored.

References:
    M. Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium", NeurIPS 2017, arXiv:1706.08500: the Fréchet distance, there on features of Inception
    v3, which wants pictures of 299x299; Y. Blau and T. Michaeli, "The perception-distortion tradeoff",
    CVPR 2018, doi:10.1109/CVPR.2018.00652: perceptual quality as a distance between distributions;
    D. Lopez-Paz and M. Oquab, "Revisiting classifier two-sample tests", ICLR 2017, arXiv:1610.06545: a
    judge that learns from one part and is tested on another.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from denoiser.images import from_uint8, to_uint8

_BLOCKS = 10  # that the jackknife leaves out, one at a time
_T9 = 2.262  # Student's t for 95 % and what is left of them, 9 degrees of freedom
_Z = 1.96  # the normal distribution's, for 95 %

_EPOCHS = 10
_BATCH = 64
_HIGHEST_RATE = 5e-3
_SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval: where it might lie for other pictures of this sort."""

    value: float
    low: float
    high: float


def frechet_distance(features: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> Estimate:
    """Return the Fréchet distance (squared, as FID is) between two sets of features.

    The fewer pictures, the larger it is on average, even between equal sets: compare figures of equally
    many pictures, and with the figure of clean ones. The interval is the jackknife's over ten blocks of
    ``features``; a bootstrap, which repeats pictures, would have that bias twice.

    Args:
        features: (N, D) of the pictures to judge; N above D.
        reference: (M, D) of clean ones; M above D.

    Raises:
        ValueError: There are no more pictures than features, whose covariance then says nothing.
    """
    count, size = features.shape
    if min(count - math.ceil(count / _BLOCKS), len(reference)) <= size:
        raise ValueError(f"{size} features need more pictures than {count} and {len(reference)}")
    metric = FrechetInceptionDistance(_Features(size), reset_real_features=False, normalize=True)
    metric.update(torch.from_numpy(reference), real=True)

    def distance(part: npt.NDArray[np.float64]) -> float:
        metric.reset()
        metric.update(torch.from_numpy(part), real=False)
        return float(metric.compute())

    block = np.arange(count) * _BLOCKS // count
    without = np.array([distance(features[block != left_out]) for left_out in range(_BLOCKS)])
    spread = math.sqrt((_BLOCKS - 1) * float(without.var()))
    value = distance(features)
    return Estimate(value, max(value - _T9 * spread, 0.0), value + _T9 * spread)


class _Features(nn.Identity):
    """What torchmetrics takes for a network: it gets features already."""

    def __init__(self, count: int):
        super().__init__()
        self.num_features = count


def detectability(
    results: npt.NDArray[np.float32], clean: npt.NDArray[np.float32], learned: int
) -> Estimate:
    """Return how often a fresh network tells results from clean faces: 0.5 if it can't, 1 at best.

    The interval is Wilson's, of the pictures judged; it knows nothing of how else the network might have
    been trained.

    Args:
        results: (N, H, W) in [0, 1].
        clean: (N, H, W), of other photographs: otherwise the network could recognise people.
        learned: How many of either it learns from; it judges the others.

    Raises:
        ValueError: The sets differ in number, or leave nothing to learn from or to judge.
    """
    if len(results) != len(clean) or not 0 < learned < len(results):
        raise ValueError(f"can't learn from {learned} of {len(results)} and {len(clean)} pictures")
    sets = [torch.from_numpy(shown(pictures))[:, None] for pictures in (clean, results)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = _learn(torch.cat([pictures[:learned] for pictures in sets]))
    judged = len(results) - learned
    with torch.inference_mode():
        taken_for_results = [
            int(sum((network(batch) > 0).sum() for batch in pictures[learned:].split(_BATCH)))
            for pictures in sets
        ]
    right = judged - taken_for_results[0] + taken_for_results[1]
    return Estimate(right / (2 * judged), *wilson_interval(right, 2 * judged))


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    References:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22,
        1927, doi:10.1080/01621459.1927.10502953.
    """
    share, weight = hits / count, _Z**2 / count
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return centre - half, centre + half


def shown(pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round pictures to 8 bits, as a screen and a file do."""
    return from_uint8(to_uint8(pictures))


def _learn(pictures: torch.Tensor) -> nn.Module:
    """Train a network to tell the second half of some pictures from the first."""
    network = _Judge().to(memory_format=torch.channels_last)
    labels = (torch.arange(len(pictures)) >= len(pictures) // 2).float()
    optimizer = torch.optim.Adam(network.parameters())
    steps = _EPOCHS * math.ceil(len(pictures) / _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _HIGHEST_RATE, steps)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(pictures)).split(_BATCH):
            optimizer.zero_grad()
            batch = pictures[rows].flip(3) if torch.rand(()) < 0.5 else pictures[rows]
            F.binary_cross_entropy_with_logits(network(batch), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


class _Judge(nn.Sequential):
    """Four convolutions on a picture and its detail, and the mean of what they find."""

    def __init__(self) -> None:
        super().__init__(
            _WithDetail(),
            *_convolution(2, 32, stride=2),
            *_convolution(32, 32),
            *_convolution(32, 64, stride=2),
            *_convolution(64, 64),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, 1),
            nn.Flatten(0),
        )


class _WithDetail(nn.Module):
    """Puts beside a picture what sets its pixels apart from those around: the traces of a denoiser."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return (B, 2, H, W) for (B, 1, H, W), both of about unit spread."""
        around = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return torch.cat([(pictures - 0.5) / 0.25, (pictures - around) / 0.03], dim=1)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    # Without batch norm, it learned nothing from 2,000 pictures.
    return nn.Conv2d(inputs, outputs, 3, stride, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
