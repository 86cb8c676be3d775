"""Adversarial training: a denoiser that also has to fool a PatchGAN discriminator.

Generator loss = reconstruction + weight * BCE; discriminator loss = mean of real and fake BCE with
smoothed labels (P. Isola et al., CVPR 2017, doi:10.1109/CVPR.2017.632, and reference A). Separate
learning rates, and mixed pairs on demand, after reference B. Both losses are in the history.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from lightning.pytorch.core.optimizer import LightningOptimizer

from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig

from .config import AdversarialConfig, TrainConfig
from .losses import reconstruction_loss
from .supervised import Engine, SupervisedModule, WarmUpAndCosine, run_progress


class AdversarialModule(SupervisedModule):
    """The denoiser is ``network``, as in supervised training; the discriminator is shipped beside it.

    Args:
        config: The training run; its ``adversarial`` part must be set.
    """

    def __init__(self, config: TrainConfig, engine: Engine = "plain"):
        super().__init__(config, engine)
        if config.adversarial is None:
            raise ValueError("adversarial training needs an [adversarial] table in the config")
        self.adversarial: AdversarialConfig = config.adversarial
        self.discriminator = PatchDiscriminator(
            PatchDiscriminatorConfig(**config.adversarial.discriminator)
        )
        self.automatic_optimization = False  # two optimisers take turns

    def discriminator_loss(
        self, noisy: torch.Tensor, clean: torch.Tensor, denoised: torch.Tensor
    ) -> torch.Tensor:
        """Real and fake BCE, averaged; with mixed pairs, the clean picture as condition as well."""
        conditions = [noisy, clean] if self.adversarial.mixed_pairs else [noisy]
        losses = []
        for condition in conditions:
            real = self.discriminator(condition, clean)
            fake = self.discriminator(condition, denoised.detach())
            losses.append(_bce(real, self.adversarial.real_label))
            losses.append(_bce(fake, self.adversarial.fake_label))
        return torch.stack(losses).mean()

    def generator_loss(
        self, noisy: torch.Tensor, clean: torch.Tensor, denoised: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the reconstruction loss and the adversarial part, not yet weighed."""
        distortion = reconstruction_loss(denoised, clean, self.config.loss)
        return distortion, _bce(self.discriminator(noisy, denoised), 1.0)

    def training_step(self, batch: list[torch.Tensor], index: int) -> None:
        """One step of the discriminator, then one of the denoiser."""
        noisy, clean = self.make_pair(batch)
        generator_optimizer, discriminator_optimizer = cast(list[LightningOptimizer], self.optimizers())
        denoised = self.run(self.network, noisy)

        self.toggle_optimizer(discriminator_optimizer)
        discriminator_loss = self.discriminator_loss(noisy, clean, denoised)
        discriminator_optimizer.zero_grad()
        self.manual_backward(discriminator_loss)
        discriminator_optimizer.step()
        self.untoggle_optimizer(discriminator_optimizer)

        self.toggle_optimizer(generator_optimizer)
        distortion, adversarial = self.generator_loss(noisy, clean, denoised)
        generator_optimizer.zero_grad()
        self.manual_backward(distortion + self.adversarial.weight * adversarial)
        generator_optimizer.step()
        self.untoggle_optimizer(generator_optimizer)
        for schedule in cast(list[WarmUpAndCosine], self.lr_schedulers()):
            schedule.step()

        losses = {
            "train_loss": distortion,
            "generator_loss": adversarial,
            "discriminator_loss": discriminator_loss,
        }
        self.log_dict(losses, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Adam for both, each with its own rate, lowered by a cosine."""
        config = self.config
        # Lightning counts a step for each of the two optimisers; the schedules see every batch once.
        progress = run_progress(self.trainer)
        optimizers = [
            torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, betas=(0.5, 0.999)),
            torch.optim.Adam(
                self.discriminator.parameters(),
                lr=self.adversarial.discriminator_learning_rate,
                betas=(0.5, 0.999),
            ),
        ]
        schedules = [WarmUpAndCosine(optimizer, progress) for optimizer in optimizers]
        return optimizers, schedules


def _bce(logits: torch.Tensor, target: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
