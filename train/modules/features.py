"""Feature matching: to a network, denoised faces are to be, as a set, what clean ones are.

The mean and the covariance of its features differ between denoised pictures and the clean ones behind
them. The Fréchet distance is the squared way from the one normal distribution to the other, and the map
that goes this way is known: the features of each picture are drawn to where that map puts them. Pictures
that are about equally hard are matched among themselves, as strong noise takes what faint noise leaves.

The network must not be the one whose Fréchet distance is reported, which would be flattered: here it is
a reader of expressions trained from another seed.

References:
    D. C. Dowson and B. V. Landau, "The Fréchet distance between multivariate normal distributions",
    Journal of Multivariate Analysis 12, 1982, doi:10.1016/0047-259X(82)90077-X; T. Salimans et al.,
    "Improved techniques for training GANs", NeurIPS 2016, arXiv:1606.03498: features of generated and
    real pictures that agree on average.
"""

import torch
from torch import nn

from denoiser.analysis.emotion.network import EmotionNet

_GROUPS = 4  # of pictures that are about equally hard
_MEMORY = 0.97  # of the moments from step to step: some 800 pictures of each group, in batches of 96
_SETTLED = 1 - _MEMORY**20  # weight of the moments after 20 steps; before, they are of too few pictures
_RIDGE = 0.01  # share of the mean variance by which a covariance is kept from being singular
_NO_DETAIL = 1e-4  # squared difference of neighbours, about 3 of 255: below it a picture counts as flat


class ReaderFeatures(nn.Module):
    """What a reader of expressions scores its classes by, of pictures (B, 1, H, W) in [0, 1].

    Args:
        reader: A trained one.
    """

    def __init__(self, reader: EmotionNet):
        super().__init__()
        self.reader = reader

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Return (B, features)."""
        return self.reader.features(faces)


class FeatureMatching(nn.Module):
    """The loss, and the running moments that it needs; in single precision, as half is too coarse.

    Args:
        features: Gives (B, count) for pictures (B, 1, H, W) in [0, 1]. It is not trained.
        count: How many features there are.
    """

    mean: torch.Tensor
    second: torch.Tensor
    weight: torch.Tensor

    def __init__(self, features: nn.Module, count: int):
        super().__init__()
        # In a tuple, so that it is no part of this module: it is not trained, averaged or saved.
        self._features = (features.eval().requires_grad_(False),)
        # Of the denoised, and of the clean pictures of each group.
        self.register_buffer("mean", torch.zeros(2, _GROUPS, count))
        self.register_buffer("second", torch.zeros(2, _GROUPS, count, count))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, denoised: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """Return the mean squared distance of the denoised pictures' features from their aims.

        Args:
            denoised: (B, 1, H, W), with a gradient.
            clean: What they should be.

        Returns:
            A scalar in squared units of the features; 0 for the first steps.
        """
        features = self._features[0].to(denoised.device)
        with torch.autocast(denoised.device.type, enabled=False):
            denoised, clean = denoised.float(), clean.float()
            order = hardness(denoised.detach(), clean).argsort()
            order = order[: len(order) // _GROUPS * _GROUPS]
            seen = features(denoised[order].clamp(0, 1)).unflatten(0, (_GROUPS, -1))
            with torch.no_grad():
                real = features(clean[order]).unflatten(0, (_GROUPS, -1))
                aims = self._aims(seen, real)
            return (seen - aims).square().sum(dim=-1).mean()

    def _aims(self, seen: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Take features, (groups, N, count), into the moments; return where those seen should be."""
        both = torch.stack([seen, real])
        self.mean.lerp_(both.mean(dim=2), 1 - _MEMORY)
        self.second.lerp_(both.mT @ both / both.shape[2], 1 - _MEMORY)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - _MEMORY)
        mean = self.mean / self.weight
        covariance = self.second / self.weight - mean[..., :, None] * mean[..., None, :]
        # Without asking the device how far it is, which would wait for it.
        return torch.where(self.weight < _SETTLED, seen, transport(seen, mean, covariance))


def hardness(denoised: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Return how large the error of each picture, (B, 1, H, W), is beside its own detail: (B,)."""
    error = (denoised - clean).square().mean(dim=(1, 2, 3))
    detail = sum(clean.diff(dim=axis).square().mean(dim=(1, 2, 3)) for axis in (2, 3))
    return error / (detail + _NO_DETAIL)


def transport(seen: torch.Tensor, mean: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """Return where the optimal map from one normal distribution to another puts points of the first.

    Args:
        seen: (groups, N, count) points.
        mean: (2, groups, count), of the first distribution and of the second.
        covariance: (2, groups, count, count), likewise.

    Returns:
        Points, as ``seen``.
    """
    size = covariance.shape[-1]
    scale = covariance[1].diagonal(dim1=-2, dim2=-1).mean(dim=-1)[:, None, None]
    first, second = covariance + _RIDGE * scale * torch.eye(size, device=covariance.device)
    root, inverse_root = _power(first, 0.5), _power(first, -0.5)
    change = inverse_root @ _power(root @ second @ root, 0.5) @ inverse_root
    return mean[1][:, None] + (seen - mean[0][:, None]) @ change


def _power(matrices: torch.Tensor, exponent: float) -> torch.Tensor:
    """Return a power of symmetric matrices, (groups, count, count), positive but for rounding."""
    values, vectors = torch.linalg.eigh(matrices)
    smallest = torch.finfo(values.dtype).eps * values.amax(dim=-1, keepdim=True)
    return (vectors * values.clamp(min=smallest).pow(exponent)[..., None, :]) @ vectors.mT
