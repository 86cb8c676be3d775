"""The noise mixture of a training batch: each picture gets its own kind and strength."""

import torch

from denoiser.noise import noise_kind

from .config import Component, Stage


class NoiseMixture:
    """Corrupt a batch with the app's own noise models, a random part of the mixture for each picture.

    Args:
        components: Parts of the mixture with their weights.
    """

    def __init__(self, components: tuple[Component, ...]):
        self.components = components
        self.weights = torch.tensor([component.weight for component in components])

    def __call__(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Corrupt a batch, each picture with a part of the mixture drawn for it.

        Args:
            clean: (B, 1, H, W) in [0, 1].
            generator: Random source on the batch's device.

        Returns:
            (B, 1, H, W) in [0, 1], clipped as in the app.
        """
        return self.corrupt(clean, self.draw(clean, generator), generator)

    def draw(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw a part of the mixture for each picture of a batch: (B,) places in ``components``."""
        weights = self.weights.to(clean.device)
        return torch.multinomial(weights, len(clean), replacement=True, generator=generator)

    def corrupt(
        self, clean: torch.Tensor, choice: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Corrupt each picture with the part of the mixture that :meth:`draw` chose for it."""
        noisy = torch.empty_like(clean)
        for index, component in enumerate(self.components):
            chosen = choice == index
            if chosen.any():
                part = clean[chosen]
                for stage in component.stages:
                    part = _apply(stage, part, generator)
                noisy[chosen] = part
        return noisy.clamp(0, 1)


def _apply(stage: Stage, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Apply one noise, with a strength for each picture (whole numbers: one for the batch)."""
    kind = noise_kind(stage.kind)
    strengths: dict[str, float | torch.Tensor] = {}
    for parameter in kind.parameters:
        low, high = stage.ranges.get(parameter.name, (parameter.default,) * 2)
        count = 1 if parameter.integer else len(batch)
        drawn = torch.rand((count, 1, 1, 1), generator=generator, device=batch.device)
        if parameter.integer:
            drawn_number = int(low + (high - low + 1) * float(drawn))
            strengths[parameter.name] = min(drawn_number, int(high))
        else:
            strengths[parameter.name] = low + (high - low) * drawn
    return kind(**strengths).apply(batch, generator)
