"""Train a conditional flow: on straight lines from white noise to what the denoised picture lacks."""

from typing import cast

import torch

from denoiser.architectures.flow_unet import FlowUNet
from train.config import TrainConfig
from train.modules.generative import GenerativeModule
from train.modules.losses import log_mse
from train.modules.supervised import Engine


class FlowModule(GenerativeModule):
    """Conditional flow matching; the denoiser that the flow starts from stays as it is.

    For each picture a time t is drawn, evenly spread over the batch, and a start e of white noise. The
    flow's network sees ``z = (1 - t) e + t r``, where r is what the denoised picture lacks, and learns
    the line's direction, ``r - e``. Its best guess at z is the mean over all lines through z, and
    following that gives samples.

    The loss is the logarithm of each picture's mean squared error, as elsewhere here: what can't be
    known of a direction, which is most of it, differs by the noise and the time, and would weigh them.

    Args:
        config: The training run; its network is a flow.
        engine: See :class:`SupervisedModule`.

    References:
        Y. Lipman et al., "Flow matching for generative modeling", ICLR 2023, arXiv:2210.02747.
    """

    def __init__(self, config: TrainConfig, engine: Engine = "plain"):
        super().__init__(config, engine)
        cast(FlowUNet, self.network).mean.requires_grad_(False)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        """The error of the directions at one point of each picture's line."""
        network = cast(FlowUNet, self.network)
        noisy, clean = self.make_pair(batch)
        generator, _ = self.sources
        spread = torch.rand(1, generator=generator, device=generator.device).to(noisy)
        places = torch.randperm(len(noisy), generator=generator, device=generator.device).to(noisy)
        time = (places + spread) / len(noisy)
        noise = torch.randn(noisy.shape, generator=generator, device=generator.device).to(noisy)
        start = network.config.start_sigma * noise
        with torch.no_grad():
            mean = network.mean(noisy)
        remainder = clean - mean
        moved = torch.lerp(start, remainder, time[:, None, None, None])
        velocity = self.run(network.velocity, network.planes(noisy, mean, moved), time)
        loss = log_mse(velocity, remainder - start)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)
        return loss

    def parameter_groups(self) -> list[dict[str, object]]:
        """The flow's network alone."""
        return [{"params": list(cast(FlowUNet, self.network).velocity.parameters())}]
