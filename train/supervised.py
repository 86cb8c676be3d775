"""Supervised training: the network sees the noisy picture and is told the clean one."""

import math
from typing import Any

import lightning.pytorch as pl
import torch
from torchmetrics import MeanMetric
from torchmetrics.functional.image import peak_signal_noise_ratio

from denoiser.architectures import build_network, channels_last
from denoiser.noise import random_source

from .config import TrainConfig, noise_name
from .data import augment
from .losses import reconstruction_loss
from .mixture import NoiseMixture
from .muon import Muon


class WarmUpAndCosine(torch.optim.lr_scheduler.LambdaLR):
    """Raise the learning rate to its highest, then lower it to nothing by a cosine.

    It follows from the step's number alone, and the number is all that a checkpoint gives back: a run
    that is resumed with more epochs than it had follows the longer curve.

    Args:
        optimizer: Whose learning rates, as they are now, are the highest.
        steps: How many steps there will be.
        warm_up: Share of the steps to rise in, from a 25th of the highest.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, steps: int, warm_up: float = 0.0):
        rise = warm_up * steps

        def factor(step: int) -> float:
            if step < rise:
                return 0.04 + 0.96 * (1 - math.cos(math.pi * step / rise)) / 2
            return (1 + math.cos(math.pi * min(1.0, (step - rise) / (steps - rise)))) / 2

        super().__init__(optimizer, factor)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's step."""
        self.last_epoch = state_dict["last_epoch"]
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate


class SupervisedModule(pl.LightningModule):
    """The reconstruction loss, an optimizer, warm-up and cosine; PSNR on fixed validation noise.

    Args:
        config: The training run.
    """

    def __init__(self, config: TrainConfig):
        super().__init__()
        self.config = config
        self.network = build_network(config.architecture, config.settings)
        channels_last(self.network)
        self.mixture = NoiseMixture(config.noise)
        self.mean_psnr = MeanMetric()
        self._generator: torch.Generator | None = None

    @property
    def generator(self) -> torch.Generator:
        """Random source of this process's device: a stream of its own for every process and epoch.

        Seeded anew at every epoch, so that a resumed run goes on as if it had never stopped.
        """
        if self._generator is None:
            processes = self.trainer.world_size
            stream = self.current_epoch * processes + self.global_rank
            self._generator = random_source(self.device, self.config.seed * 1_000_003 + stream)
        return self._generator

    def on_train_epoch_start(self) -> None:
        """Start the epoch's own stream of noise."""
        self._generator = None

    def make_clean(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Turn a batch of bytes into pictures to corrupt, (B, 1, H, W), where noise can be drawn."""
        config = self.config
        clean = batch[0].to(self.generator.device).float() / 255
        return augment(clean, config.rescaled_share, config.rescaled_maximum, self.generator)

    def make_pair(self, batch: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn a batch of bytes into noisy and clean pictures, (B, 1, H, W) each."""
        clean = self.make_clean(batch)
        noisy = self.mixture(clean, self.generator)
        return noisy.to(self.device), clean.to(self.device)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor | None:
        """The reconstruction loss of the denoised batch."""
        noisy, clean = self.make_pair(batch)
        loss = reconstruction_loss(self.network(noisy), clean, self.config.loss)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], index: int, dataloader_idx: int = 0) -> None:
        """Mean of the pictures' PSNRs, for each validation noise and over all of them."""
        noisy, clean = batch
        denoised = self.network(noisy).clamp(0, 1)
        psnr = peak_signal_noise_ratio(denoised, clean, data_range=1.0, dim=(1, 2, 3))
        name = noise_name(self.config.validation[dataloader_idx])
        self.log(
            f"val_psnr_{name}",
            psnr,
            add_dataloader_idx=False,
            batch_size=len(clean),
            sync_dist=True,
        )
        self.mean_psnr.update(psnr, weight=len(clean))

    def on_validation_epoch_end(self) -> None:
        """Log the mean over all validation noises, which training is selected on."""
        self.log("val_psnr", self.mean_psnr.compute(), prog_bar=True, sync_dist=True)
        self.mean_psnr.reset()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return what to train, in groups that may have learning rates of their own."""
        return [{"params": list(self.network.parameters())}]

    def configure_optimizers(self) -> Any:
        """AdamW or Muon, with a short warm-up and a cosine down to nothing."""
        config = self.config
        parameters = self.parameter_groups()
        optimizer: torch.optim.Optimizer
        if config.optimizer == "muon":
            optimizer = Muon(parameters, lr=config.learning_rate)
        else:
            optimizer = torch.optim.AdamW(
                parameters, lr=config.learning_rate, weight_decay=config.weight_decay
            )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = WarmUpAndCosine(optimizer, steps, warm_up=0.03)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
