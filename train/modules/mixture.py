"""The noise mixture of a training batch: each picture gets its own kind and strength."""

import itertools
import random
from collections.abc import Sequence

import torch

from denoiser.noise import noise_kind
from train.config import Component, Stage


class NoiseMixture:
    """Corrupt a batch with the app's own noise models, a part of the mixture for each picture.

    Args:
        components: Parts of the mixture with their weights.
    """

    def __init__(self, components: tuple[Component, ...]):
        self.components = components

    def __call__(
        self, clean: torch.Tensor, generator: torch.Generator, dice: random.Random
    ) -> torch.Tensor:
        """Corrupt a batch, each picture with a part of the mixture.

        The first pictures get the first part, and so on: the batch has to be in a random order.

        Args:
            clean: (B, 1, H, W) in [0, 1].
            generator: Random source on the batch's device.
            dice: Random source of what has to be known without asking the device.

        Returns:
            (B, 1, H, W); clipped to [0, 1], as in the app, but for the share of a part's pictures that
            its ``unclipped`` says.
        """
        counts = deal([part.weight for part in self.components], len(clean), dice)
        parts = zip(self.components, clean.split(counts), strict=True)
        return torch.cat([_corrupt(part, own, generator, dice) for part, own in parts if len(own)])


def deal(weights: Sequence[float], count: int, dice: random.Random) -> list[int]:
    """Deal so many pictures out by weight: as evenly as whole numbers can be, and by chance beyond that.

    Systematic sampling: a part's expected number is exact, and its own is less than 1 from it.

    Returns:
        A number for each weight; their sum is ``count``.
    """
    start = dice.random()
    total = sum(weights)
    edges = [0]
    passed = 0.0
    for weight in weights:
        passed += weight
        edges.append(int(count * passed / total + start))
    edges[-1] = count
    return [max(0, after - before) for before, after in itertools.pairwise(edges)]


def _corrupt(
    part: Component, clean: torch.Tensor, generator: torch.Generator, dice: random.Random
) -> torch.Tensor:
    noisy = clean
    for stage in part.stages:
        noisy = _apply(stage, noisy, generator, dice)
    unclipped, _ = deal([part.unclipped, 1 - part.unclipped], len(clean), dice)
    return torch.cat([noisy[:unclipped], noisy[unclipped:].clamp(0, 1)])


def _apply(
    stage: Stage, batch: torch.Tensor, generator: torch.Generator, dice: random.Random
) -> torch.Tensor:
    """Apply one noise, with a strength for each picture (whole numbers: one for the batch)."""
    kind = noise_kind(stage.kind)
    strengths: dict[str, float | torch.Tensor] = {}
    for parameter in kind.parameters:
        low, high = stage.ranges.get(parameter.name, (parameter.default,) * 2)
        if low == high:
            strengths[parameter.name] = low
        elif parameter.integer:
            strengths[parameter.name] = dice.randint(int(low), int(high))
        else:
            drawn = torch.rand((len(batch), 1, 1, 1), generator=generator, device=batch.device)
            strengths[parameter.name] = low + (high - low) * drawn
    return kind(**strengths).apply(batch, generator)
