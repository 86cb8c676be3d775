"""Supervised training: the network sees the noisy picture and is told the clean one."""

import math
import random
from collections.abc import Callable
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Timer
from torch import nn
from torchmetrics import MeanMetric
from torchmetrics.functional.image import peak_signal_noise_ratio

from denoiser.architectures import build_network
from denoiser.noise import random_source
from denoiser.weights.checkpoint import channels_last
from train.config import TrainConfig, noise_name
from train.data import augment
from train.modules.losses import reconstruction_loss
from train.modules.mixture import NoiseMixture
from train.modules.muon import Muon

Engine = Literal["plain", "compile", "graphs"]


class WarmUpAndCosine(torch.optim.lr_scheduler.LambdaLR):
    """Raise the learning rate to its highest, then lower it to nothing by a cosine.

    It follows from how much of the run is over, which the step's number tells, and the number is all
    that a checkpoint gives back: a run that is resumed with more epochs than it had follows the longer
    curve.

    Args:
        optimizer: Whose learning rates, as they are now, are the highest.
        progress: Share of the run, from 0 to 1, that is over after so many steps.
        warm_up: Share of the run to rise in, from a 25th of the highest.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        progress: Callable[[int], float],
        warm_up: float = 0.0,
    ):
        def factor(step: int) -> float:
            share = min(1.0, progress(step))
            if share < warm_up:
                return 0.04 + 0.96 * (1 - math.cos(math.pi * share / warm_up)) / 2
            return (1 + math.cos(math.pi * (share - warm_up) / (1 - warm_up))) / 2

        super().__init__(optimizer, factor)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's step."""
        self.last_epoch = state_dict["last_epoch"]
        for group, highest, factor in zip(
            self.optimizer.param_groups, self.base_lrs, self.lr_lambdas, strict=True
        ):
            group["lr"] = highest * factor(self.last_epoch)


def run_progress(trainer: pl.Trainer) -> Callable[[int], float]:
    """Return how much of a run is over: of its time where that is limited, else of its steps."""
    timer = next((c for c in trainer.callbacks if isinstance(c, Timer)), None)  # type: ignore[attr-defined]
    if trainer.max_epochs == -1 and timer is not None:

        def share_of_time(step: int) -> float:
            elapsed, remaining = timer.time_elapsed(), timer.time_remaining()
            return elapsed / (elapsed + remaining) if remaining is not None else 0.0

        return share_of_time
    steps = int(trainer.estimated_stepping_batches)
    return lambda step: step / steps


def _run(network: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    return network(*inputs)


class _Recorded:
    """Runs networks by CUDA graphs: what a GPU has to do for a batch is recorded once, and replayed.

    Small networks keep a GPU waiting for the next order most of the time. A network is recorded with the
    first batch that it sees; all others must have its shape. In eval mode it runs as it always does.
    """

    def __init__(self) -> None:
        self._recorded_ids: set[int] = set()

    def __call__(self, network: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
        if id(network) not in self._recorded_ids:
            self._recorded_ids.add(id(network))
            kind = inputs[0].device.type
            mixed, precision = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
            # Weights that were cast while recording are not those of later steps.
            with torch.autocast(kind, precision, enabled=mixed, cache_enabled=False):
                torch.cuda.make_graphed_callables(network, tuple(map(torch.zeros_like, inputs)))
        return network(*inputs)


class SupervisedModule(pl.LightningModule):
    """The reconstruction loss, an optimizer, warm-up and cosine; PSNR on fixed validation noise.

    Args:
        config: The training run.
        engine: How the networks run in training: ``"plain"``, ``"compile"`` (PyTorch compiles them), or
            ``"graphs"`` (recorded as CUDA graphs: several times as fast on a large GPU).
    """

    def __init__(self, config: TrainConfig, engine: Engine = "plain"):
        super().__init__()
        self.config = config
        # A function of the network, not the network: its names in checkpoints stay, and networks of the
        # same shape share what is compiled.
        engines: dict[Engine, Callable[[], Any]] = {
            "plain": lambda: _run,
            "compile": lambda: torch.compile(_run, dynamic=False),
            "graphs": _Recorded,
        }
        self.run = engines[engine]()
        self.network = build_network(config.architecture, config.settings)
        channels_last(self.network)
        self.mixture = NoiseMixture(config.noise)
        self.mean_psnr = MeanMetric()
        self._sources: tuple[torch.Generator, random.Random] | None = None
        self._teacher: tuple[nn.Module, ...] = ()

    def take_teacher(self, teacher: nn.Module) -> None:
        """Aim at another network's pictures too, as the config says: (B, 1, H, W) to (B, 1, H, W)."""
        # In a tuple, so that it is no part of this module: it is not trained, averaged or saved.
        self._teacher = (channels_last(teacher.eval().requires_grad_(False)),)

    @property
    def sources(self) -> tuple[torch.Generator, random.Random]:
        """Random sources, on this process's device and beside it: their own for every process and epoch.

        Seeded anew at every epoch, so that a resumed run goes on as if it had never stopped. What is
        drawn beside the device is known without waiting for it.
        """
        if self._sources is None:
            processes = self.trainer.world_size
            stream = self.current_epoch * processes + self.global_rank
            seed = self.config.seed * 1_000_003 + stream
            self._sources = random_source(self.device, seed), random.Random(seed)
        return self._sources

    def on_train_epoch_start(self) -> None:
        """Start the epoch's own streams of noise."""
        self._sources = None

    def make_clean(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Turn a batch of bytes into pictures to corrupt, (B, 1, H, W), where noise can be drawn."""
        config = self.config
        generator, _ = self.sources
        clean = batch[0].to(generator.device).float() / 255
        return augment(clean, config.rescaled_share, config.rescaled_maximum, *self.sources)

    def make_pair(self, batch: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn a batch of bytes into noisy and clean pictures, (B, 1, H, W) each."""
        clean = self.make_clean(batch)
        noisy = self.mixture(clean, *self.sources)
        return self.to_network(noisy), clean.to(self.device)

    def to_network(self, noisy: torch.Tensor) -> torch.Tensor:
        """Bring noisy pictures from where noise is drawn to the network, in its layout."""
        return noisy.to(self.device).contiguous(memory_format=torch.channels_last)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor | None:
        """The reconstruction loss of the denoised batch."""
        noisy, clean = self.make_pair(batch)
        aim = self._aim(noisy, clean)
        loss = reconstruction_loss(self.run(self.network, noisy), aim, self.config.loss)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)
        return loss

    def _aim(self, noisy: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """The clean pictures, or what lies between them and the teacher's."""
        for teacher in self._teacher:
            with torch.no_grad():
                taught = teacher.to(self.device)(noisy).clamp(0, 1).to(clean.dtype)
            clean = clean.lerp(taught, self.config.teacher_share)
        return clean

    def validation_step(
        self, batch: list[torch.Tensor], index: int, dataloader_idx: int = 0
    ) -> torch.Tensor:
        """Mean of the pictures' PSNRs, for each validation noise and over all of them.

        Returns:
            The denoised pictures, (B, 1, H, W) in [0, 1], for callbacks.
        """
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
        self.validation_denoised(name, denoised, clean)
        return denoised

    def validation_denoised(self, name: str, denoised: torch.Tensor, clean: torch.Tensor) -> None:
        """For more figures of a validation noise's pictures, (B, 1, H, W) each; none here."""

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
        schedule = WarmUpAndCosine(optimizer, run_progress(self.trainer), warm_up=0.03)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
